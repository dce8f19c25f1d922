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

from bench.arrivals import Arrival, reordered
from bench.report import Row, Section, medians, percentile, ratios, text
from bench.sent import SentLog, read_sent
from edgetwin.sim.broker import find_mosquitto

pytest.importorskip("rclpy")
if find_mosquitto() is None:
    pytest.skip("needs mosquitto", allow_module_level=True)

_PARTS = (
    ("reference", "start", "outage", "micro"),
    ("store", "backlog", "outbox", "inference"),
    ("stop", "analysed", "mirror"),
)
_SECTIONS = {name for part in _PARTS for name in part}
_REPOSITORY = Path(__file__).parents[2]
_SHORT_MAX_S = 170


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
    """Return the command lines of processes that were started with `scratch` as their place for files."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ, command = ((process / name).read_bytes() for name in ("environ", "cmdline"))
        except OSError:  # it ended meanwhile, or is not ours
            continue
        if f"TMPDIR={scratch}".encode() in environ.split(b"\0"):
            found.append(command.replace(b"\0", b" ").decode(errors="replace"))
    return found


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    """All sections, as short as can be, in three runs side by side: sections, what they printed, where they worked."""
    scratch = tmp_path_factory.mktemp("bench")
    processes = [
        _bench(
            scratch, "--smoke", "--json", str(scratch / f"{number}.json"), "--markdown", str(scratch / f"{number}.md"),
            *(argument for name in names for argument in ("--section", name)),
        )
        for number, names in enumerate(_PARTS)
    ]  # fmt: skip
    printed = ""
    try:
        for process in processes:
            said, complaints = process.communicate(timeout=_SHORT_MAX_S)
            assert process.returncode == 0, complaints
            printed += said
    finally:
        for process in processes:
            process.terminate()  # it cleans up behind itself
            process.communicate(timeout=_SHORT_MAX_S)
    reports = [orjson.loads((scratch / f"{number}.json").read_bytes()) for number in range(len(_PARTS))]
    return {section["name"]: section for report in reports for section in report["sections"]}, printed, scratch


@pytest.mark.timeout(180)
def test_a_short_run_reports_every_section(short: tuple[dict[str, Any], str, Path]) -> None:
    """The JSON holds all sections, each with rows, and the table shows the same ones."""
    sections, printed, _ = short

    assert set(sections) == _SECTIONS
    assert all(section["rows"] for section in sections.values())
    assert all(section["title"] in printed for section in sections.values())


@pytest.mark.timeout(180)
def test_the_reference_section_compares_edgetwin_with_the_tutorial(short: tuple[dict[str, Any], str, Path]) -> None:
    """Each peer has a CPU figure above zero, and the ratio has its goal beside it."""
    sections, _, _ = short
    rows = {row["figure"]: row for row in sections["reference"]["rows"]}

    assert all(value > 0 for value in rows["CPU per message"]["values"].values())
    assert set(rows["CPU per message"]["values"]) == {"tutorial", "edgetwin", "edgetwin 0.1 s"}
    assert "10" in rows["CPU per message: tutorial / this"]["goal"]


@pytest.mark.timeout(180)
def test_no_way_of_forwarding_loses_its_figures(short: tuple[dict[str, Any], str, Path]) -> None:
    """The store section measures all three ways; the backlog section drains all of its backlog."""
    sections, _, _ = short
    store = {row["figure"]: row["values"] for row in sections["store"]["rows"]}
    backlog = {row["figure"]: row["values"] for row in sections["backlog"]["rows"]}

    assert set(store["CPU per message"]) == {"mosquitto bridge", "paho's queue", "edgetwin"}
    assert all(value > 0 for value in store["CPU per message"].values())
    assert backlog["backlog records that never came"]["20,000 records"] == 0


@pytest.mark.timeout(180)
def test_the_judges_are_at_work_where_they_are_measured(short: tuple[dict[str, Any], str, Path]) -> None:
    """The daemon with analytics has its memory and its CPU, beside the one without."""
    sections, _, _ = short
    rows = {row["figure"]: row["values"] for row in sections["analysed"]["rows"]}

    assert rows["memory (RSS)"]["with analytics"] > rows["memory (RSS)"]["edgetwin"] > 0
    assert all(value > 0 for value in rows["CPU per message"].values())
    assert rows["windows that the model judged"].keys() == {"with analytics", "with analytics, 0.1 s"}


@pytest.mark.timeout(180)
def test_every_stressor_has_its_stops(short: tuple[dict[str, Any], str, Path]) -> None:
    """Edgetwin and the relay are measured under each of them, and the gate's step by itself."""
    sections, _, _ = short
    rows = {row["figure"]: row["values"] for row in sections["stop"]["rows"]}

    assert len(rows["edgetwin p50"]) == 7
    assert all(value > 0 for name in ("edgetwin p50", "relay p50") for value in rows[name].values())
    assert rows["gate step p99 (CPU)"]["idle"] > 0


@pytest.mark.timeout(180)
def test_the_page_holds_every_table_and_no_place(short: tuple[dict[str, Any], str, Path]) -> None:
    """Each section has its title, its method and its table; the folders of the run stay out of it."""
    sections, _, scratch = short
    page = "".join(path.read_text() for path in scratch.glob("*.md"))

    assert all(f"## {section['title']}\n\n{section['method'][:20]}" in page for section in sections.values())
    assert page.count("| --- | --- | ---:") == len(_SECTIONS)
    assert str(scratch) not in page


@pytest.mark.timeout(180)
def test_a_short_run_leaves_nothing_behind(short: tuple[dict[str, Any], str, Path]) -> None:
    """No process and no file of the run survives it, but for the reports that were asked for."""
    _, _, scratch = short

    assert _alive(scratch) == []
    assert sorted(path.name for path in scratch.iterdir()) == [
        f"{number}.{kind}" for number in range(len(_PARTS)) for kind in ("json", "md")
    ]


def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path) -> None:
    """Ctrl-C in the middle ends the broker, the robot and the peers, and removes the folder."""
    process = _bench(tmp_path, "--smoke", "--section", "reference")
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


def test_order_is_judged_within_a_topic() -> None:
    """The backlog lane may lag behind the live lane; within one of them a newer message first is out of order."""
    lanes = [("telemetry", 5), ("backlog", 1), ("backlog", 2), ("telemetry", 6), ("backlog", 4), ("backlog", 3)]
    arrivals = [Arrival(0, lane, "odom", b'{"stamp_us":%d}' % stamp_us, 0) for lane, stamp_us in lanes]

    assert reordered(arrivals) == 1
    assert reordered([*arrivals, arrivals[0]]) == 1


def test_what_was_sent_is_known_while_the_sender_lives(tmp_path: Path) -> None:
    """The log needs no good end: a reader sees every message noted so far, per channel."""
    log = SentLog(tmp_path, "odom")
    log.note(10, 11)
    log.note(20, 21)

    assert read_sent(tmp_path) == {("odom", 10): 11, ("odom", 20): 21}


def test_percentiles_are_values_that_were_measured() -> None:
    """Nearest rank: the p99 of a hundred values is the second largest, that of one is itself."""
    assert percentile([float(value) for value in range(1, 101)], 99) == 99.0
    assert percentile([5.0], 99) == 5.0


def test_a_missing_figure_prints_as_a_dash() -> None:
    """A peer without the figure does not look like zero."""
    table = text(Section("s", "t", [Row("lost", "", {"a": 0.0, "b": float("nan"), "c": None})]))

    assert table.splitlines()[-1].split() == ["lost", "0", "-", "-"]
