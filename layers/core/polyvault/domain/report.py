"""A compliance report: one object that every rendering is made from. Same inputs, same object."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from polyvault.domain.assessment import CheckResult, ControlResult, Summary, assess, evaluate, summarise
from polyvault.domain.checks import CHECKS, Check
from polyvault.domain.compliance import Policy, Severity, Status, Waiver
from polyvault.domain.frameworks import Framework
from polyvault.domain.inventory import StoreInventory, Subject, canonical, instant
from polyvault.errors import InvalidInputError

_NAMESPACE = uuid.UUID("5f3c1f0e-6d0b-5a53-9d8e-0f0f6f1f7a11")
# Configuration is read when the report is made; up to this long after the period's end it still speaks for it.
_END_TOLERANCE = timedelta(hours=24)
LONGEST_PERIOD = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """What is asked: a framework, the half-open period [start, end) in aware time, environments (empty: all)."""

    framework: Framework
    start: datetime
    end: datetime
    scope: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for path, moment in (("start", self.start), ("end", self.end)):
            if moment.tzinfo is None:
                raise InvalidInputError(path, "has no time zone")
        if not timedelta(0) < self.end - self.start <= LONGEST_PERIOD:
            raise InvalidInputError("end", f"is not within {LONGEST_PERIOD.days} days after start")
        if len(set(self.scope)) != len(self.scope):
            raise InvalidInputError("scope", "names an environment twice")

    def covers(self, environment: str) -> bool:
        """True when secrets of that environment are asked for."""
        return not self.scope or environment in self.scope


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, at one severity: the secrets affected, with what was seen of each.

    ``controls`` are the framework's controls that the check is evidence for; empty: Polyvault's own policy asks it.
    """

    id: str
    check: Check
    status: Status
    severity: Severity
    controls: tuple[str, ...]
    results: tuple[CheckResult, ...]

    @property
    def secrets_affected(self) -> tuple[str, ...]:
        """Names, each once."""
        return tuple(dict.fromkeys(result.subject.name for result in self.results))


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to do about a failed check."""

    text: str
    check_id: str
    severity: Severity
    secrets: int


@dataclass(frozen=True, slots=True)
class Report:
    """``id`` is derived from the content. ``evaluated_at`` is the only time that is not the caller's or a fact's.

    ``findings`` are about the framework's controls; ``policy_findings`` come from checks that no control of the
    framework names, and count in nothing. ``gaps`` are what could not be assessed.
    """

    id: str
    framework: Framework
    start: datetime
    end: datetime
    evaluated_at: datetime
    in_period: bool
    scope: tuple[str, ...]
    policy: Policy
    stores: tuple[StoreInventory, ...]
    subjects: tuple[Subject, ...]
    replicas: int
    summary: Summary
    controls: tuple[ControlResult, ...]
    checks_run: tuple[Check, ...]
    checks_not_run: tuple[str, ...]
    findings: tuple[Finding, ...]
    policy_findings: tuple[Finding, ...]
    gaps: tuple[Finding, ...]
    recommendations: tuple[Recommendation, ...]
    results: tuple[CheckResult, ...]


def build(
    request: ReportRequest,
    inventories: Sequence[StoreInventory],
    policy: Policy,
    now: datetime,
    *,
    waivers: Sequence[Waiver] = (),
) -> Report:
    """Judge the estate. Raises InvalidInputError for a period that has not begun, ReportError when rows are missing."""
    if request.start >= now:
        raise InvalidInputError("start", "is in the future")
    in_period = now < request.end + _END_TOLERANCE
    stores = tuple(sorted(map(_in_order, inventories), key=lambda store: store.store))
    estate = [subject for store in stores for subject in store.subjects]
    counted = [subject for subject in estate if not subject.replica]
    scoped = tuple(sorted((s for s in counted if request.covers(s.environment)), key=lambda s: s.id))
    relevant = tuple(store for store in stores if _in_scope(store, request))
    results = evaluate(scoped, CHECKS, policy, now, waivers=waivers, in_period=in_period)
    asked = _asked(request.framework)
    own = [result for result in results if result.check.id in asked]
    other = [result for result in results if result.check.id not in asked]
    implemented = frozenset(check.id for check in CHECKS)
    findings = _findings(own, asked, (Status.FAIL, Status.WARN, Status.EXEMPT))
    policy_findings = _findings(other, asked, (Status.FAIL, Status.WARN, Status.EXEMPT))
    return Report(
        id=_report_id(request, policy, stores, now, waivers),
        framework=request.framework,
        start=request.start,
        end=min(request.end, now),
        evaluated_at=now,
        in_period=in_period,
        scope=tuple(sorted(request.scope)),
        policy=policy,
        stores=relevant,
        subjects=scoped,
        replicas=sum(subject.replica for subject in estate),
        summary=summarise(scoped, own, out_of_scope=len(counted) - len(scoped)),
        controls=tuple(assess(control, results, implemented, relevant) for control in request.framework.controls),
        checks_run=CHECKS,
        checks_not_run=tuple(sorted((c for c in asked if c not in implemented), key=_by_number)),
        findings=findings,
        policy_findings=policy_findings,
        gaps=_findings(results, asked, (Status.NOT_ASSESSED,)),
        recommendations=_recommendations((*findings, *policy_findings)),
        results=results,
    )


def _in_order(store: StoreInventory) -> StoreInventory:
    return replace(store, subjects=tuple(sorted(store.subjects, key=lambda subject: subject.id)))


def _in_scope(store: StoreInventory, request: ReportRequest) -> bool:
    return request.covers(store.environment) or any(request.covers(s.environment) for s in store.subjects)


def _asked(framework: Framework) -> Mapping[str, tuple[str, ...]]:
    """The controls that each check of the framework is evidence for."""
    asked: dict[str, tuple[str, ...]] = {}
    for control in framework.controls:
        for check in control.checks:
            asked[check] = (*asked.get(check, ()), control.id)
    return asked


def _findings(
    results: Iterable[CheckResult], asked: Mapping[str, tuple[str, ...]], statuses: Sequence[Status]
) -> tuple[Finding, ...]:
    def key(result: CheckResult) -> tuple[str, Status, int]:
        return result.check.id, result.status, -result.severity

    wanted = sorted((r for r in results if r.status in statuses), key=lambda r: (*key(r), r.subject.id))
    found = [_finding(tuple(group), asked) for _, group in groupby(wanted, key)]
    order = {status: position for position, status in enumerate(statuses)}
    return tuple(sorted(found, key=lambda f: (-f.severity, order[f.status], -len(f.results), f.check.id)))


def _finding(rows: tuple[CheckResult, ...], asked: Mapping[str, tuple[str, ...]]) -> Finding:
    first = rows[0]
    identity = canonical((first.check.id, first.status, first.severity.word, [row.subject.id for row in rows]))
    return Finding(
        id=str(uuid.uuid5(_NAMESPACE, identity.decode())),
        check=first.check,
        status=first.status,
        severity=first.severity,
        controls=asked.get(first.check.id, ()),
        results=rows,
    )


def _recommendations(findings: Iterable[Finding]) -> tuple[Recommendation, ...]:
    """One for each failed check, the worst first."""
    failed = sorted((f for f in findings if f.status is Status.FAIL), key=lambda f: f.check.id)
    made = [
        Recommendation(
            text=group[0].check.remediation,
            check_id=check_id,
            severity=max(finding.severity for finding in group),
            secrets=sum(len(finding.results) for finding in group),
        )
        for check_id, rows in groupby(failed, key=lambda f: f.check.id)
        for group in (tuple(rows),)
    ]
    return tuple(sorted(made, key=lambda r: (-r.severity, -r.secrets, r.check_id)))


def _report_id(
    request: ReportRequest,
    policy: Policy,
    stores: Sequence[StoreInventory],
    now: datetime,
    waivers: Sequence[Waiver],
) -> str:
    asked = (request.framework.name, instant(request.start), instant(request.end), sorted(request.scope))
    identity = canonical((asked, policy, stores, now, sorted(waivers, key=lambda waiver: waiver.id)))
    return str(uuid.uuid5(_NAMESPACE, identity.decode()))


def _by_number(check: str) -> tuple[str, int]:
    return check[0], int(check[1:])
