"""The protocols between the application and the world. Services hold these, adapters and drivers fit them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

from polyvault.domain.audit import AuditEvent, AuditPage
from polyvault.domain.capability import Capability, StoreLimits
from polyvault.domain.password import PasswordProfile
from polyvault.domain.rotation import Access, Credential, Strategy
from polyvault.domain.secret import (
    RawVersion,
    RotationState,
    SecretInfo,
    SecretMetadata,
    SecretValue,
    StagingLabel,
    VersionInfo,
    VersionRef,
)
from polyvault.domain.sync import SyncConfiguration, SyncExecution
from polyvault.domain.work import RotationOrder, SyncOrder
from polyvault.errors import ErrorCode

if TYPE_CHECKING:  # only the compliance function pays for loading its rules
    from polyvault.domain.inventory import StoreInventory
    from polyvault.domain.report import Report


class Clock(Protocol):
    """The one door to time: aware UTC for records, monotonic seconds for deadlines and TTLs."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...


class StoreDriver(Protocol):
    """One product behind one configured store: raw, small, never catches, makes one attempt a call.

    Contract: raises its SDK's own exceptions; ``classify`` names them. A list is whole or raises. An answer without
    its fields raises IncompleteAnswer (see providers/__init__.py), never an empty success.
    """

    provider: ClassVar[str]
    capabilities: Capability
    limits: StoreLimits

    def get(self, name: str, version: VersionRef) -> RawVersion: ...
    def create(self, name: str, value: SecretValue, *, like: str | None, version_id: str | None) -> RawVersion: ...
    def put(self, name: str, value: SecretValue, *, expect: str | None, version_id: str | None) -> RawVersion: ...
    def versions(self, name: str) -> Iterable[VersionInfo]: ...
    def list(self, prefix: str) -> Iterable[SecretInfo]: ...
    def delete(self, name: str, *, recovery_days: int | None) -> None: ...
    def ping(self) -> None: ...
    def close(self) -> None: ...
    def classify(self, exc: Exception) -> ErrorCode: ...
    def retry_after(self, exc: Exception) -> float | None: ...


@runtime_checkable
class MetadataDriver(Protocol):
    """Capability.METADATA only."""

    def metadata(self, name: str) -> SecretMetadata: ...
    def update_metadata(self, name: str, *, description: str | None, tags: Mapping[str, str] | None) -> None: ...


@runtime_checkable
class TagListingDriver(Protocol):
    """Vaults that select by tag themselves; whole or raises, as ``list``."""

    def list_tagged(self, tag_key: str) -> Iterable[SecretInfo]: ...


@runtime_checkable
class StagingDriver(Protocol):
    """Capability.STAGING_LABELS only (AWS)."""

    def rotation_state(self, name: str) -> RotationState: ...
    def put_staged(
        self,
        name: str,
        value: SecretValue,
        *,
        version_id: str,
        label: StagingLabel,
        rotation_token: SecretValue | None,
    ) -> RawVersion: ...
    def move_label(self, name: str, label: StagingLabel, *, to: str | None, expect_at: str | None) -> None: ...
    def request_rotation(self, name: str, *, client_request_token: str) -> str: ...


class Target(Protocol):
    """What a credential opens. Twice is once; wrong credential and unreachable host are two errors.

    Raises Target* errors (errors.py) itself; holds connections no longer than a call; honours ``deadline``,
    monotonic seconds of the Clock, on every wait.
    """

    engine: ClassVar[str]
    strategies: ClassVar[frozenset[Strategy]]
    password_profile: ClassVar[PasswordProfile]

    def login(self, credential: Credential, *, deadline: float) -> Access: ...
    def installed_version(self, credential: Credential, version_ids: Sequence[str], *, deadline: float) -> str | None:
        """Which version's password the user has, None when it is none of them or cannot be seen. Never a login."""


@runtime_checkable
class InPlaceTarget(Target, Protocol):
    """Strategy.SINGLE_USER: a user changes its own password, in a session of ``session_as``."""

    def set_password(self, session_as: Credential, new: Credential, *, version_id: str, deadline: float) -> None: ...


@runtime_checkable
class AlternatingTarget(Target, Protocol):
    """Strategy.ALTERNATING_USERS: two users with one set of rights."""

    def next_username(self, username: str) -> str: ...
    def ensure_twin(
        self, admin: Credential, current: Credential, new: Credential, *, version_id: str, deadline: float
    ) -> None: ...
    def compare(self, credential: Credential, username: str, *, deadline: float) -> tuple[Access, Access]:
        """Log in; answer what this login and the named user may do, read at one moment."""


class AuditLog(Protocol):
    """Append and query audit events.

    ``append`` returns after the event is durable, once for each event_id however often it is called, and raises
    AuditWriteError otherwise. Queries answer newest first, in the half-open interval [start, end).
    """

    def append(self, events: Sequence[AuditEvent]) -> None: ...
    def for_secret(
        self, secret: str, start: datetime, end: datetime, *, limit: int, token: str | None
    ) -> AuditPage: ...
    def for_user(self, user: str, start: datetime, end: datetime, *, limit: int, token: str | None) -> AuditPage: ...


class Inventory(Protocol):
    """What one store holds, as metadata; never a value.

    ``collect`` answers a row for each secret, with the reason wherever something could not be read. It raises a
    StoreError only when the store could not be listed for a reason that may pass; a denial is an answer.
    """

    def collect(self) -> StoreInventory: ...


class ReportFormat(Protocol):
    """One rendering of a report: the same report gives the same bytes."""

    file_name: ClassVar[str]
    content_type: ClassVar[str]

    def render(self, report: Report) -> bytes: ...


class ReportArchive(Protocol):
    """Keeps report files. ``put`` is idempotent by key and returns the address of the file."""

    def put(self, key: str, body: bytes, *, content_type: str) -> str: ...


class Alerts(Protocol):
    """Tells people. Never a value."""

    def send(self, subject: str, body: Mapping[str, object]) -> None: ...


class SyncState(Protocol):
    """Keeps sync configurations and their executions."""

    def put_configuration(self, configuration: SyncConfiguration) -> None: ...
    def configuration(self, config_id: str) -> SyncConfiguration | None: ...
    def configurations(self) -> tuple[SyncConfiguration, ...]: ...
    def create_execution(self, execution: SyncExecution) -> bool:
        """Store it unless one of that id exists; answers whether it did."""
        ...

    def save_execution(self, execution: SyncExecution) -> None:
        """Replace it unless the stored one is finished: a finished record never changes."""
        ...

    def execution(self, config_id: str, execution_id: str) -> SyncExecution | None: ...
    def executions(self, config_id: str) -> tuple[SyncExecution, ...]:
        """All executions that are kept, newest first."""
        ...


class WorkQueue(Protocol):
    """Hands work to another function. Messages carry names and ids only."""

    def send(self, message: RotationOrder | SyncOrder) -> None: ...
