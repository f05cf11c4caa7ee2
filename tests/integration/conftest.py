"""The session's real servers; see tests/peers.py."""

from tests.peers import cloud, local_ca, openbao, postgresql

__all__ = ["cloud", "local_ca", "openbao", "postgresql"]
