"""Alerts through one SNS topic. Needs sns:Publish on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from polyvault.adapters.aws_calls import AwsCalls
from polyvault.adapters.aws_client import FAILURES, error_code
from polyvault.errors import HouseholdError

_LONGEST_SUBJECT = 100


class SnsAlerts:
    """Alerts: the subject is cut to SNS's 100 characters of ASCII, the body is JSON."""

    def __init__(self, client: Any, *, topic_arn: str, calls: AwsCalls) -> None:
        self._client = client
        self._topic_arn = topic_arn
        self._calls = calls

    def send(self, subject: str, body: Mapping[str, object]) -> None:
        """HouseholdError when the topic did not take it. A repeat after a lost answer may be told twice."""
        plain = "".join(character if " " <= character <= "~" else "?" for character in subject)
        try:
            self._calls(
                self._client.publish,
                TopicArn=self._topic_arn,
                Subject=plain[:_LONGEST_SUBJECT],
                Message=json.dumps(dict(body), ensure_ascii=False, sort_keys=True),
            )
        except FAILURES as exc:
            raise HouseholdError(f"the alert was not published ({error_code(exc)})") from exc


class NoAlerts:
    """Where no topic is configured, nobody is told."""

    def send(self, subject: str, body: Mapping[str, object]) -> None:
        """Do nothing."""
