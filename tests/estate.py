"""Secrets with evidence, for tests of compliance: a good one by default, each test says what is wrong with its own."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from polyvault.domain.compliance import Gap
from polyvault.domain.inventory import (
    AttachedPolicy,
    Configuration,
    EncryptionKey,
    Evidence,
    RotationHistory,
    StoreInventory,
    Subject,
    Version,
    Versions,
)

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
OWN_ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
REGION = "eu-west-1"
KEY = f"arn:aws:kms:{REGION}:{OWN_ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
GOOD_TAGS = {"owner": "orders-team", "environment": "prod", "dataClass": "confidential", "rotationClass": "database"}
EVIDENCE = ("configuration", "versions", "policy", "key", "rotations")
GOOD_KEY = EncryptionKey(customer_managed=True, state="Enabled", rotation_enabled=True, policy=None)


def ago(**span: float) -> datetime:
    """An instant before NOW."""
    return NOW - timedelta(**span)


def ahead(**span: float) -> datetime:
    """An instant after NOW."""
    return NOW + timedelta(**span)


def configuration(**changes: Any) -> Configuration:
    """What a well-kept secret says of itself: rotated 10 days ago, monthly, read today."""
    good = Configuration(
        created_at=ago(days=200),
        last_rotated_at=ago(days=10),
        next_rotation_at=ahead(days=20),
        last_accessed_at=ago(hours=12),
        rotation_enabled=True,
        rotation_schedule="rate(30 days)",
        kms_key_id=KEY,
        tags=GOOD_TAGS,
    )
    return replace(good, **changes)


def tags(**changes: str | None) -> dict[str, str]:
    """The four tags with changes; None takes one away."""
    return {name: value for name, value in {**GOOD_TAGS, **changes}.items() if value is not None}


def version(version_id: str, created_at: datetime | None, *labels: str) -> Version:
    """One version."""
    return Version(version_id, created_at, frozenset(labels))


GOOD_VERSIONS = (version("v2", ago(days=10), "AWSCURRENT"), version("v1", ago(days=40), "AWSPREVIOUS"))


def policy(*statements: dict[str, Any]) -> str:
    """A resource policy's text."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(principal: Any, action: Any = "secretsmanager:GetSecretValue", **more: Any) -> dict[str, Any]:
    """A granting statement."""
    return {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*", **more}


def subject(
    name: str = "prod/orders/database",
    *,
    store: str = "aws",
    environment: str = "prod",
    versions: tuple[Version, ...] = GOOD_VERSIONS,
    document: str | None = None,
    key: EncryptionKey = GOOD_KEY,
    history: RotationHistory | None = None,
    subject_changes: dict[str, Any] | None = None,
    **configuration_changes: Any,
) -> Subject:
    """A secret; keyword arguments that are not named change its configuration."""
    seen = configuration(**configuration_changes)
    outcomes = history or RotationHistory(ago(days=11), seen.last_rotated_at, None)
    made = Subject(
        store=store,
        name=name,
        environment=environment,
        account=OWN_ACCOUNT,
        region=REGION,
        configuration=Evidence(f"describe:{name}", seen),
        versions=Evidence(f"versions:{name}", Versions(versions)),
        policy=Evidence(f"policy:{name}", AttachedPolicy(document)),
        key=Evidence(f"key:{name}", key),
        rotations=Evidence(f"rotations:{name}", outcomes),
    )
    return replace(made, **(subject_changes or {}))


def without(made: Subject, *evidence: str, gap: Gap = Gap.PERMISSION_DENIED) -> Subject:
    """The secret, with evidence of it that could not be read."""
    missing: Evidence[Any] = Evidence("denied", None, gap, "AccessDeniedException")
    return replace(made, **dict.fromkeys(evidence, missing))


def store_of(*subjects: Subject, name: str = "aws", environment: str = "prod") -> StoreInventory:
    """A store that holds them."""
    return StoreInventory(name, "aws-secrets-manager", environment, subjects)
