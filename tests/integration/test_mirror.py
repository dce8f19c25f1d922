"""The mirror end to end: daemon or stand-in, real mosquitto, `edgetwin mirror`, ROS in another domain."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from sensor_msgs.msg import JointState

from edgetwin import announcement
from edgetwin.announcement import Announced
from edgetwin.records import ChannelClass, Encoding, LinkState
from edgetwin.sim.broker import LocalBroker
from tests.integration.lab import ROBOT_ID, Daemon, Robot, Witness, channel, configuration, matched, until
from tests.integration.mirror_lab import ODOM, Heard, MirrorProcess, OtherDomain, StandIn

JOINTS = Announced("/joint_states", "sensor_msgs/msg/JointState", ChannelClass.CRITICAL, 50.0, 1.0, Encoding.CDR)


def odometry(index: int) -> Odometry:
    """An odometry that tells itself apart."""
    message = Odometry(child_frame_id="base_link")
    message.header.frame_id = "odom"
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(time.time_ns(), 10**9)
    message.pose.pose.position.x = 0.1 * index
    message.pose.pose.orientation.w = 1.0
    message.pose.covariance[7] = index / 3.0
    message.twist.twist.linear.x = math.nan
    return message


def pose(index: float) -> dict[str, Any]:
    """The same as a record's data, only the position."""
    return {"pose": {"pose": {"position": {"x": 0.1 * index, "y": 0.0, "z": 0.0}}}}


def joint(index: int) -> JointState:
    """Joints."""
    message = JointState(name=["a", "b"], position=[float(index), -1.5], effort=[math.nan])
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(time.time_ns(), 10**9)
    return message


def of(heard: Heard, count: int) -> list[Any]:
    """Wait for so many messages."""
    until(lambda: len(heard.messages) >= count, lambda: f"{count} messages, {len(heard.messages)} came")
    return heard.messages


def test_a_robot_of_json_and_cdr_is_mirrored_bit_by_bit_into_another_domain(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """Real daemon: values, order and count equal on both channels; nothing lost, everything live; clock known."""
    sections = channel("odom", "/mirror_odom", "nav_msgs/msg/Odometry", ("rate_hz_max = 1000",))
    sections += channel(
        "joints", "/mirror_joints", "sensor_msgs/msg/JointState", ("rate_hz_max = 1000", 'encoding = "cdr"')
    )
    poses = robot.publisher(Odometry, "/mirror_odom")
    joints = robot.publisher(JointState, "/mirror_joints")
    config = configuration(broker.port, tmp_path, sections)
    with Daemon(tmp_path, config), MirrorProcess(broker.port) as mirror, OtherDomain() as other:
        matched(poses)
        matched(joints)
        heard = other.listen(Odometry, f"/virtual/{ROBOT_ID}/odom")
        heard_joints = other.listen(JointState, f"/virtual/{ROBOT_ID}/joints")

        def heard_both() -> bool:
            poses.publish(odometry(-1))
            joints.publish(joint(-1))
            return bool(heard.messages and heard_joints.messages)

        until(heard_both, lambda: f"both topics: {mirror.remarks}")
        sent, sent_joints = [], []
        for index in range(200):
            time.sleep(0.01)  # never less: what comes faster than 1,000 a second is held back
            sent.append(odometry(index))
            sent_joints.append(joint(index))
            poses.publish(sent[-1])
            joints.publish(sent_joints[-1])
        _told(heard, sent[-1], mirror)
        _told(heard_joints, sent_joints[-1], mirror)
        until(lambda: mirror.channel(ROBOT_ID, "odom").get("live", 0) >= 200, lambda: str(mirror.reports[-1:]))
        figures, at_last = mirror.robot(ROBOT_ID), mirror.channel(ROBOT_ID, "odom")
        got, got_joints = heard.messages[-200:], heard_joints.messages[-200:]

    assert list(map(repr, got)) == list(map(repr, sent))
    assert list(map(repr, got_joints)) == list(map(repr, sent_joints))
    assert (at_last["lost"], at_last["duplicates"]) == (0, 0)
    assert figures["clock_offset_ms"] == pytest.approx(0.0, abs=figures["clock_uncertainty_ms"] + 1.0)
    assert {name["channel"] for name in figures["channels"]} == {"odom", "joints"}


def _told(heard: Heard, last: Any, mirror: MirrorProcess) -> None:
    until(lambda: repr(heard.messages[-1]) == repr(last), lambda: str(mirror.reports[-1]))


def test_robots_appear_and_leave_without_a_restart(broker: LocalBroker) -> None:
    """One after the other; a will is offline at once, a cleared status closes the topics; names are mapped and told."""
    with MirrorProcess(broker.port) as mirror, OtherDomain() as other:
        with StandIn(broker.port, "robot-1") as first:
            heard = other.listen(Odometry, "/virtual/robot_1/odom")
            first.send("odom", pose(1))
            until(lambda: heard.matched, lambda: str(mirror.remarks))
            until(lambda: mirror.robot("robot-1").get("age") == "live", "robot-1 live")
            with StandIn(broker.port, "robot_1") as second:
                second.send("odom", pose(2))
                until(lambda: mirror.robot("robot_1").get("age") == "live", "robot_1 live")
                clash = until(lambda: mirror.said("robot robot_1 appears as"), lambda: str(mirror.remarks))
                topics = until(
                    lambda: {name for name in other.topics() if name.endswith("/odom") and "robot_1_" in name},
                    "a topic",
                )
                second.status(LinkState.STOPPING)
                until(lambda: mirror.robot("robot_1").get("age") == "offline", "robot_1 offline")
                second.clear()
                until(lambda: not topics & other.topics(), lambda: str(other.topics()))
            until(lambda: not mirror.robot("robot_1"), "robot_1 gone")
            still = mirror.robot("robot-1")["age"]
        last = mirror.said("robot robot-1 appears as robot_1")

    assert still == "live"
    assert len(clash) == len(last) == 1


def test_what_cannot_be_mirrored_is_told_once_and_the_rest_goes_on(broker: LocalBroker) -> None:
    """A type of a package that is not here, a partial message, data that does not fit: one line each."""
    arm = Announced("/arm", "arm_msgs/msg/Grip", ChannelClass.SLOW, 1.0, 1.0)
    part = Announced("/odom", "nav_msgs/msg/Odometry", ChannelClass.CRITICAL, 50.0, 1.0, fields=("pose.pose",))
    channels = {"arm": arm, "part": part, "odom": ODOM}
    with (
        MirrorProcess(broker.port, "--robot", "r1") as mirror,
        OtherDomain() as other,
        StandIn(broker.port, "r1", channels) as robot,
        StandIn(broker.port, "r2"),
    ):
        heard = other.listen(Odometry, "/virtual/r1/part")
        robot.send("part", pose(0))
        until(lambda: heard.matched, lambda: str(mirror.remarks))
        time.sleep(0.3)
        for index in range(5):
            robot.send("arm", {"grip": index})
            robot.send("odom", {"pose": "nowhere"})
            robot.send("part", pose(index))
            robot.publish(f"{robot.topics.root}/telemetry/odom", b"\xff not json")
        got = of(heard, 5)[-5:]
        until(lambda: mirror.channel("r1", "arm").get("live") == 5, lambda: str(mirror.reports[-1:]))
        until(lambda: mirror.reports[-1]["unreadable"] >= 5, lambda: str(mirror.reports[-1:]))

    assert [message.pose.pose.position.x for message in got] == [0.1 * index for index in range(5)]
    assert {(message.pose.pose.orientation.w, message.child_frame_id) for message in got} == {(1.0, "")}
    assert [len(mirror.said(words)) for words in ("arm_msgs is not installed", "r1/odom: not a", "only pose.pose")] == [
        1
    ] * 3
    assert mirror.robot("r2") == {}


def test_the_figures_come_as_ros_diagnostics(broker: LocalBroker) -> None:
    """/virtual/<robot>/quality: the robot, then each channel; /diagnostics: one per robot; never OK when not live."""
    with MirrorProcess(broker.port) as mirror, OtherDomain() as other:
        quality = other.listen(DiagnosticArray, "/virtual/r1/quality", depth=10)
        summary = other.listen(DiagnosticArray, "/diagnostics", depth=10)
        with StandIn(broker.port, "r1") as robot:
            robot.send("odom", pose(0))
            live = until(lambda: _levels(quality, "live"), lambda: str(mirror.remarks))
            robot.status(LinkState.STOPPING)
            gone = until(lambda: _levels(quality, "offline"), "offline")
        until(lambda: [status.name for message in summary.messages for status in message.status], "a summary")

    assert live == {"mirror: r1": b"\x00", "mirror: r1/odom": b"\x00"}
    assert gone == {"mirror: r1": b"\x03", "mirror: r1/odom": b"\x03"}


def test_what_nobody_looks_at_is_not_made_and_who_comes_sees_the_next(broker: LocalBroker) -> None:
    """A hundred records without a subscriber: one message, to know that they fit; then somebody comes, and sees."""
    with MirrorProcess(broker.port) as mirror, OtherDomain() as other, StandIn(broker.port, "r1") as robot:
        for index in range(100):
            robot.send("odom", pose(index))
        until(lambda: mirror.channel("r1", "odom").get("live") == 100, lambda: str(mirror.reports[-1:]))
        made = mirror.reports[-1]["published"]
        heard = other.listen(Odometry, "/virtual/r1/odom")
        until(lambda: _sent_and(robot, lambda: heard.messages), lambda: str(mirror.remarks))
        for index in range(100, 200):
            robot.send("odom", pose(index))
        until(lambda: heard.messages[-1].pose.pose.position.x == 0.1 * 199, lambda: str(mirror.remarks))
        got = heard.messages[-100:]

    assert made == 1
    assert [message.pose.pose.position.x for message in got] == [0.1 * index for index in range(100, 200)]


def test_figures_come_to_who_subscribes_also_when_nothing_else_wants_them(broker: LocalBroker) -> None:
    """No table, no JSON: a subscriber of one robot, then one of all, each gets figures that are of now."""
    with MirrorProcess(broker.port, as_json=False), OtherDomain() as other, StandIn(broker.port, "r1") as robot:
        quality = other.listen(DiagnosticArray, "/virtual/r1/quality", depth=10)
        until(lambda: _sent_and(robot, lambda: _levels(quality, "live")), "live")
        summary = other.listen(DiagnosticArray, "/diagnostics", depth=10)
        told = until(lambda: summary.messages and summary.messages[-1].status, "a summary")

    assert [status.name for status in told] == ["mirror: r1"]


def _levels(heard: Heard, word: str) -> dict[str, bytes]:
    """The levels of the newest message, if every status in it begins with `word`."""
    newest = heard.messages[-1].status if heard.messages else []
    if len(newest) < 2 or not all(status.message.startswith(word) for status in newest):
        return {}
    return {status.name: status.level for status in newest}


@pytest.mark.parametrize("hours", [-4.0, 4.0])
def test_a_clock_that_steps_by_hours_is_followed(broker: LocalBroker, hours: float) -> None:
    """Offset within its bound before and after; the age stays right, and what comes is still shown."""
    with MirrorProcess(broker.port) as mirror, StandIn(broker.port, "r1", ahead_us=30_000_000) as robot:
        robot.send("odom", pose(0))
        until(lambda: mirror.robot("r1").get("clock_offset_ms") is not None, "an offset")
        before = mirror.robot("r1")
        robot.ahead_us += round(hours * 3.6e9)
        until(lambda: _sent_and(robot, lambda: mirror.robot("r1").get("clock_steps") == 1), "a step")
        count = mirror.channel("r1", "odom")["live"]
        until(lambda: _sent_and(robot, lambda: mirror.channel("r1", "odom")["live"] > count + 5), "more")
        after, odom = mirror.robot("r1"), mirror.channel("r1", "odom")

    assert before["clock_offset_ms"] == pytest.approx(30_000, abs=before["clock_uncertainty_ms"] + 1)
    assert after["clock_offset_ms"] == pytest.approx(30_000 + hours * 3.6e6, abs=after["clock_uncertainty_ms"] + 1)
    assert (odom["age"], odom["lost"]) == ("live", 0)


def _sent_and(robot: StandIn, condition: Any) -> bool:
    robot.send("odom", pose(0))
    time.sleep(0.05)
    return bool(condition())


def test_the_daemon_announces_its_channels_and_tells_of_its_clock(broker: LocalBroker, tmp_path: Path) -> None:
    """Retained beside the birth, with what the settings say; one `clock` event at the start; flows in the status."""
    section = channel("odom", "/announced", "nav_msgs/msg/Odometry", ('fields = ["pose.pose"]', "heartbeat_s = 2.0"))
    with Daemon(tmp_path, configuration(broker.port, tmp_path, section)) as daemon:
        until(lambda: daemon.status().get("link", {}).get("state") == "up", "a link")
        with Witness(broker.port) as late:  # it comes later, and still hears of the channels
            until(lambda: late.on("/channels") and late.on("/status"), "both retained")
    with Witness(broker.port) as witness, Daemon(tmp_path, configuration(broker.port, tmp_path, section)):
        until(lambda: witness.on("/events/clock"), "a clock event")
        until(lambda: len(witness.on("/channels")) > 1, "an announcement")
        said = announcement.decode(witness.on("/channels")[-1].payload)
        event = witness.on("/events/clock")[-1].records[0]

    expected = Announced("/announced", "nav_msgs/msg/Odometry", ChannelClass.CRITICAL, 50.0, 2.0, fields=("pose.pose",))
    assert (said.robot_id, said.channels) == (ROBOT_ID, {"odom": expected})
    assert late.on("/channels")[0].retain
    assert event["data"]["state"] in {"synchronised", "unsynchronised", "unknown"}
    assert event["boot"] == said.boot
    assert json.loads(late.on("/status")[0].payload)["flows"] == {"odom": {"received": 0, "published": 0}}
