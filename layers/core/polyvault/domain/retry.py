"""When a failed call is tried again, and after how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Capped exponential backoff with full jitter, inside a budget of seconds that counts from the first attempt."""

    attempts: int = 4
    base_seconds: float = 0.1
    cap_seconds: float = 2.0
    budget_seconds: float = 8.0

    def delay(self, retry: int, *, draw: float, retry_after: float | None, elapsed: float) -> float | None:
        """Seconds to wait before retry number ``retry`` (from 1), or None when there is to be none.

        ``draw`` is uniform in [0, 1). The vault's own wish is obeyed, and gives up when it does not fit the budget.
        """
        if retry >= self.attempts:
            return None
        backoff = draw * min(self.cap_seconds, self.base_seconds * 2.0**retry)
        delay = max(backoff, retry_after or 0.0)
        return delay if elapsed + delay <= self.budget_seconds else None


class RetryTokens:
    """A bucket that keeps retries of one store near a tenth of its calls, so that an outage meets no storm.

    A retry takes one token, a success gives a tenth back; an empty bucket means no retry.
    """

    def __init__(self, capacity: float = 10.0, refill: float = 0.1) -> None:
        self._capacity = capacity
        self._refill = refill
        self._tokens = capacity

    def take(self) -> bool:
        """True when a retry may be made; takes its token."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def succeeded(self) -> None:
        """Note a call that worked."""
        self._tokens = min(self._capacity, self._tokens + self._refill)
