"""Fixtures of the integration tier: real mosquitto, real rclpy, a ROS domain of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from edgetwin.sim.broker import BrokerKind, LocalBroker
from tests.integration.lab import Robot


def pytest_configure() -> None:
    """Keep this process and its children to themselves, before rclpy is imported."""
    os.environ["ROS_DOMAIN_ID"] = str(os.getpid() % 100 + 1)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ["FASTDDS_BUILTIN_TRANSPORTS"] = "UDPv4"


@pytest.fixture
def broker() -> Iterator[LocalBroker]:
    """A mosquitto of this test's own."""
    if shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        message = "mosquitto is not installed: apt-get install mosquitto"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with LocalBroker(BrokerKind.MOSQUITTO) as running:
        yield running


@pytest.fixture(scope="session")
def robot() -> Iterator[Robot]:
    """Publishers in this process."""
    made = Robot()
    yield made
    made.close()
