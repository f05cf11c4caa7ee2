"""A canary goes through the deployed bundle, by every door and through its errors, and comes out nowhere."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from rich.console import Console

from local.demo import scenario
from local.demo.__main__ import Demo
from local.demo.api import ApiError
from local.demo.progress import Progress
from local.demo.scenario import Site
from tests.leak import canary
from tests.leak.canary import search

SECRET = "prod/orders/canary"
BROKEN_SECRET = "prod/orders/canary-broken"

type Text = tuple[str, str, bytes]


@dataclass
class Planted:
    """The values that must be found nowhere, and what callers were answered on the way."""

    site: Site
    values: list[str] = field(default_factory=list)
    answers: list[Text] = field(default_factory=list)

    def answered(self, place: str, content: Any) -> None:
        self.answers.append(("API answers", place, json.dumps(content, default=str).encode()))


def _credential(site: Site, username: str, password: str, **more: Any) -> str:
    postgres = site.cloud.postgres
    return json.dumps(
        {
            "engine": "postgres",
            "host": postgres.host,
            "port": postgres.port,
            "username": username,
            "password": password,
            "dbname": "orders",
            **more,
        }
    )


@pytest.fixture(scope="session")
def planted(site: Site) -> Planted:
    """The canary rotated in place, synced, listed, audited, reported on, and driven through errors."""
    planted = Planted(site)
    secrets_manager = site.aws("secretsmanager")
    first = f"Canary-{uuid.uuid4().hex}"
    planted.values.append(first)
    postgres = site.cloud.postgres
    with psycopg.connect(
        host=postgres.host, port=postgres.port, user=postgres.superuser, password=postgres.password,
        dbname="postgres", sslmode="verify-full", sslrootcert=str(postgres.ca_path), autocommit=True,
    ) as server:  # fmt: skip
        server.execute(sql.SQL("CREATE ROLE canary LOGIN PASSWORD {}").format(sql.Literal(first)))
    tags = [{"Key": "environment", "Value": "prod"}]
    secrets_manager.create_secret(
        Name=SECRET, SecretString=_credential(site, "canary", first, strategy="single-user"), Tags=tags
    )
    function = site.bundle.outputs["RotationFunctionArn"]
    rules = {"AutomaticallyAfterDays": 30}
    token = str(uuid.uuid4())
    secrets_manager.rotate_secret(
        SecretId=SECRET, RotationLambdaARN=function, RotationRules=rules, ClientRequestToken=token
    )
    scenario.wait_until(
        "the canary's rotation", lambda: scenario.is_settled(secrets_manager, SECRET, current=token), seconds=60
    )
    scenario.rotate(site, SECRET)
    for version in secrets_manager.list_secret_version_ids(SecretId=SECRET)["Versions"]:
        held = secrets_manager.get_secret_value(SecretId=SECRET, VersionId=version["VersionId"])["SecretString"]
        planted.values.append(json.loads(held)["password"])
    _drive_errors(planted)
    scenario.sync(site, filters=["prod/orders/canary*"])
    assert scenario.verified_in_vault(site, SECRET)
    for path in ("/health", "/secrets", f"/secrets/{SECRET.replace('/', '%2F')}/versions"):
        planted.answered(path, site.api.get(path))
    planted.answered("report", scenario.report(site, site.logs / "leak-report"))
    scenario.wait_until("the audit trail", lambda: scenario.audit_events(site, SECRET) or None, seconds=60)
    planted.answered("/audit/events", scenario.audit_events(site, SECRET))
    _run_the_demo(planted)
    return planted


def _run_the_demo(planted: Planted) -> None:
    """The demo's own stages on this stack: what they show on the screen and leave in summary.json."""
    site, screen = planted.site, io.StringIO()
    demo, progress = Demo(cloud=site.cloud, site=site), Progress(Console(file=screen, width=200), site.logs)
    try:
        with progress:
            for stage in (demo.start_client, demo.rotate, demo.sync, demo.stop_client, demo.audit, demo.report):
                progress.run(stage.__name__, stage.__name__, stage)
    finally:
        demo.end_client()
    progress.write_summary(site.logs / "leak-demo" / "summary.json", seconds=1.0, failed=None)
    planted.answers.append(("demo screen", "stages", screen.getvalue().encode()))
    secrets_manager = site.aws("secretsmanager")
    for version in secrets_manager.list_secret_version_ids(SecretId=scenario.SECRET)["Versions"]:
        held = secrets_manager.get_secret_value(SecretId=scenario.SECRET, VersionId=version["VersionId"])
        planted.values.append(json.loads(held["SecretString"])["password"])


def _drive_errors(planted: Planted) -> None:
    """Values where none belongs: a password the database refuses, broken JSON, and canaries in requests."""
    site, secrets_manager = planted.site, planted.site.aws("secretsmanager")
    wrong = f"Wrong-{uuid.uuid4().hex}"
    planted.values.append(wrong)
    for number, text in enumerate(
        (
            _credential(site, "canary", wrong, strategy="single-user"),
            f'{{"engine": "postgres", "password": "{wrong}", "broken',
            json.dumps({"engine": wrong, "host": 5, "username": [wrong]}),
        )
    ):
        name = f"{BROKEN_SECRET}-{number}"
        secrets_manager.create_secret(Name=name, SecretString=text)
        secrets_manager.rotate_secret(
            SecretId=name,
            RotationLambdaARN=site.bundle.outputs["RotationFunctionArn"],
            RotationRules={"AutomaticallyAfterDays": 30},
        )
    functions = site.aws("lambda")
    call = {"Step": "createSecret", "SecretId": SECRET, "ClientRequestToken": str(uuid.uuid4())}
    for event in (
        {**call, "Step": wrong},
        {**call, "ClientRequestToken": [wrong]},
        {**call, "RotationToken": wrong},
        {**call, "RotationToken": {"value": wrong}},
        {**call, "SecretString": wrong},
    ):
        answer = functions.invoke(FunctionName=site.bundle.outputs["RotationFunctionArn"], Payload=json.dumps(event))
        assert answer.get("FunctionError"), "a broken event must be refused"
        planted.answers.append(("Lambda error answers", "rotation", answer["Payload"].read()))
    for body in ({"secret": SECRET, "password": wrong}, {"secret": {"value": wrong}}, {wrong: wrong}):
        with pytest.raises(ApiError) as refused:
            site.api.post("/rotations", body)
        planted.answered("POST /rotations", str(refused.value))


def _channels(planted: Planted, project: Path) -> Iterator[Text]:
    aws, cloud = planted.site.aws, planted.site.cloud
    yield from canary.log_events(aws("logs"))
    yield from canary.table_items(aws("dynamodb"))
    yield from canary.objects(aws("s3"), skip=frozenset(_code_buckets(aws("s3"))))
    yield from canary.messages(aws("sqs"))
    yield from canary.state_machine_histories(aws("stepfunctions"))
    yield from canary.function_configurations(aws("lambda"))
    yield from canary.parameters(aws("ssm"))
    yield from canary.stack_descriptions(aws("cloudformation"))
    yield from canary.files("logs of the local cloud", cloud.logs)
    yield from canary.files("build and deployment logs", planted.site.logs, "**/*.log")
    yield from canary.files("reports", planted.site.logs / "leak-report")
    yield from canary.files("demo summary", planted.site.logs / "leak-demo")
    yield from canary.files("logs of the demo's client", project / "build" / "demo", "client.*")
    yield from planted.answers


def _code_buckets(s3: Any) -> list[str]:
    """The bucket that `sam deploy --resolve-s3` keeps our own code in."""
    return [bucket["Name"] for bucket in s3.list_buckets()["Buckets"] if "samclisourcebucket" in bucket["Name"]]


def test_the_canary_is_found_in_no_channel(planted: Planted, project: Path) -> None:
    texts = list(_channels(planted, project))
    channels = {channel for channel, _, _ in texts}
    must_have_been_read = {
        "function logs", "DynamoDB items", "S3 objects", "function configurations", "SSM parameters",
        "CloudFormation", "logs of the local cloud", "API answers", "Lambda error answers", "reports",
        "demo summary", "demo screen", "logs of the demo's client",
    }  # fmt: skip
    assert must_have_been_read <= channels
    assert sorted({(found.channel, found.place) for found in search(planted.values, texts)}) == []


@pytest.mark.parametrize("channel", ["function logs", "DynamoDB items", "S3 objects", "SQS messages", "SSM parameters"])
def test_a_planted_leak_is_seen_in(channel: str, site: Site) -> None:
    """The scan would see it: plant a value in the channel, find it, take it away again."""
    value = f"Planted-{uuid.uuid4().hex}"
    plant, scan, clean = PLANTERS[channel](site, value)
    plant()
    try:
        assert [finding.channel for finding in search([value], scan())] == [channel]
    finally:
        clean()


type Planter = tuple[Callable[[], Any], Callable[[], Iterator[Text]], Callable[[], Any]]


def _in_logs(site: Site, value: str) -> Planter:
    logs, group = site.aws("logs"), "/planted/leak"
    event = {"timestamp": 1_900_000_000_000, "message": f"password {value}"}

    def plant() -> None:
        logs.create_log_group(logGroupName=group)
        logs.create_log_stream(logGroupName=group, logStreamName="s")
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])

    return plant, lambda: canary.log_events(logs), lambda: logs.delete_log_group(logGroupName=group)


def _in_table(site: Site, value: str) -> Planter:
    dynamodb, table = site.aws("dynamodb"), site.bundle.outputs["StateTableName"]
    key = {"pk": {"S": "planted"}, "sk": {"S": "leak"}}
    return (
        lambda: dynamodb.put_item(TableName=table, Item={**key, "x": {"S": value}}),
        lambda: canary.table_items(dynamodb),
        lambda: dynamodb.delete_item(TableName=table, Key=key),
    )


def _in_bucket(site: Site, value: str) -> Planter:
    s3, bucket = site.aws("s3"), site.bundle.outputs["ReportsBucketName"]
    return (
        lambda: s3.put_object(Bucket=bucket, Key="planted", Body=value.encode()),
        lambda: canary.objects(s3, skip=frozenset(_code_buckets(s3))),
        lambda: s3.delete_object(Bucket=bucket, Key="planted"),
    )


def _in_queue(site: Site, value: str) -> Planter:
    sqs = site.aws("sqs")
    url = sqs.create_queue(QueueName="planted-leak")["QueueUrl"]
    return (
        lambda: sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"password": value})),
        lambda: canary.messages(sqs),
        lambda: sqs.delete_queue(QueueUrl=url),
    )


def _in_parameter(site: Site, value: str) -> Planter:
    ssm = site.aws("ssm")
    return (
        lambda: ssm.put_parameter(Name="/planted/leak", Value=value, Type="String"),
        lambda: canary.parameters(ssm),
        lambda: ssm.delete_parameter(Name="/planted/leak"),
    )


PLANTERS: dict[str, Callable[[Site, str], Planter]] = {
    "function logs": _in_logs,
    "DynamoDB items": _in_table,
    "S3 objects": _in_bucket,
    "SQS messages": _in_queue,
    "SSM parameters": _in_parameter,
}
