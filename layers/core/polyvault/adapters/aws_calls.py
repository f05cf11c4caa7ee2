"""Calls to AWS with one retry policy; the SDK itself makes one attempt."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from random import SystemRandom
from typing import Any

from polyvault.adapters.aws_client import is_transient
from polyvault.domain.retry import RetryPolicy
from polyvault.ports import Clock


class AwsCalls:
    """Makes calls that may be made again: reads, and writes that are idempotent by their key."""

    def __init__(
        self, clock: Clock, *, retry: RetryPolicy | None = None, draw: Callable[[], float] | None = None
    ) -> None:
        self._clock = clock
        self._retry = retry or RetryPolicy()
        self._draw = draw or SystemRandom().random

    def __call__(self, operation: Callable[..., Any], **arguments: Any) -> Any:
        """The answer; raises the last attempt's own exception when the policy gives up or the failure will not pass."""
        started = self._clock.monotonic()
        for retry in itertools.count(1):
            try:
                return operation(**arguments)
            except Exception as exc:
                elapsed = self._clock.monotonic() - started
                delay = self._retry.delay(retry, draw=self._draw(), retry_after=None, elapsed=elapsed)
                if delay is None or not is_transient(exc):
                    raise
            self._clock.sleep(delay)
        raise AssertionError("unreachable: count() does not end")
