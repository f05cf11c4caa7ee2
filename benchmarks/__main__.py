"""`make bench`: run each benchmark, print the table, write build/bench/summary.json."""

from __future__ import annotations

import platform
import sys

from benchmarks import cold_start, figures


def main() -> int:
    """The figures are printed whatever they are: gates are the tests' business."""
    print(f"Python {platform.python_version()} on {platform.machine()}, emulated AWS on loopback")
    figures.report([cold_start.measure()])
    return 0


if __name__ == "__main__":
    sys.exit(main())
