"""Prognosis on real parts: ROS messages into the daemon, a model in the real runtime, events at the broker."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from edgetwin.sim.broker import LocalBroker
from tests.analytics.models import card, threshold_model
from tests.integration.lab import Daemon, Robot, Witness, channel, configuration, matched, paced, until

JOINTS = channel("joint_states", "/prognosis/joints", "sensor_msgs/msg/JointState", ["rate_hz_max = 1.0"])
SECTION = """
[prognosis.motor]
model = "{folder}/motor.onnx"
every_s = 0.5
[prognosis.motor.sources.current]
channel = "joint_states"
field = "effort"
label = "name"
element = "wheel_left"
"""
LEVEL = card(["current.mean", "current.std"], window_s=0.5, threshold=0.7, healthy={"current.mean": 1.0})


def settings(port: int, folder: Path) -> str:
    """Return settings with one prognosis."""
    return configuration(port, folder, JOINTS + SECTION.format(folder=folder))


def put(folder: Path, content: bytes) -> None:
    """Put a model in place, all at once."""
    (folder / "copy").write_bytes(content)
    (folder / "copy").rename(folder / "motor.onnx")


def pushing(publisher: Any, effort: float, true: Callable[[], Any], what: str) -> None:
    """Publish joints at 50 Hz, the left wheel at `effort`, now first and now second, until it is true."""
    turns = itertools.count()

    def publish() -> Any:
        for _ in paced(50, 5):
            left = next(turns) % 2
            names, efforts = ["wheel_right", "wheel_right"], [0.0, 0.0]
            names[left], efforts[left] = "wheel_left", effort
            publisher.publish(JointState(name=names, effort=efforts))
        return true()

    until(publish, what)


def test_a_failure_arrives_as_an_event_and_a_new_model_takes_over(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """No model, then one, then a broken one, then another: the daemon runs through all of it."""
    publisher = robot.publisher(JointState, "/prognosis/joints")
    with Witness(broker.port) as witness, Daemon(tmp_path, settings(broker.port, tmp_path)) as daemon:

        def at() -> dict[str, Any]:
            found: dict[str, Any] = daemon.status()["prognosis"]["motor"]
            return found

        matched(publisher)
        assert until(lambda: at()["phase"] == "no_model", "no model")
        put(tmp_path, threshold_model(LEVEL, at=5.0))
        until(lambda: at()["model"], "a model")
        pushing(publisher, 1.0, lambda: at()["probability"] is not None, "a probability")
        assert at()["probability"] < 0.1
        assert not witness.on("/events/failure")

        pushing(publisher, 9.0, lambda: witness.on("/events/failure"), "a failure")
        (record,) = witness.on("/events/failure")[0].records
        data = record["data"]
        assert (record["channel"], record["seq"], data["state"]) == ("failure", 0, "raised")
        assert data["probability"] > 0.9
        assert data["model"] == at()["model"]
        assert data["features"][0]["name"] == "current.mean"
        assert 5.0 < data["features"][0]["value"] <= 9.0  # the window may hold some of what was before
        assert abs(data["window_end_us"] - record["stamp_us"]) < 5_000_000

        put(tmp_path, b"garbage")
        until(lambda: at()["refused"], "a refusal")
        first = at()["model"]
        assert first == data["model"]
        put(tmp_path, threshold_model(LEVEL, at=50.0))
        until(lambda: at()["model"] != first, "another model")
        pushing(publisher, 9.0, lambda: len(witness.on("/events/failure")) == 2, "the end of the failure")
        assert witness.on("/events/failure")[1].records[0]["data"]["state"] == "cleared"
    assert (tmp_path / "prognosis" / "motor.json").exists()


def test_without_a_model_the_daemon_runs_and_says_so_once(broker: LocalBroker, tmp_path: Path) -> None:
    """One line in the log, a phase in the status, also in the retained one."""
    with Witness(broker.port) as witness, Daemon(tmp_path, settings(broker.port, tmp_path)) as daemon:
        until(lambda: "no model at" in daemon.log, "the line")
        until(lambda: any(b'"phase":"no_model"' in one.payload for one in witness.on("/status")), "the status")
    assert daemon.log.count("there is no model") == 1


def _check(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    path = folder / "robot.toml"
    path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "edgetwin", "check", "--config", str(path)]
    return subprocess.run(command, env=os.environ.copy(), capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('channel = "joint_states"\nfield', 'channel = "joints"\nfield', "current.channel: there is no channel joints"),
        ('field = "effort"', 'field = "efort"', "sources.current.field"),
        ('field = "effort"', 'field = "name"', "sources.current.field"),
        ('label = "name"', 'label = "position"', "sources.current.label"),
        ('label = "name"\n', "", "no label says"),
        ('label = "name"\n', 'label = "name"\nrate_hz = 10.0\n', "makes every element a sample"),
        ("sources.current", "sources.runtime", "counts itself"),
        ("sources.current", 'sources."Left Motor"', "not the name of a source"),
        ("every_s = 0.5", "every_s = 0", "every_s: 0"),
        ("every_s = 0.5", 'sha256 = "abc"', "sha256"),
        ("every_s = 0.5", "threshold = 1.5", "threshold"),
    ],
)  # fmt: skip
def test_check_names_what_is_wrong_with_a_prognosis(tmp_path: Path, old: str, new: str, words: str) -> None:
    """One line with the key; exit 2."""
    text = settings(1883, tmp_path)
    assert text.count(old) >= 1
    done = _check(tmp_path, text.replace(old, new))

    assert done.returncode == 2, done.stdout
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_check_looks_at_the_model(tmp_path: Path) -> None:
    """A missing one is fine, a good one too, a broken one is a fault."""
    text = settings(1883, tmp_path)
    assert _check(tmp_path, text).returncode == 0
    put(tmp_path, threshold_model(LEVEL, at=5.0))
    assert _check(tmp_path, text).returncode == 0
    put(tmp_path, threshold_model(card(["vibration.rms"]), at=5.0))
    done = _check(tmp_path, text)

    assert done.returncode == 2
    assert "prognosis.motor.model" in done.stderr
    assert "sources.vibration" in done.stderr


def test_an_array_of_samples_is_heard_at_its_own_rate(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """A vibration sensor that sends 20 kHz in pieces: the band of 1 to 2 kHz reaches the model."""
    section = (
        channel("vibration", "/prognosis/vibration", "std_msgs/msg/Float64MultiArray")
        + SECTION.format(folder=tmp_path).partition("[prognosis.motor.sources")[0]
    )
    section += '[prognosis.motor.sources.vibration]\nchannel = "vibration"\nfield = "data"\nrate_hz = 20000.0\n'
    band = "vibration.band_1000_2000"
    put(tmp_path, threshold_model(card([band], window_s=0.5, threshold=0.7, healthy={band: 0.1}), at=1.0))
    tone = [2.0 * math.sin(2 * math.pi * 1500 * at / 20_000) for at in range(400)]
    publisher = robot.publisher(Float64MultiArray, "/prognosis/vibration")
    config = configuration(broker.port, tmp_path, section)
    with Witness(broker.port) as witness, Daemon(tmp_path, config) as daemon:
        matched(publisher)
        until(lambda: daemon.status()["prognosis"]["motor"]["model"], "a model")

        def heard() -> Any:
            for _ in paced(50, 5):
                publisher.publish(Float64MultiArray(data=tone))
            return witness.on("/events/failure")

        until(heard, "a failure")
        (speaking,) = witness.on("/events/failure")[0].records[0]["data"]["features"]
        assert speaking["value"] == pytest.approx(2.0 / math.sqrt(2), rel=0.05)
