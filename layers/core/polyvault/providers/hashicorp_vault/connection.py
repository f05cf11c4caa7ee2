"""One authenticated session with a Vault server, and what its failures mean."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from polyvault.contracts.answers import IncompleteAnswer
from polyvault.domain.secret import SecretValue
from polyvault.errors import ErrorCode
from polyvault.ports import Clock
from polyvault.providers import CredentialSource, required
from polyvault.providers.hashicorp_vault.settings import Settings

_POOL = 16
_TRANSIENT_STATUSES = frozenset({412, 429, 472, 473})  # 412: this node has not caught up yet; 472, 473: a standby
_REDIRECT, _CLIENT_ERROR, _SERVER_ERROR, _OK, _THROTTLED = 300, 400, 500, 200, 429


class ServerBusy(Exception):
    """A status that may pass; keeps it and the server's own wish of seconds."""

    def __init__(self, status: int, retry_after: float | None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.retry_after = retry_after


class LoginRefused(Exception):
    """The auth method does not take our credential. Never tried again: five tries lock the role for everybody."""


class NameTaken(Exception):
    """A create met an existing secret."""


class NoSuchVersion(Exception):
    """The secret exists, that version does not."""


class Connection:
    """Logs in on first use and again before the token's end; safe to share between threads."""

    def __init__(self, settings: Settings, *, credential: CredentialSource | None, clock: Clock) -> None:
        import hvac

        self._settings = settings
        self._credential = required(credential, f"authMethod {settings.auth_method}")
        self.clock = clock
        self._login_lock = threading.Lock()
        self._renew_at: float | None = None
        self._client: Any = hvac.Client(
            url=settings.url,
            token="",  # without it hvac reads VAULT_TOKEN, then a file in the home folder
            verify=_ca_bundle(settings.ca_certificate),
            timeout=(settings.connect_seconds, settings.read_seconds),
            allow_redirects=False,
            namespace=settings.namespace,
            session=_session(_ca_bundle(settings.ca_certificate)),
        )

    def call[T](self, operation: Callable[[Any], T]) -> T:
        """Run one operation with the hvac client.

        A 403 means an ended token as often as a denial: one look at the token tells, and one login follows at most.
        """
        from hvac.exceptions import Forbidden

        self._ensure_login()
        used = self._client.token
        try:
            return operation(self._client)
        except Forbidden:
            if not self._token_has_ended(used):
                raise
        return operation(self._client)

    def ping(self) -> None:
        """One cheap authenticated call."""
        self.call(lambda client: data_of(client.auth.token.lookup_self(), "id"))

    def close(self) -> None:
        """Close the pool and forget the token. The server ends the token by its TTL."""
        self._client.token = ""
        self._renew_at = None
        self._client.adapter.close()

    def _ensure_login(self) -> None:
        with self._login_lock:
            if self._client.token and (self._renew_at is None or self.clock.monotonic() < self._renew_at):
                return
            self._login()

    def _token_has_ended(self, used: str) -> bool:
        from hvac.exceptions import Forbidden

        with self._login_lock:
            if self._client.token != used:
                return True  # another thread has logged in meanwhile
            try:
                self._client.auth.token.lookup_self()
            except Forbidden:
                self._login()
                if self._client.token == used:  # a token that was given to us, and there is no other
                    raise LoginRefused("authMethod token") from None
                return True
        return False

    def _login(self) -> None:
        from hvac.exceptions import Forbidden, InvalidRequest, Unauthorized

        settings, self._client.token = self._settings, ""
        if settings.auth_method == "token":
            self._client.token, self._renew_at = self._credential().reveal().strip(), None
            return
        try:
            answer = self._ask_for_token(self._credential())
        except (InvalidRequest, Unauthorized, Forbidden):
            refused = True
        else:
            refused = False
        if refused:
            raise LoginRefused(f"authMethod {settings.auth_method}")
        auth = answer.get("auth") if isinstance(answer, dict) else None
        if not isinstance(auth, dict) or not auth.get("client_token"):
            raise IncompleteAnswer("login: the answer has no auth.client_token")
        lease = float(auth.get("lease_duration") or 0)
        self._client.token = auth["client_token"]
        self._renew_at = self.clock.monotonic() + lease * 2 / 3 if lease else None

    def _ask_for_token(self, credential: SecretValue) -> Any:
        settings, auth = self._settings, self._client.auth
        secret = credential.reveal().strip()
        if settings.auth_method == "jwt":
            return auth.jwt.jwt_login(settings.role, secret, use_token=False, path=settings.auth_mount)
        mount = settings.auth_mount or "approle"
        return auth.approle.login(settings.role_id, secret, use_token=False, mount_point=mount)


def data_of(answer: object, *fields: str) -> dict[str, Any]:
    """The ``data`` of an answer; IncompleteAnswer when it or one of the fields is not there."""
    data = answer.get("data") if isinstance(answer, dict) else None
    missing = [field for field in fields if not isinstance(data, dict) or data.get(field) is None]
    if not isinstance(data, dict) or missing:
        raise IncompleteAnswer(f"the answer has no {', '.join(missing) or 'data'}")
    return data


def classify(exc: Exception) -> ErrorCode:
    """By type only; a deleted version is told from a missing secret by the metadata that comes with it."""
    import requests
    from hvac import exceptions

    if isinstance(exc, ServerBusy):
        return ErrorCode.THROTTLED if exc.status == _THROTTLED else ErrorCode.UNAVAILABLE
    if isinstance(exc, exceptions.InvalidPath):
        if not is_vaults(exc):
            return ErrorCode.INCOMPLETE_RESPONSE
        return ErrorCode.UNAVAILABLE_STATE if has_metadata(exc.json) else ErrorCode.NOT_FOUND
    if isinstance(exc, exceptions.InvalidRequest):
        moved = any("check-and-set" in str(error) for error in exc.errors or ())
        return ErrorCode.VERSION_CONFLICT if moved else ErrorCode.INVALID_REQUEST
    table: dict[type[Exception] | tuple[type[Exception], ...], ErrorCode] = {
        NoSuchVersion: ErrorCode.VERSION_NOT_FOUND,
        NameTaken: ErrorCode.ALREADY_EXISTS,
        (LoginRefused, exceptions.Unauthorized): ErrorCode.AUTHENTICATION_FAILED,
        exceptions.Forbidden: ErrorCode.ACCESS_DENIED,
        (
            IncompleteAnswer,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ): ErrorCode.INCOMPLETE_RESPONSE,
        requests.exceptions.SSLError: ErrorCode.UNKNOWN,  # a wrong certificate is no outage
        (requests.exceptions.ConnectionError, requests.exceptions.Timeout): ErrorCode.UNAVAILABLE,
    }
    return next((code for types, code in table.items() if isinstance(exc, types)), ErrorCode.UNKNOWN)


def retry_after(exc: Exception) -> float | None:
    """The server's own wish in seconds, where it has one."""
    return exc.retry_after if isinstance(exc, ServerBusy) else None


def is_vaults(exc: Any) -> bool:
    """True when a refusal has the form of Vault's: a load balancer's own 404 says nothing about secrets."""
    return isinstance(exc.json, dict) and ("errors" in exc.json or "data" in exc.json)


def has_metadata(body: object) -> bool:
    """True when a 404 speaks of a version that was there: deleted or destroyed, and not missing."""
    data = body.get("data") if isinstance(body, dict) else None
    return isinstance(data, dict) and data.get("metadata") is not None


def _session(verify: str | bool) -> Any:
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.trust_env = False  # no proxy, CA bundle or netrc from the environment
    session.verify = verify
    session.mount("https://", HTTPAdapter(pool_connections=1, pool_maxsize=_POOL, max_retries=0))
    session.hooks["response"].append(_check_response)
    return session


def _check_response(response: Any, **_: object) -> None:
    """Before hvac reads it: hvac passes a redirect and a body that is no JSON on as a success."""
    fault = _fault_of(response)
    if fault is not None:
        response.close()  # nobody else will: the caller never sees this response
        raise fault


def _fault_of(response: Any) -> Exception | None:
    status = response.status_code
    if status >= _SERVER_ERROR or status in _TRANSIENT_STATUSES:
        wait = response.headers.get("retry-after", "")
        return ServerBusy(status, float(wait) if wait.isdecimal() else None)
    if _REDIRECT <= status < _CLIENT_ERROR:
        return IncompleteAnswer("the answer is a redirect, which is not followed")
    if status == _OK and not _is_object(response):
        return IncompleteAnswer("the answer is not a JSON object")
    return None


def _is_object(response: Any) -> bool:
    try:
        return isinstance(response.json(), dict)
    except ValueError:
        return False


_bundles: dict[str, str] = {}


def _ca_bundle(pem: str | None) -> str | bool:
    """A file that holds the PEM text, as requests takes no text; True (the public authorities) without one."""
    if pem is None:
        return True
    if pem not in _bundles:
        with tempfile.NamedTemporaryFile("w", prefix="polyvault-ca-", suffix=".pem", delete=False) as sink:
            sink.write(pem)
        _bundles[pem] = str(Path(sink.name))
    return _bundles[pem]
