"""Wire formats: what handlers parse and adapters encode."""

from polyvault.contracts.decoding import decode

__all__ = ["decode"]
