"""The main job on real parts: what ROS says arrives at the broker, paced, numbered, to the last bit."""

from __future__ import annotations

import itertools
import json
import math
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import BatteryState, JointState
from std_msgs.msg import Float64, String

from edgetwin.sim.broker import LocalBroker
from tests.integration.lab import ROBOT_ID, Daemon, Robot, Witness, channel, configuration, matched, paced, until

ODOM = "nav_msgs/msg/Odometry"


def odometry(index: int) -> Odometry:
    """Values that a rounding would betray."""
    message = Odometry()
    message.header.stamp.sec = 1_700_000_000 + index // 50
    message.header.stamp.nanosec = index % 50 * 20_000_000
    message.header.frame_id = "odom"
    message.pose.pose.position.x = index * 0.1 + 1e-15
    message.pose.pose.position.y = math.pi * index
    message.pose.pose.orientation.z = math.sin(index / 7)
    message.pose.pose.orientation.w = math.cos(index / 7)
    message.twist.twist.linear.x = 5e-324 if index == 3 else 1 / 3
    return message


def test_odometry_at_50_hz_arrives_at_50_hz_without_hole_and_to_the_last_bit(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """A source at the limit keeps its rate; every float equals what the robot sent."""
    publisher = robot.publisher(Odometry, "/main/odom")
    config = configuration(broker.port, tmp_path, channel("odom", "/main/odom", ODOM))
    with Witness(broker.port) as witness, Daemon(tmp_path, config):
        matched(publisher)
        for index in paced(50, 200):
            publisher.publish(odometry(index))
        until(lambda: len(witness.in_order("odom")) == 200, "200 records")

        records = witness.in_order("odom")
        assert [record["seq"] for record in records] == list(range(200))
        arrivals = [arrival.at_s for arrival in witness.on("/telemetry/odom")]
        assert statistics.median(b - a for a, b in itertools.pairwise(arrivals)) == pytest.approx(0.02, abs=0.004)
        for index, record in enumerate(records):
            sent = odometry(index)
            data = record["data"]
            assert data["pose"]["pose"]["position"]["x"] == sent.pose.pose.position.x
            assert data["pose"]["pose"]["position"]["y"] == sent.pose.pose.position.y
            assert data["pose"]["pose"]["orientation"]["z"] == sent.pose.pose.orientation.z
            assert data["twist"]["twist"]["linear"]["x"] == sent.twist.twist.linear.x
            assert data["pose"]["covariance"] == [0.0] * 36
            assert record["stamp_us"] == (sent.header.stamp.sec * 1_000_000) + sent.header.stamp.nanosec // 1000


def test_a_record_is_exactly_what_the_contract_says(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """Keys, types, topic, birth and farewell."""
    publisher = robot.publisher(Odometry, "/contract/odom")
    section = channel("odom", "/contract/odom", ODOM, ['fields = ["pose.pose", "twist.twist"]'])
    with Witness(broker.port) as witness, Daemon(tmp_path, configuration(broker.port, tmp_path, section)):
        matched(publisher)
        publisher.publish(odometry(0))
        arrival = until(lambda: witness.on("/telemetry/odom"), "a record")[0]

        assert arrival.topic == f"robot/{ROBOT_ID}/telemetry/odom"
        record = json.loads(arrival.payload)
        assert list(record) == ["v", "robot_id", "boot", "channel", "seq", "stamp_us", "recv_us", "data"]
        assert (record["v"], record["robot_id"], record["channel"], record["seq"]) == (1, ROBOT_ID, "odom", 0)
        assert set(record["data"]) == {"pose", "twist"}
        assert set(record["data"]["pose"]) == {"pose"}
        birth = witness.on("/status")[0]
        assert json.loads(birth.payload)["state"] == "online"
        assert birth.retain
        assert json.loads(birth.payload)["boot"] == record["boot"]
    assert witness.states()[-1] == "offline"
    assert "stopping" in witness.states()


def test_non_finite_numbers_are_null(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """JSON has no NaN: a battery without a thermometer says null."""
    publisher = robot.publisher(BatteryState, "/nan/battery")
    section = channel("battery", "/nan/battery", "sensor_msgs/msg/BatteryState", channel_class="slow")
    with Witness(broker.port) as witness, Daemon(tmp_path, configuration(broker.port, tmp_path, section)):
        matched(publisher)
        message = BatteryState(temperature=math.nan, current=-math.inf, voltage=12.5)
        publisher.publish(message)
        data = until(lambda: witness.in_order("battery"), "a record")[0]["data"]

        assert data["temperature"] is None
        assert data["current"] is None
        assert data["voltage"] == message.voltage


def test_cdr_passes_untouched_with_its_envelope_in_user_properties(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """The payload is the serialised message, byte for byte."""
    publisher = robot.publisher(Odometry, "/cdr/odom")
    section = channel("odom", "/cdr/odom", ODOM, ['encoding = "cdr"'])
    with Witness(broker.port) as witness, Daemon(tmp_path, configuration(broker.port, tmp_path, section)):
        matched(publisher)
        for index in paced(50, 5):
            publisher.publish(odometry(index))
        until(lambda: len(witness.in_order("odom")) == 5, "5 records")

        for index, arrival in enumerate(witness.on("/telemetry/odom")):
            assert arrival.payload[:4] == b"\x00\x01\x00\x00"
            assert deserialize_message(arrival.payload, Odometry) == odometry(index)
            assert arrival.records[0]["seq"] == index
            assert arrival.records[0]["stamp_us"] == 1_700_000_000_000_000 + index * 20_000


def test_events_leave_at_once_and_all_of_them(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """An event channel has no rate: a burst of 200 arrives whole and in order."""
    publisher = robot.publisher(String, "/event/log", 500)
    section = channel("log", "/event/log", "std_msgs/msg/String", channel_class="event")
    with Witness(broker.port) as witness, Daemon(tmp_path, configuration(broker.port, tmp_path, section)):
        matched(publisher)
        for index in range(200):
            publisher.publish(String(data=f"grip lost {index} ✋"))
        until(lambda: len(witness.in_order("log")) == 200, "200 events")

        assert [record["data"]["data"] for record in witness.in_order("log")] == [
            f"grip lost {i} ✋" for i in range(200)
        ]


def test_after_motion_stops_the_final_state_leaves(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """A pose that comes to rest inside the deadband is seen where it rests, though nothing more moves."""
    publisher = robot.publisher(PoseStamped, "/rest/pose")
    extra = ["deadband = { position_m = 0.5 }", "heartbeat_s = 3600", "settle_s = 0.3"]
    section = channel("pose", "/rest/pose", "geometry_msgs/msg/PoseStamped", extra)
    with Witness(broker.port) as witness, Daemon(tmp_path, configuration(broker.port, tmp_path, section)):
        matched(publisher)
        pose = PoseStamped()
        pose.pose.orientation.w = 1.0
        for index in paced(50, 60):
            pose.header.stamp.sec, pose.header.stamp.nanosec = 100 + index // 50, index % 50 * 20_000_000
            pose.pose.position.x = min(index, 25) * 0.049  # 1.225 m, within 0.5 m of the last one that moved
            publisher.publish(pose)

        def last_x() -> float:
            records = witness.in_order("pose")
            return records[-1]["data"]["pose"]["position"]["x"] if records else math.nan

        until(lambda: last_x() == 25 * 0.049, f"the final state, not {last_x()}")
        assert len(witness.in_order("pose")) <= 5


def test_a_busy_topic_of_which_nothing_leaves_does_not_deafen_the_link(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """While ticks collect messages that are all held back, the broker's PINGRESP is still heard."""
    publisher = robot.publisher(Float64, "/busy/value", 1000)
    extra = ["rate_hz_max = 1000", "deadband = { value = 1.0 }", "heartbeat_s = 3600"]
    section = channel("value", "/busy/value", "std_msgs/msg/Float64", extra)
    config = configuration(broker.port, tmp_path, section, mqtt="keepalive_s = 2\nheartbeat_s = 3600")
    with Witness(broker.port) as witness, Daemon(tmp_path, config) as daemon:
        matched(publisher)
        for _ in paced(500, 3500):
            publisher.publish(Float64(data=1.0))

        assert len(witness.in_order("value")) <= 2
        assert daemon.status()["link"] | {"since_s": 0} == {
            "state": "up", "since_s": 0, "reconnects": 0, "last_error": None,
        }  # fmt: skip
        assert witness.states() == ["online"]
    robot.node.destroy_publisher(publisher)


@pytest.mark.parametrize(
    ("reliability", "durability"),
    [
        (ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE),
        (ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
        (ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL),
    ],
)
def test_the_subscription_adapts_to_the_publishers_qos(
    broker: LocalBroker, robot: Robot, tmp_path: Path, reliability: Any, durability: Any
) -> None:
    """Every QoS a robot uses is heard; a latched message that was sent before we came arrives too."""
    topic = f"/qos/{reliability.name.lower()}_{durability.name.lower()}"
    publisher = robot.publisher(Float64, topic, QoSProfile(depth=10, reliability=reliability, durability=durability))
    latched = durability == DurabilityPolicy.TRANSIENT_LOCAL
    if latched:
        publisher.publish(Float64(data=1.0))
    section = channel("value", topic, "std_msgs/msg/Float64", channel_class="event")
    with Witness(broker.port) as witness, Daemon(tmp_path, configuration(broker.port, tmp_path, section)):
        matched(publisher)
        publisher.publish(Float64(data=2.0))
        expected = [1.0, 2.0] if latched else [2.0]
        until(lambda: len(witness.in_order("value")) >= len(expected), "the messages")

        assert [record["data"]["data"] for record in witness.in_order("value")] == expected
    robot.node.destroy_publisher(publisher)


def test_late_publishers_several_publishers_and_changed_qos_lose_nothing(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """A best-effort publisher joins a reliable one: the subscription is exchanged, nothing is lost or doubled."""
    section = channel("value", "/late/value", "std_msgs/msg/Float64", channel_class="event")
    with Witness(broker.port) as witness, Daemon(tmp_path, configuration(broker.port, tmp_path, section)):
        first = robot.publisher(Float64, "/late/value", 500)  # after the daemon
        matched(first)
        second = None
        for index in paced(100, 400):
            first.publish(Float64(data=float(index)))
            if index == 100:
                best_effort = QoSProfile(depth=500, reliability=ReliabilityPolicy.BEST_EFFORT)
                second = robot.publisher(Float64, "/late/value", best_effort)
            if index >= 300 and second is not None:
                second.publish(Float64(data=float(1000 + index)))
        expected = {float(i) for i in range(400)} | {float(1300 + i) for i in range(100)}
        until(lambda: len(witness.in_order("value")) >= len(expected), "all messages of both publishers")

        values = [record["data"]["data"] for record in witness.in_order("value")]
        assert len(values) == len(expected)
        assert set(values) == expected
    robot.node.destroy_publisher(first)
    robot.node.destroy_publisher(second)


def test_a_topic_of_another_type_is_reported_in_words_and_the_others_go_on(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """ROS says nothing when types differ; edgetwin says which."""
    wrong = robot.publisher(String, "/mismatch/odom")
    good = robot.publisher(JointState, "/mismatch/joints")
    sections = channel("odom", "/mismatch/odom", ODOM) + channel(
        "joints", "/mismatch/joints", "sensor_msgs/msg/JointState"
    )
    with (
        Witness(broker.port) as witness,
        Daemon(tmp_path, configuration(broker.port, tmp_path, sections)) as daemon,
    ):
        matched(good)
        good.publish(JointState(name=["a"], position=[1.0]))
        until(lambda: witness.in_order("joints"), "the good channel")
        until(lambda: "published as std_msgs/msg/String" in daemon.log, "the mismatch in words")

        assert re.search(r"odom.*nav_msgs/msg/Odometry.*correct the type", daemon.log)
        until(lambda: daemon.status()["channels"]["odom"]["problem"], "the problem in the status")
    robot.node.destroy_publisher(wrong)
