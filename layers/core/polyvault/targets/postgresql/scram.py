"""SCRAM-SHA-256 verifiers made here, and the question which one a server holds, asked without a login attempt.

The server sees a verifier, never a password, so no statement log can hold one. Our verifiers' salt is derived from the
secret's version: RFC 5802 wants a salt to be unique, not secret, and a server shows the salt of an account before the
client proves anything. So one exchange that is dropped before the proof says which version's password the target
holds. No failed login is spent on asking, and setting one version twice writes the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import socket
import ssl
import struct
from contextlib import ExitStack
from pathlib import Path

from polyvault.domain.rotation import Credential
from polyvault.errors import TargetTlsError, TargetUnavailableError

ITERATIONS = 4096  # PostgreSQL's own default; the passwords are random, not chosen by people
_SASL, _SASL_CONTINUE = 10, 11
_LARGEST_MESSAGE = 65_536


def salt_for(version_id: str, username: str) -> bytes:
    """The salt of the verifier that we write for this version of this user's password."""
    return hashlib.sha256(b"\0".join((b"polyvault", version_id.encode(), username.encode()))).digest()[:16]


def verifier(credential: Credential, version_id: str) -> str:
    """The text that ``ALTER ROLE ... PASSWORD`` stores as it is. For the ASCII passwords of our own profiles.

    (Other passwords need SASLprep: `session.Session.verifier` asks libpq.)
    """
    salt = salt_for(version_id, credential.username)
    salted = hashlib.pbkdf2_hmac("sha256", credential.password.reveal_bytes(), salt, ITERATIONS)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    text = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${ITERATIONS}:{text[0]}${text[1]}:{text[2]}"


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Certificate and host name are checked, always; ``ca_file`` replaces the system's authorities."""
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    # RFC 5280's finer points, which libpq does not ask for: question and login must judge one certificate alike.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def installed_salt(credential: Credential, *, ca_file: Path | None, timeout: float) -> bytes | None:
    """The salt that the server shows for the user; None when it does not ask for SCRAM.

    ``timeout`` is in seconds, for the whole exchange's every wait. A user that does not exist has a salt too: one
    that the server makes up.
    """
    try:
        with ExitStack() as stack:
            stream = stack.enter_context(socket.create_connection((credential.host, credential.port), timeout))
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small messages in turn: 40 ms each without
            if credential.tls:
                stream = stack.enter_context(_encrypted(stream, credential.host, ca_file))
            return _first_exchange(stream, credential)
    except ssl.SSLError as error:
        raise TargetTlsError(f"TLS with the target failed ({type(error).__name__})") from None
    except OSError as error:
        raise TargetUnavailableError(f"the target cannot be reached ({type(error).__name__})") from None


def _encrypted(stream: socket.socket, host: str, ca_file: Path | None) -> ssl.SSLSocket:
    stream.sendall(struct.pack("!II", 8, 80_877_103))
    answer = _read(stream, 1)
    if answer != b"S":
        raise TargetTlsError("the target offers no TLS")
    return tls_context(ca_file).wrap_socket(stream, server_hostname=host)


def _first_exchange(stream: socket.socket, credential: Credential) -> bytes | None:
    pairs = {"user": credential.username, "database": credential.dbname or "postgres"}
    startup = b"".join(f"{key}\0{value}\0".encode() for key, value in pairs.items()) + b"\0"
    stream.sendall(struct.pack("!II", len(startup) + 8, 196_608) + startup)
    if _authentication(stream)[0] != _SASL:
        return None
    first = f"n,,n=,r={secrets.token_urlsafe(18)}".encode()
    body = b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first
    stream.sendall(b"p" + struct.pack("!I", len(body) + 4) + body)
    kind, payload = _authentication(stream)
    if kind != _SASL_CONTINUE:
        return None
    fields = dict(part.split(b"=", 1) for part in payload.split(b",") if b"=" in part)
    return base64.b64decode(fields.get(b"s", b""))


def _authentication(stream: socket.socket) -> tuple[int, bytes]:
    """The next authentication message; (0, b"") for any other, because the login that follows will say why."""
    kind = _read(stream, 1)
    (length,) = struct.unpack("!I", _read(stream, 4))
    if kind != b"R" or not 8 <= length <= _LARGEST_MESSAGE:
        return 0, b""
    (code,) = struct.unpack("!I", _read(stream, 4))
    return code, _read(stream, length - 8)


def _read(stream: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = stream.recv(size - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data
