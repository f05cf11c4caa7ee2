"""Every kill point of every suite: a table on the screen, figures in build/proof/summary.json."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from local import postgresql
from local.certificates import CertificateAuthority
from tests.killpoints.runner import SUITES, Outcome, Suite, points, run_case
from tests.killpoints.world import Server, create_database

SUMMARY = Path(__file__).resolve().parents[2] / "build" / "proof" / "summary.json"
MOST_RETRIES = 2
_COLUMNS = (
    ("calls", "calls"),
    ("points", "points"),
    ("crashes_fired", "fired"),
    ("max_retries", "retries"),
    ("points_current_cannot_log_in", "dead points"),
    ("clean_window_ms", "window ms"),
    ("max_failed_logins", "failed logins"),
    ("privileges_lost", "lost"),
    ("privileges_gained", "gained"),
)


@dataclass(frozen=True, slots=True)
class Proof:
    """What one suite showed."""

    suite: Suite
    clean: Outcome
    outcomes: Sequence[Outcome]
    seconds: float

    @property
    def failures(self) -> list[str]:
        found = []
        for outcome in (self.clean, *self.outcomes):
            problems = list(outcome.violations)
            if outcome.retries > MOST_RETRIES:
                problems.append(f"took {outcome.retries} retries")
            if outcome.failed_logins > 1:
                problems.append(f"{outcome.failed_logins} failed logins in one attempt")
            if outcome.point is not None and not outcome.fired:
                problems.append("the crash did not fire")
            found += [f"{self.suite.name}, {outcome.point or 'clean run'}: {problem}" for problem in problems]
        return found

    def summary(self) -> dict[str, object]:
        """The suite's entry in summary.json."""
        failed = {failure.split(": ")[0] for failure in self.failures}
        every = (self.clean, *self.outcomes)
        return {
            "name": f"PostgreSQL kill points: {self.suite.name}",
            "cases": len(every),
            "passed": len(every) - len(failed),
            "figures": {
                "calls": len(self.clean.calls),
                "points": len(self.outcomes),
                "crashes_fired": sum(outcome.fired for outcome in self.outcomes),
                "max_retries": max(outcome.retries for outcome in every),
                "points_current_cannot_log_in": sum(outcome.current_dead for outcome in self.outcomes),
                "clean_window_ms": 0.0 if self.suite.alternating else round(self.clean.window_seconds * 1000, 1),
                "max_failed_logins": max(outcome.failed_logins for outcome in every),
                "privileges_lost": sum(outcome.lost for outcome in every),
                "privileges_gained": sum(outcome.gained for outcome in every),
                "seconds": round(self.seconds, 1),
            },
        }


def prove(suite: Suite) -> Proof:
    """Every point of the suite, on a server of its own."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="polyvault-proof-") as folder:
        running = postgresql.start(Path(folder) / "postgresql", CertificateAuthority.open(Path(folder) / "ca"))
        try:
            server = Server(running.host, running.port, running.superuser, running.password, running.ca_path)
            create_database(server)
            clean = run_case(server, suite, None)
            outcomes = [run_case(server, suite, point) for point in points(len(clean.calls))]
        finally:
            running.stop()
    return Proof(suite, clean, outcomes, time.monotonic() - began)


def main() -> int:
    """Prove all suites, two at a time; 0 when every case passed."""
    with ProcessPoolExecutor(max_workers=2) as pool:
        proofs = list(pool.map(prove, SUITES))
    rows = [proof.summary() for proof in proofs]
    SUMMARY.parent.mkdir(parents=True, exist_ok=True)
    SUMMARY.write_text(json.dumps(rows, indent=2) + "\n")
    print(_table(rows))
    failures = [failure for proof in proofs for failure in proof.failures]
    print("\n".join(failures) or f"each case passed; {SUMMARY.relative_to(Path.cwd(), walk_up=True)}")
    return 1 if failures else 0


def _table(rows: Sequence[dict[str, object]]) -> str:
    head = ["kill points", "passed", *(title for _, title in _COLUMNS)]
    lines = [head]
    for row in rows:
        figures = row["figures"]
        assert isinstance(figures, dict)
        name = str(row["name"]).removeprefix("PostgreSQL kill points: ")
        lines.append([name, f"{row['passed']}/{row['cases']}", *(str(figures[key]) for key, _ in _COLUMNS)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) if not column else cell.rjust(width) for column, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    )


if __name__ == "__main__":
    sys.exit(main())
