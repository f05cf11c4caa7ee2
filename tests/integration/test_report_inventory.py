"""The inventory and a whole report over a live Secrets Manager, under roles that IAM really limits."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import boto3
import pytest
from polyvault.adapters.aws_calls import AwsCalls
from polyvault.adapters.aws_client import client
from polyvault.adapters.aws_client import session as session_of_adapters
from polyvault.adapters.aws_inventory import AwsInventory
from polyvault.adapters.report_html import HtmlReport
from polyvault.adapters.report_json import JsonReport
from polyvault.adapters.s3_report_archive import S3ReportArchive
from polyvault.adapters.system_clock import SystemClock
from polyvault.domain.audit import Actor, ActorType
from polyvault.domain.compliance import Gap, Status
from polyvault.domain.frameworks import framework_named
from polyvault.domain.inventory import StoreInventory, Subject
from polyvault.domain.report import ReportRequest
from polyvault.services.inventory import TakeStock
from polyvault.services.report import WriteReport, WrittenReport

from local import aws_process, interpreter
from tests.conformance.vaults import AWS_ENVIRONMENT
from tests.estate import GOOD_TAGS, allow, policy
from tests.fakes import RecordingAlerts, RecordingAuditLog

BUCKET = "reports"
CANARY = "canary-R9vT2-never-in-a-report"
OTHER_ACCOUNT = "arn:aws:iam::444455556666:root"
READS = (
    "secretsmanager:ListSecrets",
    "secretsmanager:DescribeSecret",
    "secretsmanager:ListSecretVersionIds",
    "secretsmanager:GetResourcePolicy",
    "kms:DescribeKey",
    "kms:GetKeyRotationStatus",
    "kms:GetKeyPolicy",
)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[aws_process.Aws]:
    """Emulated AWS with five secrets and a bucket."""
    server = aws_process.start(tmp_path_factory.mktemp("aws"), interpreter.find(os.environ))  # noqa: TID251
    patch = pytest.MonkeyPatch()
    for name, value in {**AWS_ENVIRONMENT, "AWS_ENDPOINT_URL": server.endpoint_url}.items():
        patch.setenv(name, value)
    try:
        _furnish()
        yield server
    finally:
        patch.undo()
        boto3.DEFAULT_SESSION = None
        server.stop()


def _furnish() -> None:
    key = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
    boto3.client("kms").enable_key_rotation(KeyId=key)
    service = boto3.client("secretsmanager")
    tags = [{"Key": name, "Value": value} for name, value in GOOD_TAGS.items()]
    for name, extra in {
        "prod/good": {"KmsKeyId": key, "Tags": tags},
        "prod/plain": {"Tags": tags},
        "prod/shared": {"KmsKeyId": key, "Tags": tags},
        "prod/untagged": {"KmsKeyId": key},
        "staging/plain": {"Tags": [{"Key": "environment", "Value": "staging"}]},
    }.items():
        service.create_secret(Name=name, SecretString=CANARY, **extra)
    foreign = policy(allow({"AWS": OTHER_ACCOUNT}))
    service.put_resource_policy(SecretId="prod/shared", ResourcePolicy=foreign)
    boto3.client("s3").create_bucket(Bucket=BUCKET)


@pytest.fixture
def collect(aws: aws_process.Aws, monkeypatch: pytest.MonkeyPatch) -> Callable[..., AwsInventory]:
    """``collect(*actions)``: the collector under a new role that may do only these."""

    def made(*actions: str) -> AwsInventory:
        name = f"inventory-{uuid.uuid4().hex[:8]}"
        iam = boto3.client("iam")
        trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
        grants = policy({"Effect": "Allow", "Action": list(actions), "Resource": "*"})
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=grants)
        session = boto3.client("sts").assume_role(RoleArn=role, RoleSessionName="report")["Credentials"]
        with monkeypatch.context() as patch:
            patch.setenv("AWS_ACCESS_KEY_ID", session["AccessKeyId"])
            patch.setenv("AWS_SECRET_ACCESS_KEY", session["SecretAccessKey"])
            patch.setenv("AWS_SESSION_TOKEN", session["SessionToken"])
            session_of_adapters.cache_clear()  # it keeps the credentials that it found first
            clients = client("secretsmanager"), client("kms")
        session_of_adapters.cache_clear()
        return AwsInventory(*clients, store="aws", environment="prod", calls=AwsCalls(SystemClock()))

    return made


def by_name(found: StoreInventory) -> dict[str, Subject]:
    return {subject.name: subject for subject in found.subjects}


def write(inventory: AwsInventory, *scope: str) -> WrittenReport:
    """A SOC 2 report on the last week, into the live bucket."""
    clock = SystemClock()
    now = clock.now()
    use_case = WriteReport(
        TakeStock([inventory], audit=RecordingAuditLog(), clock=clock),
        formats=(JsonReport(), HtmlReport()),
        archive=S3ReportArchive(client("s3"), bucket=BUCKET, calls=AwsCalls(clock)),
        audit=RecordingAuditLog(),
        alerts=RecordingAlerts(),
        clock=clock,
        actor=Actor("polyvault/compliance", ActorType.SERVICE),
    )
    return use_case(ReportRequest(framework_named("SOC2"), now - timedelta(days=7), now, scope))


def test_every_secret_is_there_with_its_metadata(collect: Callable[..., AwsInventory]) -> None:
    found = by_name(collect(*READS).collect())

    assert set(found) == {"prod/good", "prod/plain", "prod/shared", "prod/untagged", "staging/plain"}
    good = found["prod/good"]
    assert good.configuration.read().tags == GOOD_TAGS
    assert good.key.read().customer_managed
    assert good.key.read().rotation_enabled
    assert [version.labels for version in good.versions.read().versions] == [{"AWSCURRENT"}]
    assert good.policy.read().document is None
    assert OTHER_ACCOUNT in str(found["prod/shared"].policy.read().document)
    assert found["prod/plain"].configuration.read().kms_key_id is None
    assert found["staging/plain"].environment == "staging"


@pytest.mark.parametrize(
    ("action", "evidence"),
    [
        ("secretsmanager:DescribeSecret", "configuration"),
        ("secretsmanager:ListSecretVersionIds", "versions"),
        ("secretsmanager:GetResourcePolicy", "policy"),
        ("kms:DescribeKey", "key"),
        ("kms:GetKeyPolicy", "key"),
    ],
)
def test_a_permission_that_is_missing_is_a_gap_for_each_secret(
    collect: Callable[..., AwsInventory], action: str, evidence: str
) -> None:
    found = by_name(collect(*(read for read in READS if read != action)).collect())

    assert len(found) == 5
    assert getattr(found["prod/good"], evidence).gap is Gap.PERMISSION_DENIED
    assert getattr(found["prod/shared"], evidence).gap is Gap.PERMISSION_DENIED


def test_a_list_that_is_denied_makes_a_report_that_scores_nothing(collect: Callable[..., AwsInventory]) -> None:
    written = write(collect(*(read for read in READS if read != "secretsmanager:ListSecrets")))

    assert written.report.summary.coverage is None
    assert {result.status for result in written.report.controls} == {Status.NOT_ASSESSED, Status.MANUAL}


def test_a_report_of_the_live_estate_lies_in_s3_with_its_findings_and_without_a_value(
    collect: Callable[..., AwsInventory],
) -> None:
    written = write(collect(*READS), "prod")

    bodies = {key: boto3.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in written.files}
    document = json.loads(next(body for key, body in bodies.items() if key.endswith("report.json")))
    found = {(f["checkIds"][0], f["status"]): f["secretsAffected"] for f in document["findings"]}
    assert document["summary"]["totalSecrets"] == 4
    assert document["summary"]["outOfScope"] == 1
    assert document["summary"]["compliant"] == 1
    assert found["C12", "FAIL"] == ["prod/plain"]
    assert found["C17", "FAIL"] == ["prod/shared"]
    assert found["C35", "FAIL"] == ["prod/untagged"]
    assert found["C26", "FAIL"] == ["prod/untagged"]  # without a data class it counts as restricted
    assert len({row["checkId"] for row in document["results"]}) >= 12
    assert not any(CANARY.encode() in body for body in bodies.values())


def test_a_denied_policy_is_never_a_pass_in_the_report(collect: Callable[..., AwsInventory]) -> None:
    written = write(collect(*(read for read in READS if read != "secretsmanager:GetResourcePolicy")), "prod")

    rows = {row.status for row in written.report.results if row.check.id in ("C16", "C17", "C18")}
    assert rows == {Status.NOT_ASSESSED}
    assert written.report.summary.compliant == 0
