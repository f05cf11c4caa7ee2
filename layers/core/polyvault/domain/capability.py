"""What a vault can do. Only what is native and atomic is claimed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Flag, auto


class Capability(Flag):
    """One flag a feature; `bootstrap` compares a use case's needs with a store's flags before the first call."""

    READ = auto()
    WRITE = auto()
    LIST = auto()
    VERSIONS = auto()
    METADATA = auto()
    STAGING_LABELS = auto()
    CHECK_AND_SET = auto()
    IDEMPOTENT_WRITE = auto()
    SOFT_DELETE = auto()
    BINARY = auto()
    BATCH_READ = auto()
    LEASES = auto()
    NATIVE_ROTATION = auto()


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """Limits checked before a call: a full-match name pattern, the largest value in bytes, whether empty is allowed.

    ``recovery_days`` is what the caller may choose between delete and gone; None where the vault has no such window.
    """

    name_pattern: re.Pattern[str]
    name_rule: str
    max_value_bytes: int
    allows_empty: bool = False
    max_tags: int = 0
    recovery_days: range | None = None
