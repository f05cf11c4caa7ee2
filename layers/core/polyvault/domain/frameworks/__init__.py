"""The frameworks that a report can be about."""

from __future__ import annotations

from collections.abc import Mapping

from polyvault.domain.frameworks.framework import Control, Framework
from polyvault.domain.frameworks.gdpr import GDPR
from polyvault.domain.frameworks.hipaa import HIPAA
from polyvault.domain.frameworks.iso27001 import ISO27001
from polyvault.domain.frameworks.pci_dss import PCI_DSS
from polyvault.domain.frameworks.soc2 import SOC2
from polyvault.errors import InvalidInputError

FRAMEWORKS: Mapping[str, Framework] = {
    framework.name: framework for framework in (HIPAA, SOC2, GDPR, PCI_DSS, ISO27001)
}


def framework_named(name: str) -> Framework:
    """The framework of that name; InvalidInputError for any other."""
    if name not in FRAMEWORKS:
        raise InvalidInputError("framework", f"is none of {', '.join(FRAMEWORKS)}")
    return FRAMEWORKS[name]


__all__ = ["FRAMEWORKS", "Control", "Framework", "framework_named"]
