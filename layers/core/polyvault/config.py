"""The only reader of the environment: frozen settings, parsed once, by `bootstrap`.

Variables are text, so this is the one lax conversion. A missing variable names itself, never another's value.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from polyvault.errors import ConfigurationError


def _required(name: str) -> str:
    value = os.environ.get(name, "")  # noqa: TID251 - this module is the door
    if not value:
        raise ConfigurationError(f"the environment variable {name} is not set")
    return value


def _optional(name: str) -> str | None:
    return os.environ.get(name) or None  # noqa: TID251 - this module is the door


def _whole_number(name: str, *, default: int) -> int:
    text = _optional(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise ConfigurationError(f"the environment variable {name} is no positive whole number")
    return int(text)


@dataclass(frozen=True, slots=True)
class CommonSettings:
    """What each function knows of the deployment and of itself."""

    environment: str
    function_name: str
    stores_parameter: str | None
    audit_table: str
    audit_retention_days: int
    alerts_topic_arn: str | None


@dataclass(frozen=True, slots=True)
class RotationSettings:
    """The rotation function. ``target_ca_parameter`` names an SSM parameter with PEM certificates, or None."""

    common: CommonSettings
    target_ca_parameter: str | None


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """The scheduler queues work, and finds the syncs in the state table."""

    common: CommonSettings
    rotation_queue_url: str
    sync_queue_url: str
    state_table: str


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """Sync configurations and executions live in one table."""

    common: CommonSettings
    state_table: str


@dataclass(frozen=True, slots=True)
class ComplianceSettings:
    """Reports go to one bucket."""

    common: CommonSettings
    reports_bucket: str


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The API reads stores and the audit table, and queues work."""

    common: CommonSettings
    rotation_queue_url: str
    sync_queue_url: str
    state_table: str


def common() -> CommonSettings:
    """Settings of every function; raises ConfigurationError naming the first variable that is missing."""
    return CommonSettings(
        environment=_required("POLYVAULT_ENVIRONMENT"),
        function_name=_required("AWS_LAMBDA_FUNCTION_NAME"),
        stores_parameter=_optional("POLYVAULT_STORES_PARAMETER"),
        audit_table=_required("POLYVAULT_AUDIT_TABLE"),
        audit_retention_days=_whole_number("POLYVAULT_AUDIT_RETENTION_DAYS", default=400),
        alerts_topic_arn=_optional("POLYVAULT_ALERTS_TOPIC_ARN"),
    )


def runs_in_sam_local() -> bool:
    """True under `sam local`, which sets this variable; nothing else does."""
    return _optional("AWS_SAM_LOCAL") == "true"


def rotation() -> RotationSettings:
    """Settings of functions/rotation."""
    return RotationSettings(common(), _optional("POLYVAULT_TARGET_CA_PARAMETER"))


def scheduler() -> SchedulerSettings:
    """Settings of functions/scheduler."""
    return SchedulerSettings(
        common(),
        _required("POLYVAULT_ROTATION_QUEUE_URL"),
        _required("POLYVAULT_SYNC_QUEUE_URL"),
        _required("POLYVAULT_STATE_TABLE"),
    )


def sync() -> SyncSettings:
    """Settings of functions/sync."""
    return SyncSettings(common(), _required("POLYVAULT_STATE_TABLE"))


def compliance() -> ComplianceSettings:
    """Settings of functions/compliance."""
    return ComplianceSettings(common(), _required("POLYVAULT_REPORTS_BUCKET"))


def api() -> ApiSettings:
    """Settings of functions/api."""
    return ApiSettings(
        common(),
        _required("POLYVAULT_ROTATION_QUEUE_URL"),
        _required("POLYVAULT_SYNC_QUEUE_URL"),
        _required("POLYVAULT_STATE_TABLE"),
    )
