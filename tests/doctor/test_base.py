"""What the listeners of the motion topic are set to: a base that goes on by itself, or at any speed."""

from __future__ import annotations

import pytest

from edgetwin.doctor.findings import Level
from edgetwin.doctor.robot import base

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (None, ["warn"]),
        ({}, ["warn"]),
        ({"cmd_vel_timeout": 0.5}, ["ok"]),
        ({"cmd_vel_timeout": 0.51}, ["warn"]),
        ({"cmd_vel_timeout": 0.0}, ["fail"]),
        ({"cmd_vel_timeout": -1.0}, ["fail"]),
        ({"cmd_vel_timeout": NAN}, ["fail"]),
        ({"cmd_vel_timeout": float("inf")}, ["warn"]),
        ({"reference_timeout": 0.0}, ["fail"]),
        ({"cmd_vel_timeout": 0.5, "linear.x.max_velocity": 1.0, "angular.z.max_velocity": 1.0}, ["ok"]),
        ({"cmd_vel_timeout": 0.5, "linear.x.max_velocity": NAN}, ["warn"]),
        ({"cmd_vel_timeout": 0.0, "linear.x.max_velocity": NAN, "angular.z.max_velocity": NAN}, ["fail", "warn"]),
        ({"linear.x.max_velocity": NAN}, ["warn", "warn"]),
    ],
)
def test_a_base_is_judged_by_its_parameters(values: dict[str, float] | None, levels: list[str]) -> None:
    """No timeout is the worst; each finding that is not ok names a cure."""
    found = list(base("/base", values, Level.FAIL))

    assert [str(finding.level) for finding in found] == levels
    assert all(finding.cure for finding in found if finding.level is not Level.OK)


def test_without_remote_motion_nothing_is_worse_than_a_warning() -> None:
    """Nothing moves yet."""
    found = list(base("/base", {"cmd_vel_timeout": 0.0}, Level.WARN))

    assert [finding.level for finding in found] == [Level.WARN]
