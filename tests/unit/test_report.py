"""A report: what it holds, that the same inputs give the same bytes, and in which order it is made known."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from polyvault.adapters.html_text import fill, join
from polyvault.adapters.report_html import HtmlReport
from polyvault.adapters.report_json import JsonReport
from polyvault.domain.audit import Actor, ActorType, EventType, Outcome
from polyvault.domain.compliance import Gap, Policy, Severity, Status, Waiver
from polyvault.domain.frameworks import FRAMEWORKS, framework_named
from polyvault.domain.inventory import RotationHistory, StoreInventory, Subject, canonical
from polyvault.domain.report import Report, ReportRequest, build
from polyvault.errors import AuditReadError, AuditWriteError, InvalidInputError, ReportError, StoreUnavailableError
from polyvault.services.inventory import TakeStock, WithoutCollector
from polyvault.services.report import WriteReport

from tests.audit_table import event
from tests.estate import NOW, ago, ahead, allow, policy, store_of, subject, tags, without
from tests.fakes import FakeClock, RecordingAlerts, RecordingArchive, RecordingAuditLog

GOOD = subject("prod/good", tags=tags(), document=None)
PUBLIC = subject("prod/public", document=policy(allow("*")))
STAGING_PUBLIC = subject("staging/public", environment="staging", document=policy(allow("*")))
STAGING_WITHOUT_KEY = subject(
    "staging/plain", environment="staging", kms_key_id=None, tags=tags(dataClass="restricted")
)
DENIED = without(subject("prod/denied"), "policy")
OLD = subject("prod/old", last_rotated_at=ago(days=100), versions=(), next_rotation_at=ahead(days=1))
WAIVERS = [Waiver("W-1", check, "aws", PUBLIC.name, "ciso", ago(days=1), ahead(days=1)) for check in ("C16", "C17")]
WEEK_AGO = ago(days=7)
ACTOR = Actor("polyvault/compliance", ActorType.SERVICE)


def asked(
    framework: str = "SOC2", *, scope: tuple[str, ...] = (), start: datetime = WEEK_AGO, end: datetime = NOW
) -> ReportRequest:
    """A request for a week that ends now."""
    return ReportRequest(framework_named(framework), start, end, scope)


def report_on(*subjects: Subject, request: ReportRequest | None = None, **more: Any) -> Report:
    """The report on one store with these secrets."""
    return build(request or asked(), [store_of(*subjects)], Policy(), NOW, **more)


class TestContent:
    def test_each_control_of_the_framework_is_there_in_its_order(self) -> None:
        for framework in FRAMEWORKS.values():
            report = report_on(GOOD, request=asked(framework.name))
            assert [result.control for result in report.controls] == list(framework.controls)

    def test_rows_of_soc_2_have_the_statuses_that_the_evidence_allows(self) -> None:
        statuses = {result.control.id: result.status for result in report_on(GOOD, PUBLIC).controls}
        assert statuses["CC6.1"] is statuses["CC6.6"] is Status.FAIL
        assert statuses["CC6.2"] is statuses["CC6.7"] is Status.WARN
        assert statuses["CC7.2"] is statuses["CC8.1"] is Status.NOT_ASSESSED
        assert statuses["CC4.1"] is Status.MANUAL

    def test_only_environments_in_scope_are_counted_and_the_rest_is_named_as_left_out(self) -> None:
        report = report_on(GOOD, PUBLIC, STAGING_PUBLIC, request=asked(scope=("prod",)))
        assert (report.summary.total_secrets, report.summary.out_of_scope) == (2, 1)
        assert {s.name for s in report.subjects} == {"prod/good", "prod/public"}

    def test_a_replica_is_counted_at_its_primary(self) -> None:
        report = report_on(GOOD, subject("replica", subject_changes={"replica": True}))
        assert (report.summary.total_secrets, report.replicas) == (1, 1)

    def test_checks_that_no_row_names_count_in_nothing(self) -> None:
        report = report_on(OLD)
        assert report.summary.compliant == 1
        assert [finding.check.id for finding in report.policy_findings] == ["C02"]
        assert report.findings == ()

    def test_a_finding_gathers_the_secrets_of_one_check_at_one_severity(self) -> None:
        without_key = subject("prod/plain", kms_key_id=None)
        report = report_on(PUBLIC, STAGING_PUBLIC, without_key, STAGING_WITHOUT_KEY)
        found = {(f.check.id, f.severity): f.secrets_affected for f in report.findings}
        assert found["C16", Severity.CRITICAL] == ("prod/public", "staging/public")
        assert found["C12", Severity.HIGH] == ("prod/plain",)
        assert found["C12", Severity.MEDIUM] == ("staging/plain",)

    def test_findings_and_advice_come_worst_first(self) -> None:
        untagged = [subject(f"prod/untagged{n}", tags=tags(owner=None)) for n in range(3)]
        report = report_on(*untagged, PUBLIC, subject("prod/plain", kms_key_id=None))
        severities = [finding.severity for finding in report.findings]
        assert severities == sorted(severities, reverse=True)
        assert report.recommendations[0].check_id == "C16"
        assert len({item.check_id for item in report.recommendations}) == len(report.recommendations)

    def test_what_could_not_be_read_is_a_gap_and_no_finding(self) -> None:
        report = report_on(DENIED)
        assert {gap.check.id for gap in report.gaps} == {"C16", "C17", "C18"}
        assert report.findings == ()
        assert report.summary.not_assessed == 1

    def test_a_store_without_a_collector_is_named_and_caps_every_control(self) -> None:
        vault = WithoutCollector("vault", "hashicorp-vault", "prod").collect()
        report = build(asked(), [store_of(GOOD), vault], Policy(), NOW)
        assert [store.store for store in report.stores if store.gap] == ["vault"]
        assert all(r.status in (Status.WARN, Status.NOT_ASSESSED, Status.MANUAL) for r in report.controls)

    def test_a_store_of_another_environment_caps_nothing(self) -> None:
        vault = WithoutCollector("vault", "hashicorp-vault", "staging").collect()
        report = build(asked(scope=("prod",)), [store_of(GOOD), vault], Policy(), NOW)
        assert [store.store for store in report.stores] == ["aws"]

    def test_an_empty_estate_scores_nothing(self) -> None:
        assert report_on().summary.coverage is None

    def test_a_waiver_shows_as_exempt(self) -> None:
        report = report_on(PUBLIC, waivers=WAIVERS)
        assert report.summary.exempt == 1
        assert report.recommendations == ()


class TestPeriod:
    def test_a_period_long_past_assesses_nothing(self) -> None:
        report = report_on(GOOD, PUBLIC, request=asked(start=ago(days=60), end=ago(days=30)))
        assert (report.in_period, report.summary.not_assessed, report.summary.coverage) == (False, 2, 0.0)
        assert {r.verdict.gap for gap in report.gaps for r in gap.results} == {Gap.WINDOW_SHORT}

    @pytest.mark.parametrize(("end", "covered"), [(ago(hours=24), False), (ago(hours=23, minutes=59), True)])
    def test_today_speaks_for_a_period_that_ended_within_a_day(self, end: datetime, covered: bool) -> None:
        assert report_on(GOOD, request=asked(end=end)).in_period is covered

    def test_an_end_in_the_future_is_shown_as_now(self) -> None:
        assert report_on(GOOD, request=asked(end=ahead(days=1))).end == NOW

    def test_a_period_that_has_not_begun_is_refused(self) -> None:
        with pytest.raises(InvalidInputError, match="start"):
            report_on(GOOD, request=asked(start=NOW, end=ahead(days=1)))

    @pytest.mark.parametrize(
        ("changes", "path"),
        [
            ({"start": datetime(2026, 1, 1)}, "start"),
            ({"end": ago(days=7)}, "end"),
            ({"end": ago(days=8)}, "end"),
            ({"end": ago(days=7) + timedelta(days=366, seconds=1)}, "end"),
            ({"scope": ("prod", "prod")}, "scope"),
        ],
    )
    def test_bad_requests_are_refused_by_field(self, changes: Mapping[str, Any], path: str) -> None:
        with pytest.raises(InvalidInputError) as refusal:
            replace(asked(), **changes)
        assert refusal.value.path == path


class TestSameInputsSameBytes:
    @pytest.mark.parametrize("form", [JsonReport(), HtmlReport()], ids=["json", "html"])
    def test_whatever_the_order_of_secrets_and_stores(self, form: Any) -> None:
        other = store_of(subject("prod/b", store="b"), subject("prod/a", store="b"), name="b")
        turned = replace(other, subjects=other.subjects[::-1])
        once = build(asked(scope=("prod", "dev")), [store_of(PUBLIC, GOOD), other], Policy(), NOW)
        again = build(asked(scope=("dev", "prod")), [turned, store_of(PUBLIC, GOOD)], Policy(), NOW)
        assert form.render(once) == form.render(again)

    @pytest.mark.parametrize(
        "changed",
        [
            lambda: report_on(GOOD, DENIED),
            lambda: report_on(GOOD, request=asked(scope=("prod",))),
            lambda: report_on(GOOD, request=asked("HIPAA")),
            lambda: build(asked(), [store_of(GOOD)], Policy(), NOW + timedelta(seconds=1)),
            lambda: build(asked(), [store_of(GOOD)], Policy(old_versions=2), NOW),
        ],
    )
    def test_another_input_is_another_report(self, changed: Any) -> None:
        assert changed().id != report_on(GOOD).id


class TestJson:
    def document(self, *subjects: Subject, **more: Any) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(JsonReport().render(report_on(*subjects, **more)))
        return loaded

    def test_the_summary_adds_up(self) -> None:
        summary = self.document(GOOD, PUBLIC, DENIED, OLD, STAGING_WITHOUT_KEY)["summary"]
        parts = ("compliant", "nonCompliant", "warnings", "notAssessed", "exempt", "notApplicable")
        assert sum(summary[part] for part in parts) == summary["totalSecrets"] == 5

    def test_a_finding_says_what_the_guide_asks_and_what_it_rests_on(self) -> None:
        finding, _ = self.document(PUBLIC)["findings"]
        assert finding["severity"] == "critical"
        assert finding["category"] == "access"
        assert finding["secretsAffected"] == ["prod/public"]
        assert (finding["controlId"], finding["controlIds"]) == ("CC6.1", ["CC6.1", "CC6.6"])
        assert finding["remediation"]
        assert finding["description"]
        (row,) = finding["affected"]
        assert (row["threshold"], row["observed"]) == ("0 statements for everybody", "1 statement for everybody")
        assert row["evidence"][0]["id"] == "policy:prod/public"

    def test_each_hash_can_be_computed_from_the_facts_beside_it(self) -> None:
        document = self.document(GOOD, PUBLIC)
        evidence = {item["id"]: item for item in document["evidence"]}
        for item in evidence.values():
            assert hashlib.sha256(canonical(item["facts"])).hexdigest() == item["sha256"]
        cited = {ref["id"] for row in document["results"] for ref in row["evidence"]}
        assert cited == set(evidence)

    def test_each_secret_has_one_row_for_each_check_that_ran(self) -> None:
        document = self.document(GOOD, DENIED)
        pairs = {(row["secret"], row["checkId"]) for row in document["results"]}
        assert len(document["results"]) == len(pairs) == 2 * len(document["checks"]["run"])

    def test_a_control_names_the_checks_that_did_not_run(self) -> None:
        rows = {row["controlId"]: row for row in self.document(GOOD)["controls"]}
        assert rows["CC6.1"]["checksNotRun"] == ["C19", "C20", "C32", "C34"]
        assert rows["CC4.1"]["attestation"] is None

    def test_it_says_what_no_secret_store_can_show(self) -> None:
        assert any("CC1" in line for line in self.document()["notAssessableFromASecretStore"])

    def test_a_waived_row_names_its_waiver(self) -> None:
        finding, _ = self.document(PUBLIC, waivers=WAIVERS)["findings"]
        assert finding["affected"][0]["waiver"]["id"] == "W-1"


class FixedInventory:
    """Answers what it was given."""

    def __init__(self, found: StoreInventory | Exception) -> None:
        self._found = found

    def collect(self) -> StoreInventory:
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


class Desk:
    """The use case over recording fakes."""

    def __init__(self, *subjects: Subject, found: StoreInventory | Exception | None = None) -> None:
        self.clock = FakeClock(NOW)
        self.archive = RecordingArchive()
        self.audit = RecordingAuditLog()
        self.alerts = RecordingAlerts()
        inventory = FixedInventory(found or store_of(*subjects))
        self.write = WriteReport(
            TakeStock([inventory], audit=self.audit, clock=self.clock),
            formats=(JsonReport(), HtmlReport()),
            archive=self.archive,
            audit=self.audit,
            alerts=self.alerts,
            clock=self.clock,
            actor=ACTOR,
        )


class TestWriting:
    def test_files_lie_under_framework_day_and_id_with_a_manifest_that_names_their_hashes(self) -> None:
        desk = Desk(GOOD)
        written = desk.write(asked())
        folder = f"reports/SOC2/2026-06-01/{written.report.id}/"
        assert written.files == (f"{folder}report.json", f"{folder}report.html", f"{folder}manifest.json")
        assert tuple(desk.archive.files) == written.files
        manifest = json.loads(desk.archive.files[written.files[-1]][0])
        assert [item["name"] for item in manifest["files"]] == ["report.json", "report.html"]
        for item in manifest["files"]:
            body, _ = desk.archive.files[folder + item["name"]]
            assert (item["sha256"], item["bytes"]) == (hashlib.sha256(body).hexdigest(), len(body))

    def test_the_page_names_the_hash_of_the_document_that_it_shows(self) -> None:
        desk = Desk(GOOD)
        document, page, _ = desk.write(asked()).files
        assert hashlib.sha256(desk.archive.files[document][0]).hexdigest().encode() in desk.archive.files[page][0]

    def test_it_is_an_audit_event(self) -> None:
        desk = Desk(PUBLIC)
        written = desk.write(asked())
        (recorded,) = desk.audit.events
        assert (recorded.event_type, recorded.outcome, recorded.actor) == (
            EventType.REPORT_WRITTEN,
            Outcome.SUCCESS,
            ACTOR,
        )
        assert recorded.detail["report"] == written.report.id

    def test_without_a_durable_audit_event_it_does_not_answer(self) -> None:
        desk = Desk(PUBLIC)
        desk.audit.failure = AuditWriteError("the table is away")
        with pytest.raises(AuditWriteError):
            desk.write(asked())
        assert desk.alerts.sent == []

    def test_people_are_told_of_non_compliance_only(self) -> None:
        good, bad = Desk(GOOD), Desk(PUBLIC)
        good.write(asked())
        bad.write(asked())
        assert good.alerts.sent == []
        ((subject_line, body),) = bad.alerts.sent
        assert "SOC 2" in subject_line
        assert body["nonCompliant"] == 1
        assert json.dumps(body)

    def test_a_file_that_cannot_be_kept_fails_the_report(self) -> None:
        desk = Desk(GOOD)

        def refuse(key: str, body: bytes, *, content_type: str) -> str:
            raise ReportError("the bucket is away")

        desk.archive.put = refuse  # type: ignore[method-assign]
        with pytest.raises(ReportError):
            desk.write(asked())
        assert desk.audit.events == []

    def test_a_store_that_does_not_answer_fails_the_report_and_writes_nothing(self) -> None:
        away = StoreUnavailableError("away", store="aws", provider="aws-secrets-manager", operation="ListSecrets")
        desk = Desk(found=away)
        with pytest.raises(StoreUnavailableError):
            desk.write(asked())
        assert desk.archive.files == {}

    def test_a_store_that_may_not_be_listed_is_reported_as_such(self) -> None:
        closed = StoreInventory("aws", "aws-secrets-manager", "prod", gap=Gap.PERMISSION_DENIED, error="AccessDenied")
        written = Desk(found=closed).write(asked())
        assert written.report.summary.coverage is None
        assert {r.status for r in written.report.controls} == {Status.NOT_ASSESSED, Status.MANUAL}


class TestRotationHistory:
    def history(self, *events: Any, made: Subject | None = None, failure: Exception | None = None) -> Any:
        audit = RecordingAuditLog()
        audit.append(events)
        if failure:

            def refuse(*_: Any, **__: Any) -> Any:
                raise failure

            audit.for_secret = refuse  # type: ignore[method-assign]
        stock = TakeStock([FixedInventory(store_of(made or GOOD))], audit=audit, clock=FakeClock(NOW))
        return stock()[0].subjects[0].rotations

    def test_the_latest_outcome_of_each_kind_is_found_over_all_pages(self) -> None:
        reads = [event(f"r{n}", ago(hours=n / 10), secret=GOOD.name) for n in range(150)]
        failed = event("f", ago(days=9), secret=GOOD.name, event_type=EventType.ROTATION_FAILED)
        older = event("o", ago(days=9, hours=2), secret=GOOD.name, event_type=EventType.ROTATION_FAILED)
        succeeded = event("s", ago(days=9, hours=1), secret=GOOD.name, event_type=EventType.ROTATION_SUCCEEDED)
        found = self.history(*reads, failed, older, succeeded).read()
        assert found == RotationHistory(ago(days=10, hours=1), ago(days=9, hours=1), ago(days=9))

    def test_a_log_that_cannot_be_read_is_a_gap(self) -> None:
        found = self.history(failure=AuditReadError("away"))
        assert (found.facts, found.gap, found.error) == (None, Gap.DATA_MISSING, "audit-read")

    def test_no_more_than_a_month_is_asked_for(self) -> None:
        for rotated in (ago(days=300), None):
            assert self.history(made=subject(last_rotated_at=rotated)).read().since == ago(days=30)

    def test_a_secret_that_does_not_rotate_is_not_asked_about(self) -> None:
        quiet = subject("quiet", rotation_enabled=False)
        assert self.history(made=quiet, failure=AssertionError("asked")).id == "rotations:quiet"


HOSTILE = (
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "<svg/onload=alert(1)>",
    "<iframe src=//evil.example>",
    "<a href=javascript:alert(1)>x</a>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<form action=//evil.example><input name=x>",
    "<!--", "-->", "<![CDATA[", "]]>", "</title><script>alert(1)</script>",
    "&lt;script&gt;", "&#60;script&#62;", "&amp;", "{0}", "{title}", "{summary.__class__}", "%s", "${x}",
    "a\x00b", "\x1b[31mred", "line\nbreak", "\u202egnp.exe", "\u2028", "<\x00script>",
    "<math><mtext></mtext><script>alert(1)</script></math>",
    "x" * 600,
)  # fmt: skip


class TestPage:
    @pytest.mark.parametrize("text", HOSTILE)
    def test_hostile_text_never_becomes_markup(self, text: str) -> None:
        clean = self.shape(self.page("name"))
        assert self.shape(self.page(text)) == clean

    def page(self, text: str) -> str:
        """A page with the text wherever text from outside can stand."""
        public = replace(PUBLIC, name=text, environment=text)
        denied = without(replace(GOOD, name=text + "2", environment=text), "policy")
        denied = replace(denied, policy=replace(denied.policy, id=text, error=text))
        waived = subject("w" + text, kms_key_id=None)
        waiver = Waiver(text, "C12", "aws", waived.name, text, ago(days=1), ahead(days=1))
        closed = StoreInventory(text, text, "prod", gap=Gap.PERMISSION_DENIED, error=text)
        stores = [store_of(public, denied, waived), closed]
        rules = Policy(replica_regions=frozenset({text}), trusted_parties=frozenset({text}))
        return HtmlReport().render(build(asked(), stores, rules, NOW, waivers=[waiver])).decode()

    @staticmethod
    def shape(page: str) -> list[str]:
        """Its tags with their attributes' names, in order, without what is shown."""
        return [re.sub(r'="[^"]*"', "=", tag) for tag in re.findall(r"<[^>]*>", page)]

    def test_text_in_an_attribute_cannot_leave_it(self) -> None:
        filled = fill('<i title="{text}">', text="\" onmouseover='x'")
        assert filled == '<i title="&quot; onmouseover=&#x27;x&#x27;">'

    def test_markup_is_made_by_templates_only(self) -> None:
        assert join(["<b>", fill("<i>{text}</i>", text="<u>")]) == "&lt;b&gt;<i>&lt;u&gt;</i>"

    def test_no_control_character_stays(self) -> None:
        page = self.page("a\x00b\x1b\u202e\u2028")
        assert all(character.isprintable() or character == "\n" for character in page)

    def test_nothing_runs_and_nothing_is_fetched(self) -> None:
        page = self.page("name")
        assert not re.search(
            r"<(script|img|link|iframe|object|embed|base|form)\b|\bon\w+=|style=|url\(|@import|https?:", page
        )
        policy_text = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
        assert policy_text
        assert policy_text[1].startswith(
            "default-src &#x27;none&#x27;" if "&#x27;" in policy_text[1] else "default-src 'none'"
        )

    def test_statuses_are_words(self) -> None:
        page = HtmlReport().render(report_on(GOOD, PUBLIC, DENIED, OLD)).decode()
        for word in ("Fail", "Warning", "Not assessed", "Manual", "Critical", "Not compliant", "Compliant"):
            assert f">{word}<" in page

    def test_a_large_estate_is_cut_and_says_so(self) -> None:
        many = [subject(f"prod/s{n:04}", document=policy(allow("*"))) for n in range(600)]
        page = HtmlReport().render(report_on(*many)).decode()
        assert "550 more in report.json." in page
        assert "100 more in report.json." in page
        assert "and 597 more" in page

    def test_an_empty_estate_and_each_framework_render(self) -> None:
        for name in FRAMEWORKS:
            page = HtmlReport().render(build(asked(name), [], Policy(), NOW)).decode()
            assert "no secrets" in page
            assert page.endswith("</html>\n")

    def test_a_past_period_says_why_nothing_is_assessed(self) -> None:
        request = asked(start=ago(days=60), end=ago(days=30))
        assert "no inventory of that time is kept" in HtmlReport().render(report_on(GOOD, request=request)).decode()
