"""Compliance: the words of a verdict, and the policy whose thresholds decide it.

A verdict is about one check and one secret. Evidence that could not be had gives NOT_ASSESSED with its reason, never
PASS and never FAIL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from polyvault.errors import InvalidInputError

MAX_WAIVER = timedelta(days=365)


class Status(StrEnum):
    """The outcome of a check for a secret, or of a control. MANUAL is for controls only."""

    PASS = "PASS"  # noqa: S105 - a verdict
    FAIL = "FAIL"
    WARN = "WARN"
    NOT_ASSESSED = "NOT_ASSESSED"
    EXEMPT = "EXEMPT"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    MANUAL = "MANUAL"

    @property
    def assessed(self) -> bool:
        """True when evidence was read and judged."""
        return self in (Status.PASS, Status.FAIL, Status.WARN, Status.EXEMPT)


class Gap(StrEnum):
    """Why evidence could not be had."""

    PERMISSION_DENIED = "permission_denied"
    SOURCE_DISABLED = "source_disabled"
    WINDOW_SHORT = "window_short"
    DATA_MISSING = "data_missing"


class Severity(IntEnum):
    """Ordered: the larger, the worse."""

    NONE = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """The word that reports print."""
        return self.name.lower()

    def lowered(self, levels: int) -> Severity:
        """So many levels down, never below LOW."""
        return Severity(max(Severity.LOW, self - levels)) if self > Severity.LOW else self


class Category(StrEnum):
    """What a finding is about."""

    ROTATION = "rotation"
    ENCRYPTION = "encryption and location"
    ACCESS = "access"
    VALUE = "value"
    IDENTITY = "identity"
    GOVERNANCE = "governance"
    LOGGING = "logging"


class EvidenceGap(Exception):
    """Raised by reading evidence that is not there; the engine turns it into NOT_ASSESSED. Never leaves the domain."""

    def __init__(self, gap: Gap, why: str) -> None:
        super().__init__(why)
        self.gap = gap
        self.why = why


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says of one secret: ``observed`` is what was seen, ``threshold`` what was asked, in words."""

    status: Status
    observed: str
    threshold: str = ""
    gap: Gap | None = None

    def __post_init__(self) -> None:
        if (self.status is Status.NOT_ASSESSED) != (self.gap is not None):
            raise InvalidInputError("gap", "goes with NOT_ASSESSED and with nothing else")


@dataclass(frozen=True, slots=True)
class Waiver:
    """An accepted failure of one check for one secret. It ends within a year, then the failure is back."""

    id: str
    check_id: str
    store: str
    secret: str
    approver: str
    granted_at: datetime
    expires_at: datetime

    def __post_init__(self) -> None:
        for path, moment in (("grantedAt", self.granted_at), ("expiresAt", self.expires_at)):
            if moment.tzinfo is None:
                raise InvalidInputError(path, "has no time zone")
        if not timedelta(0) < self.expires_at - self.granted_at <= MAX_WAIVER:
            raise InvalidInputError("expiresAt", f"is not within {MAX_WAIVER.days} days after grantedAt")
        if not self.approver:
            raise InvalidInputError("approver", "is empty")


def _days(**ages: int) -> Mapping[str, timedelta]:
    return {name.replace("_", "-"): timedelta(days=age) for name, age in ages.items()}


@dataclass(frozen=True, slots=True)
class Policy:
    """The thresholds. Each default is Polyvault's own, not a number of any standard.

    ``max_age`` holds the rotation classes that a tag may name. A secret without a valid class is judged by the
    shortest age, one without a valid data class as restricted, one of an unknown environment as production.
    """

    max_age: Mapping[str, timedelta] = field(
        default_factory=lambda: _days(
            database=90,
            user_password=90,
            machine_password=90,
            api_key=90,
            break_glass=90,
            manual=90,
            signing_key=365,
            key_encryption_key=365,
        )
    )
    by_hand: frozenset[str] = frozenset({"manual", "break-glass"})
    warn_at: float = 0.8
    grace: timedelta = timedelta(hours=24)
    rotation_delay: timedelta = timedelta(hours=24)
    expiry_horizon: timedelta = timedelta(days=365)
    old_version_age: timedelta = timedelta(days=30)
    old_versions: int = 1
    dormant_after: timedelta = timedelta(days=90)
    data_classes: tuple[str, ...] = ("public", "internal", "confidential", "restricted")
    environments: Mapping[str, int] = field(
        default_factory=lambda: {"prod": 0, "production": 0, "staging": 1, "test": 2, "dev": 2, "development": 2}
    )
    replica_regions: frozenset[str] = frozenset()
    trusted_parties: frozenset[str] = frozenset()

    @property
    def strictest_age(self) -> timedelta:
        """What holds for a secret that names no class."""
        return min(self.max_age.values())

    def levels_below_prod(self, environment: str) -> int:
        """By how much a severity is lowered there; an unknown environment counts as production."""
        return self.environments.get(environment, 0)
