"""The stores document and the providers that it names."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from polyvault import providers
from polyvault.contracts.decoding import decode_settings
from polyvault.contracts.stores import decode_stores
from polyvault.errors import ConfigurationError, InvalidInputError, MissingLayerError, UnknownProviderError
from polyvault.providers import hashicorp_vault

from tests.fakes import FakeClock

CANARY = "canary-T5nd"
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:polyvault/stores/vault-AbCdEf"
AWS: dict[str, Any] = {"name": "aws", "provider": "aws-secrets-manager", "environment": "prod", "priority": 1}
VAULT: dict[str, Any] = {
    "name": "vault",
    "provider": "hashicorp-vault",
    "environment": "staging",
    "priority": 2,
    "credentialSecretArn": ARN,
    "settings": {"url": "https://vault.example:8200", "roleId": "local-role"},
}


def test_stores_come_in_order_of_priority() -> None:
    stores = decode_stores(json.dumps({"stores": [VAULT, AWS]}))
    assert [store.name for store in stores] == ["aws", "vault"]
    assert stores[1].credential_secret_arn == ARN


@pytest.mark.parametrize(
    ("store", "path"),
    [
        ({**AWS, "name": "A B"}, "$.stores[0].name"),
        ({**AWS, "environment": ""}, "$.stores[0].environment"),
        ({**AWS, "priority": 0}, "$.stores[0].priority"),
        ({**AWS, "priority": "1"}, "$.stores[0].priority"),
        ({**AWS, "credentialSecretArn": CANARY}, "$.stores[0].credentialSecretArn"),
        ({**AWS, "password": CANARY}, "$.stores[0]"),
        ({"name": "aws"}, "$.stores[0].provider"),
    ],
)
def test_a_wrong_store_is_named_by_its_field_and_no_value_is_told(store: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        decode_stores({"stores": [store]})
    assert caught.value.path == path
    assert CANARY not in str(caught.value)


def test_two_stores_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"\$\.stores\[1\]\.name: is taken"):
        decode_stores({"stores": [AWS, AWS]})


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"url": "http://vault.example", "roleId": "r"}, "$.settings.url"),
        ({"url": "https://v"}, "$.settings.roleId"),
        ({"url": "https://v", "authMethod": "jwt"}, "$.settings.role"),
        ({"url": "https://v", "authMethod": CANARY}, "$.settings.authMethod"),
        ({"url": "https://v", "roleId": "r", "kvVersion": 3}, "$.settings.kvVersion"),
        ({"url": "https://v", "roleId": "r", "mount": "/"}, "$.settings.mount"),
        ({"url": "https://v", "roleId": "r", "secretId": CANARY}, "$.settings"),
        ({}, "$.settings.url"),
    ],
)
def test_wrong_settings_are_named_by_their_field(settings: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        decode_settings(hashicorp_vault.Settings, settings)
    assert caught.value.path == path
    assert CANARY not in str(caught.value)


def test_providers_are_found_by_their_modules_and_nothing_else_is_loaded() -> None:
    assert {"aws-secrets-manager", "hashicorp-vault", "memory"} <= set(providers.available())
    for name in ("os", "..store", "memory.Provider", "hashicorp_vault"):
        with pytest.raises(UnknownProviderError):
            providers.load(name)


def test_each_provider_exports_what_the_wiring_needs() -> None:
    for name in providers.available():
        module = providers.load(name)
        assert callable(module.Provider)
        assert decode_settings(module.Settings, {"url": "https://v", "roleId": "r"} if "vault" in name else {})
        assert module.LAYER in (None, "hashicorp", "azure", "gcp")
        assert isinstance(module.ROTATES, bool)


def test_a_missing_sdk_names_the_layer_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hvac", None)
    settings = hashicorp_vault.Settings(url="https://v", role_id="r")
    with pytest.raises(MissingLayerError, match=r"^hashicorp-vault needs layers/hashicorp in this function$"):
        providers.open_driver("hashicorp-vault", settings, credential=lambda: None, clock=FakeClock())  # type: ignore[arg-type,return-value]


def test_a_store_that_needs_a_credential_says_so() -> None:
    settings = hashicorp_vault.Settings(url="https://v", role_id="r")
    with pytest.raises(ConfigurationError, match="authMethod approle needs credentialSecretArn"):
        providers.open_driver("hashicorp-vault", settings, credential=None, clock=FakeClock())
