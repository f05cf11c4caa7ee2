"""Staging labels and versions of a secret, as Secrets Manager keeps them.

A label is on one version at a time; AWSPREVIOUS follows AWSCURRENT; a version without labels is deprecated, stays
readable by its id and is pruned when there are more than 100 versions and it is older than a day.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from local.aws.strict_answers import Refusal

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"
MAX_LABELS = 20
MAX_VERSIONS = 100
KEPT_SECONDS = 24 * 3600

Version = dict[str, Any]
Versions = dict[str, Version]


def holder(versions: Versions, label: str) -> str | None:
    """The id of the version that holds the label."""
    return next((version_id for version_id, version in versions.items() if label in version["Stages"]), None)


def check_room(versions: Versions, labels: Iterable[str]) -> None:
    """Refuse labels that would make more than 20 on the secret, AWSPREVIOUS counted when AWSCURRENT moves."""
    held = {label for version in versions.values() for label in version["Stages"]} | set(labels)
    if CURRENT in labels and holder(versions, CURRENT):
        held.add(PREVIOUS)
    if len(held) > MAX_LABELS:
        raise Refusal("LimitExceededException", f"A secret can't have more than {MAX_LABELS} staging labels.")


def attach(versions: Versions, version_id: str, labels: Iterable[str]) -> None:
    """Put the labels on the version and take them from all others."""
    wanted = set(labels)
    moves_current = CURRENT in wanted and holder(versions, CURRENT) not in (None, version_id)
    if moves_current:
        demoted = versions[holder(versions, CURRENT) or version_id]
        _take(versions, PREVIOUS)
        demoted["Stages"] = sorted({*demoted["Stages"], PREVIOUS} - {CURRENT})
    for label in wanted:
        _take(versions, label)
    versions[version_id]["Stages"] = sorted({*versions[version_id]["Stages"], *wanted})


def abandon_pending(versions: Versions, new_current: str) -> bool:
    """Drop AWSPENDING when a new value became current: the rotation under way, if any, is abandoned.

    True when the label was on a version other than the one that was current until now.
    """
    pending = holder(versions, PENDING)
    if pending is None or pending == new_current:
        return False
    _take(versions, PENDING)
    return PREVIOUS not in versions[pending]["Stages"]


def prune(versions: Versions, now: float) -> list[str]:
    """Remove the oldest deprecated versions above 100 that are older than a day; answer their ids."""
    surplus = len(versions) - MAX_VERSIONS
    deprecated = sorted(
        (version_id for version_id, version in versions.items() if not version["Stages"]),
        key=lambda version_id: versions[version_id]["CreatedDate"],
    )
    old = [version_id for version_id in deprecated if versions[version_id]["CreatedDate"] < now - KEPT_SECONDS]
    gone = old[: max(surplus, 0)]
    for version_id in gone:
        del versions[version_id]
    return gone


def _take(versions: Versions, label: str) -> None:
    for version in versions.values():
        if label in version["Stages"]:
            version["Stages"] = [held for held in version["Stages"] if held != label]
