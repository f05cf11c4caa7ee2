"""The session's real servers; see tests/peers.py."""

from tests.peers import local_ca, postgresql

__all__ = ["local_ca", "postgresql"]
