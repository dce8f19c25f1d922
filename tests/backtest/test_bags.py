"""Bags: judged as the daemon would have judged the topics."""

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

from edgetwin.backtest.bags import judge_bag
from edgetwin.cli import main

CONFIG = """
[robot]
id = "r"
[channels.joint_states]
topic = "/joint_states"
type = "sensor_msgs/msg/JointState"
class = "critical"
[anomaly.effort]
channel = "joint_states"
field = "effort"
label = "name"
warmup_s = 5.0
"""


@pytest.fixture(name="bag", params=[StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def _bag(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Forty seconds of two joints at 20 Hz; joint b strains from 30 s on."""
    path = tmp_path / "bag"
    efforts = np.random.default_rng(3).normal(size=(800, 2))
    efforts[600:, 1] += 20.0
    with Writer(path, version=9, storage_plugin=request.param) as writer:
        link = writer.add_connection(
            "/joint_states", "sensor_msgs/msg/JointState", typestore=get_typestore(Stores.ROS2_JAZZY)
        )
        for row, (a, b) in enumerate(efforts.tolist()):
            names, values = (["a", "b"], [a, b]) if row % 2 else (["b", "a"], [b, a])
            message = JointState(name=names, effort=values)
            writer.write(link, 1_700_000_000_000_000_000 + row * 50_000_000, bytes(serialize_message(message)))
    return path


@pytest.fixture(autouse=True)
def _arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parser looks at the process's own arguments to import only what it needs."""
    monkeypatch.setattr("sys.argv", ["edgetwin", "backtest"])


def _backtest(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main(["backtest", *map(str, arguments), "--json", "--rows"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_bag_is_judged_by_the_robots_own_settings(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The joint is named, the time is that of the recording, a row is a message."""
    (tmp_path / "robot.toml").write_text(CONFIG, encoding="utf-8")

    found = _backtest(capsys, bag, "--config", tmp_path / "robot.toml")

    (alert,) = found["alerts"]
    assert alert["channel"] == "effort b"
    assert alert["start"].startswith("2023-11-14 22:13:50")
    assert found["rows"] == len(found["row_alarm"]) == 800
    assert np.array(found["row_alarm"])[605:790].all()
    assert not np.array(found["row_alarm"])[:600].any()


def test_without_settings_every_number_of_every_topic_is_judged(bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Joints by their names."""
    found = _backtest(capsys, bag)

    assert [alert["channel"] for alert in found["alerts"]] == ["joint_states.effort b"]


def test_what_a_bag_cannot_do_is_one_line(bag: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2."""
    assert main(["backtest", str(bag), "--method", "twin_ratio"]) == 2
    assert "needs to know which elements, motion or limits" in capsys.readouterr().err


def test_a_bag_is_drawn_element_by_element(bag: Path, tmp_path: Path) -> None:
    """A trace per joint under its own name, whatever its place in the message; the picture holds both."""
    pytest.importorskip("matplotlib")
    _, traces = judge_bag(bag, None, None, draw_too=True)
    assert main(["backtest", str(bag), "--plot", str(tmp_path / "x.png")]) == 0

    assert {trace.name for trace in traces} == {"joint_states.effort a", "joint_states.effort b"}
    strained = next(trace for trace in traces if trace.name.endswith("b"))
    values = np.concatenate(strained.values)
    assert len(values) == 800
    assert values[:600].max() < 10.0 < values[600:].min()
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_a_bag_without_the_configured_topics_is_refused(
    bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what there is."""
    (tmp_path / "robot.toml").write_text(CONFIG.replace('"/joint_states"', '"/arm"'), encoding="utf-8")

    assert main(["backtest", str(bag), "--config", str(tmp_path / "robot.toml")]) == 2
    assert "holds none of /arm; it has /joint_states" in capsys.readouterr().err
