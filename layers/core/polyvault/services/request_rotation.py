"""Have a vault rotate a secret, as somebody asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from polyvault.domain.audit import Actor
from polyvault.domain.work import RotationOrder
from polyvault.store import SecretStore


@dataclass(frozen=True, slots=True)
class RequestRotation:
    """Hands rotation orders to the vaults."""

    stores: Mapping[str, SecretStore]

    def __call__(self, order: RotationOrder) -> str:
        """Answer the new version's id. An order that was carried out is a no-op.

        Raises InvalidRequestError while a previous rotation is not complete, or the secret has no rotation function:
        the order stays in its queue and is tried again.
        """
        store = self.stores[order.store].for_actor(Actor(order.requested_by))
        return store.request_rotation(order.secret, client_request_token=order.client_request_token)
