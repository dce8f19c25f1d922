"""`edgetwin backtest`: a recording in, alerts and scores out; the robot and the recording agree."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetwin.analytics.frozen import Array
from edgetwin.analytics.methods import Method
from edgetwin.backtest.command import judge_table
from edgetwin.backtest.plan import default_panels
from edgetwin.backtest.table import Table
from edgetwin.cli import main
from edgetwin.errors import RefusedError

CONFIG = """
[robot]
id = "r"
[channels.pump]
topic = "/pump"
type = "sensor_msgs/msg/BatteryState"
class = "critical"
[anomaly.flow]
channel = "flow"
field = "data"
warmup_s = 60.0
[anomaly.pressure]
channel = "pump"
field = "pressure"
method = "limits"
high = 5.0
"""


@pytest.fixture(name="pump")
def _pump(tmp_path: Path) -> Path:
    """A pump at 1 Hz whose flow drops from row 1000 to 1200, labelled."""
    return write(tmp_path / "pump.csv", *recording())


def recording(rows: int = 1500) -> tuple[list[str], Array]:
    """Return header and columns."""
    noise = np.random.default_rng(8).normal(size=(rows, 2))
    label = np.zeros(rows)
    label[1000:1200] = 1.0
    flow = 30.0 + 0.3 * noise[:, 0] - 3.0 * label
    return ["time", "flow", "pressure", "anomaly"], np.stack([np.arange(rows), flow, noise[:, 1], label], axis=1)


def write(path: Path, header: list[str], columns: Array, separator: str = ",") -> Path:
    """Write a CSV."""
    lines = [separator.join(header), *(separator.join(f"{value:.6g}" for value in row) for row in columns)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def backtest(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """Return the line of JSON."""
    assert main(["backtest", *map(str, arguments), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture(autouse=True)
def _arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser looks at the process's own arguments to import only what it needs."""
    monkeypatch.setattr("sys.argv", ["edgetwin", "backtest"])


def test_the_line_is_exactly_what_the_contract_says(pump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys in order, one alert where the flow drops, scores by the label."""
    found = backtest(capsys, pump, "--label", "anomaly", "--rows")

    assert list(found) == ["rows", "alerts", "row_alarm", "f1", "far", "mar", "delay_s", "events_per_hour"]
    (alert,) = found["alerts"]
    assert list(alert) == ["channel", "start", "end", "peak"]
    assert alert["channel"] == "flow"
    assert 1000 <= alert["start"] <= 1010
    assert 1190 <= alert["end"] <= 1220
    alarms = np.array(found["row_alarm"])
    assert found["rows"] == len(alarms) == 1500
    assert alarms[1010:1200].all()
    assert found["f1"] > 0.9
    assert found["far"] < 0.02
    assert found["events_per_hour"] == pytest.approx(3600 / 1499)


def test_without_rows_and_label_there_are_none(pump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And a column that is called anomaly is no measurement."""
    found = backtest(capsys, pump)

    assert "row_alarm" not in found
    assert [found[key] for key in ("f1", "far", "mar", "delay_s")] == [None] * 4
    assert [alert["channel"] for alert in found["alerts"]] == ["flow"]


@pytest.mark.parametrize("method", [Method.ROBUST_Z, Method.RESIDUAL, Method.T_SQUARED, Method.SPECTRAL])
def test_blocks_give_what_sample_by_sample_gives(pump: Path, method: Method) -> None:
    """The recording is judged as fast as it can be, and says what the robot would have said."""
    fast, _ = judge_table(Table(pump), default_panels(Table(pump).channels, method))
    (panel,) = default_panels(Table(pump).channels, method)
    told = []
    for block in Table(pump).blocks():
        for row in range(len(block.times_s)):
            part = slice(row, row + 1)
            values = block.values[part][:, panel.columns]
            verdicts = panel.detector.judge(values, block.times_s[part])
            told += panel.alerts.follow(verdicts, block.times_s[part], values)

    raised = [(alert.since_s, panel.labels[alert.index]) for alert in told if alert.state == "raised"]
    assert method is Method.SPECTRAL or raised
    if method is not Method.T_SQUARED:  # one judged thing, named when it is told
        assert [(one.start_s, one.channel) for one in fast.periods] == raised


def test_a_configuration_judges_its_own_columns(pump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By channel, and by channel.field; --method replaces theirs."""
    (tmp_path / "robot.toml").write_text(CONFIG, encoding="utf-8")
    named = pump.read_text(encoding="utf-8").replace("pressure", "pump.pressure", 1)
    pump.write_text(named.replace("\n700,", "\n700,30,9,0\n700.5,", 1), encoding="utf-8")

    found = backtest(capsys, pump, "--config", tmp_path / "robot.toml")
    assert [alert["channel"] for alert in found["alerts"]] == ["pump.pressure", "flow"]

    replaced = backtest(capsys, pump, "--config", tmp_path / "robot.toml", "--method", "robust_z")
    assert "flow" in {alert["channel"] for alert in replaced["alerts"]}


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        (["value"], {"residual": ["value"]}),
        (["a", "b", "c"], {"robust_z": ["a", "b", "c"]}),
        (["curL", "curR", "velL", "velR"], {"twin_ratio": ["curL", "curR", "velL", "velR"]}),
        (
            ["left_effort", "right_effort", "temp"],
            {"twin_ratio": ["left_effort", "right_effort"], "robust_z": ["temp"]},
        ),
        (["speed_l", "speed_r"], {"robust_z": ["speed_l", "speed_r"]}),
        (["Level", "Rank"], {"robust_z": ["Level", "Rank"]}),
    ],
)
def test_without_settings_the_columns_choose(columns: list[str], chosen: dict[str, list[str]]) -> None:
    """Twins by their ratio, one series by its residual, others by their level."""
    assert {panel.name: list(panel.labels) for panel in default_panels(columns, None)} == chosen


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "stamp", ["2020-03-09 10:{:02}:{:02}", "2020-03-09T10:{:02}:{:02}Z", "2020-03-09T10:{:02}:{:02}+00:00"]
)
def test_times_and_separators_of_many_kinds(tmp_path: Path, separator: str, stamp: str) -> None:
    """ISO 8601 with blank, T, Z or offset; comma, semicolon, tabulator; a byte order mark."""
    lines = [separator.join(["t", "a"])]
    lines += [separator.join([stamp.format(row // 60, row % 60), str(row)]) for row in range(90)]
    (tmp_path / "x.csv").write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")

    table = Table(tmp_path / "x.csv")
    (block,) = table.blocks()

    assert (table.channels, table.iso) == (["a"], True)
    assert np.diff(block.times_s).tolist() == [1.0] * 89
    assert block.times_s[0] == 1583748000.0
    assert block.values[:, 0].tolist() == list(range(90))


def test_holes_short_rows_and_words_are_missing_values(tmp_path: Path) -> None:
    """A logger writes what it can."""
    text = "time,a,b,mode\n0,1,2,AUTO\n1,,nan,AUTO\n\n2,3\nx,4,5,MANUAL\n4,6,oops,AUTO,9,9\n"
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")

    table = Table(tmp_path / "x.csv", time="time")
    (block,) = table.blocks()

    assert table.channels == ["a"]
    assert np.array_equal(block.values[:, 0], [1, np.nan, 3, 4, 6], equal_nan=True)
    assert np.array_equal(block.times_s, [0, 1, 2, np.nan, 4], equal_nan=True)


def test_a_long_file_is_read_block_by_block(tmp_path: Path) -> None:
    """Nothing is lost between two blocks."""
    rows = 20_000
    columns = np.stack([np.arange(rows, dtype=np.float64), np.arange(rows) * 2.0], axis=1)
    table = Table(write(tmp_path / "x.csv", ["t", "a"], columns))

    blocks = list(table.blocks())

    assert len(blocks) == 3
    assert np.concatenate([block.values[:, 0] for block in blocks]).tolist() == columns[:, 1].tolist()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--label", "nowhere"], "--label: pump.csv has no column 'nowhere'; it has time, flow"),
        (["--time", "nowhere"], "--time: pump.csv has no column 'nowhere'"),
        (["--method", "limits"], "--method limits: needs limits"),
        (["--method", "twin_ratio"], "--method twin_ratio: needs columns that are left and right"),
        (["--method", "conditioned"], "--method conditioned: needs columns of motion"),
        (["--config", "nowhere.toml"], "nowhere.toml"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    pump: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """Where, what, what to do; exit 2."""
    assert main(["backtest", str(pump), *arguments]) == 2

    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no rows"),
        ("time,a\n", "holds no rows"),
        ("time,mode\n0,AUTO\n", "no column with numbers"),
        ("name,a\nx,1\ny,2\n", "holds no times"),
    ],
)
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """With the reason."""
    (tmp_path / "x.csv").write_text(text, encoding="utf-8")

    with pytest.raises(RefusedError, match=words):
        Table(tmp_path / "x.csv")


def test_a_picture_is_drawn_on_request(pump: Path, tmp_path: Path) -> None:
    """A PNG with a pane per channel; the scores are the same with and without it."""
    pytest.importorskip("matplotlib")

    assert main(["backtest", str(pump), "--plot", str(tmp_path / "x.png")]) == 0

    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_extra_is_named(
    pump: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the recording is read."""
    monkeypatch.setattr("edgetwin.backtest.plot.find_spec", lambda name: None)

    assert main(["backtest", str(pump), "--plot", "x.png"]) == 2
    assert "pip install 'edgetwin[train]'" in capsys.readouterr().err


def test_a_person_reads_what_was_wrong(pump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What, how far, what was normal, from when to when, and the scores."""
    assert main(["backtest", str(pump), "--label", "anomaly"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1500 rows, 1 alerts")
    assert lines[1].startswith("  flow 2")
    assert re.search(r"usual (29\.9|30)", lines[1])
    assert lines[2].startswith("F1 0.9")
