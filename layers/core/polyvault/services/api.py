"""The use cases that the REST API serves."""

from __future__ import annotations

from dataclasses import dataclass

from polyvault.services.audit_query import AskAudit
from polyvault.services.manage_syncs import ManageSyncs
from polyvault.services.order_rotation import OrderRotation
from polyvault.services.overview import Overview


@dataclass(frozen=True, slots=True)
class ApiServices:
    """One of each; no rule of its own."""

    overview: Overview
    ask_audit: AskAudit
    order_rotation: OrderRotation
    syncs: ManageSyncs
