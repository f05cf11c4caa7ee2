"""Fixtures: real servers from `local/`, one of each for a test session, started by the first test that asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local import cloud as local_cloud
from local import openbao as openbao_server
from local import postgresql as postgresql_server
from local.certificates import CertificateAuthority


@pytest.fixture(scope="session")
def local_ca(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """The authority that signs the servers' certificates."""
    return CertificateAuthority.open(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def postgresql(
    tmp_path_factory: pytest.TempPathFactory, local_ca: CertificateAuthority
) -> Iterator[postgresql_server.PostgreSQL]:
    """PostgreSQL alone: under a second."""
    server = postgresql_server.start(tmp_path_factory.mktemp("postgresql"), local_ca)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def openbao(
    tmp_path_factory: pytest.TempPathFactory, local_ca: CertificateAuthority
) -> Iterator[openbao_server.OpenBao]:
    """OpenBao alone: about three seconds."""
    server = openbao_server.start(tmp_path_factory.mktemp("openbao"), local_ca)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_cloud.Cloud]:
    """Everything: about four seconds. Nothing is deployed on it; for the bundle ask for `site`."""
    running = local_cloud.start(tmp_path_factory.mktemp("cloud"))
    yield running
    running.stop()
