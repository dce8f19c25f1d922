"""Figures as ROS diagnostics: a status for each part, and the level says whether somebody should come."""

from __future__ import annotations

from typing import Any

import pytest

from edgetwin.diagnostics import statuses
from edgetwin.ros.diagnostics import Level, Status

_CHANNEL: dict[str, Any] = {"topic": "/odom", "publishers": 1, "received": 5, "problem": None}
_FIGURES: dict[str, Any] = {
    "link": {"state": "up", "last_error": None, "since_s": 3.25},
    "outbox": {"backlog": 0, "given_up": {}, "problem": None},
    "clock": {"synchronised": True, "error_max_s": 0.001},
    "gate": {"state": "IDLE", "reason": "READY", "foreign_publishers": []},
    "channels": {"odom": _CHANNEL},
}


def _judged(**parts: Any) -> dict[str, Status]:
    """Return the statuses of the figures with other parts, by name."""
    return {status.name.removeprefix("edgetwin: "): status for status in statuses(_FIGURES | parts)}


def test_all_is_well() -> None:
    """Every part has a status, named after edgetwin, and all of them are OK."""
    found = _judged()

    assert list(found) == ["link", "outbox", "clock", "gate", "channel odom"]
    assert {status.level for status in found.values()} == {Level.OK}


@pytest.mark.parametrize(
    ("part", "name", "level", "words"),
    [
        ({"link": {"state": "down", "last_error": "refused"}}, "link", Level.WARN, "refused"),
        ({"link": {"state": "down", "last_error": None}}, "link", Level.WARN, "not connected yet"),
        (
            {"outbox": {"backlog": 5, "given_up": {"shed": 0}, "problem": None}},
            "outbox",
            Level.OK,
            "5 records wait on disk",
        ),
        (
            {"outbox": {"backlog": 5, "given_up": {"shed": 7}, "problem": None}},
            "outbox",
            Level.WARN,
            "7 records lost (shed) since the start",
        ),
        ({"outbox": {"backlog": 5, "given_up": {}, "problem": "disk full"}}, "outbox", Level.ERROR, "disk full"),
        ({"clock": {"synchronised": False}}, "clock", Level.WARN, "not synchronised"),
        ({"clock": {"synchronised": None}}, "clock", Level.WARN, "the kernel may not be asked"),
        ({"gate": {"state": "HELD", "reason": "STOPPED"}}, "gate", Level.WARN, "HELD (STOPPED)"),
        ({"gate": {"state": "ESTOP", "reason": "ESTOP"}}, "gate", Level.WARN, "ESTOP"),
        ({"gate": {"state": "ACTIVE", "reason": "ACCEPTED"}}, "gate", Level.OK, "ACTIVE (ACCEPTED)"),
        ({"gate": {"state": "FAULT", "reason": "FAULT"}}, "gate", Level.ERROR, "FAULT"),
        ({"gate": {"state": "DOWN"}}, "gate", Level.ERROR, "DOWN"),
        (
            {"gate": {"state": "IDLE", "foreign_publishers": ["joy"]}},
            "gate",
            Level.WARN,
            "IDLE; others publish motion: joy",
        ),
        ({"gate": {"state": "IDLE", "latch_problem": "disk full"}}, "gate", Level.ERROR, "IDLE; disk full"),
        ({"channels": {"odom": _CHANNEL | {"problem": "wrong type"}}}, "channel odom", Level.ERROR, "wrong type"),
        ({"channels": {"odom": _CHANNEL | {"publishers": 0}}}, "channel odom", Level.WARN, "no publisher on /odom"),
        ({"channels": {"odom": _CHANNEL | {"received": 0}}}, "channel odom", Level.OK, "no message yet"),
        ({"prognosis": {"motor": {"phase": "judging"}}}, "prognosis motor", Level.OK, "judging"),
        ({"prognosis": {"motor": {"phase": "judging", "raised": True}}}, "prognosis motor", Level.WARN, "raised"),
        ({"anomaly": {"effort": {"raised": ["left"]}}}, "anomaly effort", Level.WARN, "raised: left"),
        ({"anomaly": {"effort": {"raised": [], "phase": "warming up"}}}, "anomaly effort", Level.OK, "warming up"),
        ({"prognosis": {"motor": {"refused": "bad file"}}}, "prognosis motor", Level.WARN, "bad file"),
    ],
)
def test_what_is_wrong_has_its_level_and_its_words(part: dict[str, Any], name: str, level: Level, words: str) -> None:
    """One part at a time; the others stay as they are."""
    found = _judged(**part)

    assert (found[name].level, found[name].message) == (level, words)
    assert {status.level for other, status in found.items() if other != name} == {Level.OK}


def test_values_are_flat_texts() -> None:
    """ROS takes no others: tables get dots, lists commas, nothing is empty."""
    gate = {"state": "IDLE", "a": {"b": 1.23456}, "foreign_publishers": [], "c": None, "d": ["x", "y"]}

    assert dict(_judged(gate=gate)["gate"].values) == {
        "state": "IDLE",
        "a.b": "1.235",
        "foreign_publishers": "",
        "c": "",
        "d": "x, y",
    }
