"""The one seam between callers and vaults."""

from polyvault.store.directory import StoreDirectory
from polyvault.store.portable import SecretStore

__all__ = ["SecretStore", "StoreDirectory"]
