"""Is this a store? The same assertions on every provider; a capability decides what is asked, never a provider."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial

import pytest
from polyvault import providers
from polyvault.domain.audit import Outcome
from polyvault.domain.capability import Capability
from polyvault.domain.secret import SecretValue, StagingLabel, VersionRef, VersionState
from polyvault.errors import (
    InvalidInputError,
    SecretAlreadyExistsError,
    SecretNotFoundError,
    SecretUnavailableError,
    SecretVersionNotFoundError,
    StoreError,
    VersionConflictError,
)
from polyvault.ports import StagingDriver

from tests.conformance.vaults import PEERS, Vault

CANARY = "canary-W8mz"
HARD_TEXT = [
    "plain",
    '{"username":"ada","password":"p@ss \\"w\\""}',
    '{"b":1,"a":1.0,"a":2}',
    "\u2028 \ufeff \r \n \t \x00 \x7f",
    "日本語 🔑",
    " leading and trailing ",
    "x" * 60_000,
]


def needs(vault: Vault, capability: Capability) -> None:
    """Skip where the vault does not claim it; test_what_is_claimed keeps a claim from going missing."""
    if capability not in vault.store.capabilities:
        pytest.skip(f"{vault.store.provider} does not claim {capability.name}")


def code_of(vault: Vault, call: Callable[[], object]) -> str:
    """The driver's own name for what its raw call raises."""
    try:
        call()
    except Exception as exc:  # noqa: BLE001 - whatever the SDK raises
        return vault.driver.classify(exc).value
    return "no error"


def test_every_provider_has_a_peer() -> None:
    assert {peer.provider for peer in PEERS.values()} == set(providers.available())


def test_what_is_claimed_is_what_the_vault_can_do(vault: Vault, request: pytest.FixtureRequest) -> None:
    assert vault.store.capabilities == PEERS[request.node.callspec.params["vault"]].claims


@pytest.mark.parametrize("text", HARD_TEXT, ids=lambda text: repr(text[:12]))
def test_what_is_written_is_read_byte_for_byte(vault: Vault, folder: str, text: str) -> None:
    written = vault.store.set_secret(f"{folder}/a", SecretValue(text))
    read = vault.store.get_secret(f"{folder}/a")
    assert read.value == SecretValue(text)
    assert read.value.is_text
    assert read.version_id == written.version_id
    assert read.store == "peer"


def test_binary_is_kept_or_refused_before_the_call(vault: Vault, folder: str) -> None:
    value = SecretValue(bytes(range(256)) + b"\xff" * 64)
    if Capability.BINARY in vault.store.capabilities:
        vault.store.set_secret(f"{folder}/a", value)
        assert vault.store.get_secret(f"{folder}/a").value == value
        assert not vault.store.get_secret(f"{folder}/a").value.is_text
    else:
        with pytest.raises(InvalidInputError, match="is binary"):
            vault.store.set_secret(f"{folder}/a", value)
        assert vault.audit.events == []


def test_a_missing_secret_is_one_typed_error_in_every_operation(vault: Vault, folder: str) -> None:
    store, name = vault.store, f"{folder}/missing"
    operations = [lambda: store.get_secret(name), lambda: store.delete_secret(name)]
    if Capability.VERSIONS in store.capabilities:
        operations.append(lambda: store.list_secret_versions(name))
    if Capability.METADATA in store.capabilities:
        operations.append(lambda: store.get_secret_metadata(name))
        operations.append(lambda: store.update_secret_metadata(name, tags={"team": "x"}))
    if Capability.STAGING_LABELS in store.capabilities:
        operations.append(lambda: store.rotation_state(name))
    for operation in operations:
        with pytest.raises(SecretNotFoundError) as caught:
            operation()
        assert caught.value.secret == name


def test_a_driver_creates_only_what_is_not_there_and_puts_only_what_is(vault: Vault, folder: str) -> None:
    driver, name = vault.driver, f"{folder}/a"
    put = partial(driver.put, name, SecretValue("v"), expect=None, version_id=str(uuid.uuid4()))
    assert code_of(vault, put) == "not-found"
    driver.create(name, SecretValue("v"), like=None, version_id=str(uuid.uuid4()))
    create = partial(driver.create, name, SecretValue("w"), like=None, version_id=str(uuid.uuid4()))
    assert code_of(vault, create) == "already-exists"
    assert vault.store.get_secret(name).value == SecretValue("v")


def test_a_new_secret_can_be_protected_like_another(vault: Vault, folder: str) -> None:
    vault.store.set_secret(f"{folder}/a", SecretValue("v"))
    vault.store.set_secret(f"{folder}/b", SecretValue("w"), like=f"{folder}/a")
    assert vault.store.get_secret(f"{folder}/b").value == SecretValue("w")


def test_versions_are_listed_and_read_by_id(vault: Vault, folder: str) -> None:
    needs(vault, Capability.VERSIONS)
    store, name = vault.store, f"{folder}/a"
    first = store.set_secret(name, SecretValue("one"))
    second = store.set_secret(name, SecretValue("two"))
    listed = {version.version_id: version for version in store.list_secret_versions(name)}
    assert set(listed) == {first.version_id, second.version_id}
    assert all(version.created_at and version.created_at.tzinfo for version in listed.values())
    assert {version.state for version in listed.values()} == {VersionState.ENABLED}
    assert store.get_secret_version(name, first.version_id).value == SecretValue("one")
    assert store.get_secret(name).version_id == second.version_id


@pytest.mark.parametrize("version_id", ["99", "not-a-version", "6f0f4f9e-9f0b-4b0e-8a35-1f1b2b8a7c11"])
def test_an_unknown_version_is_not_an_unknown_secret(vault: Vault, folder: str, version_id: str) -> None:
    needs(vault, Capability.VERSIONS)
    vault.store.set_secret(f"{folder}/a", SecretValue("v"))
    with pytest.raises(SecretVersionNotFoundError):
        vault.store.get_secret_version(f"{folder}/a", version_id)


def test_check_and_set_lets_one_of_two_writers_win(vault: Vault, folder: str) -> None:
    needs(vault, Capability.CHECK_AND_SET)
    store, name = vault.store, f"{folder}/a"
    seen = store.set_secret(name, SecretValue("v")).version_id
    winner = store.set_secret(name, SecretValue("winner"), expect=seen)
    with pytest.raises(VersionConflictError):
        store.set_secret(name, SecretValue("loser"), expect=seen)
    assert store.get_secret(name).version_id == winner.version_id


def test_a_repeated_write_with_its_version_id_is_one_version(vault: Vault, folder: str) -> None:
    needs(vault, Capability.IDEMPOTENT_WRITE)
    store, name, token = vault.store, f"{folder}/a", str(uuid.uuid4())
    for _ in range(3):
        assert store.set_secret(name, SecretValue("v"), version_id=token).version_id == token
    assert [version.version_id for version in store.list_secret_versions(name)] == [token]
    with pytest.raises(SecretAlreadyExistsError):
        store.set_secret(name, SecretValue("other"), version_id=token)
    assert store.get_secret(name).value == SecretValue("v")


def test_a_list_is_whole_over_folders_and_pages_and_starts_with_its_prefix(vault: Vault, folder: str) -> None:
    names = {f"{folder}/{kind}{number}" for kind in ("app/db-", "app/deep/er/key-", "x-") for number in range(4)}
    names |= {f"{folder}/app", f"{folder}/many"} | {f"{folder}/page/{number:03}" for number in range(130)}
    for name in sorted(names):
        vault.driver.create(name, SecretValue("v"), like=None, version_id=None)
    listed = [info.name for info in vault.store.list_secrets(f"{folder}/")]
    assert sorted(listed) == sorted(names)
    assert {info.name for info in vault.store.list_secrets(f"{folder}/app/d")} == {
        name for name in names if name.startswith(f"{folder}/app/d")
    }
    assert vault.store.list_secrets(f"{folder}/nothing/here/") == ()


def test_a_deleted_secret_is_gone_or_a_state_and_never_an_empty_value(vault: Vault, folder: str) -> None:
    store, name = vault.store, f"{folder}/a"
    store.set_secret(name, SecretValue("v"))
    store.delete_secret(name)
    expected = SecretUnavailableError if Capability.SOFT_DELETE in store.capabilities else SecretNotFoundError
    with pytest.raises(expected):
        store.get_secret(name)


def test_tags_merge_and_the_description_stays_when_it_is_not_named(vault: Vault, folder: str) -> None:
    needs(vault, Capability.METADATA)
    store, name = vault.store, f"{folder}/a"
    store.set_secret(name, SecretValue("v"))
    store.update_secret_metadata(name, description="the orders database", tags={"team": "orders"})
    store.update_secret_metadata(name, tags={"polyvault:origin": "aws:prod/app/db", "team": "Payments"})
    found = store.get_secret_metadata(name)
    assert found.description == "the orders database"
    assert dict(found.tags) == {"team": "Payments", "polyvault:origin": "aws:prod/app/db"}
    assert found.created_at
    assert found.created_at.tzinfo
    assert store.get_secret(name).value == SecretValue("v")


@pytest.mark.parametrize("name", ["", "a//b", "/a", "a/", "../a", "a/./b", "a\x00b", "a\nb"])
def test_hostile_names_reach_no_other_secret(vault: Vault, folder: str, name: str) -> None:
    """Refused before the call, or a name of its own: what is under `a` must not answer for it."""
    vault.store.set_secret("a", SecretValue("other"))
    vault.store.set_secret("a/b", SecretValue("other"))
    with pytest.raises((InvalidInputError, StoreError)):
        vault.store.get_secret(name)


def test_the_store_is_healthy_and_says_how_fast(vault: Vault) -> None:
    health = vault.store.health_check()
    assert (health.healthy, health.error) == (True, None)
    assert health.latency_ms > 0


def test_each_operation_leaves_one_event_without_the_value(vault: Vault, folder: str) -> None:
    store, name = vault.store, f"{folder}/a"
    store.set_secret(name, SecretValue(CANARY))
    store.get_secret(name)
    with pytest.raises(SecretNotFoundError):
        store.get_secret(f"{folder}/missing")
    store.list_secrets(folder)
    store.delete_secret(name)
    events = vault.audit.events
    assert [event.event_type.value for event in events] == [
        "secret.created",
        "secret.read",
        "secret.read",
        "secret.listed",
        "secret.deleted",
    ]
    assert [event.outcome for event in events].count(Outcome.ERROR) == 1
    assert not any(CANARY in repr(event) for event in events)


def test_the_four_steps_move_labels_once_however_often_they_are_called(vault: Vault, folder: str) -> None:
    needs(vault, Capability.STAGING_LABELS)
    store, name, token = vault.store, f"{folder}/db", str(uuid.uuid4())
    old = store.set_secret(name, SecretValue("old")).version_id
    assert store.pending(name, token) is None
    for _ in range(2):
        store.stage(name, SecretValue("new"), client_request_token=token, rotation_token=None)
    assert store.pending(name, token) == SecretValue("new")
    assert store.get_secret(name).value == SecretValue("old")
    with pytest.raises(SecretAlreadyExistsError):
        store.stage(name, SecretValue("other"), client_request_token=token, rotation_token=None)
    with pytest.raises(VersionConflictError):
        store.publish(name, client_request_token=token, expect_current=str(uuid.uuid4()))
    for _ in range(2):
        store.publish(name, client_request_token=token, expect_current=old)
    state = store.rotation_state(name)
    assert state.holder_of("AWSCURRENT") == token
    assert state.holder_of("AWSPREVIOUS") == old
    assert state.holder_of("AWSPENDING") is None
    assert store.get_secret(name).value == SecretValue("new")
    assert store.pending(name, token) is None


def test_discard_releases_only_its_own_pending_version(vault: Vault, folder: str) -> None:
    needs(vault, Capability.STAGING_LABELS)
    store, name, token = vault.store, f"{folder}/db", str(uuid.uuid4())
    store.set_secret(name, SecretValue("old"))
    store.stage(name, SecretValue("new"), client_request_token=token, rotation_token=None)
    store.discard(name, client_request_token=str(uuid.uuid4()))
    assert store.rotation_state(name).holder_of("AWSPENDING") == token
    for _ in range(2):
        store.discard(name, client_request_token=token)
    assert store.rotation_state(name).holder_of("AWSPENDING") is None
    assert store.get_secret(name).value == SecretValue("old")


def test_a_driver_move_of_current_without_the_right_holder_is_a_conflict(vault: Vault, folder: str) -> None:
    needs(vault, Capability.STAGING_LABELS)
    driver, name, token = vault.driver, f"{folder}/db", str(uuid.uuid4())
    assert isinstance(driver, StagingDriver)
    vault.store.set_secret(name, SecretValue("old"))
    vault.store.stage(name, SecretValue("new"), client_request_token=token, rotation_token=None)
    for expect in (None, token):
        move = partial(driver.move_label, name, StagingLabel.CURRENT, to=token, expect_at=expect)
        assert code_of(vault, move) == "version-conflict"
    assert driver.get(name, VersionRef()).value == SecretValue("old")


def test_secrets_are_found_by_tag(vault: Vault, folder: str) -> None:
    needs(vault, Capability.NATIVE_ROTATION)
    for name, tags in (("a", {"polyvault:policy": "30"}), ("b", {"polyvault:policyOther": "x"}), ("c", {})):
        vault.store.set_secret(f"{folder}/{name}", SecretValue("v"))
        vault.store.update_secret_metadata(f"{folder}/{name}", tags=tags)
    found = [info for info in vault.store.list_tagged("polyvault:policy") if info.name.startswith(folder)]
    assert [info.name for info in found] == [f"{folder}/a"]
    assert found[0].current_version_id == vault.store.get_secret(f"{folder}/a").version_id


def test_a_rotation_without_a_rotation_function_is_refused(vault: Vault, folder: str) -> None:
    needs(vault, Capability.NATIVE_ROTATION)
    vault.store.set_secret(f"{folder}/a", SecretValue("v"))
    with pytest.raises(StoreError) as caught:
        vault.store.request_rotation(f"{folder}/a", client_request_token=str(uuid.uuid4()))
    assert caught.value.code == "invalid-request"
