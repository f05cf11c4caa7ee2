"""The store under test, once for each peer."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from local import aws_process, interpreter
from tests.conformance.vaults import PEERS, Vault
from tests.peers import local_ca, openbao, postgresql

__all__ = ["local_ca", "openbao", "postgresql"]


@pytest.fixture(scope="session")
def emulated_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[aws_process.Aws]:
    """Emulated AWS alone, with no function on it."""
    server = aws_process.start(tmp_path_factory.mktemp("aws"), interpreter.find(os.environ))  # noqa: TID251
    yield server
    server.stop()


@pytest.fixture(params=list(PEERS))
def vault(request: pytest.FixtureRequest) -> Iterator[Vault]:
    """A store on the peer; its connections are closed at the end."""
    found = PEERS[request.param].open(request)
    yield found
    found.store.disconnect()


@pytest.fixture
def folder() -> str:
    """A prefix that no other test uses: peers live for the whole session."""
    return f"conformance/{uuid.uuid4().hex}"
