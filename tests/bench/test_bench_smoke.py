"""The bench still runs: every section, every figure, nothing left behind. No figure is judged here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from bench.report import Row, Section, medians, percentile, ratios, text
from edgetwin.sim.broker import find_mosquitto

pytest.importorskip("rclpy")
if find_mosquitto() is None:
    pytest.skip("needs mosquitto", allow_module_level=True)

_SECTIONS = ["reference", "start", "outage", "micro", "outbox"]
_REPOSITORY = Path(__file__).parents[2]
_QUICK_MAX_S = 170


def _bench(scratch: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *arguments],
        cwd=_REPOSITORY,
        env=os.environ | {"TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _alive(scratch: Path) -> list[str]:
    """Return the command lines of processes that work in `scratch`."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        if str(scratch) in command:
            found.append(command)
    return found


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    """One quick run: its JSON, what it printed, and where it worked."""
    scratch = tmp_path_factory.mktemp("bench")
    report = scratch / "report.json"
    process = _bench(scratch, "--quick", "--json", str(report))
    try:
        printed, complaints = process.communicate(timeout=_QUICK_MAX_S)
    finally:
        process.kill()
    assert process.returncode == 0, complaints
    return orjson.loads(report.read_bytes()), printed, scratch


@pytest.mark.timeout(180)
def test_a_quick_run_reports_every_section(quick: tuple[dict[str, Any], str, Path]) -> None:
    """The JSON holds all sections, each with rows, and the table shows the same ones."""
    report, printed, _ = quick

    assert [section["name"] for section in report["sections"]] == _SECTIONS
    assert all(section["rows"] for section in report["sections"])
    assert all(section["title"] in printed for section in report["sections"])


@pytest.mark.timeout(180)
def test_the_reference_section_compares_edgetwin_with_the_tutorial(quick: tuple[dict[str, Any], str, Path]) -> None:
    """Each peer has a CPU figure above zero, and the ratio has its goal beside it."""
    report, _, _ = quick
    rows = {row["figure"]: row for row in report["sections"][0]["rows"]}

    assert all(value > 0 for value in rows["CPU per message"]["values"].values())
    assert set(rows["CPU per message"]["values"]) == {"tutorial", "edgetwin", "edgetwin 0.1 s"}
    assert "10" in rows["CPU per message: tutorial / this"]["goal"]


@pytest.mark.timeout(180)
def test_a_quick_run_leaves_nothing_behind(quick: tuple[dict[str, Any], str, Path]) -> None:
    """No process and no file of the run survives it, but for the report that was asked for."""
    _, _, scratch = quick

    assert _alive(scratch) == []
    assert [path.name for path in scratch.iterdir()] == ["report.json"]


def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path) -> None:
    """Ctrl-C in the middle ends the broker, the robot and the peers, and removes the folder."""
    process = _bench(tmp_path, "--quick", "--section", "reference")
    try:
        deadline_s = time.monotonic() + 30
        while sum("bench.load" in command for command in _alive(tmp_path)) == 0:
            assert process.poll() is None
            assert time.monotonic() < deadline_s, "the robot does not start"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    finally:
        process.kill()

    assert process.returncode == 130
    assert _alive(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """A machine that slows down half way changes both sides of a round, and not the ratio."""
    rounds = {"naive": [100.0, 900.0, 200.0], "ours": [10.0, 90.0, 20.0]}

    assert ratios("cpu", rounds, "naive", float).values == {"naive": 1.0, "ours": 10.0}
    assert medians("cpu", "us", rounds, float).values == {"naive": 200.0, "ours": 20.0}


def test_a_peer_that_writes_nothing_is_infinitely_better() -> None:
    """Zero bytes written is a result, not a fault; JSON shows it as null, the table as inf."""
    row = ratios("bytes", {"naive": [4096.0], "ours": [0.0]}, "naive", float)

    assert "inf" in text(Section("s", "t", [row]))
    assert orjson.loads(orjson.dumps(row))["values"]["ours"] is None


def test_percentiles_are_values_that_were_measured() -> None:
    """Nearest rank: the p99 of a hundred values is the second largest, that of one is itself."""
    assert percentile([float(value) for value in range(1, 101)], 99) == 99.0
    assert percentile([5.0], 99) == 5.0


def test_a_missing_figure_prints_as_a_dash() -> None:
    """A peer without the figure does not look like zero."""
    table = text(Section("s", "t", [Row("lost", "", {"a": 0.0, "b": float("nan"), "c": None})]))

    assert table.splitlines()[-1].split() == ["lost", "0", "-", "-"]
