"""The audit table as template.yaml makes it, for tests that need one alone; and events to put into it."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from polyvault.domain.audit import Actor, ActorType, AuditEvent, EventType, Outcome

USER = Actor("arn:aws:iam::111122223333:role/orders", ActorType.ROLE, "session")


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as their text: they do not touch keys and indexes."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, node: str(node.value))


@cache
def _schema() -> dict[str, Any]:
    """The template's own keys and indexes."""
    template = (Path(__file__).resolve().parent.parent / "template.yaml").read_text()
    properties = yaml.load(template, Loader=_Loader)["Resources"]["AuditTable"]["Properties"]  # noqa: S506 - safe
    return {key: properties[key] for key in ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")}


def create_audit_table(client: Any, name: str = "audit") -> str:
    """Make the table; answers its name."""
    client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **_schema())
    return name


def event(event_id: str, at: datetime, **other: Any) -> AuditEvent:
    """A successful read of prod/orders by USER, with what is given in place of that."""
    fields: dict[str, Any] = {
        "event_type": EventType.SECRET_READ,
        "outcome": Outcome.SUCCESS,
        "actor": USER,
        "source": "aws-secrets-manager",
        "store": "aws",
        "secret": "prod/orders",
        "detail": {"versionId": "v1"},
    }
    return AuditEvent(event_id=event_id, occurred_at=at, **{**fields, **other})
