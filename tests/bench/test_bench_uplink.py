"""The sections of store and uplink still run, at every rate and length of line; nothing is lost in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from edgetwin.sim.broker import find_mosquitto

pytest.importorskip("rclpy")
if find_mosquitto() is None:
    pytest.skip("needs mosquitto", allow_module_level=True)

_REPOSITORY = Path(__file__).parents[2]
_MAX_S = 400


def _rows(section: str, scratch: Path) -> dict[str, dict[str, Any]]:
    """Run one section, as short as can be: figure -> column -> value."""
    report = scratch / "report.json"
    argv = [sys.executable, "-m", "bench", "--smoke", "--section", section, "--json", str(report)]
    done = subprocess.run(argv, cwd=_REPOSITORY, capture_output=True, text=True, timeout=_MAX_S, check=False)

    assert done.returncode == 0, done.stderr
    (found,) = orjson.loads(report.read_bytes())["sections"]
    return {row["figure"].strip(): row["values"] for row in found["rows"]}


@pytest.mark.timeout(_MAX_S)
def test_store_and_uplink_are_measured_beside_the_bridge_at_both_rates(tmp_path: Path) -> None:
    """The making is taken off ours alone; nobody loses anything."""
    rows = _rows("uplink", tmp_path)
    columns = [f"{way} {rate}/s" for rate in ("1,000", "10,000") for way in ("mosquitto bridge", "edgetwin")]

    assert list(rows["CPU per message"]) == columns
    assert all(value > 0 for value in rows["CPU per message"].values())
    assert [value > 0 for value in rows["the making, taken off"].values()] == [False, True, False, True]
    assert set(rows["lost, of all sent"].values()) == {0}
    assert rows["out of order within a topic"]["edgetwin 10,000/s"] == 0


@pytest.mark.timeout(_MAX_S)
def test_a_backlog_drains_over_long_lines_and_live_stays_live(tmp_path: Path) -> None:
    """Everything comes, and what is fresh comes on the live topics."""
    rows = _rows("round_trip", tmp_path)

    assert list(rows["drained per second"]) == ["100 ms", "1,000 ms"]
    assert set(rows["backlog records that never came"].values()) == {0}
    assert set(rows["live messages that came as backlog"].values()) == {0}
    assert set(rows["live messages that never came"].values()) == {0}
