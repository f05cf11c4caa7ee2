"""What Secrets Manager's answers mean in our words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from polyvault.domain.secret import RawVersion, SecretInfo, SecretMetadata, SecretValue, StagingLabel

_INTERVAL_TAG, _EXPIRES_TAG, _MFA_TAG = "polyvault:rotationInterval", "polyvault:expiresAt", "polyvault:mfaRequired"


def value_of(answer: Mapping[str, Any]) -> SecretValue:
    """The value, text or bytes, as it was written."""
    text = answer.get("SecretString")
    return SecretValue(answer["SecretBinary"] if text is None else text)


def raw(answer: Mapping[str, Any], value: SecretValue) -> RawVersion:
    """One version; ``value`` is what was read or written."""
    labels = frozenset(answer.get("VersionStages", ()))
    return RawVersion(answer["VersionId"], value, utc(answer.get("CreatedDate")), labels)


def info(entry: Mapping[str, Any]) -> SecretInfo:
    """One entry of a list."""
    stages = entry.get("SecretVersionsToStages", {})
    current = next((version for version, held in stages.items() if StagingLabel.CURRENT in held), None)
    return SecretInfo(entry["Name"], metadata(entry), current, _schedule(entry))


def _schedule(entry: Mapping[str, Any]) -> str | None:
    rules = entry.get("RotationRules", {})
    if not entry.get("RotationEnabled") or not rules:
        return None
    days = rules.get("AutomaticallyAfterDays")
    return rules.get("ScheduleExpression") or (f"rate({days} days)" if days else None)


def metadata(entry: Mapping[str, Any]) -> SecretMetadata:
    """Portable metadata; a tag of ours that does not parse counts as absent."""
    tags = tags_of(entry)
    days = entry.get("RotationRules", {}).get("AutomaticallyAfterDays") or _whole_number(tags.get(_INTERVAL_TAG))
    return SecretMetadata(
        description=entry.get("Description"),
        tags=tags,
        created_at=utc(entry.get("CreatedDate")),
        updated_at=utc(entry.get("LastChangedDate")),
        expires_at=_instant(tags.get(_EXPIRES_TAG)),
        rotation_enabled=entry.get("RotationEnabled", False),
        rotation_interval=timedelta(days=days) if days else None,
        mfa_required={"true": True, "false": False}.get(tags.get(_MFA_TAG, "")),
    )


def tags_of(entry: Mapping[str, Any]) -> dict[str, str]:
    """Tags as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in entry.get("Tags", ())}


def utc(moment: datetime | None) -> datetime | None:
    """The same instant, in UTC."""
    return moment.astimezone(UTC) if moment else None


def _whole_number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 5 else None


def _instant(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None
