"""Servers that answer as PostgreSQL might on a bad day, or as an impostor would: nothing is given away."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from polyvault.adapters.system_clock import SystemClock
from polyvault.domain.rotation import Credential
from polyvault.domain.secret import SecretValue
from polyvault.errors import (
    PostConditionError,
    RotationError,
    TargetRejectedCredentialError,
    TargetTlsError,
    TargetUnavailableError,
)
from polyvault.targets.postgresql import PostgresqlTarget

CLOCK = SystemClock()
CANARY = "canary-password-71f0"
TARGET = PostgresqlTarget(clock=CLOCK)


@dataclass
class Impostor:
    """What it was told, byte for byte, and where it listens."""

    port: int
    heard: bytearray = field(default_factory=bytearray)

    def credential(self, *, tls: bool) -> Credential:
        return Credential("postgres", "127.0.0.1", self.port, "app", SecretValue(CANARY), dbname="orders", tls=tls)


@contextmanager
def impostor(talk: Callable[[socket.socket, Impostor], None]) -> Iterator[Impostor]:
    """A server on loopback; ``talk`` is its side of each connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        played = Impostor(server.getsockname()[1])
        server.settimeout(10)

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    try:
                        talk(connection, played)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield played
        finally:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
            thread.join(10)
            assert not thread.is_alive()


def hear(connection: socket.socket, played: Impostor) -> bytes:
    data = connection.recv(65_536)
    played.heard += data
    return data


def error(sqlstate: str, severity: str = "FATAL", words: str = "go away") -> bytes:
    fields = f"S{severity}\0V{'FATAL'}\0C{sqlstate}\0M{words}\0\0".encode()
    return b"E" + struct.pack("!I", len(fields) + 4) + fields


def authentication(code: int, more: bytes = b"") -> bytes:
    return b"R" + struct.pack("!II", len(more) + 8, code) + more


SASL = authentication(10, b"SCRAM-SHA-256\0\0")


def asks(target: PostgresqlTarget, credential: Credential, ask: str, seconds: float = 6) -> object:
    deadline = CLOCK.monotonic() + seconds
    if ask == "login":
        return target.login(credential, deadline=deadline)
    return target.installed_version(credential, ["v"], deadline=deadline)


@pytest.mark.parametrize("ask", ["login", "installed_version"])
@pytest.mark.parametrize("answer", [b"N", b"E", b"N" + SASL], ids=["no", "error", "no and on"])
def test_a_server_without_tls_hears_nothing_more_than_the_question_for_it(ask: str, answer: bytes) -> None:
    def talk(connection: socket.socket, played: Impostor) -> None:
        hear(connection, played)
        connection.sendall(answer)
        while hear(connection, played):
            pass

    with impostor(talk) as played:
        with pytest.raises((TargetTlsError, TargetUnavailableError)):
            asks(TARGET, played.credential(tls=True), ask)
        assert bytes(played.heard) == struct.pack("!II", 8, 80_877_103)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (authentication(3), PostConditionError),  # a password in the clear
        (authentication(0), PostConditionError),  # come in, whoever you are
        (authentication(7), PostConditionError),  # GSSAPI
        (error("28000"), TargetTlsError),  # pg_hba.conf admits no such connection, and ours is not encrypted
        (error("57P03", "FATALE", "sto partendo"), TargetUnavailableError),
        (error("53300"), TargetUnavailableError),
        (error("08P01"), TargetUnavailableError),
        (b"", TargetUnavailableError),
        (b"R\0\0", TargetUnavailableError),
    ],
    ids=["cleartext", "trust", "gss", "hba", "starting", "full", "protocol", "closed", "cut"],
)
def test_an_answer_before_a_password_is_asked_is_told_apart_and_gets_no_password(
    answer: bytes, expected: type[RotationError]
) -> None:
    def talk(connection: socket.socket, played: Impostor) -> None:
        hear(connection, played)
        connection.sendall(answer)
        if answer[:1] == b"R":
            hear(connection, played)

    with impostor(talk) as played:
        with pytest.raises(RotationError) as raised:
            asks(TARGET, played.credential(tls=False), "login")
        assert type(raised.value) is expected
        assert CANARY.encode() not in played.heard


@pytest.mark.parametrize(
    ("severity", "words"),
    [
        ("FATAL", "password authentication failed"),
        ("FATAL", "Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen"),
        ("ВАЖНО", 'пользователь не прошёл проверку C "57P03"'),
    ],
)
def test_a_refused_password_is_known_in_any_language(severity: str, words: str) -> None:
    def talk(connection: socket.socket, played: Impostor) -> None:
        hear(connection, played)
        connection.sendall(SASL)
        hear(connection, played)
        connection.sendall(error("28P01", severity, words))

    with impostor(talk) as played:
        with pytest.raises(TargetRejectedCredentialError, match="28P01"):
            asks(TARGET, played.credential(tls=False), "login")
        assert CANARY.encode() not in played.heard


def test_a_server_that_cannot_prove_to_know_the_password_is_not_believed() -> None:
    def talk(connection: socket.socket, played: Impostor) -> None:
        hear(connection, played)
        connection.sendall(SASL)
        nonce = hear(connection, played).split(b"r=")[1]
        connection.sendall(authentication(11, b"r=" + nonce + b"more,s=c2FsdHNhbHRzYWx0c2FsdA==,i=4096"))
        hear(connection, played)
        connection.sendall(authentication(12, b"v=" + b"A" * 43 + b"=") + authentication(0))
        hear(connection, played)

    with impostor(talk) as played, pytest.raises(PostConditionError):
        asks(TARGET, played.credential(tls=False), "login")


@pytest.mark.parametrize("ask", ["login", "installed_version"])
@pytest.mark.parametrize("tls", [True, False])
def test_a_server_that_says_nothing_costs_a_third_of_the_time(ask: str, tls: bool) -> None:
    silent = threading.Event()

    def talk(connection: socket.socket, played: Impostor) -> None:
        silent.wait(4)

    with impostor(talk) as played:
        began = time.monotonic()
        with pytest.raises(TargetUnavailableError):
            asks(TARGET, played.credential(tls=tls), ask, seconds=3)
        assert 0.9 < time.monotonic() - began < 1.6
        silent.set()


@pytest.mark.parametrize(
    "answers",
    [
        [authentication(3)],
        [authentication(5, b"salt")],
        [error("28000")],
        [SASL, error("28P01")],
        [SASL, authentication(11, b"r=x,i=4096")],
        [SASL, authentication(11, b"nonsense")],
        [b"R\x00\x00\x00\x03"],
        [b"R\x7f\xff\xff\xff"],
    ],
    ids=["cleartext", "md5", "hba", "refused", "no salt", "nonsense", "too short", "too long"],
)
def test_the_question_for_the_version_answers_none_where_there_is_no_salt(answers: list[bytes]) -> None:
    def talk(connection: socket.socket, played: Impostor) -> None:
        for answer in answers:
            hear(connection, played)
            connection.sendall(answer)
        hear(connection, played)

    with impostor(talk) as played:
        assert asks(TARGET, played.credential(tls=False), "installed_version") is None
        assert CANARY.encode() not in played.heard


def test_the_question_for_the_version_of_a_server_that_hangs_up_is_unavailable() -> None:
    def talk(connection: socket.socket, played: Impostor) -> None:
        hear(connection, played)
        connection.sendall(b"R\x00")

    with impostor(talk) as played, pytest.raises(TargetUnavailableError):
        asks(TARGET, played.credential(tls=False), "installed_version")
