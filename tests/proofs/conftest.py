"""Fixtures of the proofs: real mosquitto, real rclpy, a ROS domain of their own."""

from __future__ import annotations

from tests.integration.conftest import broker, pytest_configure, robot

__all__ = ["broker", "pytest_configure", "robot"]
