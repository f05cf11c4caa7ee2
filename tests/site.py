"""One deployed stack for all tests that need one: the local cloud with the bundle and the demo's application on it.

The fixture starts on first use and ends with the session. It is built by the same code that `make demo` runs.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local import cloud as local_cloud
from local.demo import scenario
from local.demo.scenario import Site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The bundle and the application, deployed with the real `sam`."""
    folder = tmp_path_factory.mktemp("site")
    cloud = local_cloud.start(folder / "cloud")
    try:
        deployed = scenario.deploy_bundle(cloud, folder / "logs")
        scenario.deploy_application(deployed)
        yield deployed
    finally:
        cloud.stop()
