"""Hardware in the loop: the same tests for the simulated robot (CI) and a real one.

pytest tests/hil -s                                                               simulated
pytest tests/hil -s --robot real --hil-settings robot.toml --i-am-next-to-it      real; see site.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.hil.rig import Track
from tests.hil.site import Site, real, simulated


def pytest_configure(config: pytest.Config) -> None:
    """Keep a simulated robot to this process and its children; a real one is where the environment says."""
    if config.getoption("--robot") == "sim":
        os.environ["ROS_DOMAIN_ID"] = str(os.getpid() % 100 + 1)
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        os.environ["FASTDDS_BUILTIN_TRANSPORTS"] = "UDPv4"


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The robot that the options name."""
    if request.config.getoption("--robot") == "real":
        yield real(request.config.getoption("--hil-settings"))
        return
    with simulated(tmp_path_factory.mktemp("hil")) as made:
        yield made


@pytest.fixture
def track(site: Site) -> Iterator[Track]:
    """What is seen of it."""
    made = Track(site.limits)
    yield made
    made.close()
