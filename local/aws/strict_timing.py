"""What a real Region does to a fast client: a quota of writes and values that are seen a little later.

Both are off unless the environment asks:
POLYVAULT_LOCAL_SECRET_WRITES_PER_SECOND      writes a second in an account and Region (AWS: 50, not adjustable)
POLYVAULT_LOCAL_SECRET_VISIBLE_AFTER_SECONDS  until a new version can be read
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from ministack.core.responses import get_account_id, get_region

from local.aws.settings import settings
from local.aws.strict_answers import Refusal

# AWS counts these together; replication belongs to them too.
WRITES = frozenset(
    {
        "PutSecretValue",
        "UpdateSecret",
        "UpdateSecretVersionStage",
        "ReplicateSecretToRegions",
        "RemoveRegionsFromReplication",
    }
)

_recent: dict[tuple[str, str], deque[float]] = {}


def check_quota(action: str) -> None:
    """Refuse a write above the quota of the last second."""
    limit = settings().secret_writes_per_second
    if not limit or action not in WRITES:
        return
    now = time.monotonic()
    written = _recent.setdefault((get_account_id(), get_region()), deque())
    while written and written[0] <= now - 1:
        written.popleft()
    if len(written) >= limit:
        raise Refusal("ThrottlingException", "Rate exceeded")
    written.append(now)


def visible_from(now: float) -> float:
    """When a version written now can be read, in epoch seconds."""
    return now + settings().secret_visible_after_seconds


def is_visible(version: dict[str, Any]) -> bool:
    """Whether readers see this version by now."""
    return time.time() >= float(version.get("_VisibleFrom", 0))
