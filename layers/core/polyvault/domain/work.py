"""Orders that one function hands to another through a queue: names and ids, never a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RotationOrder:
    """Rotate one secret. ``client_request_token`` becomes the new version's id: twice is one rotation."""

    request_id: str
    store: str
    secret: str
    client_request_token: str
    requested_by: str


@dataclass(frozen=True, slots=True)
class SyncOrder:
    """Run one sync configuration. The same ``execution_id`` twice is one execution."""

    execution_id: str
    config_id: str
    requested_by: str
