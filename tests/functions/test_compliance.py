"""The compliance function: each event of events/compliance through the handler."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from polyvault.adapters.report_html import HtmlReport
from polyvault.adapters.report_json import JsonReport
from polyvault.domain.audit import Actor, ActorType, EventType
from polyvault.errors import InvalidInputError
from polyvault.services.inventory import TakeStock
from polyvault.services.report import WriteReport

from tests.estate import NOW, allow, policy, store_of, subject
from tests.fakes import FakeClock, RecordingAlerts, RecordingArchive, RecordingAuditLog

EVENTS = Path(__file__).resolve().parent.parent.parent / "events" / "compliance"
PUBLIC = subject("prod/public", document=policy(allow("*")))
ESTATE = store_of(subject("prod/good"), PUBLIC, subject("staging/good", environment="staging"))
REFUSED = {
    "refused-empty": "$.framework",
    "refused-unknown-framework": "framework",
    "refused-unknown-field": "$",
    "refused-no-time-zone": "start",
    "refused-no-instant": "start",
    "refused-end-before-start": "end",
    "refused-too-long": "end",
    "refused-future": "start",
    "refused-scope-is-text": "$.scope",
    "refused-empty-environment": "scope",
    "refused-foreign-schedule": "source",
}
WRITTEN = {
    "soc2": ("SOC2", 2, 1),
    "pci-dss": ("PCI-DSS", 3, 0),
    "all-environments": ("HIPAA", 3, 0),
    "bare-dates": ("ISO27001", 2, 1),
    "past-period": ("GDPR", 2, 1),
    "schedule": ("SOC2", 3, 0),
}


class Desk:
    """The handler's use case over recording fakes."""

    def __init__(self) -> None:
        self.archive = RecordingArchive()
        self.audit = RecordingAuditLog()
        self.alerts = RecordingAlerts()
        clock = FakeClock(NOW)
        self.write = WriteReport(
            TakeStock([SimpleNamespace(collect=lambda: ESTATE)], audit=self.audit, clock=clock),
            formats=(JsonReport(), HtmlReport()),
            archive=self.archive,
            audit=self.audit,
            alerts=self.alerts,
            clock=clock,
            actor=Actor("polyvault/compliance", ActorType.SERVICE),
        )

    def handle(self, name: str) -> dict[str, Any]:
        """Run the handler on a file."""
        app = importlib.import_module("functions.compliance.app")
        context = SimpleNamespace(
            function_name="compliance",
            memory_limit_in_mb=1024,
            invoked_function_arn="arn:aws:lambda:eu-west-1:111122223333:function:compliance",
            aws_request_id="request-1",
        )
        answer: dict[str, Any] = app.lambda_handler(
            json.loads((EVENTS / f"{name}.json").read_text()), context, write_report=self.write
        )
        return answer


@pytest.mark.parametrize("name", WRITTEN)
def test_a_report_is_written_and_its_files_are_answered(name: str) -> None:
    framework, total, out_of_scope = WRITTEN[name]
    desk = Desk()
    answer = desk.handle(name)

    assert answer["framework"] == framework
    assert (answer["summary"]["totalSecrets"], answer["summary"]["outOfScope"]) == (total, out_of_scope)
    assert answer["files"] == list(desk.archive.files)
    assert [key.rsplit("/", 1)[-1] for key in answer["files"]] == ["report.json", "report.html", "manifest.json"]
    assert all(f"/{answer['reportId']}/" in key for key in answer["files"])
    assert [event.event_type for event in desk.audit.events] == [EventType.REPORT_WRITTEN]
    assert json.loads(json.dumps(answer)) == answer


def test_a_bare_end_date_is_midnight_so_the_day_is_outside() -> None:
    desk = Desk()
    desk.handle("bare-dates")
    document = json.loads(next(body for body, kind in desk.archive.files.values() if kind == "application/json"))
    assert document["period"]["start"] == "2026-05-01T00:00:00Z"
    assert document["period"]["end"] == "2026-06-01T00:00:00Z"


def test_an_offset_is_shown_as_utc() -> None:
    desk = Desk()
    desk.handle("pci-dss")
    document = json.loads(next(body for body, kind in desk.archive.files.values() if kind == "application/json"))
    assert document["period"]["start"] == "2026-05-25T00:00:00Z"


def test_non_compliance_is_told_and_a_period_without_evidence_is_not() -> None:
    failing, unseen = Desk(), Desk()
    failing.handle("soc2")
    unseen.handle("past-period")
    assert [body["nonCompliant"] for _, body in failing.alerts.sent] == [1]
    assert unseen.alerts.sent == []


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_event_is_refused_by_field_and_nothing_is_written(name: str) -> None:
    desk = Desk()
    with pytest.raises(InvalidInputError) as refusal:
        desk.handle(name)
    assert refusal.value.path == REFUSED[name]
    assert desk.archive.files == {}
    assert desk.audit.events == []


@pytest.mark.parametrize("framework", ["SOC 2", "NIST-800-53", "secret-looking-value"])
def test_a_refusal_does_not_repeat_what_was_sent(framework: str) -> None:
    contract = importlib.import_module("polyvault.contracts.compliance")
    with pytest.raises(InvalidInputError) as refusal:
        contract.report_request({"framework": framework, "start": "2026-05-25", "end": "2026-06-01"})
    assert framework not in str(refusal.value)


@pytest.mark.parametrize("event", [[], None, "text", 7, {"framework": None}, {"detail-type": "Scheduled Event"}])
def test_what_is_no_event_is_refused(event: Any) -> None:
    contract = importlib.import_module("polyvault.contracts.compliance")
    with pytest.raises(InvalidInputError):
        contract.report_request(event)


def test_each_file_of_events_is_replayed_here() -> None:
    assert {path.stem for path in EVENTS.glob("*.json")} == set(WRITTEN) | set(REFUSED)
