"""From verdicts to controls and counts: what caps a control, what a secret counts as, what a waiver does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polyvault.domain.assessment import CheckResult, ControlResult, assess, coverage, evaluate, summarise
from polyvault.domain.checks import CHECKS
from polyvault.domain.compliance import Gap, Policy, Severity, Status, Verdict, Waiver
from polyvault.domain.frameworks import FRAMEWORKS, framework_named
from polyvault.domain.frameworks.framework import Control, control
from polyvault.domain.inventory import StoreInventory, Subject
from polyvault.errors import InvalidInputError, ReportError

from tests.estate import EVIDENCE, NOW, ago, ahead, store_of, subject, tags, without

BY_ID = {check.id: check for check in CHECKS}
IMPLEMENTED = frozenset(BY_ID)
POLICY = Policy()
AUTOMATIC = control("X.1", "keys and access", "C12 C16", "A", "high")
PARTLY = control("X.2", "keys and access", "C12 C16", "P", "high")
UNSEEN = StoreInventory("other", "hashicorp-vault", "prod", gap=Gap.DATA_MISSING, error="no inventory")

GOOD = subject("good")
BAD = subject("bad", kms_key_id=None)
DENIED = without(subject("denied"), *EVIDENCE)


def waiver(check: str = "C12", secret: str = BAD.name, *, until: timedelta = timedelta(days=30)) -> Waiver:
    """A waiver granted ten days ago."""
    return Waiver("W-1", check, "aws", secret, "ciso", ago(days=10), NOW + until)


def assessed(
    which: Control, *subjects: Subject, waivers: tuple[Waiver, ...] = (), stores: tuple[StoreInventory, ...] = ()
) -> ControlResult:
    """The control over these secrets."""
    results = evaluate(subjects, CHECKS, POLICY, NOW, waivers=waivers)
    return assess(which, results, IMPLEMENTED, stores or (store_of(*subjects),))


class TestControls:
    def test_all_good_passes_when_the_checks_are_the_whole_evidence(self) -> None:
        assert assessed(AUTOMATIC, GOOD).status is Status.PASS

    def test_one_failure_fails(self) -> None:
        assert assessed(AUTOMATIC, GOOD, BAD, DENIED).status is Status.FAIL

    def test_one_secret_that_was_not_seen_caps_it_as_partial(self) -> None:
        result = assessed(AUTOMATIC, GOOD, DENIED)
        assert result.status is Status.WARN
        assert "partial" in result.caps[0]

    def test_denied_everywhere_is_not_assessed_and_never_a_pass(self) -> None:
        assert assessed(AUTOMATIC, DENIED).status is Status.NOT_ASSESSED

    def test_what_applies_to_no_secret_is_not_applicable(self) -> None:
        assert (
            assessed(AUTOMATIC, subject(subject_changes={"deletion_scheduled": True})).status is Status.NOT_APPLICABLE
        )

    def test_an_estate_without_secrets_is_not_applicable_and_one_that_was_not_listed_is_not_assessed(self) -> None:
        assert assessed(AUTOMATIC).status is Status.NOT_APPLICABLE
        assert assessed(AUTOMATIC, stores=(UNSEEN,)).status is Status.NOT_ASSESSED

    def test_a_store_that_was_not_listed_caps_it(self) -> None:
        assert assessed(AUTOMATIC, GOOD, stores=(store_of(GOOD), UNSEEN)).status is Status.WARN

    def test_a_check_without_code_caps_it_and_is_named(self) -> None:
        result = assessed(control("X", "t", "C12 C19", "A", "high"), GOOD)
        assert (result.status, result.not_run) == (Status.WARN, ("C19",))
        assert "C19" in result.caps[0]

    def test_only_checks_without_code_are_not_assessed(self) -> None:
        assert assessed(control("X", "t", "C19 D9", "A", "high"), GOOD).status is Status.NOT_ASSESSED

    def test_the_automatic_part_alone_is_no_pass(self) -> None:
        result = assessed(PARTLY, GOOD)
        assert result.status is Status.WARN
        assert result.caps == ("automatic part only: no attestation is stored",)

    @pytest.mark.parametrize("automation", ["M", "P"])
    def test_a_control_without_a_check_is_for_people(self, automation: str) -> None:
        assert assessed(control("X", "t", "", automation, "none"), GOOD).status is Status.MANUAL

    def test_a_waived_failure_caps_it(self) -> None:
        result = assessed(AUTOMATIC, GOOD, BAD, waivers=(waiver(),))
        assert result.status is Status.WARN
        assert result.counts[Status.EXEMPT] == 1

    def test_a_warning_is_a_warning(self) -> None:
        old = subject(last_rotated_at=ago(days=80), versions=())
        assert assessed(control("X", "t", "C02", "A", "high"), old).status is Status.WARN

    def test_age_counts_for_pci_8_6_3_only_with_a_stored_risk_analysis(self) -> None:
        (pci,) = (c for c in FRAMEWORKS["PCI-DSS"].controls if c.ids == ("8.6.3",))
        old = subject(last_rotated_at=ago(days=400), created_at=ago(days=400), versions=())
        rows = {row.check.id: row.status for row in assessed(pci, old).results}
        assert rows["C02"] is rows["C04"] is Status.NOT_ASSESSED
        assert rows["C01"] is Status.PASS

    def test_pci_8_3_9_is_about_user_passwords_only(self) -> None:
        (pci,) = (c for c in FRAMEWORKS["PCI-DSS"].controls if c.ids == ("8.3.9",))
        assert assessed(pci, GOOD).status is Status.NOT_APPLICABLE
        assert assessed(pci, subject(tags=tags(rotationClass="user-password"))).status is Status.PASS


class TestWaivers:
    def status(self, *waivers: Waiver) -> CheckResult:
        (result,) = evaluate([BAD], [BY_ID["C12"]], POLICY, NOW, waivers=waivers)
        return result

    def test_it_turns_the_failure_into_an_exemption_that_names_it(self) -> None:
        result = self.status(waiver())
        assert (result.status, result.waiver) == (Status.EXEMPT, waiver())

    @pytest.mark.parametrize(("until", "status"), [(timedelta(seconds=1), Status.EXEMPT), (timedelta(0), Status.FAIL)])
    def test_it_ends_at_its_instant_and_the_failure_is_back_with_its_history(
        self, until: timedelta, status: Status
    ) -> None:
        result = self.status(waiver(until=until))
        assert result.status is status
        assert ("W-1" in result.verdict.observed) == (status is Status.FAIL)

    def test_another_secret_or_check_is_not_waived(self) -> None:
        assert self.status(waiver(secret="good"), waiver(check="C16")).status is Status.FAIL

    def test_one_that_is_not_granted_yet_waives_nothing(self) -> None:
        assert self.status(replace(waiver(), granted_at=ahead(days=1))).status is Status.FAIL

    def test_it_waives_failures_only(self) -> None:
        (result,) = evaluate([GOOD], [BY_ID["C12"]], POLICY, NOW, waivers=[waiver(secret="good")])
        assert result.status is Status.PASS

    @pytest.mark.parametrize("days", [0, -1, 366])
    def test_it_lasts_a_year_at_most(self, days: int) -> None:
        with pytest.raises(InvalidInputError, match="expiresAt"):
            Waiver("W", "C12", "aws", "s", "ciso", NOW, ahead(days=days))

    def test_its_instants_have_a_time_zone(self) -> None:
        with pytest.raises(InvalidInputError, match="expiresAt"):
            replace(waiver(), expires_at=waiver().expires_at.replace(tzinfo=None))

    def test_it_has_an_approver(self) -> None:
        with pytest.raises(InvalidInputError, match="approver"):
            replace(waiver(), approver="")


class TestSummary:
    @given(st.lists(st.lists(st.sampled_from([s for s in Status if s is not Status.MANUAL]), min_size=3, max_size=3)))
    def test_the_counts_are_a_partition_whatever_the_verdicts(self, estate: list[list[Status]]) -> None:
        subjects = [subject(f"s{number}") for number in range(len(estate))]
        rows = [
            CheckResult(check, made, self.verdict(status), Severity.HIGH)
            for made, statuses in zip(subjects, estate, strict=True)
            for check, status in zip(CHECKS, statuses, strict=False)
        ]
        counts = summarise(subjects, rows, out_of_scope=0)
        parts = (counts.compliant, counts.non_compliant, counts.warnings)
        parts += (counts.not_assessed, counts.exempt, counts.not_applicable)
        assert sum(parts) == counts.total_secrets == len(estate)
        assert counts.non_compliant == sum(Status.FAIL in statuses for statuses in estate)
        assert counts.compliant == sum(
            set(s) <= {Status.PASS, Status.NOT_APPLICABLE} and Status.PASS in s for s in estate
        )

    @staticmethod
    def verdict(status: Status) -> Verdict:
        return Verdict(status, "seen", gap=Gap.DATA_MISSING if status is Status.NOT_ASSESSED else None)

    @pytest.mark.parametrize(
        ("statuses", "field"),
        [
            ((Status.FAIL, Status.WARN, Status.NOT_ASSESSED), "non_compliant"),
            ((Status.WARN, Status.NOT_ASSESSED, Status.PASS), "warnings"),
            ((Status.NOT_ASSESSED, Status.EXEMPT, Status.PASS), "not_assessed"),
            ((Status.EXEMPT, Status.PASS, Status.NOT_APPLICABLE), "exempt"),
            ((Status.PASS, Status.NOT_APPLICABLE, Status.NOT_APPLICABLE), "compliant"),
            ((Status.NOT_APPLICABLE,) * 3, "not_applicable"),
        ],
    )
    def test_the_worst_verdict_decides_in_the_documented_order(self, statuses: tuple[Status, ...], field: str) -> None:
        rows = [CheckResult(c, GOOD, self.verdict(s), Severity.LOW) for c, s in zip(CHECKS, statuses, strict=False)]
        assert getattr(summarise([GOOD], rows, out_of_scope=0), field) == 1

    def test_a_secret_that_lacks_a_row_is_an_error_and_not_a_pass(self) -> None:
        rows = evaluate([GOOD, BAD], CHECKS, POLICY, NOW)
        with pytest.raises(ReportError):
            summarise([GOOD, BAD], rows[:-1], out_of_scope=0)

    def test_a_secret_counted_twice_is_an_error(self) -> None:
        with pytest.raises(ReportError):
            summarise([GOOD, GOOD], evaluate([GOOD], CHECKS, POLICY, NOW), out_of_scope=0)

    def test_counts_that_do_not_add_up_are_refused(self) -> None:
        whole = summarise([GOOD], evaluate([GOOD], CHECKS, POLICY, NOW), out_of_scope=0)
        with pytest.raises(ReportError):
            replace(whole, total_secrets=2)

    def test_coverage_is_what_was_assessed_of_what_applies(self) -> None:
        assert coverage([Status.PASS, Status.FAIL, Status.NOT_ASSESSED, Status.NOT_APPLICABLE]) == 66.6
        assert coverage([Status.PASS] * 1999 + [Status.NOT_ASSESSED]) == 99.9

    def test_an_estate_that_was_never_looked_at_scores_nothing(self) -> None:
        assert coverage([]) is None
        assert coverage([Status.NOT_ASSESSED] * 9) == 0.0


class TestEvaluation:
    def test_each_secret_gets_one_row_for_each_check_whatever_could_be_read(self) -> None:
        results = evaluate([GOOD, BAD, DENIED], CHECKS, POLICY, NOW)
        assert len({(r.subject.id, r.check.id) for r in results}) == len(results) == 3 * len(CHECKS)

    def test_a_secret_on_its_way_out_is_not_judged(self) -> None:
        for changes in ({"deletion_scheduled": True}, {"gone": True}):
            results = evaluate([subject(kms_key_id=None, subject_changes=changes)], CHECKS, POLICY, NOW)
            assert {r.status for r in results} == {Status.NOT_APPLICABLE}

    def test_todays_state_is_no_evidence_of_another_period(self) -> None:
        results = evaluate([GOOD, BAD], CHECKS, POLICY, NOW, in_period=False)
        assert {(r.status, r.verdict.gap) for r in results} == {(Status.NOT_ASSESSED, Gap.WINDOW_SHORT)}

    def test_evidence_is_named_by_id_and_hash(self) -> None:
        (result,) = evaluate([GOOD], [BY_ID["C02"]], POLICY, NOW)
        assert [(e.id, len(e.sha256)) for e in result.evidence] == [("describe:good", 64), ("versions:good", 64)]

    def test_evidence_that_was_not_read_is_not_cited(self) -> None:
        (result,) = evaluate([DENIED], [BY_ID["C02"]], POLICY, NOW)
        assert result.evidence == ()


class TestFrameworks:
    SOC2 = "CC4.1 CC6.1 CC6.2 CC6.3 CC6.6 CC6.7 CC6.8 CC7.1 CC7.2 CC7.3 CC7.4 CC8.1 A1.2 A1.3 C1.1 C1.2"

    def test_soc_2_has_its_criteria_and_no_others(self) -> None:
        assert [i for c in FRAMEWORKS["SOC2"].controls for i in c.ids] == self.SOC2.split()

    def test_soc_2_is_evidenced_by_at_least_ten_checks_that_run(self) -> None:
        asked = {check for c in FRAMEWORKS["SOC2"].controls for check in c.checks}
        assert len(asked & IMPLEMENTED) >= 10

    def test_rotation_is_no_evidence_for_encryption(self) -> None:
        """Faults 1 and 2 of others: a row on keys or on age that looks at whether rotation is on."""
        rows = {c.ids: c.checks for c in FRAMEWORKS["PCI-DSS"].controls}
        assert "C01" not in rows["3.6.1.2",]
        assert "C01" not in rows["8.3.2",]
        assert "C02" in rows["8.6.3",]
        assert "C02" in rows["8.3.9",]

    @pytest.mark.parametrize("name", ["", "soc2", "SOC 2", "NIST", "../SOC2"])
    def test_another_framework_is_refused_by_field(self, name: str) -> None:
        with pytest.raises(InvalidInputError) as refusal:
            framework_named(name)
        assert refusal.value.path == "framework"
        assert name not in refusal.value.reason.replace("SOC2", "") or not name


def test_a_gap_goes_with_not_assessed_only() -> None:
    with pytest.raises(InvalidInputError):
        Verdict(Status.PASS, "seen", gap=Gap.DATA_MISSING)
    with pytest.raises(InvalidInputError):
        Verdict(Status.NOT_ASSESSED, "not seen")
