"""Anomaly detection on real parts: ROS messages into the daemon, events at the broker, knowledge across a restart."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from sensor_msgs.msg import JointState

from edgetwin.sim.broker import LocalBroker
from tests.integration.lab import Daemon, Robot, Witness, channel, configuration, matched, paced, until

JOINTS = channel("joint_states", "/anomaly/joints", "sensor_msgs/msg/JointState", ["rate_hz_max = 1.0"])
SECTION = """
[anomaly.joint_effort]
channel = "joint_states"
field = "effort"
label = "name"
warmup_s = 2.0
clear_after_s = 1.0
"""


def pushing(publisher: Any, strain: float, true: Callable[[], Any], what: str) -> None:
    """Publish two joints at 100 Hz, joint_2 strained, in changing order, until it is true."""
    random, turns = Random(1), itertools.count()

    def publish() -> Any:
        for _ in paced(100, 10):
            joints = [("joint_1", random.gauss(0.1, 0.3)), ("joint_2", random.gauss(0.1, 0.3) + strain)]
            joints = joints[::-1] if next(turns) % 2 else joints
            publisher.publish(JointState(name=[name for name, _ in joints], effort=[effort for _, effort in joints]))
        return true()

    until(publish, what)


def test_a_strained_joint_is_one_event_with_its_cause_and_one_more_when_it_is_over(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """Every message is judged though one per second leaves; what was learned outlives the daemon."""
    publisher = robot.publisher(JointState, "/anomaly/joints")
    config = configuration(broker.port, tmp_path, JOINTS + SECTION)
    with Witness(broker.port) as witness:
        with Daemon(tmp_path, config) as daemon:

            def at() -> dict[str, Any]:
                found: dict[str, Any] = daemon.status()["anomaly"]["joint_effort"]
                return found

            matched(publisher)
            assert at()["phase"] == "waiting"
            pushing(publisher, 0.0, lambda: at()["phase"] == "watching", "the end of the warm-up")
            assert not witness.on("/events/anomaly")

            pushing(publisher, 25.0, lambda: witness.on("/events/anomaly"), "an alert")
            (record,) = witness.on("/events/anomaly")[0].records
            data = record["data"]
            assert (record["channel"], record["seq"]) == ("anomaly", 0)
            assert (data["detector"], data["channel"], data["field"]) == ("joint_effort", "joint_states", "effort")
            assert (data["element"], data["state"]) == ("joint_2", "raised")
            assert 20.0 < data["value"] < 30.0
            assert -1.0 < data["usual_mean"] < 1.0
            assert 0.1 < data["usual_scale"] < 1.0
            assert data["score"] >= 6.0
            assert abs(data["since_us"] - record["stamp_us"]) < 3_000_000
            cause = r"joint_2 effort 2\d\.\d+, usual -?0\.\d+ \+- 0\.\d+ since \d\d:\d\d:\d\d UTC"
            assert re.fullmatch(cause, data["cause"])
            assert data["cause"] in daemon.log
            until(lambda: at()["raised"] == ["joint_2"], "the status")

            pushing(publisher, 0.0, lambda: len(witness.on("/events/anomaly")) == 2, "the end of it")
            (record,) = witness.on("/events/anomaly")[1].records
            assert (record["data"]["state"], record["data"]["element"]) == ("cleared", "joint_2")
            assert record["data"]["since_us"] == data["since_us"]
            until(lambda: at()["raised"] == [], "the status")

        assert (tmp_path / "anomaly" / "joint_effort.json").exists()
        with Daemon(tmp_path, config) as daemon:
            matched(publisher)
            until(lambda: daemon.status()["anomaly"]["joint_effort"]["phase"] == "watching", "the status")
            pushing(publisher, 25.0, lambda: len(witness.on("/events/anomaly")) == 3, "an alert without a warm-up")


def test_a_broken_state_is_a_line_in_the_log_and_a_new_beginning(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """What cannot be used does not stop a robot from starting."""
    (tmp_path / "anomaly").mkdir()
    (tmp_path / "anomaly" / "joint_effort.json").write_text('{"wish": "another"}', encoding="utf-8")
    publisher = robot.publisher(JointState, "/anomaly/joints")
    config = configuration(broker.port, tmp_path, JOINTS + SECTION)
    with Daemon(tmp_path, config) as daemon:
        matched(publisher)
        until(lambda: "learns anew" in daemon.log, "the line")
        pushing(
            publisher,
            0.0,
            lambda: daemon.status()["anomaly"]["joint_effort"]["phase"] == "watching",
            "the end of the warm-up",
        )
