"""From evidence to verdicts, from verdicts to controls and counts.

Rules that hold everywhere: evidence that is not there is NOT_ASSESSED; one failure fails a control; whatever was not
looked at keeps a control from PASS; each secret is counted once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from polyvault.domain.checks import Check
from polyvault.domain.checks.check import ROTATION_CLASS_TAG, counted
from polyvault.domain.compliance import EvidenceGap, Gap, Policy, Severity, Status, Verdict, Waiver
from polyvault.domain.frameworks import Control
from polyvault.domain.inventory import Evidence, StoreInventory, Subject
from polyvault.errors import ReportError

# The first of these that a secret has among its verdicts is what it counts as: a partition.
_COUNTS_AS = (Status.FAIL, Status.WARN, Status.NOT_ASSESSED, Status.EXEMPT, Status.PASS)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The verdict of one check on one secret."""

    check: Check
    subject: Subject
    verdict: Verdict
    severity: Severity
    waiver: Waiver | None = None

    @property
    def status(self) -> Status:
        """The verdict's."""
        return self.verdict.status

    @property
    def evidence(self) -> tuple[Evidence[object], ...]:
        """What the check looked at and was there."""
        read = (getattr(self.subject, name) for name in self.check.reads)
        return tuple(evidence for evidence in read if evidence.facts is not None)


@dataclass(frozen=True, slots=True)
class ControlResult:
    """A control's status. ``caps`` says, in words, what keeps it from PASS; ``not_run`` names checks without code."""

    control: Control
    status: Status
    results: tuple[CheckResult, ...] = ()
    not_run: tuple[str, ...] = ()
    caps: tuple[str, ...] = ()

    @property
    def counts(self) -> Mapping[Status, int]:
        """Its rows by status."""
        return Counter(result.status for result in self.results)


@dataclass(frozen=True, slots=True)
class Summary:
    """Secrets in scope, each counted once. ``coverage`` is the percentage assessed of what applies, None of nothing."""

    total_secrets: int
    compliant: int
    non_compliant: int
    warnings: int
    not_assessed: int
    exempt: int
    not_applicable: int
    coverage: float | None
    out_of_scope: int

    def __post_init__(self) -> None:
        parts = self.compliant + self.non_compliant + self.warnings
        parts += self.not_assessed + self.exempt + self.not_applicable
        if parts != self.total_secrets:
            raise ReportError(f"{parts} secrets were counted, {self.total_secrets} were in scope")


def evaluate(
    subjects: Sequence[Subject],
    checks: Iterable[Check],
    policy: Policy,
    now: datetime,
    *,
    waivers: Sequence[Waiver] = (),
    in_period: bool = True,
) -> tuple[CheckResult, ...]:
    """Each check on each secret: exactly one row a pair, whatever could be read.

    Configuration is known at ``now`` only; when that is outside the period, nothing is assessed.
    """
    return tuple(
        _waived(CheckResult(check, subject, verdict, check.severity_in(subject.environment, policy)), waivers, now)
        for subject in subjects
        for check in checks
        for verdict in (_verdict(check, subject, policy, now, in_period=in_period),)
    )


def assess(
    control: Control,
    results: Sequence[CheckResult],
    implemented: frozenset[str],
    stores: Sequence[StoreInventory],
) -> ControlResult:
    """The control's status, from the rows of its checks over all secrets in scope."""
    if control.by_people or not control.checks:
        return ControlResult(control, Status.MANUAL, caps=("people attest it",))
    not_run = tuple(check for check in control.checks if check not in implemented)
    rows = tuple(_conditioned(row, control) for row in results if row.check.id in control.checks)
    counts = Counter(row.status for row in rows)
    caps = tuple(_caps(control, counts, not_run, stores))
    return ControlResult(control, _status(counts, caps, unseen=_unseen(not_run, stores)), rows, not_run, caps)


def summarise(subjects: Sequence[Subject], results: Iterable[CheckResult], *, out_of_scope: int) -> Summary:
    """Count each secret once; raises ReportError when a row is missing or the counts are no partition."""
    rows: dict[str, list[Status]] = {subject.id: [] for subject in subjects}
    for result in results:
        rows[result.subject.id].append(result.status)
    if len(rows) != len(subjects) or len({len(statuses) for statuses in rows.values()}) > 1:
        raise ReportError("a secret is there twice, or lacks a verdict that another has")
    secrets = Counter(_counts_as(statuses) for statuses in rows.values())
    flat = [status for statuses in rows.values() for status in statuses]
    return Summary(
        total_secrets=len(subjects),
        compliant=secrets[Status.PASS],
        non_compliant=secrets[Status.FAIL],
        warnings=secrets[Status.WARN],
        not_assessed=secrets[Status.NOT_ASSESSED],
        exempt=secrets[Status.EXEMPT],
        not_applicable=secrets[Status.NOT_APPLICABLE],
        coverage=coverage(flat),
        out_of_scope=out_of_scope,
    )


def coverage(statuses: Iterable[Status]) -> float | None:
    """Percent assessed of what applies, to one decimal and never rounded up to 100; None when nothing applies."""
    applicable = [status for status in statuses if status is not Status.NOT_APPLICABLE]
    if not applicable:
        return None
    assessed = sum(status.assessed for status in applicable)
    return assessed * 1000 // len(applicable) / 10


def _verdict(check: Check, subject: Subject, policy: Policy, now: datetime, *, in_period: bool) -> Verdict:
    if subject.gone:
        return Verdict(Status.NOT_APPLICABLE, "deleted while the inventory was taken")
    if subject.deletion_scheduled:
        return Verdict(Status.NOT_APPLICABLE, "scheduled for deletion")
    if not in_period:
        return Verdict(Status.NOT_ASSESSED, "no inventory was kept of that period", gap=Gap.WINDOW_SHORT)
    try:
        return check.evaluate(subject, policy, now)
    except EvidenceGap as missing:
        return Verdict(Status.NOT_ASSESSED, missing.why, gap=missing.gap)


def _waived(result: CheckResult, waivers: Sequence[Waiver], now: datetime) -> CheckResult:
    if result.status is not Status.FAIL:
        return result
    key = (result.check.id, result.subject.store, result.subject.name)
    mine = [w for w in waivers if (w.check_id, w.store, w.secret) == key and w.granted_at <= now]
    if not mine:
        return result
    latest = max(mine, key=lambda waiver: (waiver.expires_at, waiver.id))
    seen = result.verdict
    if now < latest.expires_at:
        return replace(result, verdict=replace(seen, status=Status.EXEMPT), waiver=latest)
    history = f"{seen.observed} (waiver {latest.id} ended on {latest.expires_at:%Y-%m-%d})"
    return replace(result, verdict=replace(seen, observed=history), waiver=latest)


def _conditioned(row: CheckResult, control: Control) -> CheckResult:
    """The row as this control sees it: some controls are about one class, or need a risk analysis to judge by."""
    configuration = row.subject.configuration.facts
    if configuration is None or row.status is Status.NOT_APPLICABLE:
        return row
    if row.check.id in control.needs_risk_analysis:
        why = "no risk analysis is stored that gives the interval"
        return replace(row, verdict=Verdict(Status.NOT_ASSESSED, why, gap=Gap.DATA_MISSING))
    if control.rotation_class not in (None, configuration.tags.get(ROTATION_CLASS_TAG)):
        return replace(row, verdict=Verdict(Status.NOT_APPLICABLE, f"asked of class {control.rotation_class} only"))
    return row


def _caps(
    control: Control, counts: Mapping[Status, int], not_run: Sequence[str], stores: Sequence[StoreInventory]
) -> Iterable[str]:
    if counts.get(Status.FAIL):
        yield f"failed: {counted(counts[Status.FAIL], 'verdict')}"
    if counts.get(Status.WARN):
        yield f"close to the threshold: {counted(counts[Status.WARN], 'verdict')}"
    if counts.get(Status.NOT_ASSESSED):
        yield f"partial: evidence missing for {counted(counts[Status.NOT_ASSESSED], 'verdict')}"
    if not_run:
        yield f"partial: {', '.join(not_run)} not run"
    unlisted = [store.store for store in stores if store.gap]
    if unlisted:
        yield f"partial: {', '.join(unlisted)} not looked at"
    if counts.get(Status.EXEMPT):
        yield f"waived: {counted(counts[Status.EXEMPT], 'failure')}"
    if not control.automatic:
        yield "automatic part only: no attestation is stored"


def _unseen(not_run: Sequence[str], stores: Sequence[StoreInventory]) -> bool:
    return bool(not_run) or any(store.gap for store in stores)


def _status(counts: Mapping[Status, int], caps: Sequence[str], *, unseen: bool) -> Status:
    if counts.get(Status.FAIL):
        return Status.FAIL
    if not any(count for status, count in counts.items() if status.assessed):
        nothing_applies = not counts.get(Status.NOT_ASSESSED) and not unseen
        return Status.NOT_APPLICABLE if nothing_applies else Status.NOT_ASSESSED
    return Status.WARN if caps else Status.PASS


def _counts_as(statuses: Sequence[Status]) -> Status:
    return next((status for status in _COUNTS_AS if status in statuses), Status.NOT_APPLICABLE)
