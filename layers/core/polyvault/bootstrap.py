"""The only place that wires: one cached function a use case.

Each function imports what it needs when it is first called, so that an execution environment loads only its own
use case's SDKs, and nothing happens at import.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polyvault.ports import Clock


@cache
def clock() -> Clock:
    """The machine's clock."""
    from polyvault.adapters.system_clock import SystemClock

    return SystemClock()
