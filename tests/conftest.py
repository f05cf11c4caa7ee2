"""Fixtures that every kind of test may use."""

from pathlib import Path

import pytest

from tests.site import site

__all__ = ["project", "site"]


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root folder."""
    return Path(__file__).resolve().parent.parent
