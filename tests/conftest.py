"""Fixtures that every kind of test may use."""

import sys
from pathlib import Path

import pytest

from tests.site import site

__all__ = ["project", "site"]


def pytest_runtest_teardown() -> None:
    """Forget the credentials that adapters' clients found: the next test may run as somebody else."""
    aws_client = sys.modules.get("polyvault.adapters.aws_client")
    if aws_client is not None:
        aws_client.session.cache_clear()


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root folder."""
    return Path(__file__).resolve().parent.parent
