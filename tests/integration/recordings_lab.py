"""What the tests of real recordings are made of: what a file says, its replay, and the comparison with what arrived.

rosbags and csv read the files, and rclpy makes the messages of CSV rows: none of edgetwin's own readers is its judge.
"""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import BatteryState, Imu, JointState

from tests.integration.lab import Daemon, Witness, until

ROOT = Path(__file__).parents[2]
ROBOTS = Path(os.environ.get("TEST_DATA", ROOT.parent / "shared" / "data")) / "robots"
MAPPINGS = ROOT / "config" / "replay"
needs_data = pytest.mark.skipif(not ROBOTS.is_dir(), reason="the robot recordings are not here; set TEST_DATA")

_REPLAY_MAX_S = 60.0
_TO_THE_END_S = 1e6


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a recording, as the other end must see it.

    Attributes:
        stamp_us: Its header stamp [us].
        data: All its fields; float32 as the double of the same value, NaN and infinities as None.
        cdr: The recorded bytes; empty where the file holds none (CSV, ROS 1).
    """

    stamp_us: int
    data: Mapping[str, Any]
    cdr: bytes = b""


def bag(
    path: Path, topics: Sequence[str], *, start_s: float = 0.0, duration_s: float = _TO_THE_END_S
) -> dict[str, list[Said]]:
    """Return what each of `topics` says in a slice of a bag, cut by log time."""
    found: dict[str, list[Said]] = {topic: [] for topic in topics}
    with AnyReader([path]) as reader:
        links = [link for link in reader.connections if link.topic in found]
        start_ns = reader.start_time + round(start_s * 1e9)
        for link, _, raw in reader.messages(links, start_ns, start_ns + round(duration_s * 1e9)):
            message = reader.deserialize(raw, link.msgtype)
            found[link.topic].append(_said(message, b"" if path.suffix == ".bag" else bytes(raw)))
    return found


def table(path: Path, message_of: Callable[[Mapping[str, str]], Any]) -> list[Said]:
    """Return what a CSV says, when `message_of` is the rclpy message of a row."""
    with path.open(newline="", encoding="utf-8") as file:
        made = [message_of(row) for row in csv.DictReader(file)]
    # There and back: rclpy keeps a float32 field as the double it was given until it is serialised.
    return [_said(deserialize_message(serialize_message(message), type(message))) for message in made]


def _said(message: Any, cdr: bytes = b"") -> Said:
    stamp = message.header.stamp
    return Said(stamp.sec * 1_000_000 + stamp.nanosec // 1000, _plain(message), cdr)


def _plain(value: Any) -> Any:
    """Return a rclpy or rosbags message as nested dicts and lists of what JSON knows."""
    if hasattr(value, "get_fields_and_field_types"):
        return {name: _plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if hasattr(value, "__msgtype__"):  # rosbags; constants are among its attributes, in capitals
        fields = {name: item for name, item in vars(value).items() if not name.isupper()}
        return {name: _plain(item) for name, item in fields.items() if name not in {"seq", "__msgtype__"}}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# --- rows of the F1TENTH car, written down once more beside config/replay/f1tenth.toml ------------


def f1tenth_odometry(row: Mapping[str, str]) -> Odometry:
    """Return what a row of odomData.csv says."""
    message = Odometry(child_frame_id="base_link")
    _head(message, row, "odom")
    pose, turn, velocity = message.pose.pose.position, message.pose.pose.orientation, message.twist.twist.linear
    pose.x, pose.y = float(row["x"]), float(row["y"])
    turn.x, turn.y, turn.z, turn.w = (float(row[f"q.{axis}"]) for axis in "xyzw")
    velocity.x, velocity.y, velocity.z = (float(row[f"v{axis}"]) for axis in "xyz")
    return message


def f1tenth_imu(row: Mapping[str, str]) -> Imu:
    """Return what a row of imuData.csv says; the file holds g and deg/s."""
    message = Imu()
    _head(message, row, "imu_link")
    turn, acceleration, rates = message.orientation, message.linear_acceleration, message.angular_velocity
    turn.x, turn.y, turn.z, turn.w = (float(row[f"q.{axis}"]) for axis in "xyzw")
    acceleration.x, acceleration.y, acceleration.z = (_scaled(row[f"a{axis}"], 9.80665) for axis in "xyz")
    rates.x, rates.y, rates.z = (_scaled(row[f"w{axis}"], math.pi / 180.0) for axis in "xyz")
    return message


def f1tenth_battery(row: Mapping[str, str]) -> BatteryState:
    """Return what a row of coreData.csv says of the battery; what the car did not measure is NaN."""
    unknown = dict.fromkeys(("temperature", "charge", "capacity", "design_capacity", "percentage"), math.nan)
    message = BatteryState(voltage=float(row["VI"]), current=_scaled(row["cI"], -1.0), present=True, **unknown)
    message.power_supply_status = BatteryState.POWER_SUPPLY_STATUS_DISCHARGING
    _head(message, row)
    return message


def f1tenth_motor(row: Mapping[str, str]) -> JointState:
    """Return what a row of coreData.csv says of the motor."""
    velocity = _scaled(row["RPM"], math.tau / 60.0)
    message = JointState(name=["motor"], velocity=[velocity], effort=[float(row["cM"])])
    _head(message, row)
    return message


def _head(message: Any, row: Mapping[str, str], frame_id: str = "") -> None:
    """Write the header of a row's message."""
    message.header.stamp.sec, message.header.stamp.nanosec = int(row["s"]), int(row["ns"])
    message.header.frame_id = frame_id


def _scaled(cell: str, scale: float) -> float:
    """Return what a mapping promises of a scaled column: cell * scale + offset, to the sign of a zero."""
    return float(cell) * scale + 0.0


# --- replay and comparison ----------------------------------------------------------------------


class Replay:
    """`edgetwin replay` as a child process; as a context manager it is started, and ended in any case."""

    def __init__(self, path: Path, topics: Sequence[str], *options: str | Path) -> None:
        chosen = [argument for topic in topics for argument in ("--topic", topic)]
        command = ["-m", "edgetwin", "replay", path, *chosen, "--wait-for-subscribers", "20", "--json", *options]
        self._command = [sys.executable, *map(str, command)]

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._child = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, cwd=ROOT
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.kill()
        self._child.communicate()

    def finish(self) -> dict[str, int]:
        """Wait for its end, a good one without remarks; return how many messages it says it sent, by topic."""
        out, remarks = self._child.communicate(timeout=_REPLAY_MAX_S)
        assert (self._child.returncode, remarks) == (0, "")
        return {topic["topic"]: topic["messages"] for topic in json.loads(out)["topics"]}


def wait_for_all(witness: Witness, daemon: Daemon, recorded: Mapping[str, Sequence[Said]]) -> None:
    """Wait until as many distinct records have arrived as there are messages, on each channel."""

    def short() -> list[str]:
        return [name for name, messages in recorded.items() if len(witness.in_order(name)) < len(messages)]

    def complaint() -> str:
        return f"{ {name: witness.missing(name, len(recorded[name])) for name in short()} }; {daemon.status()}"

    until(lambda: not short(), complaint)


def assert_told(witness: Witness, channel: str, recorded: Sequence[Said]) -> None:
    """The k-th record is the k-th message, stamp and every value; numbers start at 0, none is missing or too many."""
    assert_numbered(witness, channel, recorded)
    for record in witness.records(channel):  # repeats too
        said = recorded[record["seq"]]
        if _exact(record["data"]) != _exact(said.data):
            pytest.fail(f"{channel} {record['seq']}: {'; '.join(_differences(said.data, record['data']))}")


def assert_numbered(witness: Witness, channel: str, recorded: Sequence[Said]) -> None:
    """One number per message, each with its stamp; a lane tells them in rising order."""
    records = witness.in_order(channel)
    assert [record["seq"] for record in records] == list(range(len(recorded)))
    assert [record["stamp_us"] for record in records] == [said.stamp_us for said in recorded]
    for lane in ("telemetry", "backlog"):
        arrived = [record["seq"] for arrival in witness.on(f"/{lane}/{channel}") for record in arrival.records]
        first_told = list(dict.fromkeys(arrived))  # QoS 1: a broker that comes back may repeat what we have
        assert all(a < b for a, b in pairwise(first_told)), f"{lane} of {channel} is out of order"


def _differences(expected: Any, got: Any, path: str = "data") -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(got, dict) and expected.keys() == got.keys():
        for name, value in expected.items():
            yield from _differences(value, got[name], f"{path}.{name}")
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for index, value in enumerate(expected):
            yield from _differences(value, got[index], f"{path}[{index}]")
    elif _exact(expected) != _exact(got):
        yield f"{path} is {got!r}, the file says {expected!r}"


def _exact(data: Any) -> str:
    """Text that differs where a bit does: Python's shortest text of a double is one to one, also for -0.0."""
    return json.dumps(data, sort_keys=True, allow_nan=False)
