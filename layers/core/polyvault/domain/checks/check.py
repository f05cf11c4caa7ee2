"""What a check is, and what several checks share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from polyvault.domain.compliance import Category, EvidenceGap, Gap, Policy, Severity, Status, Verdict
from polyvault.domain.inventory import Configuration, Subject

Evaluate = Callable[[Subject, Policy, datetime], Verdict]

OWNER_TAG, ENVIRONMENT_TAG = "owner", "environment"
DATA_CLASS_TAG, ROTATION_CLASS_TAG = "dataClass", "rotationClass"
RESTRICTED = "restricted"


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the catalogue. ``reads`` names the evidence of a Subject that the check looks at.

    ``severity`` holds in production; ``always`` keeps it in every environment.
    """

    id: str
    name: str
    category: Category
    severity: Severity
    description: str
    remediation: str
    reads: tuple[str, ...]
    evaluate: Evaluate
    always: bool = False

    def severity_in(self, environment: str, policy: Policy) -> Severity:
        """The severity of a failure there."""
        return self.severity if self.always else self.severity.lowered(policy.levels_below_prod(environment))


def passed(observed: str, threshold: str) -> Verdict:
    """The predicate holds on evidence that was read."""
    return Verdict(Status.PASS, observed, threshold)


def failed(observed: str, threshold: str) -> Verdict:
    """The predicate does not hold on evidence that was read."""
    return Verdict(Status.FAIL, observed, threshold)


def warned(observed: str, threshold: str) -> Verdict:
    """The predicate holds, and only just."""
    return Verdict(Status.WARN, observed, threshold)


def not_applicable(why: str) -> Verdict:
    """The predicate has no meaning for this secret."""
    return Verdict(Status.NOT_APPLICABLE, why)


def known[T](value: T | None, what: str) -> T:
    """A fact that the vault may leave out; raises EvidenceGap when it did."""
    if value is None:
        raise EvidenceGap(Gap.DATA_MISSING, f"the vault does not say {what}")
    return value


def max_age(configuration: Configuration, policy: Policy) -> timedelta:
    """The longest life of a value of the secret's class; the strictest where the class is not valid."""
    return policy.max_age.get(configuration.tags.get(ROTATION_CLASS_TAG, ""), policy.strictest_age)


def is_restricted(configuration: Configuration, policy: Policy) -> bool:
    """True for the highest data class, and for a secret that names none that is valid."""
    named = configuration.tags.get(DATA_CLASS_TAG)
    return named == RESTRICTED or named not in policy.data_classes


def is_new(configuration: Configuration, policy: Policy, now: datetime) -> bool:
    """True within the grace period after creation, when "never" says nothing yet."""
    return now - known(configuration.created_at, "when the secret was created") <= policy.grace


def age(span: timedelta) -> str:
    """A span as people say it: hours below two days, days from there, rounded down."""
    hours = int(span.total_seconds() // 3600)
    return f"{hours} h" if hours < 48 else f"{hours // 24} d"


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
