"""The bytecode and the slim models that the layers ship are worth it: measured, not believed."""

from __future__ import annotations

from benchmarks import cold_start, figures
from tests.bundle.conftest import Bundle

MOST_OF_THE_DEFAULT_BUILDERS = 0.5


def test_a_cold_start_costs_half_of_what_the_default_builder_ships(bundle: Bundle) -> None:
    assert bundle.root == cold_start.BUNDLE
    figure = cold_start.measure(rounds=9)
    figures.report([figure], bundle.root.parent / "cold-start.json")
    assert figure.ratio <= MOST_OF_THE_DEFAULT_BUILDERS


def test_the_ratio_is_of_medians_taken_in_turn() -> None:
    order: list[str] = []
    ours, theirs = iter([9.0, 1.0, 2.0, 3.0]), iter([9.0, 4.0, 4.0, 40.0])

    def case(name: str, values: object) -> float:
        order.append(name)
        return next(values)  # type: ignore[call-overload,no-any-return]

    figure = figures.interleaved(
        "case", lambda: case("ours", ours), lambda: case("theirs", theirs), unit="ms", rounds=3
    )
    assert order == ["ours", "theirs"] * 4
    assert (figure.ours, figure.baseline, figure.ratio) == (2.0, 4.0, 0.5)
