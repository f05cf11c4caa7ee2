"""The report for people: report.html. One file, no script, nothing fetched, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import ClassVar

from polyvault.adapters import report_charts as charts
from polyvault.adapters import report_sections as sections
from polyvault.adapters.html_text import Html, fill, join
from polyvault.adapters.report_json import JsonReport
from polyvault.adapters.report_style import STYLE
from polyvault.domain.compliance import Status
from polyvault.domain.report import Finding, Report

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{style_hash}'; \
base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title} report, {date}</title>
<style>{style}</style>
</head>
<body>
<main>
{head}
{overview}
{body}
<footer>Report <span class="mono">{report_id}</span>. This page shows <span class="mono">report.json</span>, SHA-256 \
<span class="mono">{json_hash}</span>; <span class="mono">manifest.json</span> names both files.</footer>
</main>
</body>
</html>
"""
_HEAD = """<header>
<div class="brand">Polyvault</div>
<h1>{title} compliance report</h1>
<p class="lead">{version}. What was assessed, how, and on what share. It does not say that an organisation \
complies: most of a framework lies outside a secret store.</p>
<dl class="facts">
<div><dt>Period</dt><dd>{start} to<br>{end}</dd></div>
<div><dt>Evaluated</dt><dd>{evaluated}</dd></div>
<div><dt>Environments</dt><dd>{scope}</dd></div>
<div><dt>Stores</dt><dd>{stores}</dd></div>
</dl>
{notice}
</header>"""
_NOTICE = '<div class="card notice"><p>{text}</p></div>'
_OVERVIEW = """<section class="card overview" aria-label="Summary">
<div>{donut}</div>
<ul class="legend">{legend}</ul>
<div>{measures}</div>
</section>"""
_LEGEND = '<li><span class="dot {status}"></span>{word}<b>{count}</b></li>'
_MEASURE = """<div class="measure"><div class="head"><span class="label">{name}</span>\
<span class="value">{value}</span></div>
{bar}<small>{note}</small></div>"""


class HtmlReport:
    """ReportFormat: a page that prints, reads on a telephone, and opens without a network."""

    file_name: ClassVar[str] = "report.html"
    content_type: ClassVar[str] = "text/html; charset=utf-8"

    def render(self, report: Report) -> bytes:
        """UTF-8."""
        style = Html(STYLE)
        page = fill(
            _PAGE,
            style_hash=Html(base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()),
            style=style,
            title=report.framework.title,
            date=f"{report.evaluated_at:%Y-%m-%d}",
            head=_head(report),
            overview=_overview(report),
            body=sections.body(report),
            report_id=report.id,
            json_hash=hashlib.sha256(JsonReport().render(report)).hexdigest(),
        )
        return page.encode()


def _head(report: Report) -> Html:
    return fill(
        _HEAD,
        title=report.framework.title,
        version=report.framework.version,
        start=_when(report.start),
        end=_when(report.end),
        evaluated=_when(report.evaluated_at),
        scope=", ".join(report.scope) or "all",
        stores=", ".join(f"{store.store} ({store.provider})" for store in report.stores) or "none in scope",
        notice=join(fill(_NOTICE, text=text) for text in _notices(report)),
    )


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _notices(report: Report) -> Iterable[str]:
    if not report.in_period:
        yield (
            "The period ended long before this report was made, and no inventory of that time is kept. Nothing is "
            "assessed: today's state is no evidence of an earlier one."
        )
    for store in report.stores:
        if store.gap:
            yield f"{store.store} was not looked at ({store.gap}: {store.error}). Nothing below speaks for its secrets."


def _overview(report: Report) -> Html:
    summary = report.summary
    counts = {
        Status.FAIL: summary.non_compliant,
        Status.WARN: summary.warnings,
        Status.NOT_ASSESSED: summary.not_assessed,
        Status.EXEMPT: summary.exempt,
        Status.PASS: summary.compliant,
        Status.NOT_APPLICABLE: summary.not_applicable,
    }
    legend = [
        fill(_LEGEND, status=status.value, word=sections.COUNTS_AS[status], count=count)
        for status, count in counts.items()
    ]
    legend.append(fill(_LEGEND, status="none", word="Out of scope", count=summary.out_of_scope))
    return fill(_OVERVIEW, donut=charts.donut(counts), legend=join(legend), measures=join(_measures(report)))


def _measures(report: Report) -> Iterable[Html]:
    coverage = report.summary.coverage
    yield _measure(
        "Coverage",
        "none" if coverage is None else f"{coverage:g} %",
        coverage or 0.0,
        "of the verdicts that apply rest on evidence that was read",
    )
    asked = {check for result in report.controls for check in result.control.checks}
    run = len(asked) - len(report.checks_not_run)
    yield _measure(
        "Checks run",
        f"{run} of {len(asked)}",
        100 * run / len(asked) if asked else 0.0,
        f"that {report.framework.title} rows name; the others are listed below",
    )
    yield _measure("Findings", _by_severity(report.findings), None, "by severity, of checks that a row names")


def _measure(name: str, value: str, percent: float | None, note: str) -> Html:
    bar = Html("") if percent is None else charts.bar(percent, f"{name}: {value}")
    return fill(_MEASURE, name=name, value=value, bar=bar, note=note)


def _by_severity(findings: Sequence[Finding]) -> str:
    words = [finding.severity.word for finding in findings if finding.status is not Status.EXEMPT]
    return " · ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words)) or "none"
