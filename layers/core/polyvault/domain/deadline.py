"""How long a use case may still work."""

from __future__ import annotations

from dataclasses import dataclass

from polyvault.errors import DeadlineExceededError


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point of the monotonic clock, in seconds, after which nothing may be under way."""

    at: float

    def require(self, seconds: float, act: str, *, now: float) -> None:
        """Raise DeadlineExceededError unless ``seconds`` are left: what cannot be undone is then not started."""
        if self.at - now < seconds:
            raise DeadlineExceededError(f"too little time left to {act}")
