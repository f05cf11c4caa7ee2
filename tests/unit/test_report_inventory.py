"""The collector of AWS Secrets Manager: a row for each secret, whatever is denied, missing or slow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError
from polyvault.adapters.aws_calls import AwsCalls
from polyvault.adapters.aws_inventory import AwsInventory
from polyvault.adapters.s3_report_archive import S3ReportArchive
from polyvault.contracts.answers import IncompleteAnswer
from polyvault.domain.compliance import Gap
from polyvault.domain.inventory import AttachedPolicy, EncryptionKey, StoreInventory, Subject, canonical
from polyvault.errors import ReportError, StoreUnavailableError, UnclassifiedStoreError

from tests.estate import KEY, NOW, OWN_ACCOUNT, REGION, version
from tests.fakes import FakeClock

CANARY = "canary-Zx81-not-to-be-seen"
type Answer = Mapping[str, Any]


def arn(name: str) -> str:
    return f"arn:aws:secretsmanager:{REGION}:{OWN_ACCOUNT}:secret:{name}-AbCdEf"


def error(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Operation")  # type: ignore[typeddict-item]


class Aws:
    """Secrets Manager and KMS in one: answers by operation; an exception is raised, a list is taken in turn."""

    def __init__(self, **answers: Any) -> None:
        self.calls: list[str] = []
        self._answers: dict[str, Any] = {
            "list_secrets": {"SecretList": [entry("a")]},
            "describe_secret": described("a"),
            "list_secret_version_ids": {"Versions": []},
            "get_resource_policy": {"ARN": arn("a"), "Name": "a"},
            "describe_key": {"KeyMetadata": {"KeyManager": "CUSTOMER", "KeyState": "Enabled", "Arn": KEY}},
            "get_key_policy": {"Policy": "{}"},
            "get_key_rotation_status": {"KeyRotationEnabled": True},
            **answers,
        }

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self.calls.append(operation)
            answer = self._answers[operation]
            if isinstance(answer, list):
                answer = answer.pop(0)
            if callable(answer):
                answer = answer(**arguments)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def collect(self) -> StoreInventory:
        calls = AwsCalls(FakeClock(NOW), draw=lambda: 0.5)
        return AwsInventory(self, self, store="aws", environment="prod", calls=calls).collect()

    def one(self) -> Subject:
        (found,) = self.collect().subjects
        return found


def entry(name: str, **more: Any) -> Answer:
    return {"ARN": arn(name), "Name": name, **more}


def described(name: str, **more: Any) -> Answer:
    return {"ARN": arn(name), "Name": name, "CreatedDate": NOW - timedelta(days=9), **more}


def test_each_secret_of_each_page_gets_a_row() -> None:
    pages = [
        {"SecretList": [entry("a"), entry("b")], "NextToken": "more"},
        {"SecretList": [], "NextToken": "still more"},
        {"SecretList": [entry("c")]},
    ]
    found = Aws(list_secrets=pages).collect()
    assert [subject.name for subject in found.subjects] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("operation", "evidence"),
    [
        ("describe_secret", "configuration"),
        ("list_secret_version_ids", "versions"),
        ("get_resource_policy", "policy"),
        ("describe_key", "key"),
        ("get_key_policy", "key"),
        ("get_key_rotation_status", "key"),
    ],
)
@pytest.mark.parametrize(
    ("failure", "gap"),
    [
        (error("AccessDeniedException"), Gap.PERMISSION_DENIED),
        (error("InternalServiceError", 500), Gap.DATA_MISSING),
        (IncompleteAnswer("cut"), Gap.DATA_MISSING),
    ],
)
def test_what_could_not_be_read_is_a_gap_of_that_evidence_alone(
    operation: str, evidence: str, failure: Exception, gap: Gap
) -> None:
    aws = Aws(**{"describe_secret": described("a", KmsKeyId=KEY), operation: failure})
    aws._answers["list_secrets"] = {"SecretList": [entry("a", KmsKeyId=KEY)]}
    found = aws.one()
    for name in ("configuration", "versions", "policy", "key"):
        seen = getattr(found, name)
        assert (seen.facts is None) is (name == evidence or (name, evidence) == ("key", "configuration")), name
    assert getattr(found, evidence).gap is gap


def test_a_passing_failure_is_tried_again_and_a_denial_is_not() -> None:
    slow = Aws(describe_secret=[error("ThrottlingException"), described("a")])
    closed = Aws(describe_secret=error("AccessDeniedException"))
    assert slow.one().configuration.facts
    assert closed.one().configuration.facts is None
    assert closed.calls.count("describe_secret") == 1


def test_a_list_that_is_denied_is_an_answer() -> None:
    found = Aws(list_secrets=error("AccessDeniedException")).collect()
    assert (found.subjects, found.gap, found.error) == ((), Gap.PERMISSION_DENIED, "AccessDeniedException")


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (error("ServiceUnavailable", 503), StoreUnavailableError),
        (ConnectTimeoutError(endpoint_url="x"), StoreUnavailableError),
        (IncompleteAnswer("cut"), StoreUnavailableError),
        (error("InvalidNextTokenException"), UnclassifiedStoreError),
    ],
)
def test_a_list_that_fails_is_no_empty_estate(failure: Exception, raised: type[Exception]) -> None:
    page = {"SecretList": [entry("a")], "NextToken": "more"}
    with pytest.raises(raised):
        Aws(list_secrets=[page, *[failure] * 9]).collect()


def test_a_secret_deleted_meanwhile_is_gone_and_not_denied() -> None:
    assert Aws(describe_secret=error("ResourceNotFoundException")).one().gone


def test_a_secret_that_will_be_deleted_and_a_replica_are_known_by_the_list() -> None:
    leaving = Aws(list_secrets={"SecretList": [entry("a", DeletedDate=NOW)]}).one()
    here = Aws(list_secrets={"SecretList": [entry("a", PrimaryRegion=REGION)]}).one()
    there = Aws(list_secrets={"SecretList": [entry("a", PrimaryRegion="us-east-1")]}).one()
    assert (leaving.deletion_scheduled, here.replica, there.replica) == (True, False, True)


def test_the_environment_is_the_tags_or_the_stores_even_when_the_secret_is_closed() -> None:
    tagged = entry("a", Tags=[{"Key": "environment", "Value": "staging"}])
    closed = error("AccessDeniedException")
    assert Aws(list_secrets={"SecretList": [tagged]}, describe_secret=closed).one().environment == "staging"
    assert Aws(describe_secret=closed).one().environment == "prod"


def test_facts_are_taken_over_in_utc() -> None:
    plus_two = datetime(2026, 5, 1, 2, 0, tzinfo=timezone(timedelta(hours=2)))
    seen = Aws(
        describe_secret=described(
            "a",
            RotationEnabled=True,
            RotationRules={"AutomaticallyAfterDays": 30},
            LastRotatedDate=plus_two,
            ReplicationStatus=[{"Region": "us-east-1", "Status": "InSync"}],
        )
    ).one()
    facts = seen.configuration.read()
    assert (facts.rotation_enabled, facts.rotation_schedule) == (True, "rate(30 days)")
    assert facts.last_rotated_at
    assert facts.last_rotated_at.isoformat() == "2026-05-01T00:00:00+00:00"
    assert facts.replicas[0].kms_key_id is None
    assert (seen.account, seen.region) == (OWN_ACCOUNT, REGION)


def test_the_written_schedule_counts_before_the_days_that_are_computed_from_it() -> None:
    rules = {"ScheduleExpression": "cron(0 3 1 * ? *)", "AutomaticallyAfterDays": 31}
    seen = Aws(describe_secret=described("a", RotationRules=rules)).one().configuration.read()
    assert seen.rotation_schedule == "cron(0 3 1 * ? *)"


def test_versions_of_all_pages_are_kept_with_their_labels() -> None:
    pages = [
        {"Versions": [{"VersionId": "b", "CreatedDate": NOW, "VersionStages": ["AWSCURRENT"]}], "NextToken": "more"},
        {"Versions": [{"VersionId": "a"}]},
    ]
    found = Aws(list_secret_version_ids=pages).one().versions.read().versions
    assert found == (version("a", None), version("b", NOW, "AWSCURRENT"))


def test_no_policy_and_a_policy_are_told_apart() -> None:
    assert Aws().one().policy.read() == AttachedPolicy(None)
    answer = {"ARN": arn("a"), "Name": "a", "ResourcePolicy": "{}"}
    assert Aws(get_resource_policy=answer).one().policy.read() == AttachedPolicy("{}")


def test_each_key_is_asked_about_once() -> None:
    aws = Aws(
        list_secrets={"SecretList": [entry("a"), entry("b"), entry("c")]},
        describe_secret=lambda SecretId: described("x", KmsKeyId=KEY),
    )
    assert {s.key.read().state for s in aws.collect().subjects} == {"Enabled"}
    assert aws.calls.count("describe_key") == 1


def test_a_key_of_aws_is_not_asked_for_what_it_does_not_tell() -> None:
    aws = Aws(
        describe_secret=described("a", KmsKeyId=KEY),
        describe_key={"KeyMetadata": {"KeyManager": "AWS", "KeyState": "Enabled", "Arn": KEY}},
    )
    assert aws.one().key.read() == EncryptionKey(False, "Enabled", None, None)
    assert "get_key_policy" not in aws.calls


def test_a_key_that_cannot_rotate_by_itself_says_so() -> None:
    aws = Aws(
        describe_secret=described("a", KmsKeyId=KEY), get_key_rotation_status=error("UnsupportedOperationException")
    )
    assert aws.one().key.read().rotation_enabled is None


def test_nothing_but_judged_tags_and_no_description_becomes_evidence() -> None:
    tags = [{"Key": "note", "Value": CANARY}, {"Key": "owner", "Value": "team"}]
    found = Aws(
        list_secrets={"SecretList": [entry("a", Tags=tags, Description=CANARY)]},
        describe_secret=described("a", Tags=tags, Description=CANARY),
    ).one()
    assert found.configuration.read().tags == {"owner": "team"}
    assert CANARY.encode() not in canonical(found)


def test_no_operation_reads_a_value() -> None:
    aws = Aws(describe_secret=described("a", KmsKeyId=KEY))
    aws.collect()
    assert not {call for call in aws.calls if "value" in call}


class TestArchive:
    def archive(self, put_object: Callable[..., Any]) -> S3ReportArchive:
        client = type("S3", (), {"put_object": staticmethod(put_object)})
        return S3ReportArchive(client, bucket="reports", calls=AwsCalls(FakeClock(NOW), draw=lambda: 0.0))

    def test_a_file_is_put_whole_with_its_checksum(self) -> None:
        sent: list[dict[str, Any]] = []
        address = self.archive(lambda **arguments: sent.append(arguments)).put("k", b"body", content_type="text/html")
        assert address == "s3://reports/k"
        assert sent[0]["Body"] == b"body"
        assert sent[0]["ContentType"] == "text/html"
        assert sent[0]["ChecksumSHA256"] == "Iw2DWNyOiJC0xY3utikS7i8gNXrpKlzIYbmOaP4xrLU="

    def test_a_passing_failure_is_tried_again(self) -> None:
        failures = [error("SlowDown", 503)]

        def put(**_: Any) -> None:
            if failures:
                raise failures.pop()

        assert self.archive(put).put("k", b"", content_type="x")

    def test_a_refusal_is_an_error_that_names_the_file(self) -> None:
        def put(**_: Any) -> None:
            raise error("AccessDenied", 403)

        with pytest.raises(ReportError, match=r"k could not be written \(AccessDenied\)"):
            self.archive(put).put("k", b"", content_type="x")
