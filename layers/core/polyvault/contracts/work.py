"""Messages of our two work queues: one schema for the writer and the reader."""

from __future__ import annotations

import re

import msgspec

from polyvault.contracts.decoding import decode
from polyvault.domain.work import RotationOrder, SyncOrder
from polyvault.errors import InvalidInputError

_TOKEN = re.compile(r"[A-Za-z0-9-]{32,64}")
_EXECUTION = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class RotationMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A RotationOrder on the wire."""

    request_id: str
    store: str
    secret: str
    client_request_token: str
    requested_by: str


class SyncMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A SyncOrder on the wire."""

    execution_id: str
    config_id: str
    requested_by: str


def encode_order(order: RotationOrder | SyncOrder) -> str:
    """The message body of an order."""
    message: RotationMessage | SyncMessage
    if isinstance(order, RotationOrder):
        message = RotationMessage(
            order.request_id, order.store, order.secret, order.client_request_token, order.requested_by
        )
    else:
        message = SyncMessage(order.execution_id, order.config_id, order.requested_by)
    return msgspec.json.encode(message).decode()


def decode_rotation_order(body: object) -> RotationOrder:
    """The order in a message; InvalidInputError names the field that is wrong."""
    message = decode(RotationMessage, body)
    if not _TOKEN.fullmatch(message.client_request_token):
        raise InvalidInputError("$.clientRequestToken", "must be 32 to 64 of A-Z a-z 0-9 -")
    return RotationOrder(
        message.request_id, message.store, message.secret, message.client_request_token, message.requested_by
    )


def decode_sync_order(body: object) -> SyncOrder:
    """The order in a message; InvalidInputError names the field that is wrong."""
    message = decode(SyncMessage, body)
    if not _EXECUTION.fullmatch(message.execution_id):
        raise InvalidInputError("$.executionId", "must be 1 to 64 of A-Z a-z 0-9 _ . : -")
    return SyncOrder(message.execution_id, message.config_id, message.requested_by)
