"""The sections of the report's page, below its first screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from polyvault.adapters.html_text import Html, fill, join
from polyvault.domain.assessment import CheckResult, ControlResult
from polyvault.domain.checks import NAMES
from polyvault.domain.compliance import Policy, Status
from polyvault.domain.report import Finding, Report

MOST_AFFECTED = 50
MOST_SECRETS = 500
MOST_NAMED = 3

WORDS: Mapping[Status, str] = {
    Status.PASS: "Pass",
    Status.FAIL: "Fail",
    Status.WARN: "Warning",
    Status.NOT_ASSESSED: "Not assessed",
    Status.EXEMPT: "Exempt",
    Status.NOT_APPLICABLE: "Not applicable",
    Status.MANUAL: "Manual",
}
COUNTS_AS: Mapping[Status, str] = {
    Status.PASS: "Compliant",
    Status.FAIL: "Not compliant",
    Status.WARN: "Warning",
    Status.NOT_ASSESSED: "Not assessed",
    Status.EXEMPT: "Exempt",
    Status.NOT_APPLICABLE: "Not applicable",
}
_SHORT: Mapping[Status, str] = {
    **WORDS,
    Status.WARN: "Warn",
    Status.NOT_ASSESSED: "Unseen",
    Status.NOT_APPLICABLE: "n/a",
}

_SECTION = '<section><h2>{title}</h2><p class="lead">{lead}</p>{content}</section>'
_PILL = '<span class="pill {tone}">{word}</span>'
_FINDING = """<article class="card finding {severity}"><header>{severity_pill}{status_pill}<h3>{name}</h3>\
<span class="ids">{ids}</span></header>
<p>{description}</p><p class="do"><b>Do:</b> {remediation}</p><p class="note">Asked: {threshold}</p>
<div class="scroll"><table><thead><tr><th class="wide">{affected}</th><th class="tag">Environment</th><th>Seen</th>\
</tr></thead><tbody>{rows}</tbody></table></div>{more}</article>"""
_AFFECTED = '<tr><td class="name mono">{secret}</td><td>{environment}</td><td class="why">{observed}</td></tr>'
_MORE = '<p class="note">{count} more in report.json.</p>'
_TABLE = (
    '<div class="card scroll"><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
)
_HEAD_CELL = "<th>{text}</th>"
_CONTROL = """<tr><td class="mono">{id}</td><td class="name">{title}</td><td>{status}</td>\
<td class="mono">{checks}</td><td class="why">{why}</td></tr>"""
_GAP = '<tr><td class="mono">{check}</td><td class="name">{name}</td><td>{secrets}</td><td class="why">{why}</td></tr>'
_MATRIX_ROW = '<tr><td class="name mono">{secret}</td><td>{environment}</td>{cells}</tr>'
_CELL = '<td class="{status}">{word}</td>'
_LIST = '<{kind} class="{style}">{items}</{kind}>'
_ITEM = "<li>{text}</li>"
_ADVICE = """<tr><td>{pill}</td><td class="name"><b>{name}</b> <span class="note">{check}</span><br>{text}</td>\
<td class="name mono">{secrets}</td></tr>"""
_LINE = "<div>{text}</div>"
_DETAILS = "<details><summary>{title}</summary>{content}</details>"
_EVIDENCE = '<tr><td class="name mono">{id}</td><td class="name mono">{sha256}</td></tr>'


def body(report: Report) -> Html:
    """All sections in their order."""
    return join(section for section in _sections(report) if section)


def _sections(report: Report) -> Iterator[Html]:
    framework = report.framework.title
    none = Html('<div class="card"><p>None.</p></div>')
    if report.recommendations:
        yield _section("What to do first", "Each failed check, the worst first.", _advice(report))
    yield _section(
        "Findings",
        f"From checks that are evidence for {framework}.",
        join(map(_finding, report.findings)) or none,
    )
    if report.policy_findings:
        yield _section(
            "Findings beyond this framework",
            f"Polyvault's own policy. No row of {framework} names these checks; they count in no number above.",
            join(map(_finding, report.policy_findings)),
        )
    yield _section(
        "Controls",
        "A control passes only when all its checks ran, on every secret, and people attested what no check can see.",
        _table("", ("Control", "What it asks", "Status", "Checks", "Why"), map(_control, report.controls)),
    )
    if report.gaps:
        yield _section(
            "Not assessed",
            "Evidence that could not be had. It is neither a pass nor a failure.",
            _table("", ("Check", "Name", "Secrets", "Why"), _gaps(report.gaps)),
        )
    yield _section("Secrets", "Each secret in scope, under each check that ran.", _matrix(report))
    yield _section(
        "Not assessable from a secret store",
        f"Parts of {framework} of which no secret store can show anything.",
        fill('<div class="card">{list}</div>', list=_list(report.framework.out_of_reach)),
    )
    yield _section("How it was judged", "Thresholds are Polyvault's policy; no standard states them.", _method(report))


def _section(title: str, lead: str, content: Html) -> Html:
    return fill(_SECTION, title=title, lead=lead, content=content)


def _pill(tone: str, word: str) -> Html:
    return fill(_PILL, tone=tone, word=word)


def _status(status: Status) -> Html:
    return _pill(status.value, WORDS[status])


def _finding(finding: Finding) -> Html:
    shown = finding.results[:MOST_AFFECTED]
    hidden = len(finding.results) - len(shown)
    return fill(
        _FINDING,
        severity=finding.severity.word,
        severity_pill=_pill(finding.severity.word, finding.severity.word.capitalize()),
        status_pill=_status(finding.status),
        name=finding.check.name.capitalize(),
        ids=" · ".join((finding.check.id, *finding.controls)),
        description=finding.check.description,
        remediation=finding.check.remediation,
        threshold=" / ".join(dict.fromkeys(result.verdict.threshold for result in shown)),
        affected=_secrets(len(finding.results)),
        rows=join(map(_affected, shown)),
        more=fill(_MORE, count=hidden) if hidden else Html(""),
    )


def _affected(result: CheckResult) -> Html:
    seen = result.verdict.observed
    if result.waiver and result.status is Status.EXEMPT:
        seen += f"; waived by {result.waiver.approver} until {result.waiver.expires_at:%Y-%m-%d} ({result.waiver.id})"
    return fill(_AFFECTED, secret=result.subject.name, environment=result.subject.environment, observed=seen)


def _control(result: ControlResult) -> Html:
    control = result.control
    why = join(fill(_LINE, text=text[:1].upper() + text[1:]) for text in (*result.caps, control.limits) if text)
    return fill(
        _CONTROL,
        id=control.id,
        title=control.title,
        status=_status(result.status),
        checks=" ".join(check for check in control.checks if check not in result.not_run) or "none",
        why=why,
    )


def _gaps(gaps: Sequence[Finding]) -> Iterator[Html]:
    rows = sorted(
        (r for gap in gaps for r in gap.results), key=lambda r: (r.check.id, r.verdict.gap or "", r.subject.id)
    )
    for (check_id, reason), group in groupby(rows, key=lambda r: (r.check.id, r.verdict.gap or "")):
        found = list(group)
        first = found[0].verdict.observed
        yield fill(_GAP, check=check_id, name=NAMES[check_id], secrets=len(found), why=f"{reason}: {first}")


def _advice(report: Report) -> Html:
    found = (*report.findings, *report.policy_findings)
    rows: list[Html] = []
    for item in report.recommendations:
        failed = [f for f in found if f.check.id == item.check_id and f.status is Status.FAIL]
        rows.append(
            fill(
                _ADVICE,
                pill=_pill(item.severity.word, item.severity.word.capitalize()),
                name=failed[0].check.name.capitalize(),
                check=" · ".join((item.check_id, *(failed[0].controls or ("policy",)))),
                text=item.text,
                secrets=_names([name for finding in failed for name in finding.secrets_affected]),
            )
        )
    return _table("advice", ("Severity", "What to do", "Secrets"), rows)


def _names(names: Sequence[str]) -> Html:
    shown = [fill(_LINE, text=name) for name in names[:MOST_NAMED]]
    hidden = len(names) - len(shown)
    return join((*shown, fill(_LINE, text=f"and {hidden} more") if hidden else Html("")))


def _matrix(report: Report) -> Html:
    head = ("Secret", "Environment", *(check.id for check in report.checks_run))
    rows: list[Html] = []
    for _, group in groupby(report.results, key=lambda result: result.subject.id):
        found = list(group)
        if len(rows) < MOST_SECRETS:
            cells = join(fill(_CELL, status=r.status.value, word=_SHORT[r.status]) for r in found)
            subject = found[0].subject
            rows.append(fill(_MATRIX_ROW, secret=subject.name, environment=subject.environment, cells=cells))
    hidden = len(report.subjects) - len(rows)
    return join((_table("matrix", head, rows), fill(_MORE, count=hidden) if hidden else Html("")))


def _method(report: Report) -> Html:
    cited = {e.id: e.sha256 for result in report.results for e in result.evidence}
    evidence = (fill(_EVIDENCE, id=name, sha256=cited[name]) for name in sorted(cited))
    run = [f"{check.id} {check.name}" for check in report.checks_run]
    not_run = [f"{check} {NAMES[check]}" for check in report.checks_not_run]
    return join(
        (
            fill('<div class="card">{list}</div>', list=_list(_thresholds(report.policy))),
            _details(f"Checks that ran ({len(run)})", _list(run, "plain columns")),
            _details(
                f"Checks that rows name and this version does not run ({len(not_run)})", _list(not_run, "plain columns")
            ),
            _details(
                f"Evidence ({len(cited)}): the facts are in report.json", _table("", ("Evidence", "SHA-256"), evidence)
            ),
        )
    )


def _thresholds(policy: Policy) -> Iterator[str]:
    ages = ", ".join(f"{name} {span.days} d" for name, span in sorted(policy.max_age.items()))
    yield f"Longest life of a value by rotation class: {ages}. Warning from {policy.warn_at:.0%} of it."
    yield f"Grace after creation: {policy.grace.total_seconds() / 3600:g} h."
    yield f"Dormant after {policy.dormant_after.days} d without a read."
    yield f"Expiry at most {policy.expiry_horizon.days} d after creation."
    yield f"Labelled versions older than {policy.old_version_age.days} d: at most {policy.old_versions}."
    yield f"Regions for replicas: {', '.join(sorted(policy.replica_regions)) or 'the home Region only'}."
    yield f"Trusted accounts and organisations: {', '.join(sorted(policy.trusted_parties)) or 'none'}."


def _list(items: Iterable[str], style: str = "plain") -> Html:
    return fill(_LIST, kind=Html("ul"), style=style, items=join(fill(_ITEM, text=item) for item in items))


def _table(kind: str, head: Iterable[str], rows: Iterable[Html]) -> Html:
    return fill(_TABLE, kind=kind, head=join(fill(_HEAD_CELL, text=text) for text in head), rows=join(rows))


def _details(title: str, content: Html) -> Html:
    return fill(_DETAILS, title=title, content=content)


def _secrets(count: int) -> str:
    return "1 secret" if count == 1 else f"{count} secrets"
