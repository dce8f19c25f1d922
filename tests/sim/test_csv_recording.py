"""CSV: every cell arrives in the field that the mapping names, to the last bit."""

from __future__ import annotations

import csv
import math
import os
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rclpy.serialization import deserialize_message

from edgetwin.errors import RefusedError
from edgetwin.ros.types import message_class
from edgetwin.sim.layouts import difference, installed_layout
from edgetwin.sim.recorded import Recorded, RecordingError
from edgetwin.sim.recordings import open_recording

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("TEST_DATA", ROOT.parent / "shared" / "data"))
ROBOTS = DATA / "robots"
MAPPINGS = ROOT / "config" / "replay"
# Raised by lark, which rclpy imports with its first message.
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_(parse|constants)' is deprecated:DeprecationWarning")
needs_data = pytest.mark.skipif(not ROBOTS.is_dir(), reason="the robot recordings are not here; set TEST_DATA")


def read(path: Path, mapping: Path, **slice_s: float) -> list[Recorded]:
    """Open, read all topics, close; every type must be the installed one."""
    with closing(open_recording(path, mapping)) as recording:
        for topic in recording.topics:
            assert topic.layout is not None
            assert difference(topic.layout, installed_layout(topic.type_name)) == ""
        return list(recording.messages([it.name for it in recording.topics], **slice_s))


def decode(messages: list[Recorded], topic: str) -> list[Any]:
    """Return the messages of a topic as rclpy decodes them."""
    return [deserialize_message(it.cdr, message_class(it.type_name)) for it in messages if it.topic == topic]


def rows(path: Path) -> list[dict[str, str]]:
    """Return the file as the standard library reads it."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def single(value: float) -> float:
    """Return `value` as a float32 holds it."""
    import numpy as np  # noqa: PLC0415

    return float(np.float32(value))


# --- the robots' files ------------------------------------------------------------------------


@needs_data
@pytest.mark.parametrize("run", ["DS1", "DS5"])
def test_f1tenth_odometry_and_imu_equal_the_file_in_si_units(run: str) -> None:
    """Position, quaternion and exact stamps as they stand; g and deg/s scaled."""
    folder = ROBOTS / "f1tenth_friction" / run
    messages = read(folder, MAPPINGS / "f1tenth.toml")

    for got, row in zip(decode(messages, "/odom"), rows(folder / "odomData.csv"), strict=True):
        pose, turn = got.pose.pose.position, got.pose.pose.orientation
        assert (got.header.stamp.sec, got.header.stamp.nanosec) == (int(row["s"]), int(row["ns"]))
        assert [pose.x, pose.y, got.twist.twist.linear.x] == [float(row[name]) for name in ("x", "y", "vx")]
        assert [turn.x, turn.y, turn.z, turn.w] == [float(row[f"q.{axis}"]) for axis in "xyzw"]
        assert (got.header.frame_id, got.child_frame_id) == ("odom", "base_link")
    for got, row in zip(decode(messages, "/imu"), rows(folder / "imuData.csv"), strict=True):
        assert got.linear_acceleration.z == float(row["az"]) * 9.80665
        assert got.angular_velocity.z == float(row["wz"]) * (math.pi / 180)


@needs_data
def test_f1tenth_core_is_a_battery_and_a_motor() -> None:
    """One row makes two messages; the battery's current is negative while discharging."""
    file = ROBOTS / "f1tenth_friction/DS5/coreData.csv"
    messages = read(file, MAPPINGS / "f1tenth.toml")

    for got, row in zip(decode(messages, "/battery_state"), rows(file), strict=True):
        assert (got.voltage, got.current) == (single(float(row["VI"])), single(-float(row["cI"])))
        assert math.isnan(got.percentage)
    for got, row in zip(decode(messages, "/joint_states"), rows(file), strict=True):
        assert (list(got.name), list(got.effort)) == (["motor"], [float(row["cM"])])


@needs_data
def test_a_folder_is_merged_by_time() -> None:
    """Seven topics out of six files, one order, nothing lost."""
    folder = ROBOTS / "f1tenth_friction/DS5"
    messages = read(folder, MAPPINGS / "f1tenth.toml")
    sizes = {it.name: len(rows(it)) for it in folder.glob("*.csv")}

    assert len(messages) == sum(sizes.values()) + sizes["coreData.csv"]
    assert all(a.stamp_ns <= b.stamp_ns for a, b in pairwise(messages))


@needs_data
def test_kuka_columns_become_the_elements_of_joint_states() -> None:
    """Seven joints, three arrays, times exact to the microsecond that the file holds."""
    file = ROBOTS / "kuka_lwr4/run1.csv"
    got = decode(messages := read(file, MAPPINGS / "kuka_lwr4.toml"), "/joint_states")

    assert len(got) == 5027
    for message, recorded, row in zip(got, messages, rows(file), strict=True):
        for field, prefix in ((message.position, "pos"), (message.velocity, "vel"), (message.effort, "eff")):
            assert list(field) == [float(row[f"{prefix}_{joint}"]) for joint in range(7)]
        assert recorded.stamp_ns == int(row["t"].replace(".", "")) * 1000


@needs_data
def test_crazyflie_rows_without_time_come_every_10_ms() -> None:
    """The period makes the clock; the unit quaternion stays what ROS 2 says it is."""
    file = ROBOTS / "crazyflie_battery/flight_001.csv"
    messages = read(file, MAPPINGS / "crazyflie.toml")
    stamps = [it.stamp_ns for it in messages if it.topic == "/battery_state"]
    voltages = [it.voltage for it in decode(messages, "/battery_state")]

    assert stamps == [1_700_000_000_000_000_000 + number * 10_000_000 for number in range(7950)]
    assert voltages == [single(float(row["battery_voltage"])) for row in rows(file)]
    assert {it.pose.pose.orientation.w for it in decode(messages, "/odom")} == {1.0}


@needs_data
def test_borealtc_runs_are_chosen_by_a_pattern() -> None:
    """One run of a folder: motor currents and IMU on one clock; the whole folder is ambiguous."""
    folder = ROBOTS / "husky_borealtc/ASPHALT"
    messages = read(folder / "*_00.csv", MAPPINGS / "borealtc.toml")
    currents = [list(it.effort) for it in decode(messages, "/joint_states")]

    assert currents == [[float(row["curL"]), float(row["curR"])] for row in rows(folder / "pro_00.csv")]
    assert len(decode(messages, "/imu/data")) == len(rows(folder / "imu_00.csv"))
    with pytest.raises(RefusedError, match=r"pro_00\.csv, pro_04\.csv"):
        open_recording(folder, MAPPINGS / "borealtc.toml")


@needs_data
def test_px4_microseconds_and_empty_cells() -> None:
    """Microseconds make the stamp; an empty temperature is NaN; a current is negated."""
    folder = ROBOTS / "px4_cubeorange"
    messages = read(folder, MAPPINGS / "px4.toml")
    batteries = decode(messages, "/battery_state")

    for got, row in zip(batteries, rows(folder / "battery_status_0.csv"), strict=True):
        stamp_us = (got.header.stamp.sec - 1_700_000_000) * 1_000_000 + got.header.stamp.nanosec // 1000
        assert (stamp_us, got.current, got.present) == (int(row["t_us"]), single(-float(row["current_a"])), True)
        assert math.isnan(got.temperature)


# --- the rules --------------------------------------------------------------------------------

GOOD = """
[[messages]]
topic = "/joints"
type = "sensor_msgs/msg/JointState"
time = { s = "t" }
[messages.constants]
name = ["a", "b"]
[messages.columns]
position = { columns = ["p", "q"] }
"""


def write(folder: Path, mapping: str, table: str) -> tuple[Path, Path]:
    """Write a CSV and its mapping."""
    (folder / "rows.csv").write_text(table)
    (folder / "map.toml").write_text(mapping)
    return folder / "rows.csv", folder / "map.toml"


def test_cells_without_scale_keep_every_bit(tmp_path: Path) -> None:
    """Negative zero, the smallest number and a byte order mark included."""
    files = write(tmp_path, GOOD, "\ufefft,p,q\n1.000000001,-0.0,5e-324\n\n2,0.1,nan\n")
    first, second = decode(messages := read(*files), "/joints")

    assert [it.stamp_ns for it in messages] == [1_000_000_001, 2_000_000_000]
    assert math.copysign(1.0, first.position[0]) == -1.0
    assert list(first.position) == [0.0, 5e-324]
    assert second.position[0] == 0.1
    assert math.isnan(second.position[1])


def test_a_slice_is_cut_by_the_time_column(tmp_path: Path) -> None:
    """Start is included, the end is not."""
    files = write(tmp_path, GOOD, "t,p,q\n" + "".join(f"{second},0,0\n" for second in range(100, 110)))

    assert [it.stamp_ns // 10**9 for it in read(*files, start_s=2.0, duration_s=3.0)] == [102, 103, 104]


@pytest.mark.parametrize("bad", ["x,0,0", "1,zero,0", "1,0"])
def test_a_row_that_does_not_fit_is_an_error_that_shows_it(bad: str, tmp_path: Path) -> None:
    """The rows before it are played."""
    path, mapping = write(tmp_path, GOOD, f"t,p,q\n0,0,0\n{bad}\n")
    with closing(open_recording(path, mapping)) as recording:
        messages = recording.messages(["/joints"])

        assert next(messages).stamp_ns == 0
        with pytest.raises(RecordingError, match=f"rows.csv: row '{bad}'"):
            next(messages)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('"t"', '"time"', "no column time"),
        ('{ s = "t" }', "{ }", "messages.0.time"),
        ('{ s = "t" }', '{ s = "t", period_s = 0.1 }', "messages.0.time"),
        ('{ s = "t" }', '{ s = "t", zone = "UTC" }', "messages.0.time.zone"),
        ('"/joints"', '"joints"', "messages.0.topic"),
        ("JointState", "JointStates", "messages.0.type"),
        ("position =", "positions =", "messages.0.columns.positions"),
        ("position =", "header =", "messages.0.columns.header"),
        ("position =", '"name.first" =', "messages.0.columns.name.first"),
        ('{ columns = ["p", "q"] }', '"p"', "messages.0.columns.position"),
        ('{ columns = ["p", "q"] }', '{ columns = ["p"], column = "q" }', "messages.0.columns.position"),
        ('{ columns = ["p", "q"] }', '{ columns = ["p"], scale = inf }', "messages.0.columns.position"),
        ('name = ["a", "b"]', "name = [1]", "messages.0.constants.name"),
        ('name = ["a", "b"]', 'name = "a"', "messages.0.constants.name"),
        ('name = ["a", "b"]', '"header.stamp.sec" = 3_000_000_000', "messages.0.constants.header.stamp.sec"),
        ("[[messages]]", "[[message]]", "messages"),
        ("[[messages]]", "[[messages", "not TOML"),
        ("[[messages]]", '[[messages]]\nfile = "other.csv"', "no message of"),
    ],
)
def test_a_mapping_with_one_fault_is_refused_with_its_place(old: str, new: str, place: str, tmp_path: Path) -> None:
    """Every line is one fault: where, what, what to do."""
    assert old in GOOD
    path, mapping = write(tmp_path, GOOD.replace(old, new), "t,p,q\n0,0,0\n")

    with pytest.raises(RefusedError) as caught:
        open_recording(path, mapping)
    assert place in str(caught.value)
    assert all(fault.cure for fault in caught.value.faults)


def test_all_faults_of_a_mapping_come_at_once(tmp_path: Path) -> None:
    """Two wrong fields are two lines."""
    path, mapping = write(tmp_path, GOOD.replace("position", "positions").replace("name =", "names ="), "t,p,q\n")

    with pytest.raises(RefusedError) as caught:
        open_recording(path, mapping)
    assert len(caught.value.faults) == 2


def test_every_example_mapping_is_well_formed() -> None:
    """What the documentation points to can be loaded."""
    from edgetwin.sim.csv_mapping import load_mapping  # noqa: PLC0415

    found = sorted(MAPPINGS.glob("*.toml"))

    assert {it.stem for it in found} >= {"borealtc", "crazyflie", "f1tenth", "kuka_lwr4", "px4"}
    assert all(load_mapping(path).messages for path in found)
