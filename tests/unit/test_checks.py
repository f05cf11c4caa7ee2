"""Each check: what passes, what fails, the boundary as written, and evidence that is not there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from polyvault.domain.assessment import evaluate
from polyvault.domain.checks import CHECKS, NAMES
from polyvault.domain.compliance import Gap, Policy, Severity, Status
from polyvault.domain.inventory import EncryptionKey, Replica, RotationHistory, Subject

from tests.estate import (
    EVIDENCE,
    GOOD_KEY,
    GOOD_VERSIONS,
    NOW,
    OTHER_ACCOUNT,
    OWN_ACCOUNT,
    ago,
    ahead,
    allow,
    policy,
    subject,
    tags,
    version,
    without,
)

BY_ID = {check.id: check for check in CHECKS}
SECOND = timedelta(seconds=1)
POLICY = Policy()
TRUSTING = Policy(trusted_parties=frozenset({OTHER_ACCOUNT, "o-abcdefghij"}))
ORGANISATION = {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}
OTHER = f"arn:aws:iam::{OTHER_ACCOUNT}:root"
FROM_ENDPOINT = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "secretsmanager:GetSecretValue",
    "Resource": "*",
    "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-0123456789abcdef0"}},
}
RESTRICTED = tags(dataClass="restricted")


def status_of(check_id: str, made: Subject, rules: Policy = POLICY, now: datetime = NOW) -> Status:
    """The verdict's status as the engine gives it."""
    (result,) = evaluate([made], [BY_ID[check_id]], rules, now)
    return result.status


def aged(check_age: timedelta, **more: object) -> Subject:
    """A secret whose current value was written so long ago, and never rotated by the vault."""
    current = version("v2", NOW - check_age, "AWSCURRENT")
    return subject(versions=(current,), last_rotated_at=None, created_at=ago(days=2000), **more)


def test_the_good_secret_passes_or_does_not_concern_each_check() -> None:
    statuses = {check.id: status_of(check.id, subject()) for check in CHECKS}

    assert {check for check, status in statuses.items() if status is not Status.PASS} == {"C08", "C26"}
    assert statuses["C08"] is statuses["C26"] is Status.NOT_APPLICABLE


class TestRotationConfigured:
    def test_a_secret_that_nothing_rotates_fails(self) -> None:
        assert status_of("C01", subject(rotation_enabled=False, rotation_schedule=None)) is Status.FAIL

    def test_a_polyvault_policy_counts(self) -> None:
        by_policy = tags() | {"polyvault:policy": "monthly", "polyvault:rotationInterval": "30"}
        assert status_of("C01", subject(rotation_enabled=False, tags=by_policy)) is Status.PASS

    @pytest.mark.parametrize("days", ["", "0", "-30", "soon", "99999", "٣٠"])
    def test_a_polyvault_policy_without_a_real_interval_does_not(self, days: str) -> None:
        by_policy = tags() | {"polyvault:policy": "monthly", "polyvault:rotationInterval": days}
        assert status_of("C01", subject(rotation_enabled=False, tags=by_policy)) is Status.FAIL

    def test_a_class_that_people_rotate_is_not_asked(self) -> None:
        by_hand = subject(rotation_enabled=False, tags=tags(rotationClass="manual"))
        assert status_of("C01", by_hand) is Status.NOT_APPLICABLE

    def test_an_unknown_class_is_asked(self) -> None:
        assert status_of("C01", subject(rotation_enabled=False, tags=tags(rotationClass="no-idea"))) is Status.FAIL

    def test_a_service_owned_secret_is_its_owners(self) -> None:
        assert status_of("C01", subject(rotation_enabled=False, owning_service="rds")) is Status.PASS


class TestRotationAge:
    @pytest.mark.parametrize(
        ("old", "status"),
        [
            (timedelta(days=72) - SECOND, Status.PASS),
            (timedelta(days=72), Status.WARN),
            (timedelta(days=90), Status.WARN),
            (timedelta(days=90) + SECOND, Status.FAIL),
        ],
    )
    def test_the_age_warns_from_four_fifths_and_fails_past_the_whole(self, old: timedelta, status: Status) -> None:
        assert status_of("C02", aged(old)) is status

    def test_the_class_decides_how_old(self) -> None:
        assert status_of("C02", aged(timedelta(days=200), tags=tags(rotationClass="signing-key"))) is Status.PASS
        assert status_of("C02", aged(timedelta(days=366), tags=tags(rotationClass="signing-key"))) is Status.FAIL

    def test_a_secret_without_a_class_is_judged_by_the_strictest(self) -> None:
        assert status_of("C02", aged(timedelta(days=91), tags={})) is Status.FAIL

    def test_a_pending_version_left_over_makes_nothing_young(self) -> None:
        leftover = version("v3", ago(hours=1), "AWSPENDING")
        old = aged(timedelta(days=400))
        old = replace(old, versions=replace(old.versions, facts=replace(old.versions.read(), versions=(leftover,))))
        assert status_of("C02", old) is Status.FAIL

    def test_a_value_written_by_hand_counts_as_new(self) -> None:
        written = (version("v9", ago(days=1), "AWSCURRENT"),)
        assert status_of("C02", subject(last_rotated_at=ago(days=400), versions=written)) is Status.PASS

    def test_a_service_owned_secret_is_judged_by_its_owners_schedule(self) -> None:
        owned = {"owning_service": "rds", "rotation_schedule": "rate(7 days)"}
        assert status_of("C02", aged(timedelta(days=8), **owned)) is Status.WARN
        assert status_of("C02", aged(timedelta(days=9), **owned)) is Status.FAIL

    def test_a_service_owned_secret_without_a_schedule_is_not_assessed(self) -> None:
        assert status_of("C02", subject(owning_service="rds", rotation_schedule=None)) is Status.NOT_ASSESSED

    def test_a_secret_without_any_date_is_not_assessed(self) -> None:
        dateless = subject(created_at=None, last_rotated_at=None, versions=(version("v", None, "AWSCURRENT"),))
        assert status_of("C02", dateless) is Status.NOT_ASSESSED


class TestRotationOnSchedule:
    @pytest.mark.parametrize(
        ("due", "status"),
        [(ago(hours=24), Status.PASS), (ago(hours=24, seconds=1), Status.FAIL), (ahead(days=1), Status.PASS)],
    )
    def test_a_day_of_delay_is_allowed_and_a_second_more_is_not(self, due: datetime, status: Status) -> None:
        assert status_of("C03", subject(next_rotation_at=due)) is status

    def test_a_failure_after_the_last_success_fails(self) -> None:
        history = RotationHistory(ago(days=30), ago(days=10), ago(days=9))
        assert status_of("C03", subject(history=history)) is Status.FAIL

    def test_a_failure_that_was_made_good_passes(self) -> None:
        history = RotationHistory(ago(days=30), ago(days=10), ago(days=10, minutes=1))
        assert status_of("C03", subject(history=history)) is Status.PASS

    def test_a_log_that_missed_the_last_rotation_vouches_for_nothing(self) -> None:
        (result,) = evaluate([subject(history=RotationHistory(ago(days=30), None, None))], [BY_ID["C03"]], POLICY, NOW)
        assert (result.status, result.verdict.gap) == (Status.NOT_ASSESSED, Gap.SOURCE_DISABLED)

    def test_a_log_that_begins_after_the_last_rotation_need_not_hold_it(self) -> None:
        quiet = RotationHistory(ago(days=5), None, None)
        assert status_of("C03", subject(history=quiet)) is Status.PASS

    def test_being_overdue_fails_even_when_the_log_is_closed(self) -> None:
        assert status_of("C03", without(subject(next_rotation_at=ago(days=9)), "rotations")) is Status.FAIL

    def test_a_secret_without_a_schedule_is_not_asked(self) -> None:
        assert status_of("C03", subject(rotation_enabled=False)) is Status.NOT_APPLICABLE

    def test_a_schedule_without_a_date_is_not_assessed(self) -> None:
        assert status_of("C03", subject(next_rotation_at=None)) is Status.NOT_ASSESSED


class TestIntervalWithinPolicy:
    @pytest.mark.parametrize(
        ("schedule", "status"),
        [
            ("rate(90 days)", Status.PASS),
            ("rate(91 days)", Status.FAIL),
            ("rate(400 days)", Status.FAIL),
            ("cron(0 3 1 * ? *)", Status.PASS),
            ("cron(0 3 1 1/6 ? *)", Status.FAIL),
            ("cron(not a schedule)", Status.NOT_ASSESSED),
            (None, Status.NOT_ASSESSED),
        ],
    )
    def test_the_longest_interval_counts(self, schedule: str | None, status: Status) -> None:
        assert status_of("C04", subject(rotation_schedule=schedule)) is status

    def test_a_polyvault_policy_has_an_interval_too(self) -> None:
        by_policy = tags() | {"polyvault:policy": "slow", "polyvault:rotationInterval": "91"}
        assert status_of("C04", subject(rotation_enabled=False, tags=by_policy)) is Status.FAIL

    def test_no_schedule_and_a_foreign_owner_are_not_asked(self) -> None:
        assert status_of("C04", subject(rotation_enabled=False)) is Status.NOT_APPLICABLE
        assert status_of("C04", subject(owning_service="rds")) is Status.NOT_APPLICABLE


class TestExpiryHorizon:
    @pytest.mark.parametrize(
        ("expires", "status"),
        [
            (ahead(days=165), Status.PASS),
            (ahead(days=165, seconds=1), Status.FAIL),
            (ahead(days=36500), Status.FAIL),
            (ago(days=1), Status.FAIL),
            (NOW, Status.FAIL),
        ],
    )
    def test_only_a_date_ahead_and_within_a_year_of_creation_passes(self, expires: datetime, status: Status) -> None:
        assert status_of("C08", subject(tags=tags() | {"polyvault:expiresAt": expires.isoformat()})) is status

    @pytest.mark.parametrize("text", ["", "never", "2026-07-01", "2026-07-01T00:00:00"])
    def test_a_tag_that_is_no_instant_fails(self, text: str) -> None:
        assert status_of("C08", subject(tags=tags() | {"polyvault:expiresAt": text})) is Status.FAIL


class TestVersionSprawl:
    @pytest.mark.parametrize(
        ("extra", "status"),
        [
            ((), Status.PASS),
            ((version("v0", ago(days=30), "rollback"),), Status.PASS),
            ((version("v0", ago(days=30, seconds=1), "rollback"),), Status.FAIL),
            ((version("v0", ago(days=300)),), Status.PASS),
        ],
    )
    def test_one_old_labelled_version_may_stay(self, extra: tuple[object, ...], status: Status) -> None:
        assert status_of("C11", subject(versions=(*GOOD_VERSIONS, *extra))) is status

    def test_a_labelled_version_without_a_date_is_not_assessed(self) -> None:
        assert status_of("C11", subject(versions=(version("v0", None, "rollback"),))) is Status.NOT_ASSESSED


class TestCustomerManagedKey:
    DEFAULT = (None, "alias/aws/secretsmanager", f"arn:aws:kms:eu-west-1:{OWN_ACCOUNT}:alias/aws/secretsmanager")

    @pytest.mark.parametrize("key_id", DEFAULT)
    def test_the_default_key_fails_in_production(self, key_id: str | None) -> None:
        assert status_of("C12", subject(kms_key_id=key_id)) is Status.FAIL

    def test_the_default_key_fails_for_restricted_data_anywhere(self) -> None:
        elsewhere = subject(environment="dev", kms_key_id=None, tags=RESTRICTED)
        assert status_of("C12", elsewhere) is Status.FAIL
        assert status_of("C12", subject(environment="dev", kms_key_id=None, tags=tags(dataClass=None))) is Status.FAIL

    def test_other_data_outside_production_is_not_asked(self) -> None:
        assert status_of("C12", subject(environment="staging", kms_key_id=None)) is Status.NOT_APPLICABLE

    def test_an_unknown_environment_counts_as_production(self) -> None:
        assert status_of("C12", subject(environment="blue", kms_key_id=None)) is Status.FAIL

    def test_a_key_of_aws_under_its_own_id_fails_when_that_can_be_seen(self) -> None:
        aws_key = EncryptionKey(customer_managed=False, state="Enabled", rotation_enabled=None, policy=None)
        assert status_of("C12", subject(key=aws_key)) is Status.FAIL


class TestKeyHealthy:
    @pytest.mark.parametrize(
        "sick",
        [
            replace(GOOD_KEY, state="PendingDeletion"),
            replace(GOOD_KEY, state="Disabled"),
            replace(GOOD_KEY, rotation_enabled=False),
            replace(GOOD_KEY, rotation_enabled=None),
            replace(GOOD_KEY, policy=policy(allow("*", "kms:Decrypt"))),
        ],
    )
    def test_each_fault_fails(self, sick: EncryptionKey) -> None:
        assert status_of("C13", subject(key=sick)) is Status.FAIL

    def test_a_key_of_the_clouds_own_is_not_asked(self) -> None:
        assert status_of("C13", subject(kms_key_id=None)) is Status.NOT_APPLICABLE
        aws_key = EncryptionKey(customer_managed=False, state="Enabled", rotation_enabled=None, policy=None)
        assert status_of("C13", subject(key=aws_key)) is Status.NOT_APPLICABLE

    def test_a_key_policy_open_to_the_account_only_passes(self) -> None:
        own = policy(allow({"AWS": f"arn:aws:iam::{OWN_ACCOUNT}:root"}, "kms:*"))
        assert status_of("C13", subject(key=replace(GOOD_KEY, policy=own))) is Status.PASS


class TestReplicas:
    ALLOWED = Policy(replica_regions=frozenset({"eu-central-1"}))
    GOOD = Replica("eu-central-1", "InSync", "arn:aws:kms:eu-central-1:111122223333:key/9")

    @pytest.mark.parametrize(
        ("replica", "status"),
        [
            (GOOD, Status.PASS),
            (replace(GOOD, status="Failed"), Status.FAIL),
            (replace(GOOD, status="InProgress"), Status.FAIL),
            (replace(GOOD, region="us-east-1"), Status.FAIL),
            (replace(GOOD, kms_key_id=None), Status.FAIL),
            (replace(GOOD, kms_key_id="alias/aws/secretsmanager"), Status.FAIL),
        ],
    )
    def test_each_of_the_three_conditions_counts(self, replica: Replica, status: Status) -> None:
        assert status_of("C15", subject(replicas=(replica,)), self.ALLOWED) is status

    def test_an_empty_list_allows_the_home_region_only(self) -> None:
        assert status_of("C15", subject(replicas=(self.GOOD,))) is Status.FAIL


class TestWhoIsLetIn:
    @pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": [OTHER, "*"]}])
    def test_everybody_without_a_condition_is_public(self, principal: object) -> None:
        public = subject(document=policy(allow(principal)))
        assert status_of("C16", public) is status_of("C17", public, TRUSTING) is Status.FAIL

    def test_everybody_of_one_organisation_is_not_public_but_must_be_trusted(self) -> None:
        tied = subject(document=policy(allow("*", Condition=ORGANISATION)))
        assert status_of("C16", tied) is Status.PASS
        assert status_of("C17", tied) is Status.FAIL
        assert status_of("C17", tied, TRUSTING) is Status.PASS

    def test_a_denial_of_everybody_is_no_grant(self) -> None:
        denial = subject(document=policy(FROM_ENDPOINT))
        assert {status_of(check, denial) for check in ("C16", "C17", "C18")} == {Status.PASS}

    @pytest.mark.parametrize(
        ("statement", "rules", "status"),
        [
            (allow({"AWS": f"arn:aws:iam::{OWN_ACCOUNT}:role/app"}), POLICY, Status.PASS),
            (allow({"AWS": OTHER}), POLICY, Status.FAIL),
            (allow({"AWS": OTHER_ACCOUNT}), POLICY, Status.FAIL),
            (allow({"AWS": OTHER}), TRUSTING, Status.FAIL),
            (allow({"AWS": OTHER}, Condition=ORGANISATION), TRUSTING, Status.PASS),
            (allow({"AWS": OTHER}, Condition=ORGANISATION), POLICY, Status.FAIL),
            (allow({"Service": "lambda.amazonaws.com"}), POLICY, Status.PASS),
            (allow("*", Condition={"StringEquals": {"aws:PrincipalAccount": OWN_ACCOUNT}}), POLICY, Status.PASS),
            (allow("*", Condition={"StringEquals": {"aws:PrincipalAccount": OTHER_ACCOUNT}}), POLICY, Status.FAIL),
            (allow("*", Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}}), POLICY, Status.NOT_ASSESSED),
        ],
    )
    def test_another_account_must_be_trusted_and_tied(
        self, statement: dict[str, object], rules: Policy, status: Status
    ) -> None:
        assert status_of("C17", subject(document=policy(statement)), rules) is status

    @pytest.mark.parametrize("action", ["secretsmanager:*", "*", "secretsmanager:**", "SecretsManager:*", "secrets*:*"])
    def test_a_grant_of_everything_fails(self, action: str) -> None:
        assert status_of("C18", subject(document=policy(allow({"AWS": OWN_ACCOUNT}, action)))) is Status.FAIL

    def test_named_actions_pass(self) -> None:
        named = policy(allow({"AWS": OWN_ACCOUNT}, ["secretsmanager:GetSecretValue", "secretsmanager:Describe*"]))
        assert status_of("C18", subject(document=named)) is Status.PASS

    def test_everything_but_a_list_fails(self) -> None:
        but_one = {"Effect": "Allow", "Principal": {"AWS": OWN_ACCOUNT}, "NotAction": "secretsmanager:DeleteSecret"}
        but_him = {"Effect": "Allow", "NotPrincipal": {"AWS": OWN_ACCOUNT}, "Action": "secretsmanager:GetSecretValue"}
        assert status_of("C18", subject(document=policy(but_one))) is Status.FAIL
        assert status_of("C18", subject(document=policy(but_him))) is Status.FAIL
        assert status_of("C16", subject(document=policy(but_him))) is Status.FAIL

    @pytest.mark.parametrize("document", ["", "[]", "{}", '{"Statement": 1}', '{"Statement": [{"Effect": "Maybe"}]}'])
    def test_a_text_that_is_no_policy_is_not_assessed(self, document: str) -> None:
        broken = subject(document=document)
        assert {status_of(check, broken) for check in ("C16", "C17", "C18")} == {Status.NOT_ASSESSED}


class TestDormant:
    @pytest.mark.parametrize(
        ("created", "accessed", "status"),
        [
            (ago(days=89, hours=23), None, Status.PASS),
            (ago(days=90), None, Status.FAIL),
            (ago(days=400), ago(days=90), Status.PASS),
            (ago(days=400), ago(days=90, hours=12), Status.PASS),  # the vault keeps midnight of that day
            (ago(days=400), ago(days=91), Status.FAIL),
        ],
    )
    def test_ninety_days_without_a_read_fail(
        self, created: datetime, accessed: datetime | None, status: Status
    ) -> None:
        assert status_of("C21", subject(created_at=created, last_accessed_at=accessed)) is status


class TestNetworkRestriction:
    def test_restricted_data_needs_a_denial_from_elsewhere(self) -> None:
        assert status_of("C26", subject(tags=RESTRICTED)) is Status.FAIL
        assert status_of("C26", subject(tags=RESTRICTED, document=policy(FROM_ENDPOINT))) is Status.PASS

    def test_a_grant_through_the_endpoint_is_no_denial_from_elsewhere(self) -> None:
        grant = allow("*", Condition={"StringEquals": {"aws:SourceVpce": "vpce-0123456789abcdef0"}})
        assert status_of("C26", subject(tags=RESTRICTED, document=policy(grant))) is Status.FAIL

    def test_an_unclassified_secret_counts_as_restricted(self) -> None:
        assert status_of("C26", subject(tags=tags(dataClass=None))) is Status.FAIL


class TestClassificationTags:
    @pytest.mark.parametrize("tag", ["owner", "environment", "dataClass", "rotationClass"])
    def test_each_tag_must_be_there_and_valid(self, tag: str) -> None:
        assert status_of("C35", subject(tags=tags(**{tag: None}))) is Status.FAIL
        assert status_of("C35", subject(tags=tags(**{tag: " "}))) is Status.FAIL


class TestEvidenceThatIsNotThere:
    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
    @pytest.mark.parametrize("gap", [Gap.PERMISSION_DENIED, Gap.DATA_MISSING])
    def test_without_any_evidence_no_check_passes_or_fails(self, check: object, gap: Gap) -> None:
        (result,) = evaluate([without(subject(), *EVIDENCE, gap=gap)], [check], POLICY, NOW)  # type: ignore[list-item]
        assert (result.status, result.verdict.gap) == (Status.NOT_ASSESSED, gap)

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
    def test_each_named_evidence_is_needed_and_no_other(self, check: object) -> None:
        # A restricted secret with an expiry and a policy of its own is one that every check has to look at.
        whole = subject(
            tags=RESTRICTED | {"polyvault:expiresAt": ahead(days=30).isoformat()}, document=policy(FROM_ENDPOINT)
        )
        for evidence in EVIDENCE:
            status = status_of(check.id, without(whole, evidence))  # type: ignore[attr-defined]
            expected = Status.NOT_ASSESSED if evidence in check.reads else Status.PASS  # type: ignore[attr-defined]
            assert status is expected, evidence


class TestFaultsOfOthers:
    """What the widest open rule set gets wrong, each as a test of ours."""

    def test_fault_1_a_secret_without_a_key_of_its_own_fails_although_rotation_is_on(self) -> None:
        assert status_of("C12", subject(kms_key_id=None)) is Status.FAIL

    def test_fault_2_rotation_that_has_not_worked_for_400_days_fails_although_it_is_on(self) -> None:
        failing = subject(
            created_at=ago(days=800),
            last_rotated_at=ago(days=400),
            next_rotation_at=ago(days=370),
            versions=(version("v1", ago(days=400), "AWSCURRENT"),),
            history=RotationHistory(ago(days=30), None, ago(days=1)),
        )
        assert status_of("C01", failing) is Status.PASS
        assert status_of("C02", failing) is status_of("C03", failing) is Status.FAIL

    def test_fault_5_a_secret_of_one_minute_fails_nothing_for_never(self) -> None:
        new = subject(
            created_at=ago(minutes=1),
            last_rotated_at=None,
            last_accessed_at=None,
            next_rotation_at=ahead(days=30),
            versions=(version("v1", ago(minutes=1), "AWSCURRENT"),),
            history=RotationHistory(ago(days=30), None, None),
        )
        assert {check.id for check in CHECKS if status_of(check.id, new) is Status.FAIL} == set()

    def test_fault_6_a_schedule_of_400_days_fails_although_rotation_is_on(self) -> None:
        assert status_of("C04", subject(rotation_schedule="rate(400 days)")) is Status.FAIL

    def test_fault_7_a_denied_policy_gives_a_row_for_each_check_that_needs_it(self) -> None:
        results = evaluate([without(subject(), "policy")], CHECKS, POLICY, NOW)
        rows = {result.check.id: result.status for result in results}
        assert len(results) == len(CHECKS)
        assert {rows[check] for check in ("C16", "C17", "C18")} == {Status.NOT_ASSESSED}

    def test_fault_9_an_expiry_in_100_years_or_in_the_past_fails(self) -> None:
        for expires in (ahead(days=36525), ago(days=1)):
            assert status_of("C08", subject(tags=tags() | {"polyvault:expiresAt": expires.isoformat()})) is Status.FAIL


class TestSeverity:
    @pytest.mark.parametrize(
        ("environment", "severity"),
        [
            ("prod", Severity.HIGH),
            ("staging", Severity.MEDIUM),
            ("dev", Severity.LOW),
            ("unknown-place", Severity.HIGH),
        ],
    )
    def test_it_falls_with_the_environment(self, environment: str, severity: Severity) -> None:
        assert BY_ID["C02"].severity_in(environment, POLICY) is severity

    def test_it_never_falls_below_low(self) -> None:
        assert BY_ID["C35"].severity_in("dev", POLICY) is Severity.LOW
        assert BY_ID["C11"].severity_in("dev", POLICY) is Severity.LOW

    def test_public_exposure_never_falls(self) -> None:
        assert BY_ID["C16"].severity_in("dev", POLICY) is Severity.CRITICAL


def test_each_check_has_an_id_and_a_name_of_the_catalogue() -> None:
    assert len(CHECKS) == len({check.id for check in CHECKS}) >= 12
    assert all(NAMES[check.id] == check.name for check in CHECKS)
    assert all(set(check.reads) <= set(EVIDENCE) and check.reads for check in CHECKS)
