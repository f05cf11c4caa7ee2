"""An answer that was cut or is not the vault's is an error in every operation: never an empty success."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from polyvault.domain.capability import Capability
from polyvault.domain.retry import RetryPolicy
from polyvault.domain.secret import SecretValue
from polyvault.errors import (
    IncompleteResponseError,
    StoreError,
    StoreUnavailableError,
    ThrottledError,
    UnclassifiedStoreError,
)
from polyvault.store import SecretStore

from tests.conformance.faulty_proxy import Proxy, Spoil, cut, replace, spare_logins
from tests.conformance.vaults import ACTOR, PEERS, Vault
from tests.fakes import FakeClock, RecordingAuditLog

CANARY = "canary-P9ss"
CUTS: dict[str, Callable[[int], int]] = {
    "nothing": lambda length: 0,
    "one byte": lambda length: 1,
    "half": lambda length: length // 2,
    "all but one byte": lambda length: length - 1,
}
NOT_THE_VAULTS: dict[str, Spoil] = {
    "an empty object": replace(200, b"{}", ("Content-Type", "application/json")),
    "an array": replace(200, b"[]", ("Content-Type", "application/json")),
    "a page": replace(200, b"<html>sign in</html>", ("Content-Type", "text/html")),
    "null": replace(200, b"null", ("Content-Type", "application/json")),
}


@dataclass(frozen=True)
class Wire:
    """A store whose answers come through a proxy, and the same peer without it."""

    store: SecretStore
    proxy: Proxy
    direct: Vault
    name: str
    audit: RecordingAuditLog = field(default_factory=RecordingAuditLog)

    def operations(self) -> dict[str, Callable[[], object]]:
        store, name = self.store, self.name
        found: dict[str, Callable[[], object]] = {
            "get": lambda: store.get_secret(name),
            "find": lambda: store.find_secret(name),
            "list": lambda: store.list_secrets(name.rpartition("/")[0]),
            "set": lambda: store.set_secret(name, SecretValue(CANARY + "w")),
        }
        if Capability.VERSIONS in store.capabilities:
            found["versions"] = lambda: store.list_secret_versions(name)
        if Capability.METADATA in store.capabilities:
            found["metadata"] = lambda: store.get_secret_metadata(name)
        if Capability.STAGING_LABELS in store.capabilities:
            found["describe"] = lambda: store.rotation_state(name)
        return found


@pytest.fixture(params=[name for name, peer in PEERS.items() if peer.proxy])
def wire(request: pytest.FixtureRequest, folder: str) -> Iterator[Wire]:
    peer = PEERS[request.param]
    assert peer.proxy is not None
    direct = peer.open(request)
    name = f"{folder}/a"
    direct.store.set_secret(name, SecretValue(CANARY))
    with peer.proxy(request) as proxy:
        behind = peer.open(request, url=proxy.url)
        audit = RecordingAuditLog()
        store = SecretStore(
            behind.driver,
            name="peer",
            clock=FakeClock(),
            audit=audit,
            actor=ACTOR,
            retry=RetryPolicy(attempts=2),
        )
        assert store.get_secret(name).value == SecretValue(CANARY)  # logged in, and the proxy lets through
        yield Wire(store, proxy, direct, name, audit)
        store.disconnect()
    direct.store.disconnect()


@pytest.mark.parametrize("kept", CUTS)
def test_a_cut_answer_is_an_error_in_every_operation(wire: Wire, kept: str) -> None:
    wire.proxy.spoil = spare_logins(cut(CUTS[kept]))
    for operation, call in wire.operations().items():
        with pytest.raises(IncompleteResponseError) as caught:
            call()
        assert CANARY not in str(caught.value), operation
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("what", NOT_THE_VAULTS)
def test_a_success_that_is_not_the_vaults_is_an_error_in_every_operation(wire: Wire, what: str) -> None:
    wire.proxy.spoil = spare_logins(NOT_THE_VAULTS[what])
    for call in wire.operations().values():
        with pytest.raises(IncompleteResponseError):
            call()


def test_a_foreign_not_found_page_is_no_empty_list_and_no_missing_secret(wire: Wire) -> None:
    wire.proxy.spoil = replace(404, b"<html>no such page</html>", ("Content-Type", "text/html"))
    for operation in ("list", "find"):
        with pytest.raises(StoreError) as caught:
            wire.operations()[operation]()
        assert isinstance(caught.value, IncompleteResponseError | UnclassifiedStoreError)


def test_a_cut_write_is_not_called_written(wire: Wire) -> None:
    if Capability.VERSIONS not in wire.store.capabilities:
        pytest.skip("its answer to a write has no body")
    wire.proxy.spoil = spare_logins(cut(lambda length: length // 2))
    with pytest.raises(IncompleteResponseError):
        wire.store.set_secret(f"{wire.name}-new", SecretValue(CANARY))


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_is_unavailable_and_retried(wire: Wire, status: int) -> None:
    wire.proxy.spoil = spare_logins(replace(status, b"", ("Content-Type", "text/html")))
    before = wire.proxy.requests
    with pytest.raises(StoreUnavailableError):
        wire.store.get_secret(wire.name)
    assert wire.proxy.requests == before + 2


def test_a_server_error_that_passes_is_not_seen_by_the_caller(wire: Wire) -> None:
    answers = iter([True])
    fail = replace(503, b"")
    wire.proxy.spoil = spare_logins(lambda path, answer: fail(path, answer) if next(answers, False) else answer)
    assert wire.store.get_secret(wire.name).value == SecretValue(CANARY)


def test_a_throttled_call_tells_the_vaults_own_wait(wire: Wire) -> None:
    bodies = {
        True: replace(429, b'{"errors":[]}', ("Content-Type", "application/json"), ("Retry-After", "7")),
        False: replace(
            400,
            b'{"__type":"ThrottlingException","message":"Rate exceeded"}',
            ("Content-Type", "application/x-amz-json-1.1"),
            ("Retry-After", "7"),
        ),
    }
    wire.proxy.spoil = spare_logins(bodies[wire.proxy.url.startswith("https")])
    with pytest.raises(ThrottledError) as caught:
        wire.store.get_secret(wire.name)
    assert caught.value.retry_after == 7.0


def test_a_peer_that_is_gone_is_unavailable(wire: Wire) -> None:
    def vanish(path: str, answer: object) -> None:
        raise ConnectionResetError

    wire.proxy.spoil = vanish  # type: ignore[assignment]
    with pytest.raises(StoreUnavailableError):
        wire.store.get_secret(wire.name)


def test_a_redirect_is_not_followed(wire: Wire) -> None:
    elsewhere = replace(307, b"", ("Location", "https://127.0.0.1:1/v1/secret"))
    wire.proxy.spoil = spare_logins(elsewhere)
    before = wire.proxy.requests
    with pytest.raises(StoreError):
        wire.store.get_secret(wire.name)
    assert wire.proxy.requests == before + 1


def test_a_port_where_nobody_listens_is_unavailable(wire: Wire, request: pytest.FixtureRequest) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    peer = PEERS[request.node.callspec.params["wire"]]
    scheme = wire.proxy.url.partition("://")[0]
    store = peer.open(request, url=f"{scheme}://127.0.0.1:{closed}").store
    assert store.health_check().error == StoreUnavailableError.code
    store.disconnect()
