"""What the demo shows while it runs, and what it leaves in build/demo/summary.json."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

Figures = Mapping[str, Any]


@dataclass(slots=True)
class Stage:
    """One line of the demo: what it does, how long it took and what it showed."""

    name: str
    title: str
    seconds: float | None = None
    said: str = ""
    failed: bool = False


class StageFailedError(Exception):
    """A stage ended the demo: its name, the cause and where to read on."""

    def __init__(self, stage: Stage, cause: Exception, log: Path) -> None:
        super().__init__(f"{stage.title}: {cause}")
        self.stage = stage
        self.cause = cause
        self.log = log


@dataclass(slots=True)
class Progress:
    """A live table of the stages; `run` times one and shows its outcome."""

    console: Console
    logs: Path
    stages: list[Stage] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    _live: Live | None = None

    def __enter__(self) -> Progress:
        self._live = Live(self._table(), console=self.console, refresh_per_second=8, get_renderable=self._table)
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def run(self, name: str, title: str, work: Callable[[Callable[[str], None]], Figures]) -> None:
        """Run one stage. ``work`` may say what it is doing; its figures go to the summary."""
        stage = Stage(name, title)
        self.stages.append(stage)
        started = time.monotonic()

        def say(text: str) -> None:
            stage.said = text

        try:
            self.figures.update(work(say))
        except Exception as error:
            stage.failed = True
            raise StageFailedError(stage, error, self.logs) from error
        finally:
            stage.seconds = time.monotonic() - started

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(width=2)
        table.add_column(min_width=16)
        table.add_column(justify="right", width=8)
        table.add_column(overflow="fold")
        for stage in self.stages:
            mark: Any = Spinner("dots")
            if stage.failed:
                mark = "[red]x[/]"
            elif stage.seconds is not None:
                mark = "[green]+[/]"
            seconds = "" if stage.seconds is None else f"{stage.seconds:.1f} s"
            table.add_row(mark, escape(stage.title), seconds, escape(stage.said))
        return table

    def write_summary(self, path: Path, *, seconds: float, failed: StageFailedError | None) -> None:
        """Per stage seconds, and the figures; a failed run says where."""
        path.parent.mkdir(parents=True, exist_ok=True)
        summary = {
            "ok": failed is None,
            "seconds": round(seconds, 2),
            "stages": [
                {"name": stage.name, "seconds": round(stage.seconds or 0.0, 2), "ok": not stage.failed}
                for stage in self.stages
            ],
            **self.figures,
        }
        if failed:
            summary["failed_stage"] = failed.stage.name
        path.write_text(json.dumps(summary, indent=2) + "\n")
