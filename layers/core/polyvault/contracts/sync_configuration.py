"""A sync configuration with the field names that its users write."""

from __future__ import annotations

from typing import Any

import msgspec

from polyvault.contracts.decoding import decode
from polyvault.domain.sync import SyncConfiguration


class SyncConfigurationDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """SyncConfiguration on the wire and in the table. Enumerations are text here: their check must not quote them."""

    id: str
    name: str
    enabled: bool
    source_environment: str
    target_environment: str
    source_vault: str
    target_vault: str
    secret_filters: tuple[str, ...]
    sync_type: str = "manual"
    schedule: str | None = None
    conflict_resolution: str = "manual"
    validate_after_sync: bool = True
    notify_on_completion: bool = False
    notify_on_failure: bool = True
    rollback_on_failure: bool = False


def decode_sync_configuration(data: object) -> SyncConfiguration:
    """Strict: an unknown field, or one that asks for what is not done, is InvalidInputError with its name."""
    return SyncConfiguration(**msgspec.structs.asdict(decode(SyncConfigurationDocument, data)))


def encode_sync_configuration(configuration: SyncConfiguration) -> dict[str, Any]:
    """The document of a configuration, ready for JSON."""
    fields = {name: getattr(configuration, name) for name in SyncConfigurationDocument.__struct_fields__}
    encoded: dict[str, Any] = msgspec.to_builtins(SyncConfigurationDocument(**fields))
    return encoded
