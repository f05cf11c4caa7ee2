"""What the compliance function receives and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from polyvault.contracts.decoding import decode
from polyvault.domain.assessment import Summary
from polyvault.domain.frameworks import framework_named
from polyvault.domain.report import Report, ReportRequest
from polyvault.errors import InvalidInputError

SCHEDULED_FRAMEWORK = "SOC2"
SCHEDULED_PERIOD = timedelta(days=7)
_MAX_SCOPE = 20
_MAX_ENVIRONMENT = 64


class ReportOrder(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename="camel"):
    """A report on demand. Times are ISO 8601; a bare date is midnight UTC, so the day of ``end`` is outside."""

    framework: str
    start: str
    end: str
    scope: list[str] = []

    def to_request(self) -> ReportRequest:
        """The request; InvalidInputError names the field that is wrong."""
        if len(self.scope) > _MAX_SCOPE or any(not 0 < len(name) <= _MAX_ENVIRONMENT for name in self.scope):
            raise InvalidInputError("scope", f"is not at most {_MAX_SCOPE} names of 1 to {_MAX_ENVIRONMENT} characters")
        return ReportRequest(
            framework=framework_named(self.framework),
            start=_instant("start", self.start),
            end=_instant("end", self.end),
            scope=tuple(self.scope),
        )


class ScheduledEvent(msgspec.Struct, frozen=True):
    """EventBridge's event of a schedule: the report of the week that ends with it, for all environments."""

    source: str
    time: str

    def to_request(self) -> ReportRequest:
        """The request; InvalidInputError names the field that is wrong."""
        if self.source != "aws.events":
            raise InvalidInputError("source", "is not aws.events")
        end = _instant("time", self.time)
        return ReportRequest(framework_named(SCHEDULED_FRAMEWORK), end - SCHEDULED_PERIOD, end)


def report_request(event: Mapping[str, Any]) -> ReportRequest:
    """A schedule's event, which alone has a detail-type, or an order."""
    if isinstance(event, Mapping) and "detail-type" in event:
        return decode(ScheduledEvent, event).to_request()
    return decode(ReportOrder, event).to_request()


def summary_document(summary: Summary) -> dict[str, Any]:
    """The summary by the names that answers and reports use."""
    return {
        "totalSecrets": summary.total_secrets,
        "compliant": summary.compliant,
        "nonCompliant": summary.non_compliant,
        "warnings": summary.warnings,
        "notAssessed": summary.not_assessed,
        "exempt": summary.exempt,
        "notApplicable": summary.not_applicable,
        "coverage": summary.coverage,
        "outOfScope": summary.out_of_scope,
    }


def report_answer(report: Report, files: Sequence[str]) -> dict[str, Any]:
    """What the function answers; ``files`` are keys in the reports bucket."""
    return {
        "framework": report.framework.name,
        "reportId": report.id,
        "summary": summary_document(report.summary),
        "files": list(files),
    }


def _instant(path: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None:
        raise InvalidInputError(path, "is not an ISO 8601 instant")
    is_date = len(text) == len("2026-01-05") and text[4:5] == "-"
    if is_date:
        return moment.replace(tzinfo=UTC)
    if moment.tzinfo is None:
        raise InvalidInputError(path, "has no time zone")
    return moment.astimezone(UTC)
