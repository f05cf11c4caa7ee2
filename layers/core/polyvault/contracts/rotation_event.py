"""The event with which Secrets Manager calls a rotation function."""

from __future__ import annotations

from typing import Annotated

import msgspec

from polyvault.domain.rotation import RotationRequest, Step
from polyvault.domain.secret import SecretValue
from polyvault.errors import InvalidInputError

_STEPS = frozenset(Step)


class RotationEvent(msgspec.Struct, frozen=True, rename="pascal"):
    """As AWS sends it; fields that AWS may add are let through. No field is an enum: msgspec would quote the value."""

    step: str
    secret_id: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    client_request_token: Annotated[str, msgspec.Meta(min_length=32, max_length=64, pattern=r"\A[\x21-\x7e]+\Z")]
    rotation_token: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)] | None = None

    def __repr__(self) -> str:
        return f"RotationEvent({self.step!r}, {self.secret_id!r})"

    def to_request(self) -> RotationRequest:
        """The request; raises InvalidInputError for a step that is none of the four."""
        if self.step not in _STEPS:
            raise InvalidInputError("$.Step", f"is none of {', '.join(Step)}")
        return RotationRequest(
            secret_id=self.secret_id,
            client_request_token=self.client_request_token,
            step=Step(self.step),
            rotation_token=SecretValue(self.rotation_token) if self.rotation_token else None,
        )
