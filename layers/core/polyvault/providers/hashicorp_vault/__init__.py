"""HashiCorp Vault and OpenBao: KV v2 and KV v1 through hvac, over TLS only.

The canonical form of a value is ``{"value": text}``. An object that others wrote in another form is read as compact
JSON text, which is not byte-exact, and is replaced by the canonical form when it is written here.
"""

from __future__ import annotations

from polyvault.ports import Clock
from polyvault.providers import CredentialSource
from polyvault.providers.hashicorp_vault.connection import Connection
from polyvault.providers.hashicorp_vault.kv1 import Kv1
from polyvault.providers.hashicorp_vault.kv2 import Kv2
from polyvault.providers.hashicorp_vault.settings import Settings

__all__ = ["LAYER", "ROTATES", "Provider", "Settings"]

LAYER = "hashicorp"
ROTATES = False


def Provider(settings: Settings, *, credential: CredentialSource | None, clock: Clock) -> Kv1 | Kv2:
    """The driver of the mount's KV version. No call is made before the first operation."""
    connection = Connection(settings, credential=credential, clock=clock)
    return Kv1(connection, settings.mount) if settings.kv_version == 1 else Kv2(connection, settings.mount)
