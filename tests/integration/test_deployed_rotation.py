"""Rotation on the deployed stack, as the README says to do it by hand."""

from __future__ import annotations

import json
import uuid
from typing import Any

import psycopg
import pytest

from local.demo import scenario
from local.demo.scenario import SECRET, Site


def _value(site: Site, **version: str) -> dict[str, Any]:
    answer = site.aws("secretsmanager").get_secret_value(SecretId=SECRET, **version)
    value: dict[str, Any] = json.loads(answer["SecretString"])
    return value


def _logs_in(site: Site, value: dict[str, Any]) -> bool:
    try:
        with psycopg.connect(
            host=value["host"],
            port=value["port"],
            user=value["username"],
            password=value["password"],
            dbname=value["dbname"],
            sslmode="verify-full",
            sslrootcert=str(site.cloud.postgres.ca_path),
        ) as connection:
            connection.execute("INSERT INTO visits DEFAULT VALUES")
    except psycopg.OperationalError:
        return False
    return True


def test_a_rotation_changes_user_and_password_and_the_previous_credential_still_works(site: Site) -> None:
    before = _value(site)
    version_id = scenario.rotate(site)
    current, previous = _value(site), _value(site, VersionStage="AWSPREVIOUS")

    assert current["password"] != before["password"]
    assert previous == before
    assert current["username"] != before["username"]
    assert _logs_in(site, current)
    assert _logs_in(site, previous)
    labels = site.aws("secretsmanager").describe_secret(SecretId=SECRET)["VersionIdsToStages"]
    assert "AWSCURRENT" in labels[version_id]


def test_what_is_not_the_credential_is_kept(site: Site) -> None:
    before = _value(site)
    scenario.rotate(site)
    changed = {key for key, value in _value(site).items() if value != before[key]}
    assert changed == {"username", "password"}


def test_each_rotation_leaves_its_four_steps_in_the_audit_log(site: Site) -> None:
    version_id = scenario.rotate(site)
    steps = scenario.wait_until(
        "the audit trail",
        lambda: found if len(found := scenario.steps_of(scenario.audit_events(site), version_id)) == 4 else None,
        seconds=30,
    )
    assert steps == ["createSecret", "finishSecret", "setSecret", "testSecret"]


def test_cloudtrail_events_of_direct_access_reach_the_audit_log_with_the_caller(site: Site) -> None:
    _value(site)

    def read() -> list[dict[str, Any]] | None:
        return [
            event
            for event in scenario.audit_events(site, minutes=5)
            if event["source"] == "aws-secrets-manager" and event["eventType"] == "secret.read"
        ] or None

    events = scenario.wait_until("the read in the audit log", read, seconds=30)
    assert any("root" in event["actor"]["id"] or "user" in event["actor"]["id"] for event in events)


def test_secrets_manager_refuses_a_function_that_gave_it_no_permission(site: Site) -> None:
    secrets_manager = site.aws("secretsmanager")
    name = f"unattached-{uuid.uuid4().hex[:8]}"
    secrets_manager.create_secret(Name=name, SecretString="{}")
    with pytest.raises(secrets_manager.exceptions.ClientError) as refused:
        secrets_manager.rotate_secret(
            SecretId=name,
            RotationLambdaARN=site.bundle.outputs["RotationFunctionArn"].removesuffix("rotation") + "sync",
            RotationRules={"AutomaticallyAfterDays": 30},
        )
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({}, id="empty"),
        pytest.param({"Step": "create_secret", "SecretId": SECRET, "ClientRequestToken": "t" * 36}, id="unknown step"),
        pytest.param({"Step": "createSecret", "SecretId": SECRET}, id="missing token"),
        pytest.param({"Step": "createSecret", "SecretId": SECRET, "ClientRequestToken": "f" * 36}, id="foreign token"),
        pytest.param({"Step": "setSecret", "SecretId": "x" * 100_000, "ClientRequestToken": "t" * 36}, id="huge"),
    ],
)
def test_a_forged_event_is_refused_and_changes_nothing(site: Site, event: dict[str, str]) -> None:
    before = site.aws("secretsmanager").describe_secret(SecretId=SECRET)["VersionIdsToStages"]
    answer = site.aws("lambda").invoke(
        FunctionName=site.bundle.outputs["RotationFunctionArn"], Payload=json.dumps(event)
    )
    assert answer["FunctionError"]
    assert json.loads(answer["Payload"].read())["errorType"] in {"InvalidInputError", "VersionNotStagedError"}
    assert site.aws("secretsmanager").describe_secret(SecretId=SECRET)["VersionIdsToStages"] == before
