"""The report's two drawings, as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping
from math import pi

from polyvault.adapters.html_text import Html, fill, join
from polyvault.domain.compliance import Status

_RADIUS = 62
_ROUND = 2 * pi * _RADIUS

_DONUT = """<svg class="donut" viewBox="0 0 160 160" role="img" aria-label="{label}">
<circle class="track" cx="80" cy="80" r="62" stroke-width="18"/>{arcs}
<text x="80" y="86">{total}</text><text class="small" x="80" y="104">{unit}</text></svg>"""
_ARC = (
    '<circle class="arc {status}" cx="80" cy="80" r="62" stroke-width="18" transform="rotate(-90 80 80)"'
    ' stroke-dasharray="{length} {rest}" stroke-dashoffset="{offset}"/>'
)
_BAR = (
    '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{label}">'
    '<rect class="rest" width="100" height="8"/><rect class="part" width="{percent}" height="8"/></svg>'
)


def donut(counts: Mapping[Status, int]) -> Html:
    """A ring with an arc for each count that is not zero, and the total in words inside."""
    total = sum(counts.values())
    arcs: list[Html] = []
    before = 0
    for status, count in counts.items():
        if count:
            length = _ROUND * count / total
            offset = -_ROUND * before / total
            arcs.append(fill(_ARC, status=status.value, length=_n(length), rest=_n(_ROUND - length), offset=_n(offset)))
        before += count
    label = ", ".join(f"{count} {status.value}" for status, count in counts.items() if count) or "no secrets"
    return fill(_DONUT, label=label, arcs=join(arcs), total=total, unit="secret" if total == 1 else "secrets")


def bar(percent: float, label: str) -> Html:
    """A bar filled to that percentage."""
    return fill(_BAR, percent=_n(percent), label=label)


def _n(number: float) -> str:
    return f"{number:.2f}"
