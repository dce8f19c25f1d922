"""Bags: every message is there, in order, with the bytes ROS 2 would have sent."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rclpy.serialization import deserialize_message
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from edgetwin.errors import RefusedError
from edgetwin.ros.types import message_class
from edgetwin.sim.layouts import difference, installed_layout
from edgetwin.sim.recorded import CDR_HEADER, Recorded, Recording, RecordingError, Topic
from edgetwin.sim.recordings import open_recording

DATA = Path(os.environ.get("TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
ROBOTS = DATA / "robots"
HUSKY = "husky_2015/husky_2015.bag"
HUSKY_ROS2 = "husky_2015/husky_2015_ros2"
SCAN = "hokuyo_scan_2010/hokuyo_scan_2010_ros2"
TURTLEBOT = "turtlebot_nav2_sim/nav2_turtlebot.mcap"
HUSKY_COUNTS = {"/husky_velocity_controller/odom": 3952, "/imu/data": 11865, "/fix": 989}
COUNTS = {
    HUSKY: HUSKY_COUNTS,
    HUSKY_ROS2: HUSKY_COUNTS,
    f"{HUSKY_ROS2}/husky_2015_ros2.mcap": HUSKY_COUNTS,
    SCAN: {"/scan": 360},
    TURTLEBOT: {"/odom": 2639, "/tf": 5422, "/tf_static": 1, "/amcl_pose": 135},
}
HUMBLE = get_typestore(Stores.ROS2_HUMBLE)
NOETIC = get_typestore(Stores.ROS1_NOETIC)
# Raised by lark, which rclpy imports with its first message.
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_(parse|constants)' is deprecated:DeprecationWarning")
needs_data = pytest.mark.skipif(not ROBOTS.is_dir(), reason="the robot recordings are not here; set TEST_DATA")


def everything(recording: Recording, **slice_s: float) -> list[Recorded]:
    """Return the messages of all topics that can be played."""
    return list(recording.messages([it.name for it in recording.topics if not it.obstacle], **slice_s))


def read(path: Path, **slice_s: float) -> list[Recorded]:
    """Open, read, close."""
    with closing(open_recording(path)) as recording:
        return everything(recording, **slice_s)


def plain(value: Any) -> Any:
    """Return a rclpy or rosbags message as nested dicts and lists, NaN as text, to compare the two."""
    if hasattr(value, "get_fields_and_field_types"):
        return {name: plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if hasattr(value, "__msgtype__"):
        return {name: plain(item) for name, item in vars(value).items() if name not in ("seq", "__msgtype__")}
    if not isinstance(value, str) and hasattr(value, "__iter__"):
        return [plain(item) for item in value]
    return str(value) if value != value else value  # noqa: PLR0124  # NaN


# --- the robots' recordings -------------------------------------------------------------------


@needs_data
@pytest.mark.parametrize("name", COUNTS)
def test_every_message_is_read_in_time_order(name: str) -> None:
    """The counts are the data set's own; log times never step back."""
    messages = read(ROBOTS / name)

    assert Counter(it.topic for it in messages) == COUNTS[name]
    assert all(a.stamp_ns <= b.stamp_ns for a, b in pairwise(messages))
    assert {it.cdr[:4] for it in messages} == {CDR_HEADER}


@needs_data
def test_rosbag1_and_rosbag2_of_one_drive_are_the_same_messages() -> None:
    """The conversion from ROS 1 gives the bytes and times that the data set's own conversion gave."""
    old, new = read(ROBOTS / HUSKY), read(ROBOTS / HUSKY_ROS2)

    for topic in HUSKY_COUNTS:
        assert [it for it in old if it.topic == topic] == [it for it in new if it.topic == topic]


@needs_data
@pytest.mark.parametrize("name", [HUSKY, HUSKY_ROS2, SCAN, TURTLEBOT])
def test_rclpy_decodes_what_rosbags_decodes_from_the_original(name: str) -> None:
    """Two independent decoders agree on every 500th message, bit for bit, Header.seq aside."""
    messages = [it for it in read(ROBOTS / name) if not it.type_name.startswith("tf2_msgs/")]
    with AnyReader([ROBOTS / name]) as reader:
        links = [it for it in reader.connections if not it.msgtype.startswith("tf2_msgs/")]
        originals = [(link.topic, stamp, link.msgtype, raw) for link, stamp, raw in reader.messages(links)]
        for recorded, (topic, stamp_ns, type_name, raw) in list(zip(messages, originals, strict=True))[::500]:
            decoded = deserialize_message(recorded.cdr, message_class(recorded.type_name))

            assert (recorded.topic, recorded.stamp_ns) == (topic, stamp_ns)
            assert plain(decoded) == plain(reader.deserialize(raw, type_name))


@needs_data
@pytest.mark.parametrize("name", [HUSKY, HUSKY_ROS2, SCAN, TURTLEBOT])
def test_recorded_layouts_equal_the_installed_ones(name: str) -> None:
    """Also for types that were ROS 1; tf2_msgs is not among the PyPI packages."""
    with closing(open_recording(ROBOTS / name)) as recording:
        for topic in recording.topics:
            if importlib.util.find_spec(topic.type_name.partition("/")[0]):
                assert topic.layout is not None
                assert difference(topic.layout, installed_layout(topic.type_name)) == ""


@needs_data
@pytest.mark.parametrize("name", [HUSKY, HUSKY_ROS2])
def test_a_slice_is_cut_by_log_time_from_the_start_of_the_recording(name: str) -> None:
    """Start is included, the end is not, whatever topics are chosen."""
    messages = read(ROBOTS / name)
    first_ns = messages[0].stamp_ns
    wanted = [it for it in messages if 10_000_000_000 <= it.stamp_ns - first_ns < 15_000_000_000]

    assert Counter(read(ROBOTS / name, start_s=10.0, duration_s=5.0)) == Counter(wanted)
    with closing(open_recording(ROBOTS / name)) as recording:
        fixes = list(recording.messages(["/fix"], start_s=10.0, duration_s=5.0))
    assert fixes == [it for it in wanted if it.topic == "/fix"]


@needs_data
def test_latched_topics_are_known_by_their_recorded_qos() -> None:
    """Transient local topics keep their depth; the others have none."""
    with closing(open_recording(ROBOTS / TURTLEBOT)) as recording:
        depths = {it.name: it.latched_depth for it in recording.topics}

    assert depths == {"/odom": 0, "/tf": 0, "/tf_static": 1, "/amcl_pose": 1}


@needs_data
def test_a_bag_that_rosbags_refuses_is_one_line_that_names_the_folder_next_to_it() -> None:
    """The 2010 bag has an index that rosbags does not understand."""
    with pytest.raises(RefusedError) as caught:
        open_recording(ROBOTS / "hokuyo_scan_2010/hokuyo_scan_2010.bag")

    (line,) = str(caught.value).splitlines()
    assert "hokuyo_scan_2010_ros2" in line


# --- recordings made here ---------------------------------------------------------------------


def text(value: str) -> Any:
    """Return a std_msgs/String as rosbags has it."""
    return HUMBLE.types["std_msgs/msg/String"](data=value)


@pytest.fixture(params=[StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def big_endian(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A rosbag2 whose odd messages are big endian."""
    path = tmp_path / "bag"
    with Writer2(path, version=9, storage_plugin=request.param) as writer:
        link = writer.add_connection("/words", "std_msgs/msg/String", typestore=HUMBLE)
        for number in range(6):
            little = number % 2 == 0
            raw = HUMBLE.serialize_cdr(text(f"word {number}"), "std_msgs/msg/String", little_endian=little)
            writer.write(link, number, raw)
    return path


def test_big_endian_messages_become_little_endian(big_endian: Path) -> None:
    """The values stay; folder and single file read alike."""
    (single,) = [it for it in big_endian.iterdir() if it.suffix in {".mcap", ".db3"}]
    wanted = [
        bytes(HUMBLE.serialize_cdr(text(f"word {number}"), "std_msgs/msg/String", little_endian=True))
        for number in range(6)
    ]

    assert [it.cdr for it in read(big_endian)] == wanted
    assert [it.cdr for it in read(single)] == wanted


def test_an_encapsulation_that_nobody_subscribes_to_is_an_error_naming_the_topic(tmp_path: Path) -> None:
    """XCDR2 is not sent under a plain header."""
    with Writer2(tmp_path / "bag", version=9) as writer:
        link = writer.add_connection("/words", "std_msgs/msg/String", typestore=HUMBLE)
        writer.write(link, 0, b"\x00\x07\x00\x00\x01\x00\x00\x00\x00")

    with pytest.raises(RecordingError, match=r"/words.*00070000"):
        read(tmp_path / "bag")


def test_ros1_relative_names_and_latching_become_ros2(tmp_path: Path) -> None:
    """A topic without a slash gets one; a latched topic is transient local; Header.seq is gone."""
    path = tmp_path / "old.bag"
    header = NOETIC.types["std_msgs/msg/Header"](
        seq=7, stamp=NOETIC.types["builtin_interfaces/msg/Time"](sec=1, nanosec=2), frame_id="map"
    )
    point = NOETIC.types["geometry_msgs/msg/Point"](x=1.5, y=-2.5, z=0.0)
    message = NOETIC.types["geometry_msgs/msg/PointStamped"](header=header, point=point)
    with Writer1(path) as writer:
        link = writer.add_connection("goal", "geometry_msgs/msg/PointStamped", typestore=NOETIC, latching=1)
        writer.write(link, 5, NOETIC.serialize_ros1(message, "geometry_msgs/msg/PointStamped"))

    with closing(open_recording(path)) as recording:
        (topic,), (recorded,) = recording.topics, everything(recording)
    decoded = deserialize_message(recorded.cdr, message_class("geometry_msgs/msg/PointStamped"))
    assert (topic.name, topic.latched_depth, recorded.stamp_ns) == ("/goal", 1, 5)
    assert (decoded.header.stamp.nanosec, decoded.header.frame_id, decoded.point.y) == (2, "map", -2.5)


def test_a_type_that_differs_from_the_installed_one_is_seen() -> None:
    """Range has had a variance since Iron: same name, other bytes."""
    from edgetwin.sim.layouts import recorded_layout  # noqa: PLC0415
    from edgetwin.sim.player import obstacle  # noqa: PLC0415

    layout = recorded_layout(HUMBLE.fielddefs, "sensor_msgs/msg/Range")
    why = obstacle(Topic("/range", "sensor_msgs/msg/Range", layout))

    assert "variance" in why
    assert obstacle(Topic("/range", "sensor_msgs/msg/Range", installed_layout("sensor_msgs/msg/Range"))) == ""


@pytest.mark.parametrize(
    "type_name",
    ["sensor_msgs/msg/PointCloud2", "sensor_msgs/msg/CameraInfo", "std_msgs/msg/Empty", "std_msgs/msg/ByteMultiArray",
     "diagnostic_msgs/msg/DiagnosticArray", "nav_msgs/msg/Path", "sensor_msgs/msg/BatteryState"],
)  # fmt: skip
def test_both_descriptions_of_a_type_give_one_layout(type_name: str) -> None:
    """Arrays, sequences, nested messages, octets and empty messages read alike from rosbags and rclpy."""
    from edgetwin.sim.layouts import recorded_layout  # noqa: PLC0415

    kilted = get_typestore(Stores.ROS2_KILTED)

    assert recorded_layout(kilted.fielddefs, type_name) == installed_layout(type_name)


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["none.bag", "empty.bag", "noise.mcap", "noise.db3", "folder", "notes.txt", "rows.csv"]
)
def test_what_cannot_be_played_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    """The line names the path and a cure."""
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif name != "none.bag":
        path.write_bytes(b"" if name.startswith("empty") else bytes(range(256)))

    with pytest.raises(RefusedError) as caught:
        open_recording(path)
    (fault,) = caught.value.faults
    assert str(path) in fault.where
    assert fault.cure


@needs_data
@pytest.mark.parametrize("name", [HUSKY, TURTLEBOT])
def test_a_truncated_recording_never_ends_in_a_traceback(name: str, tmp_path: Path) -> None:
    """Cut anywhere, it is refused or breaks off with an error of our own."""
    whole = (ROBOTS / name).read_bytes()
    for part in range(1, 10):
        path = tmp_path / f"{part}{Path(name).suffix}"
        path.write_bytes(whole[: len(whole) * part // 10])
        with pytest.raises((RefusedError, RecordingError)):
            read(path)


def test_missing_rosbags_is_one_line_that_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader is an extra."""
    (tmp_path / "a.mcap").touch()
    monkeypatch.setattr("edgetwin.sim.recordings.find_spec", lambda _: None)

    with pytest.raises(RefusedError, match=r"pip install 'edgetwin\[demo\]'"):
        open_recording(tmp_path / "a.mcap")
