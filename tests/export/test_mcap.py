"""Records as MCAP, read back by the format's own library, by rosbags, and by edgetwin's own readers of recordings."""

from __future__ import annotations

from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from mcap.reader import make_reader
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from sensor_msgs.msg import BatteryState

from edgetwin import wire
from edgetwin.export.definition import definition
from edgetwin.records import GapCause
from edgetwin.sim.layouts import difference, installed_layout, recorded_layout
from edgetwin.sim.recordings import open_recording
from tests.export.outboxes import CDR, GAP, ODOM, SCAN, START_US, Robot, pose
from tests.export.running import export

SETTINGS = """
[robot]
id = "r"
[channels.raw]
topic = "/base/odom_raw"
type = "nav_msgs/msg/Odometry"
class = "slow"
encoding = "cdr"
"""


@cache  # ROS pads with whatever is in memory: no two calls give the same bytes
def message(number: int) -> bytes:
    """Return a serialised Odometry."""
    found = Odometry()
    found.pose.pose.position.x = number / 3
    found.header.frame_id = "odom"
    return bytes(serialize_message(found))


def exported(tmp_path: Path) -> Path:
    """Export an outbox of json, cdr and events, of two boots; return the file."""
    for boot in ("boot1", "boot2"):
        robot = Robot(tmp_path / "outbox.db", boot)
        robot.store(ODOM, map(pose, range(200)), rows=5)
        robot.store(CDR, map(message, range(20)))
        robot.store(SCAN, [{"ranges": [0.1] * 720}] * 3)
        robot.store(GAP, [{"channel": "odom", "boot": "x", "from_seq": 0, "to_seq": 1, "count": 2, "cause": "shed"}])
        robot.close()
    (tmp_path / "robot.toml").write_text(SETTINGS, encoding="utf-8")
    out = tmp_path / "out.mcap"
    assert export(tmp_path / "outbox.db", "--config", tmp_path / "robot.toml", "--out", out) == 0
    return out


def read(path: Path) -> list[tuple[Any, Any, Any]]:
    """Return (schema, channel, message) of a file, its checksums checked."""
    with path.open("rb") as file:
        return list(make_reader(file, validate_crcs=True).iter_messages(log_time_order=False))


def test_every_value_number_and_time_is_there(tmp_path: Path) -> None:
    """A json channel is the JSON of its values, to the last bit; log time: received; publish time: measured."""
    found = [one for one in read(exported(tmp_path)) if one[1].topic == "/odom"]

    assert [one[2].sequence for one in found] == [*range(200), *range(200)]
    assert [orjson.loads(one[2].data) for one in found[:200]] == [
        orjson.loads(wire.encode(pose(number))) for number in range(200)
    ]
    assert found[3][2].publish_time == (START_US + 3 * 20_000) * 1000
    assert found[3][2].log_time == found[3][2].publish_time + 137_000
    assert {one[1].metadata["edgetwin_boot"] for one in found} == {"boot1", "boot2"}
    assert {one[1].message_encoding for one in found} == {"json"}


def test_a_cdr_channel_is_a_ros_topic_with_its_definition(tmp_path: Path) -> None:
    """Byte for byte what ROS sent, under the topic of the settings."""
    found = [one for one in read(exported(tmp_path)) if one[1].topic == "/base/odom_raw"]

    assert [one[2].data for one in found] == [*map(message, range(20)), *map(message, range(20))]
    assert (found[0][0].name, found[0][0].encoding) == ("nav_msgs/msg/Odometry", "ros2msg")
    assert deserialize_message(found[5][2].data, Odometry).pose.pose.position.x == 5 / 3


def test_others_read_its_ros_topics(tmp_path: Path) -> None:
    """By the definition in the file alone (rosbags); `replay`, `train` and `backtest` as they read any recording."""
    out = exported(tmp_path)
    with AnyReader([out]) as reader:
        links = [link for link in reader.connections if link.topic == "/base/odom_raw"]
        found: list[Any] = [reader.deserialize(raw, link.msgtype) for link, _, raw in reader.messages(links)]
        xs = [one.pose.pose.position.x for one in found]
    with closing(open_recording(out)) as recording:
        playable = {topic.name: topic for topic in recording.topics if not topic.obstacle}
        cdr = [one.cdr for one in recording.messages(playable.keys())]

    assert sorted(xs) == sorted(number / 3 for number in [*range(20), *range(20)])
    assert playable.keys() == {"/base/odom_raw"}
    assert sorted(cdr) == sorted([*map(message, range(20)), *map(message, range(20))])


def test_a_recording_is_converted_whole(tmp_path: Path) -> None:
    """MCAP to MCAP: the same messages; to CSV: the same numbers."""
    out = exported(tmp_path)
    again, table = tmp_path / "again.mcap", tmp_path / "table.csv"

    assert export(out, "--out", again) == 0
    assert export(out, "--out", table, "--channel", "/base/odom_raw") == 0
    assert sorted(one[2].data for one in read(again)) == sorted([*map(message, range(20)), *map(message, range(20))])
    rows = [line.split(",") for line in table.read_text(encoding="utf-8").splitlines()]
    column = rows[0].index("base_odom_raw.pose.pose.position.x")
    assert sorted(float(row[column]) for row in rows[1:]) == sorted(number / 3 for number in [*range(20), *range(20)])


def test_a_table_becomes_ros_messages_by_its_mapping(tmp_path: Path) -> None:
    """As `replay` would publish it."""
    (tmp_path / "in.csv").write_text("t,v\n1.5,12.25\n2.5,12.125\n", encoding="utf-8")
    (tmp_path / "map.toml").write_text(
        '[[messages]]\ntopic = "/battery"\ntype = "sensor_msgs/msg/BatteryState"\ntime = { s = "t" }\n'
        'columns = { voltage = "v" }\n',
        encoding="utf-8",
    )
    out = tmp_path / "out.mcap"

    assert export(tmp_path / "in.csv", "--mapping", tmp_path / "map.toml", "--out", out) == 0
    found = [(one[2].log_time, deserialize_message(one[2].data, BatteryState).voltage) for one in read(out)]
    assert found == [(1_500_000_000, 12.25), (2_500_000_000, 12.125)]


def test_what_is_lost_is_in_the_file(tmp_path: Path) -> None:
    """Whoever gets the file alone can know it."""
    robot = Robot(tmp_path / "outbox.db")
    (row,) = robot.store(ODOM, map(pose, range(3)))
    robot.store(ODOM, map(pose, range(3)))
    robot.database.bury([row], 0x99, GapCause.DEAD_LETTER)
    robot.close()
    out = tmp_path / "out.mcap"
    export(tmp_path / "outbox.db", "--out", out)
    with out.open("rb") as file:
        told = {one.name: one.metadata for one in make_reader(file).iter_metadata()}

    assert orjson.loads(told["edgetwin.lost"]["0"])["count"] == 3
    assert told["edgetwin"]["source"].endswith("outbox.db")


def test_a_definition_is_the_installed_type() -> None:
    """As rosbags understands the text, field by field; of a type that is not here there is none."""
    for name in ("nav_msgs/msg/Odometry", "sensor_msgs/msg/JointState", "diagnostic_msgs/msg/DiagnosticArray"):
        store = get_typestore(Stores.EMPTY)
        store.register(get_types_from_msg(definition(name), name))

        assert difference(recorded_layout(store.fielddefs, name), installed_layout(name)) == ""
    assert definition("no_msgs/msg/Such") == ""
