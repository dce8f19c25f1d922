"""`edgetwin export` beside a daemon whose broker is away: what ROS said is in the file, to the last bit."""

from __future__ import annotations

import csv
import math
from contextlib import closing
from pathlib import Path

from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message

from edgetwin.sim.ports import HeldPort
from edgetwin.sim.recordings import open_recording
from tests.export.running import ran
from tests.integration.lab import Daemon, Robot, channel, configuration, matched, paced, until

ODOM = "nav_msgs/msg/Odometry"
COUNT = 200


def odometry(index: int) -> Odometry:
    """Values that a rounding would betray."""
    message = Odometry()
    message.header.stamp.sec, message.header.stamp.nanosec = 1_795_327_201 + index // 50, index % 50 * 20_000_000
    message.pose.pose.position.x = index * 0.1 + 1e-15
    message.pose.pose.position.y = math.pi * index
    return message


def test_what_waits_is_exported_while_the_daemon_writes_on(robot: Robot, tmp_path: Path) -> None:
    """As CSV by the values of a json channel, as MCAP by the messages of a cdr channel; the daemon ends in order."""
    channels = channel("odom", "/export/odom", ODOM, channel_class="event")
    channels += channel("raw", "/export/odom", ODOM, ['encoding = "cdr"'], channel_class="event")
    publisher = robot.publisher(Odometry, "/export/odom")
    with HeldPort() as nobody, Daemon(tmp_path, configuration(nobody.number, tmp_path, channels)) as daemon:
        matched(publisher, 2)
        for index in paced(200, COUNT):
            publisher.publish(odometry(index))
        until(lambda: daemon.status()["outbox"]["records"] >= 2 * COUNT, "all of it on disk")
        table = ran("export", "--config", daemon.config, "--out", tmp_path / "odom.csv", "--channel", "odom")
        recording = ran("export", "--config", daemon.config, "--out", tmp_path / "raw.mcap", "--channel", "raw")

    assert (table[0], table[2], recording[0], recording[2]) == (0, "", 0, "")
    with (tmp_path / "odom.csv").open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    assert [float(row["odom.pose.pose.position.x"]) for row in rows] == [index * 0.1 + 1e-15 for index in range(COUNT)]
    assert [float(row["odom.pose.pose.position.y"]) for row in rows] == [math.pi * index for index in range(COUNT)]
    assert rows[7]["time"] == rows[7]["odom.header.stamp"] == "2026-11-22T06:00:01.140000Z"
    with closing(open_recording(tmp_path / "raw.mcap")) as opened:
        (topic,) = opened.topics
        messages = [deserialize_message(one.cdr, Odometry) for one in opened.messages([topic.name])]
    assert (topic.name, topic.obstacle) == ("/export/odom", "")
    assert messages == [odometry(index) for index in range(COUNT)]
