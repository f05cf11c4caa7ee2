"""What only a HashiCorp store has: logins, TLS by its own authority, and objects that others wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from polyvault import providers
from polyvault.domain.secret import SecretValue
from polyvault.errors import (
    AccessDeniedError,
    AuthenticationFailedError,
    MissingCapabilityError,
    SecretUnavailableError,
    SecretVersionNotFoundError,
    UnclassifiedStoreError,
)
from polyvault.store import SecretStore

from local.certificates import CertificateAuthority
from local.openbao import OpenBao
from tests.conformance.faulty_proxy import Proxy, proxy_for, replace
from tests.conformance.vaults import ACTOR, hashicorp_proxy
from tests.fakes import FakeClock, RecordingAuditLog

LOGIN = "POST /v1/auth/approle/login"
LOOK = "GET /v1/auth/token/lookup-self"
JSON = ("Content-Type", "application/json")


class House:
    """Opens stores on OpenBao behind a proxy that sees each request."""

    def __init__(self, server: OpenBao, proxy: Proxy) -> None:
        self.server = server
        self.proxy = proxy
        self.clock = FakeClock()
        self.credential = server.secret_id
        self.fetched = 0
        self.stores: list[SecretStore] = []

    def open(self, **changes: Any) -> SecretStore:
        module = providers.load("hashicorp-vault")
        settings = {"url": self.proxy.url, "role_id": self.server.role_id, "ca_certificate": self.server.ca_certificate}
        driver = providers.open_driver(
            "hashicorp-vault", module.Settings(**{**settings, **changes}), credential=self.fetch, clock=self.clock
        )
        store = SecretStore(driver, name="vault", clock=self.clock, audit=RecordingAuditLog(), actor=ACTOR)
        self.stores.append(store)
        return store

    def fetch(self) -> SecretValue:
        self.fetched += 1
        return SecretValue(self.credential)

    def requests(self) -> list[str]:
        return [line for line, _ in self.proxy.seen]

    def last_token(self) -> str:
        return next(headers["X-Vault-Token"] for _, headers in reversed(self.proxy.seen) if "X-Vault-Token" in headers)


@pytest.fixture
def house(request: pytest.FixtureRequest, openbao: OpenBao) -> Iterator[House]:
    with hashicorp_proxy(request) as proxy:
        opened = House(openbao, proxy)
        yield opened
        for store in opened.stores:
            store.disconnect()


def test_one_login_serves_until_two_thirds_of_its_lease(house: House, folder: str) -> None:
    store = house.open()
    store.set_secret(f"{folder}/a", SecretValue("v"))
    store.get_secret(f"{folder}/a")
    assert house.requests().count(LOGIN) == 1
    house.clock.advance(399)
    store.get_secret(f"{folder}/a")
    assert house.requests().count(LOGIN) == 1
    house.clock.advance(2)
    store.get_secret(f"{folder}/a")
    assert house.requests().count(LOGIN) == 2
    assert house.fetched == 2


def test_a_refused_login_is_tried_once(house: House, folder: str) -> None:
    store = house.open(role_id="no-such-role")
    with pytest.raises(AuthenticationFailedError) as caught:
        store.get_secret(f"{folder}/a")
    assert house.requests() == [LOGIN]
    assert house.server.secret_id not in str(caught.value)


def test_a_token_of_the_environment_is_never_used(
    house: House, folder: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", house.server.token())
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".vault-token").write_text(house.server.token())
    with pytest.raises(AuthenticationFailedError):
        house.open(role_id="no-such-role").get_secret(f"{folder}/a")
    assert all("X-Vault-Token" not in headers for _, headers in house.proxy.seen)


def test_an_ended_token_is_renewed_by_one_login(house: House, folder: str) -> None:
    store = house.open()
    store.set_secret(f"{folder}/a", SecretValue("v"))
    house.server.request("POST", "auth/token/revoke-self", {}, token=house.last_token())
    before = len(house.requests())
    assert store.get_secret(f"{folder}/a").value == SecretValue("v")
    read = f"GET /v1/secret/data/{folder}/a"
    assert house.requests()[before:] == [read, LOOK, LOGIN, read]


def test_a_denial_with_a_good_token_is_a_denial_after_one_look(house: House, folder: str) -> None:
    store = house.open(mount="cubbyhole-of-others")
    with pytest.raises(AccessDeniedError):
        store.get_secret(f"{folder}/a")
    assert house.requests() == [LOGIN, f"GET /v1/cubbyhole-of-others/data/{folder}/a", LOOK]


def test_a_token_that_was_given_and_ended_is_a_bad_credential(house: House, folder: str) -> None:
    house.credential = house.server.token()
    store = house.open(auth_method="token", role_id=None)
    store.set_secret(f"{folder}/a", SecretValue("v"))
    house.server.request("POST", "auth/token/revoke-self", {}, token=house.credential)
    with pytest.raises(AuthenticationFailedError):
        store.get_secret(f"{folder}/a")
    house.credential = house.server.token()  # rotated meanwhile: fetched anew
    assert store.get_secret(f"{folder}/a").value == SecretValue("v")


def test_a_jwt_is_exchanged_at_its_mount_for_its_role(house: House, folder: str) -> None:
    token = house.server.token()
    answer = json.dumps({"auth": {"client_token": token, "lease_duration": 600}}).encode()
    login = replace(200, answer, JSON)
    house.proxy.spoil = lambda path, given: login(path, given) if path == "/v1/auth/lambda/login" else given
    house.credential = "header.payload.signature"
    store = house.open(auth_method="jwt", auth_mount="lambda", role="sync", role_id=None)
    store.set_secret(f"{folder}/a", SecretValue("v"))
    assert house.requests()[0] == "POST /v1/auth/lambda/login"
    assert house.last_token() == token


@pytest.mark.parametrize("body", [b"{}", b'{"auth":null}', b'{"auth":{"client_token":""}}', b'{"auth":{}}'])
def test_a_login_answer_without_a_token_is_incomplete(house: House, folder: str, body: bytes) -> None:
    house.proxy.spoil = replace(200, body, JSON)
    assert house.open().health_check().error == "incomplete-response"


def test_a_server_of_another_authority_is_refused_and_not_retried(house: House, folder: str, tmp_path: Path) -> None:
    other = CertificateAuthority.open(tmp_path / "other")
    store = house.open(ca_certificate=other.certificate)
    with pytest.raises(UnclassifiedStoreError):
        store.get_secret(f"{folder}/a")
    assert (house.requests(), house.clock.sleeps) == ([], [])


def test_a_server_whose_certificate_names_another_host_is_refused(
    house: House, openbao: OpenBao, local_ca: CertificateAuthority, tmp_path: Path
) -> None:
    leaf = local_ca.issue(tmp_path, "proxy")
    with proxy_for(openbao.url, ca_file=str(openbao.ca_path), leaf=leaf, host="127.0.0.2") as proxy:
        assert house.open(url=proxy.url).health_check().error == "unclassified"
        assert proxy.requests == 0


def test_the_namespace_goes_with_every_request(house: House, folder: str) -> None:
    store = house.open(namespace="team-a")
    store.health_check()
    assert house.proxy.seen
    assert all(headers.get("X-Vault-Namespace") == "team-a" for _, headers in house.proxy.seen)


def test_an_object_that_others_wrote_is_read_as_json_text(house: House, folder: str) -> None:
    foreign = {"username": "ada", "password": 'é"', "port": 5432}
    token = house.server.token()
    house.server.request("POST", f"secret/data/{folder}/a", {"data": foreign}, token=token)
    read = house.open().get_secret(f"{folder}/a").value
    assert json.loads(read.reveal()) == foreign
    assert "é" in read.reveal()


def test_what_we_write_is_one_field_named_value(house: House, folder: str) -> None:
    house.open().set_secret(f"{folder}/a", SecretValue("v"))
    answer = house.server.request("GET", f"secret/data/{folder}/a", token=house.server.token())
    assert answer["data"]["data"] == {"value": "v"}


def test_tags_leave_the_expiry_of_versions_alone(house: House, folder: str) -> None:
    store, token = house.open(), house.server.token()
    store.set_secret(f"{folder}/a", SecretValue("v"))
    path = f"secret/metadata/{folder}/a"
    house.server.request("POST", path, {"delete_version_after": "24h", "max_versions": 5}, token=token)
    store.update_secret_metadata(f"{folder}/a", tags={"polyvault:origin": "aws:a"}, description="d")
    kept = house.server.request("GET", path, token=token)["data"]
    assert (kept["delete_version_after"], kept["max_versions"]) == ("24h0m0s", 5)
    assert kept["custom_metadata"] == {"polyvault_origin": "aws:a", "polyvault_description": "d"}


def test_a_destroyed_version_is_a_state_and_an_unknown_one_is_unknown(house: House, folder: str) -> None:
    store, token = house.open(), house.server.token()
    for text in ("one", "two"):
        store.set_secret(f"{folder}/a", SecretValue(text))
    house.server.request("PUT", f"secret/destroy/{folder}/a", {"versions": [1]}, token=token)
    with pytest.raises(SecretUnavailableError):
        store.get_secret_version(f"{folder}/a", "1")
    with pytest.raises(SecretVersionNotFoundError):
        store.get_secret_version(f"{folder}/a", "3")
    states = {version.version_id: version.state.value for version in store.list_secret_versions(f"{folder}/a")}
    assert states == {"1": "destroyed", "2": "enabled"}


def test_a_deleted_secret_is_written_anew_as_its_next_version(house: House, folder: str) -> None:
    store = house.open()
    store.set_secret(f"{folder}/a", SecretValue("v"))
    store.delete_secret(f"{folder}/a")
    assert store.set_secret(f"{folder}/a", SecretValue("w")).version_id == "2"
    assert store.get_secret(f"{folder}/a").value == SecretValue("w")


def test_kv1_claims_neither_versions_nor_check_and_set(house: House, folder: str) -> None:
    store = house.open(mount="kv1", kv_version=1)
    store.set_secret(f"{folder}/a", SecretValue("v"))
    with pytest.raises(MissingCapabilityError):
        store.set_secret(f"{folder}/a", SecretValue("w"), expect="1")
    with pytest.raises(MissingCapabilityError):
        store.get_secret_version(f"{folder}/a", "1")
