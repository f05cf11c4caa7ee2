"""The audit table as template.yaml makes it, for tests that need one alone; and events to put into it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from polyvault.domain.audit import Actor, ActorType, AuditEvent, EventType, Outcome

USER = Actor("arn:aws:iam::111122223333:role/orders", ActorType.ROLE, "session")


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as their text: they do not touch keys and indexes."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, node: str(node.value))


def create_audit_table(client: Any, name: str = "audit") -> str:
    """Make the table with the template's own keys and indexes; answers its name."""
    template = (Path(__file__).resolve().parent.parent / "template.yaml").read_text()
    properties = yaml.load(template, Loader=_Loader)["Resources"]["AuditTable"]["Properties"]  # noqa: S506 - safe
    client.create_table(
        TableName=name,
        **{key: properties[key] for key in ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")},
        BillingMode="PAY_PER_REQUEST",
    )
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
