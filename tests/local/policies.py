"""Policies as tests write them, and what a denial looks like."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Statement = dict[str, Any]


def allow(*actions: str, on: str | list[str] = "*", when: Any = None) -> Statement:
    """A statement that allows these actions on these resources, under a condition when one is given."""
    statement: Statement = {"Effect": "Allow", "Action": list(actions), "Resource": on}
    return statement | ({"Condition": when} if when else {})


def document(*statements: Statement) -> str:
    """The policy of these statements as JSON."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def denied(call: Callable[[], Any], status: int = 400) -> str:
    """The message with which AWS denies the call; fails when it is allowed."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] in {"AccessDeniedException", "AccessDenied"}
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    return str(error["Message"])
