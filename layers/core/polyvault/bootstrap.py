"""The only place that wires: one cached function a use case.

Each function imports what it needs when it is first called, so that an execution environment loads only its own
use case's SDKs, and nothing happens at import.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from polyvault import config

if TYPE_CHECKING:
    from pathlib import Path

    from polyvault.domain.audit import Actor
    from polyvault.ports import AuditLog, Clock
    from polyvault.services.record import Record
    from polyvault.services.rotate import Rotate

OWN_STORE = "aws"
"""The name of the account's own Secrets Manager, where rotation happens whatever the stores document holds."""


@cache
def clock() -> Clock:
    """The machine's clock."""
    from polyvault.adapters.system_clock import SystemClock

    return SystemClock()


@cache
def actor() -> Actor:
    """Who acts when a function acts by itself."""
    from polyvault.domain.audit import Actor, ActorType

    name = config.common().function_name
    return Actor(id=f"polyvault/{name}", type=ActorType.SERVICE, name=name)


@cache
def audit_log() -> AuditLog:
    """The audit table."""
    from polyvault.adapters.aws_client import client
    from polyvault.adapters.dynamodb_audit import DynamoDbAuditLog

    common = config.common()
    return DynamoDbAuditLog(
        client("dynamodb"), table=common.audit_table, clock=clock(), retention_days=common.audit_retention_days
    )


@cache
def rotate() -> Rotate:
    """The four steps over this account's Secrets Manager."""
    import secrets

    from polyvault import providers, targets
    from polyvault.providers.aws_secrets_manager import Settings
    from polyvault.services.rotate import Rotate
    from polyvault.store import SecretStore

    settings = config.rotation()
    driver = providers.open_driver("aws-secrets-manager", Settings(), credential=None, clock=clock())
    return Rotate(
        SecretStore(driver, name=OWN_STORE, clock=clock(), audit=audit_log(), actor=actor()),
        targets=targets.loader(clock=clock(), ca_file=_certificates(settings.target_ca_parameter)),
        audit=audit_log(),
        clock=clock(),
        actor=actor(),
        choice=secrets.choice,
    )


@cache
def ingest() -> Record:
    """Events of Secrets Manager, from CloudTrail into the audit log."""
    from polyvault.contracts import cloudtrail
    from polyvault.services.record import Record

    return Record(audit_log(), cloudtrail.parse)


def _certificates(parameter: str | None) -> Path | None:
    """A file with the PEM certificates of an SSM parameter, as libpq wants a file; None when there is no parameter."""
    from pathlib import Path
    from tempfile import NamedTemporaryFile

    from polyvault.adapters.aws_client import client

    if parameter is None:
        return None
    text: str = client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"]
    with NamedTemporaryFile("w", prefix="target-ca-", suffix=".pem", delete=False) as file:
        file.write(text)
    return Path(file.name)
