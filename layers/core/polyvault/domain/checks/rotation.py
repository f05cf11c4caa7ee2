"""Checks on rotation: C01 to C04, C08 and C11."""

from __future__ import annotations

from datetime import datetime, timedelta

from polyvault.domain.checks.check import (
    ROTATION_CLASS_TAG,
    Check,
    age,
    counted,
    failed,
    known,
    max_age,
    not_applicable,
    passed,
    warned,
)
from polyvault.domain.compliance import Category, EvidenceGap, Gap, Policy, Severity, Verdict
from polyvault.domain.inventory import Configuration, RotationHistory, Subject
from polyvault.domain.rotation_interval import longest_interval

POLICY_TAG, INTERVAL_TAG, EXPIRES_TAG = "polyvault:policy", "polyvault:rotationInterval", "polyvault:expiresAt"
CURRENT_LABEL = "AWSCURRENT"
# The log carries a rotation's outcome after the vault has moved its label; they are one rotation within this time.
_LOG_DELAY = timedelta(minutes=5)


def rotation_configured(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C01: something rotates the secret: the vault's own schedule, its owning service, or a Polyvault policy."""
    seen = subject.configuration.read()
    if seen.owning_service:
        return passed(f"{seen.owning_service} rotates its own secret", "rotation is on")
    if seen.rotation_enabled:
        return passed("the vault's rotation is on", "rotation is on")
    if _policy_interval(seen) is not None:
        return passed(f"Polyvault rotates it every {seen.tags[INTERVAL_TAG]} days", "rotation is on")
    named = seen.tags.get(ROTATION_CLASS_TAG)
    if named in policy.by_hand:
        return not_applicable(f"class {named} is rotated by people")
    return failed("nothing rotates it", "rotation is on")


def rotation_age(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C02: the value that readers get is young enough; the latest change date of the secret says nothing of it."""
    seen = subject.configuration.read()
    if seen.owning_service:
        schedule = known(seen.rotation_schedule, "on which schedule the owning service rotates")
        limit = known(longest_interval(schedule), "an interval that can be computed") + policy.rotation_delay
    else:
        limit = max_age(seen, policy)
    current = next((v for v in subject.versions.read().versions if CURRENT_LABEL in v.labels), None)
    moments = (seen.last_rotated_at, current and current.created_at, seen.created_at)
    newest = max((moment for moment in moments if moment), default=None)
    old = now - known(newest, "when the value was written")
    observed, threshold = f"the value is {age(old)} old", f"at most {age(limit)}"
    if old > limit:
        return failed(observed, threshold)
    return warned(observed, threshold) if old >= limit * policy.warn_at else passed(observed, threshold)


def rotation_on_schedule(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C03: the next rotation is not overdue, and the last one that ended did not fail."""
    seen = subject.configuration.read()
    if not seen.rotation_enabled:
        return not_applicable("the vault has no rotation schedule for it")
    threshold = f"not overdue by more than {age(policy.rotation_delay)}, and the last rotation succeeded"
    due = known(seen.next_rotation_at, "when the next rotation is due")
    if due + policy.rotation_delay < now:
        return failed(f"overdue since {due:%Y-%m-%d %H:%M} UTC", threshold)
    history = subject.rotations.read()
    if history.last_failure_at and (
        history.last_success_at is None or history.last_failure_at > history.last_success_at
    ):
        return failed(f"the rotation of {history.last_failure_at:%Y-%m-%d %H:%M} UTC failed", threshold)
    _check_log_saw(seen, history)
    return passed(f"next rotation by {due:%Y-%m-%d}", threshold)


def interval_within_policy(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C04: the schedule's longest interval is no longer than the class allows: on is not yet often enough."""
    seen = subject.configuration.read()
    if seen.owning_service:
        return not_applicable(f"{seen.owning_service} decides the schedule of its own secret")
    interval = _policy_interval(seen)
    if seen.rotation_enabled:
        schedule = known(seen.rotation_schedule, "the rotation schedule")
        interval = known(longest_interval(schedule), "an interval that can be computed from the schedule")
    if interval is None:
        return not_applicable("it has no rotation schedule")
    limit = max_age(seen, policy)
    observed, threshold = f"up to {age(interval)} between rotations", f"at most {age(limit)}"
    return passed(observed, threshold) if interval <= limit else failed(observed, threshold)


def expiry_horizon(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C08: an expiry that is set lies ahead, and not too far; AWS has no such field, only our tag."""
    seen = subject.configuration.read()
    text = seen.tags.get(EXPIRES_TAG)
    if text is None:
        return not_applicable(f"the vault has no expiry field and the tag {EXPIRES_TAG} is not used")
    threshold = f"in the future, at most {age(policy.expiry_horizon)} after creation"
    expires = _instant(text)
    if expires is None:
        return failed(f"{EXPIRES_TAG} is not an instant with a time zone", threshold)
    horizon = expires - known(seen.created_at, "when the secret was created")
    observed = f"expires {expires:%Y-%m-%d}, {age(horizon)} after creation"
    within = expires > now and horizon <= policy.expiry_horizon
    return passed(observed, threshold) if within else failed(observed, threshold)


def version_sprawl(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C11: few old versions stay readable by a label. Versions without one are the vault's to remove."""
    kept = [v for v in subject.versions.read().versions if v.labels and CURRENT_LABEL not in v.labels]
    old = [v for v in kept if now - known(v.created_at, "when a version was written") > policy.old_version_age]
    observed = f"{counted(len(old), 'labelled version')} older than {age(policy.old_version_age)}"
    threshold = f"at most {policy.old_versions}"
    return passed(observed, threshold) if len(old) <= policy.old_versions else failed(observed, threshold)


def _policy_interval(seen: Configuration) -> timedelta | None:
    days = seen.tags.get(INTERVAL_TAG, "")
    valid = POLICY_TAG in seen.tags and days.isascii() and days.isdecimal() and 0 < int(days[:5]) < 10_000
    return timedelta(days=int(days)) if valid else None


def _check_log_saw(seen: Configuration, history: RotationHistory) -> None:
    """A log that missed the last rotation cannot vouch that no later one failed."""
    rotated = seen.last_rotated_at
    if rotated is None or rotated < history.since:
        return
    if history.last_success_at is None or history.last_success_at < rotated - _LOG_DELAY:
        raise EvidenceGap(Gap.SOURCE_DISABLED, "the audit log holds no outcome of the last rotation")


def _instant(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


ROTATION: tuple[Check, ...] = (
    Check(
        "C01",
        "rotation configured",
        Category.ROTATION,
        Severity.HIGH,
        "Nothing rotates the secret: no schedule of the vault, no owning service, no Polyvault policy.",
        "Attach a rotation schedule, or tag the secret with a Polyvault policy; then rotate it once by hand.",
        ("configuration",),
        rotation_configured,
    ),
    Check(
        "C02",
        "rotation age",
        Category.ROTATION,
        Severity.HIGH,
        "The value that readers get is older than its class allows.",
        "Rotate now; then find out why nothing did so in time.",
        ("configuration", "versions"),
        rotation_age,
    ),
    Check(
        "C03",
        "rotation on schedule",
        Category.ROTATION,
        Severity.HIGH,
        "A rotation is overdue, or the last one failed.",
        "Free a stuck AWSPENDING, repair the target or its grants as the last error says, and rotate again.",
        ("configuration", "rotations"),
        rotation_on_schedule,
    ),
    Check(
        "C04",
        "interval within policy",
        Category.ROTATION,
        Severity.MEDIUM,
        "The schedule lets the value live longer than its class allows, even when every rotation succeeds.",
        "Shorten the schedule, or have a risk analysis approve the longer interval.",
        ("configuration",),
        interval_within_policy,
    ),
    Check(
        "C08",
        "expiry horizon",
        Category.ROTATION,
        Severity.MEDIUM,
        "The expiry has passed, lies too far ahead, or cannot be read.",
        "Set an expiry inside the horizon when the next version is written.",
        ("configuration",),
        expiry_horizon,
    ),
    Check(
        "C11",
        "version sprawl",
        Category.ROTATION,
        Severity.MEDIUM,
        "Old versions stay readable under a staging label.",
        "Take the labels off versions that no consumer needs; the vault then removes them.",
        ("versions",),
        version_sprawl,
    ),
)
