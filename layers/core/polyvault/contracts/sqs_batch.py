"""A batch of queue messages as Lambda delivers it, and the answer that names those to deliver again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from polyvault.contracts.decoding import decode


class SqsMessage(msgspec.Struct, frozen=True, rename="camel"):
    """One message; its body is text until its own contract reads it."""

    message_id: str
    body: str


class SqsBatch(msgspec.Struct, frozen=True, rename="pascal"):
    """What an event source mapping of a queue sends."""

    records: tuple[SqsMessage, ...]


def messages(event: object) -> dict[str, str]:
    """Bodies by message id, in the order of arrival; InvalidInputError when the event is no batch of a queue."""
    return {message.message_id: message.body for message in decode(SqsBatch, event).records}


def batch_item_failures(message_ids: Iterable[str]) -> dict[str, Any]:
    """The answer for ReportBatchItemFailures: these messages stay in the queue, all others leave it."""
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in message_ids]}
