"""Make a report: take stock, judge, render, keep, say so."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from polyvault.domain.audit import Actor, AuditEvent, EventType, Outcome
from polyvault.domain.compliance import Policy, Waiver
from polyvault.domain.report import Report, ReportRequest, build
from polyvault.ports import Alerts, AuditLog, Clock, ReportArchive, ReportFormat
from polyvault.services.inventory import TakeStock

log = logging.getLogger(__name__)
_WORST = 10


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """The report and the keys of its files: each format, then the manifest."""

    report: Report
    files: tuple[str, ...]


class WriteReport:
    """``formats`` are the files of a report; the manifest names each with its SHA-256 and is written last."""

    def __init__(
        self,
        stock: TakeStock,
        *,
        formats: Sequence[ReportFormat],
        archive: ReportArchive,
        audit: AuditLog,
        alerts: Alerts,
        clock: Clock,
        actor: Actor,
        policy: Policy | None = None,
        waivers: Sequence[Waiver] = (),
    ) -> None:
        self._stock = stock
        self._formats = formats
        self._archive = archive
        self._audit = audit
        self._alerts = alerts
        self._clock = clock
        self._actor = actor
        self._policy = policy or Policy()
        self._waivers = waivers

    def __call__(self, request: ReportRequest) -> WrittenReport:
        """Write the report. Its audit event is durable before this answers; people are told of non-compliance."""
        report = build(request, self._stock(), self._policy, self._clock.now(), waivers=self._waivers)
        files = self._keep(report)
        self._record(report)
        if report.summary.non_compliant:
            self._alerts.send(f"Polyvault: {report.framework.title}: secrets do not comply", _alert(report, files))
        log.info("the report is written", extra={"report": report.id, "framework": report.framework.name})
        return WrittenReport(report, files)

    def _keep(self, report: Report) -> tuple[str, ...]:
        folder = f"reports/{report.framework.name}/{report.evaluated_at:%Y-%m-%d}/{report.id}"
        rendered = [(f"{folder}/{form.file_name}", form.render(report), form.content_type) for form in self._formats]
        manifest = {
            "reportId": report.id,
            "files": [
                {"name": key.rsplit("/", 1)[-1], "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
                for key, body, _ in rendered
            ],
        }
        body = (json.dumps(manifest, indent=2) + "\n").encode()
        rendered.append((f"{folder}/manifest.json", body, "application/json"))
        for key, content, content_type in rendered:
            self._archive.put(key, content, content_type=content_type)
        return tuple(key for key, _, _ in rendered)

    def _record(self, report: Report) -> None:
        summary = report.summary
        event = AuditEvent(
            event_id=f"report-{report.id}",
            occurred_at=report.evaluated_at,
            event_type=EventType.REPORT_WRITTEN,
            outcome=Outcome.SUCCESS,
            actor=self._actor,
            source="polyvault",
            detail={
                "report": report.id,
                "framework": report.framework.name,
                "totalSecrets": str(summary.total_secrets),
                "nonCompliant": str(summary.non_compliant),
            },
        )
        self._audit.append([event])


def _alert(report: Report, files: Sequence[str]) -> Mapping[str, object]:
    worst = [finding for finding in report.findings if finding.results][:_WORST]
    return {
        "framework": report.framework.name,
        "reportId": report.id,
        "files": list(files),
        "totalSecrets": report.summary.total_secrets,
        "nonCompliant": report.summary.non_compliant,
        "findings": [
            {
                "check": finding.check.id,
                "name": finding.check.name,
                "status": finding.status.value,
                "severity": finding.severity.word,
                "secrets": len(finding.results),
            }
            for finding in worst
        ],
    }
