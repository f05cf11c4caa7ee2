"""What the REST API answers: the guide's words in camelCase, times in UTC. Nothing here can hold a secret value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from polyvault.contracts.sync_configuration import encode_sync_configuration
from polyvault.contracts.sync_execution import encode_sync_execution
from polyvault.domain.audit import AuditEvent, AuditPage
from polyvault.domain.secret import Health, SecretInfo, VersionInfo
from polyvault.domain.sync import SyncConfiguration, SyncExecution
from polyvault.domain.work import RotationOrder

type Json = dict[str, Any]


def health(found: tuple[Health, ...]) -> Json:
    """The state of each store."""
    return {
        "stores": [
            {
                "store": one.store,
                "provider": one.provider,
                "healthy": one.healthy,
                "latencyMs": round(one.latency_ms, 3),
                "error": one.error,
            }
            for one in found
        ]
    }


def secrets(store: str, found: tuple[SecretInfo, ...], next_token: str | None) -> Json:
    """A page of secrets."""
    return {"store": store, "secrets": [_secret(one) for one in found], "nextToken": next_token}


def versions(secret: str, found: tuple[VersionInfo, ...]) -> Json:
    """The versions of one secret."""
    return {
        "secret": secret,
        "versions": [
            {
                "versionId": one.version_id,
                "createdAt": _time(one.created_at),
                "labels": sorted(one.labels),
                "state": one.state.value,
            }
            for one in found
        ],
    }


def audit_events(page: AuditPage, start: datetime, end: datetime) -> Json:
    """A page of events and the interval in effect, which the next page's request repeats."""
    return {
        "start": _time(start),
        "end": _time(end),
        "events": [_event(one) for one in page.events],
        "nextToken": page.next_token,
    }


def rotation(order: RotationOrder) -> Json:
    """A rotation that is queued; the token becomes the new version's id."""
    return {
        "requestId": order.request_id,
        "clientRequestToken": order.client_request_token,
        "store": order.store,
        "secret": order.secret,
    }


def sync_configuration(found: SyncConfiguration) -> Json:
    """A configuration as it is kept."""
    return encode_sync_configuration(found)


def sync_execution(found: SyncExecution) -> Json:
    """An execution as it stands."""
    return {"executionId": found.id, **encode_sync_execution(found)}


def _secret(one: SecretInfo) -> Json:
    about = one.metadata
    return {
        "name": one.name,
        "currentVersionId": one.current_version_id,
        "description": about.description,
        "tags": dict(about.tags),
        "createdAt": _time(about.created_at),
        "updatedAt": _time(about.updated_at),
        "expiresAt": _time(about.expires_at),
        "rotationEnabled": about.rotation_enabled,
        "rotationIntervalDays": _days(about.rotation_interval),
    }


def _event(one: AuditEvent) -> Json:
    return {
        "eventId": one.event_id,
        "occurredAt": _time(one.occurred_at),
        "eventType": one.event_type.value,
        "outcome": one.outcome.value,
        "actor": {"id": one.actor.id, "type": one.actor.type.value, "name": one.actor.name},
        "source": one.source,
        "store": one.store,
        "secret": one.secret,
        "ipAddress": one.ip_address,
        "userAgent": one.user_agent,
        "errorCode": one.error_code,
        "detail": dict(one.detail),
    }


def _time(instant: datetime | None) -> str | None:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z") if instant else None


def _days(interval: timedelta | None) -> float | None:
    return None if interval is None else interval / timedelta(days=1)
