"""The report for machines: report.json. The same report gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from polyvault.contracts.compliance import summary_document
from polyvault.domain.assessment import CheckResult, ControlResult
from polyvault.domain.checks import NAMES
from polyvault.domain.compliance import Status
from polyvault.domain.inventory import Evidence, instant, plain
from polyvault.domain.report import Finding, Report

SCHEMA = "polyvault.compliance-report/1"

type Document = dict[str, Any]


class JsonReport:
    """ReportFormat: JSON with fixed order and the field names of the guide."""

    file_name: ClassVar[str] = "report.json"
    content_type: ClassVar[str] = "application/json"

    def render(self, report: Report) -> bytes:
        """UTF-8, indented, ends with a newline."""
        return (json.dumps(_document(report), indent=2, ensure_ascii=False) + "\n").encode()


def _document(report: Report) -> Document:
    return {
        "schema": SCHEMA,
        "reportId": report.id,
        "framework": {
            "name": report.framework.name,
            "title": report.framework.title,
            "version": report.framework.version,
        },
        "period": {
            "start": instant(report.start),
            "end": instant(report.end),
            "evaluatedAt": instant(report.evaluated_at),
            "coversEvaluation": report.in_period,
        },
        "scope": {
            "environments": list(report.scope),
            "stores": [
                {
                    "store": store.store,
                    "provider": store.provider,
                    "environment": store.environment,
                    "listed": store.gap is None,
                    "reason": store.gap,
                    "error": store.error,
                }
                for store in report.stores
            ],
            "replicasCountedAtTheirPrimary": report.replicas,
        },
        "summary": summary_document(report.summary),
        "controls": [_control(result) for result in report.controls],
        "findings": [_finding(finding) for finding in report.findings],
        "policyFindings": [_finding(finding) for finding in report.policy_findings],
        "notAssessed": [_finding(finding) for finding in report.gaps],
        "recommendations": [
            {"text": item.text, "severity": item.severity.word, "checkId": item.check_id, "secrets": item.secrets}
            for item in report.recommendations
        ],
        "notAssessableFromASecretStore": list(report.framework.out_of_reach),
        "checks": {
            "run": [{"id": check.id, "name": check.name} for check in report.checks_run],
            "notRun": [{"id": check, "name": NAMES[check]} for check in report.checks_not_run],
        },
        "policy": plain(report.policy),
        "results": [_row(result) for result in report.results],
        "evidence": _evidence(report),
    }


def _control(result: ControlResult) -> Document:
    control = result.control
    return {
        "controlId": control.id,
        "title": control.title,
        "status": result.status,
        "severity": control.severity.word,
        "checkIds": list(control.checks),
        "checksNotRun": list(result.not_run),
        "counts": {status.value: result.counts[status] for status in Status if result.counts.get(status)},
        "why": list(result.caps),
        "limits": control.limits,
        "attestation": None,
    }


def _finding(finding: Finding) -> Document:
    return {
        "id": finding.id,
        "severity": finding.severity.word,
        "status": finding.status,
        "category": finding.check.category,
        "title": finding.check.name,
        "description": finding.check.description,
        "remediation": finding.check.remediation,
        "controlId": finding.controls[0] if finding.controls else None,
        "controlIds": list(finding.controls),
        "checkIds": [finding.check.id],
        "secretsAffected": list(finding.secrets_affected),
        "affected": [_row(result) for result in finding.results],
    }


def _row(result: CheckResult) -> Document:
    row: Document = {
        "checkId": result.check.id,
        "store": result.subject.store,
        "secret": result.subject.name,
        "environment": result.subject.environment,
        "status": result.status,
        "reason": result.verdict.gap,
        "threshold": result.verdict.threshold,
        "observed": result.verdict.observed,
        "evidence": [{"id": evidence.id, "sha256": evidence.sha256} for evidence in result.evidence],
    }
    if result.waiver:
        row["waiver"] = {
            "id": result.waiver.id,
            "approver": result.waiver.approver,
            "expiresAt": instant(result.waiver.expires_at),
        }
    return row


def _evidence(report: Report) -> list[Document]:
    """What the verdicts rest on: the facts themselves, so that each hash can be computed again."""
    cited: Mapping[str, Evidence[object]] = {e.id: e for result in report.results for e in result.evidence}
    return [{"id": name, "sha256": cited[name].sha256, "facts": plain(cited[name].facts)} for name in sorted(cited)]
