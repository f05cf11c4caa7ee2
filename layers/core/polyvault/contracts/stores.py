"""The stores document: which vaults there are, in which order. Credentials by ARN, never by value."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from polyvault.contracts.decoding import decode
from polyvault.errors import InvalidInputError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_ENVIRONMENT = re.compile(r"[A-Za-z0-9_-]{1,32}")
_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[A-Za-z0-9/_+=.@-]+")


class StoreDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One store. ``settings`` is read by its provider; ``priority`` 1 comes first."""

    name: str
    provider: str
    environment: str
    priority: int
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    credential_secret_arn: str | None = None


class StoresDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole document."""

    stores: tuple[StoreDefinition, ...]


def decode_stores(document: object) -> tuple[StoreDefinition, ...]:
    """The stores in order of priority; InvalidInputError names the field that is wrong."""
    stores = decode(StoresDocument, document).stores
    for number, store in enumerate(stores):
        _check(store, f"$.stores[{number}]")
    names = [store.name for store in stores]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise InvalidInputError(f"$.stores[{number}].name", "is taken by an earlier store")
    return tuple(sorted(stores, key=lambda store: store.priority))


def _check(store: StoreDefinition, path: str) -> None:
    if not _NAME.fullmatch(store.name):
        raise InvalidInputError(f"{path}.name", "must be 1 to 32 of a-z 0-9 -")
    if not _ENVIRONMENT.fullmatch(store.environment):
        raise InvalidInputError(f"{path}.environment", "must be 1 to 32 of A-Z a-z 0-9 _ -")
    if store.priority < 1:
        raise InvalidInputError(f"{path}.priority", "must be 1 or more")
    if store.credential_secret_arn is not None and not _ARN.fullmatch(store.credential_secret_arn):
        raise InvalidInputError(f"{path}.credentialSecretArn", "must be the ARN of a Secrets Manager secret")
