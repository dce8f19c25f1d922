"""Bags as history: read by the settings' own sources; failures from a list."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from edgetwin.analytics.model import load
from tests.train.histories import START_S, Wear, write
from tests.train.test_train import USUAL, refusal, train

pytest.importorskip("rclpy")

SETTINGS = """
[robot]
id = "robot_001"
[channels.vibration]
topic = "/vibration"
type = "std_msgs/msg/Float64"
class = "slow"
[prognosis.motor]
model = "/nowhere/motor.onnx"
[prognosis.motor.sources.vibration]
channel = "vibration"
field = "data"
"""


def bag(folder: Path, machine: Wear) -> Path:
    """Write the vibration of a machine as an MCAP rosbag2; return its folder."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    kind = store.types["std_msgs/msg/Float64"]
    path = folder / machine.name
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        link = writer.add_connection("/vibration", "std_msgs/msg/Float64", typestore=store)
        for row in machine.rows():
            raw = store.serialize_cdr(kind(data=float(row[4])), "std_msgs/msg/Float64")
            writer.write(link, int(row[0]) * 10**9, bytes(raw))
    return path


def test_bags_are_read_as_the_daemon_reads_topics(tmp_path: Path) -> None:
    """Two robots that ran until they failed: the same windows as from CSV, and so the same model."""
    machines = (Wear("a", 1.0), Wear("b", 3.0, 41))
    settings = tmp_path / "robot.toml"
    settings.write_text(SETTINGS, encoding="utf-8")
    bags = [bag(tmp_path, machine) for machine in machines]
    options = [*USUAL[2:], "--run-to-failure", "--estimator", "logistic", "--json"]
    by_bag = train(*bags, "--config", settings, "--out", tmp_path / "bag.onnx", *options)
    data = write(tmp_path / "fleet.csv", *machines)
    by_csv = train(data, "--source", "vibration=vibration", "--out", tmp_path / "csv.onnx", *options)

    assert (by_bag.returncode, by_bag.stderr) == (0, "")
    reports = [orjson.loads(done.stdout) for done in (by_bag, by_csv)]
    for key in ("rows", "positive", "features", "threshold", "model", "machines"):
        assert reports[0][key] == reports[1][key]
    assert load((tmp_path / "bag.onnx").read_bytes()).card.window_s == 600.0


def test_a_list_of_failures_is_as_good_as_a_column(tmp_path: Path) -> None:
    """The same rows before failures."""
    machines = (Wear("a", 1.0), Wear("b", 3.0, 41))
    data = write(tmp_path / "fleet.csv", *machines)
    failures = tmp_path / "failures.csv"
    lines = [f"{machine.name},{START_S + machine.hours * 3600 - 60}" for machine in machines]
    failures.write_text("machine,time\n" + "\n".join(lines), encoding="utf-8")
    options = [*USUAL[2:], "--source", "vibration=vibration", "--estimator", "logistic", "--json"]
    listed = train(data, "--failures", failures, "--out", tmp_path / "a.onnx", *options)
    marked = train(data, "--failure", "failed", "--out", tmp_path / "b.onnx", *options)

    assert (listed.returncode, listed.stderr) == (0, "")
    assert orjson.loads(listed.stdout)["model"] == orjson.loads(marked.stdout)["model"]


@pytest.mark.parametrize(
    ("settings", "arguments", "words"),
    [
        (SETTINGS, [], "--failures"),
        (None, ["--run-to-failure"], "--config"),
        (SETTINGS, ["--run-to-failure", "--prognosis", "arm"], "--prognosis NAME; there are: motor"),
        (SETTINGS.replace("/vibration", "/other"), ["--run-to-failure"], "holds no /other"),
        (SETTINGS.replace('"data"', '"value"'), ["--run-to-failure"], "sources.vibration.field"),
    ],
)
def test_a_bag_that_cannot_be_understood_says_what_is_missing(
    tmp_path: Path, settings: str | None, arguments: list[str], words: str
) -> None:
    """Labels, settings, topics, fields."""
    options = list(arguments)
    if settings is not None:
        (tmp_path / "robot.toml").write_text(settings, encoding="utf-8")
        options += ["--config", str(tmp_path / "robot.toml")]

    assert words in refusal(bag(tmp_path, Wear("a", 1.0, 1, 1)), "--out", tmp_path / "m.onnx", *options)
