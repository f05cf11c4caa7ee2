"""What a refused Secrets Manager request is answered, and the look-ups every action starts with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import secretsmanager as sm

Response = tuple[int, dict[str, str], bytes]
Secret = dict[str, Any]
Data = dict[str, Any]

DELETED = "You can't perform this operation on the secret because it was marked for deletion."


class Refusal(Exception):
    """The service says no: AWS's error code and message. Nothing has been changed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    def response(self) -> Response:
        """HTTP 400, as Secrets Manager answers every client error."""
        answer: Response = error_response_json(self.code, self.message, 400)
        return answer


def answering(action: Callable[[Data], Response]) -> Callable[[Data], Response]:
    """The action with its refusals turned into answers."""

    def answer(data: Data) -> Response:
        try:
            return action(data)
        except Refusal as refusal:
            return refusal.response()

    return answer


def known(data: Data) -> Secret:
    """The secret that the request names, deleted or not."""
    _, secret = sm._resolve(data.get("SecretId"))
    if not secret:
        raise Refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    found: Secret = secret
    return found


def alive(data: Data) -> Secret:
    """The secret that the request names; one marked for deletion is refused."""
    secret = known(data)
    if secret.get("DeletedDate"):
        raise Refusal("InvalidRequestException", DELETED)
    return secret


def writable(data: Data) -> Secret:
    """The secret that the request names; a deleted one and a replica are refused."""
    secret = alive(data)
    if sm._is_replica(secret):
        raise Refusal("InvalidRequestException", "You can't perform this operation on a replica secret.")
    return secret
