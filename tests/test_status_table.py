"""The page for a person: all that the figures hold, also of an older daemon, and nothing that a terminal obeys."""

from __future__ import annotations

from typing import Any

import pytest

from edgetwin.status_table import table

_NOW_NS = 1_800_000_000 * 1_000_000_000
_CHANNEL: dict[str, Any] = {
    "in_hz": 50.0, "held_hz": 40.0, "out_hz": 10.0, "received": 5, "published": 4, "held_back": 1, "backlog": 0,
    "problem": None, "publishers": 1,
}  # fmt: skip
_FIGURES: dict[str, Any] = {
    "robot_id": "robot_001", "state": "running", "version": "1", "boot": "b",
    "link": {"state": "up", "since_s": 5.0, "reconnects": 0, "last_error": None},
    "outbox": {"records": 0, "waiting": 0, "in_flight": 0},
    "channels": {"odom": _CHANNEL},
}  # fmt: skip


def _lines(**parts: Any) -> list[str]:
    return table(_FIGURES | parts, _NOW_NS).splitlines()


def test_figures_of_an_older_daemon_are_enough() -> None:
    """Who, link, outbox, a header and a line per channel."""
    assert [line.split()[0] for line in _lines()] == ["robot_001", "link", "outbox", "channel", "odom"]


def test_the_outbox_tells_age_size_and_what_was_lost() -> None:
    """Each only where there is something to tell."""
    outbox = _FIGURES["outbox"] | {
        "oldest_age_s": 7300.0, "used_bytes": 1_500_000, "max_bytes": 1_000_000_000, "problem": "disk full",
        "given_up": {"shed": 12, "crash": 0}, "refused": 3,
    }  # fmt: skip
    (line,) = (line for line in _lines(outbox=outbox) if line.startswith("outbox"))

    assert line == (
        "outbox 0 records on disk, 0 waiting, 0 in flight; the oldest is 2 h old; 1 MB of 1 GB; lost: 12 shed; "
        "3 refused by the broker; disk full"
    )


@pytest.mark.parametrize(
    ("clock", "line"),
    [
        ({"synchronised": True, "error_max_s": 0.0021}, "clock  synchronised, off by at most 2.1 ms"),
        ({"synchronised": False}, "clock  not synchronised"),
        ({"synchronised": None}, "clock  nobody may ask the kernel about it"),
    ],
)
def test_the_clock_has_a_line(clock: dict[str, Any], line: str) -> None:
    """What the kernel says of it."""
    assert line in _lines(clock=clock)


def test_the_gate_tells_its_last_refusals_newest_first() -> None:
    """When, what, by whom, why, how often."""
    refused = [
        {"stamp_us": _NOW_NS // 1000 - 9_000_000, "command": "move", "client": "", "code": "NO_LEASE", "detail": ""},
        {"stamp_us": _NOW_NS // 1000 - 2_000_000, "command": "move", "client": "ann", "code": "EXPIRED",
         "detail": "too late", "repeat": 4},
    ]  # fmt: skip
    gate = {"state": "IDLE", "reason": "READY", "remote_motion": True, "link": "up", "refused": refused}
    lines = [line.strip() for line in _lines(gate=gate)]

    assert lines[3] == "gate   IDLE (READY); commands up"
    assert lines[4] == "refused 2 s ago: move by ann: EXPIRED (too late), 4 more times"
    assert lines[5] == "refused 9 s ago: move: NO_LEASE"


def test_detectors_and_models_have_a_line_each() -> None:
    """State and figures; what has none says so."""
    lines = _lines(
        anomaly={"effort": {"phase": "watching", "judged": 1234, "raised": ["left", "right"]}},
        prognosis={"motor": {"phase": "judging", "probability": 0.71, "threshold": 0.7, "raised": True}, "b": {}},
    )

    assert lines[-3:] == [
        "detector effort: watching, raised: left, right, judged 1234",
        "model motor: judging, raised, probability 0.71, threshold 0.7",
        "model b: -",
    ]


def test_what_others_chose_cannot_command_the_terminal() -> None:
    """Escape sequences of a client's name, a broker's words, or a topic come out as question marks, on one line."""
    evil = "\x1b[2J\x07evil\n\u202e"
    refusal = {"stamp_us": 0, "command": "move", "client": evil, "code": "X", "detail": evil * 100, "repeat": 1}
    page = table(
        _FIGURES
        | {
            "gate": {"state": "IDLE", "refused": [refusal]},
            "link": _FIGURES["link"] | {"last_error": evil},
            "channels": {"odom": _CHANNEL | {"problem": evil}},
        },
        _NOW_NS,
    )

    assert all(c.isprintable() for c in page.replace("\n", ""))
    assert page.count("\n") == 7
