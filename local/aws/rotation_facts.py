"""What Secrets Manager says about rotation when it is asked: its dates and rules."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ministack.core.responses import json_response
from ministack.services import secretsmanager as service

from local.aws import schedule
from local.aws.secret_versions import labelled
from local.aws.strict_answers import Response, Secret

_describe_secret = service._describe_secret
_list_secrets = service._list_secrets


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
    service._describe_secret = describe_secret
    service._list_secrets = list_secrets
