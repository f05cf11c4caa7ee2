"""Sync and scheduler on the deployed stack, under the roles that the template gives them."""

from __future__ import annotations

import json
from typing import Any

from local.demo import scenario
from local.demo.scenario import Site


def _invoke(site: Site, function: str, payload: object) -> dict[str, Any]:
    answer = site.aws("lambda").invoke(
        FunctionName=f"{scenario.BUNDLE}-{function}", Payload=json.dumps(payload).encode()
    )
    body: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, body
    return body


def test_a_sync_through_the_api_arrives_in_the_other_vault_and_is_done_once(site: Site) -> None:
    first = scenario.sync(site)
    assert (first["status"], first["secretsFailed"]) == ("SUCCEEDED", 0)
    assert scenario.verified_in_vault(site)
    second = scenario.sync(site)
    assert (second["status"], second["secretsSynced"]) == ("SUCCEEDED", 0)


def test_a_secret_outside_the_functions_role_fails_alone(site: Site) -> None:
    secrets_manager = site.aws("secretsmanager")
    secrets_manager.create_secret(Name="elsewhere/a", SecretString="not ours")
    try:
        execution = scenario.sync(site, filters=("prod/orders/*", "elsewhere/*"))
    finally:
        secrets_manager.delete_secret(SecretId="elsewhere/a", ForceDeleteWithoutRecovery=True)
    items = {item["name"]: item for item in execution["items"]}
    assert (items["elsewhere/a"]["status"], items["elsewhere/a"]["errorCode"]) == ("FETCH_FAILED", "access-denied")
    assert execution["status"] == "PARTIAL"
    assert scenario.verified_in_vault(site)


def test_the_scheduler_finds_what_is_due_under_its_own_role(site: Site) -> None:
    secrets_manager = site.aws("secretsmanager")
    tags = {"polyvault:policy": "standard", "polyvault:rotationInterval": "soon"}
    secrets_manager.create_secret(
        Name="prod/scheduler-probe", SecretString="v", Tags=[{"Key": key, "Value": tags[key]} for key in tags]
    )
    try:
        assert _invoke(site, "scheduler", {}) == {"rotations": 0, "syncs": 0, "skipped": 1}
    finally:
        secrets_manager.delete_secret(SecretId="prod/scheduler-probe", ForceDeleteWithoutRecovery=True)
