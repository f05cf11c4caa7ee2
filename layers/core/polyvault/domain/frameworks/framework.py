"""A framework as data: its controls, and which checks are evidence for each. Reviewed by people, linted by tests."""

from __future__ import annotations

from dataclasses import dataclass

from polyvault.domain.compliance import Severity


@dataclass(frozen=True, slots=True)
class Control:
    """One line of a report. ``ids`` are the framework's own.

    ``automatic`` means that the checks are the whole evidence; else people attest the rest. ``by_people`` has no
    check by nature. ``limits`` says what the evidence does not reach. ``needs_risk_analysis`` names checks whose
    threshold the framework leaves to the organisation's risk analysis; ``rotation_class`` the only class it is about.
    """

    ids: tuple[str, ...]
    title: str
    checks: tuple[str, ...]
    automatic: bool
    by_people: bool
    severity: Severity
    limits: str = ""
    needs_risk_analysis: tuple[str, ...] = ()
    rotation_class: str | None = None

    @property
    def id(self) -> str:
        """The ids as reports print them."""
        return ", ".join(self.ids)


@dataclass(frozen=True, slots=True)
class Framework:
    """``name`` is what a request says. ``out_of_reach`` is what no secret store can show, printed in each report."""

    name: str
    title: str
    version: str
    controls: tuple[Control, ...]
    out_of_reach: tuple[str, ...]


def control(
    ids: str,
    title: str,
    checks: str,
    automation: str,
    severity: str,
    *,
    limits: str = "",
    needs_risk_analysis: tuple[str, ...] = (),
    rotation_class: str | None = None,
) -> Control:
    """A row: ids joined by semicolons, checks by blanks; automation A (automatic), P (partly), M (people only)."""
    return Control(
        ids=tuple(ids.split(";")),
        title=title,
        checks=tuple(checks.split()),
        automatic=automation == "A",
        by_people=automation == "M",
        severity=Severity[severity.upper()],
        limits=limits,
        needs_risk_analysis=needs_risk_analysis,
        rotation_class=rotation_class,
    )
