"""Work orders into one SQS queue. Needs sqs:SendMessage on it."""

from __future__ import annotations

from typing import Any

from polyvault.adapters.aws_calls import AwsCalls
from polyvault.adapters.aws_client import FAILURES, error_code
from polyvault.contracts.work import encode_order
from polyvault.domain.work import RotationOrder, SyncOrder
from polyvault.errors import HouseholdError


class SqsQueue:
    """WorkQueue: a sent order is in the queue at least once; its reader takes it as one, by the ids that it carries."""

    def __init__(self, client: Any, *, url: str, calls: AwsCalls) -> None:
        self._client = client
        self._url = url
        self._calls = calls

    def send(self, message: RotationOrder | SyncOrder) -> None:
        """HouseholdError when the queue did not take it."""
        try:
            self._calls(self._client.send_message, QueueUrl=self._url, MessageBody=encode_order(message))
        except FAILURES as exc:
            raise HouseholdError(f"the queue did not take the order ({error_code(exc)})") from exc
