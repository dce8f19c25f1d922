"""`edgetwin check` says what is no fault, but should have been read once before the cloud moves the robot."""

from __future__ import annotations

import pytest

from edgetwin.check import notes
from edgetwin.settings import Settings
from edgetwin.settings.gate import GateSettings
from edgetwin.settings.tree import RobotSettings


def _settings(**gate: object) -> Settings:
    return Settings(robot=RobotSettings(id="r1"), gate=GateSettings.model_validate(gate))


@pytest.mark.parametrize(
    ("gate", "named"),
    [
        ({}, []),
        ({"checks_off": ("NO_EXPIRY",)}, ["NO_EXPIRY"]),
        ({"remote_motion": True}, ["gate.operators", "gate.fence"]),
        ({"remote_motion": True, "admission": "open"}, ["gate.admission", "gate.fence"]),
        (
            {"remote_motion": True, "admission": "stamped", "trust_clock": True},
            ["gate.operators", "gate.trust_clock", "gate.fence"],
        ),
    ],
)
def test_check_names_each_guard_that_is_missing(gate: dict[str, object], named: list[str]) -> None:
    """A check that is switched off, keys, clock, fence; nothing where nothing may move."""
    found = notes(_settings(**gate))

    assert len(found) == len(named)
    assert all(name in note for name, note in zip(named, found, strict=True))
