"""Measure cases side by side, and write what was measured."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

SUMMARY = Path(__file__).resolve().parent.parent / "build/bench/summary.json"


@dataclass(frozen=True, slots=True)
class Figure:
    """Ours and the baseline in one unit, smaller is better; ``ratio`` is ours divided by the baseline."""

    name: str
    ours: float
    baseline: float
    unit: str
    ratio: float


def interleaved(
    name: str, ours: Callable[[], float], baseline: Callable[[], float], *, unit: str, rounds: int, warm_up: int = 1
) -> Figure:
    """Medians of the two cases, taken in turn so that the machine's load weighs on both; the warm-up is not counted."""
    pairs = [(ours(), baseline()) for _ in range(warm_up + rounds)][warm_up:]
    our_median, their_median = (statistics.median(case) for case in zip(*pairs, strict=True))
    return Figure(name, round(our_median, 2), round(their_median, 2), unit, round(our_median / their_median, 3))


def report(figures: Sequence[Figure], summary: Path = SUMMARY) -> None:
    """Print the table and write the summary."""
    table = Table("benchmark", "ours", "baseline", "unit", "ratio")
    for figure in figures:
        table.add_row(figure.name, f"{figure.ours:g}", f"{figure.baseline:g}", figure.unit, f"{figure.ratio:.2f}")
    Console().print(table)
    summary.parent.mkdir(parents=True, exist_ok=True)
    summary.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")
