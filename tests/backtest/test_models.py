"""`edgetwin backtest` with [prognosis.NAME]: the model says of a recording what it would have said on the robot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import JointState

from edgetwin.analytics.frozen import Array
from edgetwin.analytics.prognosis import CLEAR_AFTER
from edgetwin.cli import main
from edgetwin.clock import SystemClock
from edgetwin.prognosis.building import rehearse
from edgetwin.settings import PrognosisSettings
from tests.analytics.models import card, constant_graph, onnx_bytes, threshold_model

S = 1_000_000_000
CONFIG = """
[robot]
id = "r"
[channels.joint_states]
topic = "/joint_states"
type = "sensor_msgs/msg/JointState"
class = "critical"
[prognosis.motor]
model = "{model}"
every_s = 1.0
threshold = 0.7
[prognosis.motor.sources.current]
channel = "joint_states"
field = "effort"
label = "name"
element = "b"
"""
DETECTOR = """
[anomaly.effort]
channel = "joint_states"
field = "effort"
label = "name"
warmup_s = 5.0
"""
PLAIN = ["rows", "alerts", "f1", "far", "mar", "delay_s", "events_per_hour"]


@pytest.fixture(autouse=True)
def _arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser looks at the process's own arguments to import only what it needs."""
    monkeypatch.setattr("sys.argv", ["edgetwin", "backtest"])


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Path:
    """Settings of a robot whose motor b fails where its effort is above 15."""
    model = tmp_path / "motor.onnx"
    model.write_bytes(threshold_model(card(), at=15.0))
    path = tmp_path / "robot.toml"
    path.write_text(CONFIG.format(model=model), encoding="utf-8")
    return path


def efforts() -> Array:
    """Return forty seconds of two joints at 20 Hz; joint b strains from 20 s to 30 s."""
    values = np.random.default_rng(3).normal(size=(800, 2))
    values[400:600, 1] += 20.0
    return values


@pytest.fixture(name="table")
def _table(tmp_path: Path) -> Path:
    """The efforts as CSV, labelled a second early."""
    lines = ["time,joint_states.effort.a,joint_states.effort.b,label"]
    lines += [f"{row / 20:.2f},{a!r},{b!r},{int(380 <= row < 600)}" for row, (a, b) in enumerate(efforts().tolist())]
    path = tmp_path / "run.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(name="bag", params=[StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def _bag(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """The efforts as a bag; the joints come in turns of order."""
    path = tmp_path / "bag"
    with Writer(path, version=9, storage_plugin=request.param) as writer:
        store = get_typestore(Stores.ROS2_JAZZY)
        link = writer.add_connection("/joint_states", "sensor_msgs/msg/JointState", typestore=store)
        for row, (a, b) in enumerate(efforts().tolist()):
            names, values = (["a", "b"], [a, b]) if row % 2 else (["b", "a"], [b, a])
            message = JointState(name=names, effort=values)
            writer.write(link, row * 50_000_000, bytes(serialize_message(message)))
    return path


def backtest(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """Return the line of JSON."""
    assert main(["backtest", *map(str, arguments), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def said_on_the_robot(config: Path) -> list[tuple[float, float]]:
    """Return (time [s], probability) as the daemon's own prognosis gives them, message by message."""
    settings = PrognosisSettings.model_validate(
        {
            "model": str(config.with_name("motor.onnx")),
            "every_s": 1.0,
            "sources": {"current": {"channel": "joint_states", "field": "effort"}},
        }
    )
    model, prognosis = rehearse(settings, SystemClock())
    steps = (
        prognosis.step("current", value, row * 50_000_000, model.probabilities)
        for row, value in enumerate(efforts()[:, 1].tolist())
    )
    return [(answer.question.at_ns / S, answer.probability) for answer, _ in steps if answer is not None]


def test_a_table_is_judged_as_the_robot_would(table: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same windows, the same probabilities to the last bit, one failure from its first window to its clearing."""
    found = backtest(capsys, table, "--config", config)

    motor = found["prognosis"]["motor"]
    assert [tuple(pair) for pair in motor["probability"]] == said_on_the_robot(config)
    assert motor["judged"] == 39
    (failure,) = motor["failures"]
    assert list(failure) == ["start", "end", "peak"]
    assert failure["start"] == 21.0
    assert failure["end"] == 30.0 + CLEAR_AFTER
    assert failure["peak"] == max(probability for _, probability in motor["probability"])
    assert motor["failures_per_hour"] == pytest.approx(3600 / 39.95)
    assert (motor["threshold"], motor["horizon_s"], motor["phase"]) == (0.7, 3600.0, "watching")


def test_a_bag_says_what_the_table_says(
    bag: Path, table: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """MCAP, rosbag2 and CSV: the same probabilities; a message that no detector judges is a row."""
    found, told = (backtest(capsys, data, "--config", config) for data in (bag, table))

    ours, theirs = (one["prognosis"]["motor"] for one in (found, told))
    assert [value for _, value in ours["probability"]] == [value for _, value in theirs["probability"]]
    assert [one["peak"] for one in ours["failures"]] == [one["peak"] for one in theirs["failures"]]
    assert ours["failures"][0]["start"] == "1970-01-01 00:00:21"
    assert found["rows"] == told["rows"] == 800


def test_detectors_and_models_work_side_by_side(
    bag: Path, table: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The contract's keys stay as they are, and come first; the rows are not counted twice."""
    config.write_text(config.read_text(encoding="utf-8") + DETECTOR, encoding="utf-8")
    for data in (bag, table):
        found = backtest(capsys, data, "--config", config)

        assert list(found) == [*PLAIN, "prognosis"]
        assert found["rows"] == 800
        assert found["alerts"]
        assert len(found["prognosis"]["motor"]["failures"]) == 1


def test_a_label_scores_the_model(table: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Windows against the label of their newest row: ten of eleven are found, two of twenty-eight are false."""
    line = backtest(capsys, table, "--config", config, "--label", "label")
    found = line["prognosis"]["motor"]

    assert (line["f1"], line["mar"]) == (None, None)  # of detectors, and there is none
    assert found["prevalence"] == pytest.approx(11 / 39)
    assert found["mar"] == pytest.approx(1 / 11)
    assert found["far"] == pytest.approx((CLEAR_AFTER - 1) / 28)
    assert found["delay_s"] == pytest.approx(1.0)
    assert found["pr_auc"] > 0.9
    assert found["recall"] >= 10 / 11

    later = backtest(capsys, table, "--config", config, "--label", "label", "--score-from", 600)
    assert later["prognosis"]["motor"]["prevalence"] == 0.0
    assert later["prognosis"]["motor"]["pr_auc"] is None


def test_without_labels_nothing_is_scored(table: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the keys are there."""
    found = backtest(capsys, table, "--config", config)["prognosis"]["motor"]

    scores = ("pr_auc", "recall", "prevalence", "f1", "far", "mar", "delay_s")
    assert [found[key] for key in scores] == [None] * len(scores)


def test_a_person_reads_what_the_model_said(table: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The failure, the probability over time, the scores."""
    assert main(["backtest", str(table), "--config", str(config), "--label", "label"]) == 0

    lines = capsys.readouterr().out.splitlines()
    (head,) = [line for line in lines if line.startswith("Model motor (")]
    assert head.endswith("39 windows judged, 1 failures foretold")
    assert any("a failure within 60 min has probability" in line and "from 21.000 s until" in line for line in lines)
    assert sum("probability" in line and " to " in line for line in lines) >= 12
    assert any("PR-AUC" in line and "missed 0.091" in line for line in lines)


def test_a_history_that_train_reads_is_taken_by_the_names_of_its_sources(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A column called as the source itself; a row without a time is left out, a hole is no sample."""
    lines = ["time,Current"] + [f"{row / 20:.2f},{b!r}" for row, b in enumerate(efforts()[:, 1].tolist())]
    lines[10:10] = ["never,99.0", "0.44,"]
    path = tmp_path / "history.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    found = backtest(capsys, path, "--config", config)

    assert [tuple(pair) for pair in found["prognosis"]["motor"]["probability"]] == said_on_the_robot(config)


def test_what_is_learned_first_is_told_where_nothing_was_judged(
    table: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model of ratios learns the machine's own normal from the recording, and says so when that was all of it."""
    config.with_name("motor.onnx").write_bytes(threshold_model(card(("ratio:current.mean",), healthy_s=400.0), at=15.0))

    assert main(["backtest", str(table), "--config", str(config)]) == 0
    assert "still learned what is normal for this machine (10% of the time that takes)" in capsys.readouterr().out
    assert backtest(capsys, table, "--config", config)["prognosis"]["motor"]["phase"] == "learning"


def test_a_column_that_the_model_needs_and_nobody_recorded_is_named(
    table: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line; exit 2."""
    config.with_name("motor.onnx").write_bytes(threshold_model(card(("current.mean", "heat.mean")), at=15.0))
    source = '[prognosis.motor.sources.heat]\nchannel = "joint_states"\nfield = "velocity"\n'
    config.write_text(config.read_text(encoding="utf-8") + source, encoding="utf-8")

    assert main(["backtest", str(table), "--config", str(config)]) == 2
    assert "prognosis.motor.sources: the model needs the source heat, and nothing" in capsys.readouterr().err


def test_settings_that_have_nothing_to_do_with_the_columns_are_refused(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what the columns are."""
    (tmp_path / "other.csv").write_text("time,flow\n0,1\n1,2\n", encoding="utf-8")

    assert main(["backtest", str(tmp_path / "other.csv"), "--config", str(config)]) == 2
    assert "no column is for any of its [anomaly.*] or [prognosis.*]; the columns are flow" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no model at"),
        (b"", "is refused: the file is empty"),
        (b"no model at all", "is refused: the runtime cannot load it"),
        (onnx_bytes(constant_graph([[2.0]]), card()), "is refused: it answers with 2.0, which is no probability"),
    ],
)
def test_a_bad_model_is_refused_in_the_words_of_the_daemon(
    table: Path, bag: Path, config: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, words: str
) -> None:
    """Before anything is judged; one line; exit 2. CSV and bag alike."""
    model = config.with_name("motor.onnx")
    model.unlink()
    if content is not None:
        model.write_bytes(content)
    for data in (table, bag):
        assert main(["backtest", str(data), "--config", str(config)]) == 2

        error = capsys.readouterr().err
        assert words in error
        assert error.startswith("prognosis.motor.model: ")
        assert error.count("\n") == 1


def test_another_model_than_the_pinned_one_is_refused(
    table: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its sha256, as on the robot."""
    text = config.read_text(encoding="utf-8").replace("every_s", f'sha256 = "{"0" * 64}"\nevery_s')
    config.write_text(text, encoding="utf-8")

    assert main(["backtest", str(table), "--config", str(config)]) == 2
    assert "the settings pin 000000" in capsys.readouterr().err


def test_without_the_runtime_its_name_and_the_cure_are_told(
    table: Path, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine for which there is no wheel of onnxruntime."""
    monkeypatch.setitem(__import__("sys").modules, "edgetwin.analytics.model", None)

    assert main(["backtest", str(table), "--config", str(config)]) == 2
    error = capsys.readouterr().err
    assert "the Python package onnxruntime cannot be loaded" in error
    assert "pip install onnxruntime" in error


def test_the_probability_is_drawn(bag: Path, table: Path, config: Path, tmp_path: Path) -> None:
    """A pane per model, for a table and for a bag."""
    pytest.importorskip("matplotlib")
    for data in (bag, table):
        picture = tmp_path / f"{data.stem}.png"

        assert main(["backtest", str(data), "--config", str(config), "--plot", str(picture)]) == 0
        assert picture.read_bytes().startswith(b"\x89PNG")
