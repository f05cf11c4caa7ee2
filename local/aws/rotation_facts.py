"""What Secrets Manager says about rotation when it is asked: dates, rules, and values that are not there yet."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import secretsmanager as service

from local.aws import schedule
from local.aws.secret_versions import Secret, has_value, labelled

Response = tuple[int, dict[str, str], bytes]

_get_secret_value = service._get_secret_value
_describe_secret = service._describe_secret
_list_secrets = service._list_secrets


def get_secret_value(data: Mapping[str, Any]) -> Response:
    """GetSecretValue: a version without a value cannot be found."""
    answer: Response = _get_secret_value(data)
    body = json.loads(answer[2])
    if answer[0] != 200 or has_value(body):
        return answer
    stage = data.get("VersionStage", "AWSCURRENT")
    asked = f"VersionId: {body['VersionId']}" if data.get("VersionId") else f"staging label: {stage}"
    message = f"Secrets Manager can't find the specified secret value for {asked}"
    answer = error_response_json("ResourceNotFoundException", message, 400)
    return answer


def describe_secret(data: Mapping[str, Any]) -> Response:
    """DescribeSecret, with the dates of rotation."""
    answer: Response = _describe_secret(data)
    if answer[0] == 200:
        _, secret = service._resolve(data.get("SecretId"))
        answer = json_response(_with_rotation(json.loads(answer[2]), secret))
    return answer


def list_secrets(data: Mapping[str, Any]) -> Response:
    """ListSecrets, with the same facts on rotation as DescribeSecret, and the key."""
    answer: Response = _list_secrets(data)
    if answer[0] == 200:
        body = json.loads(answer[2])
        for entry in body["SecretList"]:
            _, secret = service._resolve(entry["ARN"])
            _with_rotation(entry, secret)
            if secret.get("KmsKeyId"):
                entry["KmsKeyId"] = secret["KmsKeyId"]
        answer = json_response(body)
    return answer


def _with_rotation(entry: dict[str, Any], secret: Secret) -> dict[str, Any]:
    """A secret that was never configured for rotation says nothing of it; one turned off keeps what it had."""
    entry.pop("RotationEnabled", None)
    if secret.get("RotationLambdaARN"):
        entry["RotationEnabled"] = bool(secret.get("RotationEnabled"))
        entry["RotationLambdaARN"] = secret["RotationLambdaARN"]
    if secret.get("RotationRules"):
        entry["RotationRules"] = copy.deepcopy(secret["RotationRules"])
    if secret.get("RotationEnabled"):
        if secret.get("LastRotatedDate"):
            entry["LastRotatedDate"] = secret["LastRotatedDate"]
        if window := next_window(secret):
            entry["NextRotationDate"] = int(window.end.timestamp())
    return entry


def next_window(secret: Secret) -> schedule.Window | None:
    """The window in which the schedule wants the next rotation; None without a schedule."""
    rules = schedule.parse(secret.get("RotationRules") or {}, fast=True)
    if not rules or not secret.get("RotationEnabled"):
        return None
    base = secret.get("_RotationBase") or secret["CreatedDate"]
    current = secret["Versions"].get(labelled(secret, "AWSCURRENT"))
    if rules.follows_writes and current:
        base = max(base, current["CreatedDate"])
    return rules.next_window(datetime.fromtimestamp(base, UTC))


def install() -> None:
    """Answer reads with what the rotation engine knows."""
    service._get_secret_value = get_secret_value
    service._describe_secret = describe_secret
    service._list_secrets = list_secrets
