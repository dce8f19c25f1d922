"""The main job on what real robots said: recordings through ROS, the daemon and mosquitto, against the file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from operator import mul
from pathlib import Path
from typing import Any

from edgetwin.sim.broker import LocalBroker
from tests.integration.lab import Daemon, Witness, channel, configuration, until
from tests.integration.recordings_lab import (
    MAPPINGS,
    ROBOTS,
    Replay,
    Said,
    assert_numbered,
    assert_told,
    bag,
    f1tenth_battery,
    f1tenth_imu,
    f1tenth_motor,
    f1tenth_odometry,
    needs_data,
    table,
    wait_for_all,
)

pytestmark = needs_data

EVERY_SAMPLE = ("rate_hz_max = 1000",)
ODOM, IMU = "nav_msgs/msg/Odometry", "sensor_msgs/msg/Imu"
HUSKY = ROBOTS / "husky_2015/husky_2015_ros2"
HUSKY_ROS1 = ROBOTS / "husky_2015/husky_2015.bag"
HUSKY_ODOM = "/husky_velocity_controller/odom"
HUSKY_CHANNELS = {"odom": (HUSKY_ODOM, ODOM), "imu": ("/imu/data", IMU), "fix": ("/fix", "sensor_msgs/msg/NavSatFix")}
SCAN = ROBOTS / "hokuyo_scan_2010/hokuyo_scan_2010_ros2"
TURTLEBOT = ROBOTS / "turtlebot_nav2_sim/nav2_turtlebot.mcap"
F1TENTH = ROBOTS / "f1tenth_friction"
F1TENTH_MAPPING = ("--mapping", MAPPINGS / "f1tenth.toml")


def sections(channels: Mapping[str, tuple[str, str]], extra: Sequence[str], channel_class: str = "critical") -> str:
    """Return the settings of channels, given as name -> (topic, type)."""
    return "".join(channel(name, topic, kind, extra, channel_class) for name, (topic, kind) in channels.items())


def by_channel(channels: Mapping[str, tuple[str, str]], path: Path, **slice_s: float) -> dict[str, list[Said]]:
    """Return what a bag, or a slice of it, says, by channel."""
    said = bag(path, [topic for topic, _ in channels.values()], **slice_s)
    return {name: said[topic] for name, (topic, _) in channels.items()}


def carry(
    broker: LocalBroker,
    folder: Path,
    channels: Mapping[str, tuple[str, str]],
    recorded: Mapping[str, Sequence[Said]],
    source: tuple[Path, tuple[str | Path, ...]],
    settings: tuple[Sequence[str], str] = (EVERY_SAMPLE, "critical"),
) -> Witness:
    """Play a recording through the daemon; return the witness once all of `recorded` (by channel) has arrived."""
    path, options = source
    config = configuration(broker.port, folder, sections(channels, *settings))
    with (
        Witness(broker.port) as witness,
        Daemon(folder, config) as daemon,
        Replay(path, [topic for topic, _ in channels.values()], *options) as player,
    ):
        assert player.finish() == {channels[name][0]: len(messages) for name, messages in recorded.items()}
        wait_for_all(witness, daemon, recorded)
    return witness


# --- every number and every value -------------------------------------------------------------


def test_a_husky_arrives_as_recorded_odometry_imu_and_gps(broker: LocalBroker, tmp_path: Path) -> None:
    """Three topics of three rates, 100 s of a drive at thirty times its pace."""
    recorded = by_channel(HUSKY_CHANNELS, HUSKY, start_s=200.0, duration_s=100.0)
    options = ("--start", "200", "--duration", "100", "--rate", "30")
    witness = carry(broker, tmp_path, HUSKY_CHANNELS, recorded, (HUSKY, options))

    assert {name: round(len(messages), -1) for name, messages in recorded.items()} == {
        "odom": 1000,
        "imu": 3000,
        "fix": 250,
    }
    for name, messages in recorded.items():
        assert_told(witness, name, messages)


def test_laser_scans_arrive_beam_by_beam(broker: LocalBroker, tmp_path: Path) -> None:
    """360 scans of 681 float32 ranges, as events; each range is the double of the same value."""
    channels = {"scan": ("/scan", "sensor_msgs/msg/LaserScan")}
    recorded = by_channel(channels, SCAN)
    witness = carry(broker, tmp_path, channels, recorded, (SCAN, ("--rate", "15")), ((), "event"))

    assert (len(recorded["scan"]), len(recorded["scan"][0].data["ranges"])) == (360, 681)
    assert_told(witness, "scan", recorded["scan"])


def test_sim_time_stamps_and_a_latched_pose_arrive_as_recorded(broker: LocalBroker, tmp_path: Path) -> None:
    """Stamps are 15 minutes after 0, not today; /amcl_pose is transient local with a depth of one."""
    channels = {"odom": ("/odom", ODOM), "pose": ("/amcl_pose", "geometry_msgs/msg/PoseWithCovarianceStamped")}
    recorded = by_channel(channels, TURTLEBOT)
    witness = carry(broker, tmp_path, channels, recorded, (TURTLEBOT, ("--rate", "30")))

    assert {name: len(messages) for name, messages in recorded.items()} == {"odom": 2639, "pose": 135}
    assert recorded["odom"][0].stamp_us == 928_800_000
    for name, messages in recorded.items():
        assert_told(witness, name, messages)


def test_battery_and_motor_of_a_csv_arrive_as_the_rows_say(broker: LocalBroker, tmp_path: Path) -> None:
    """F1TENTH DS5: two topics out of one file; float32 fields, and NaN as null."""
    core = F1TENTH / "DS5/coreData.csv"
    channels = {
        "battery": ("/battery_state", "sensor_msgs/msg/BatteryState"),
        "motor": ("/joint_states", "sensor_msgs/msg/JointState"),
    }
    recorded = {"battery": table(core, f1tenth_battery), "motor": table(core, f1tenth_motor)}
    witness = carry(broker, tmp_path, channels, recorded, (core, (*F1TENTH_MAPPING, "--rate", "30")))

    assert {len(messages) for messages in recorded.values()} == {2226}
    assert witness.in_order("battery")[0]["data"]["percentage"] is None
    for name, messages in recorded.items():
        assert_told(witness, name, messages)


def test_an_outage_in_the_middle_of_a_drive_changes_nothing(broker: LocalBroker, tmp_path: Path) -> None:
    """F1TENTH DS1: the broker goes and comes back under the replay; live and backlog together are the file."""
    channels = {"odom": ("/odom", ODOM), "imu": ("/imu", IMU)}
    odometry = table(F1TENTH / "DS1/odomData.csv", f1tenth_odometry)
    recorded = {"odom": odometry, "imu": table(F1TENTH / "DS1/imuData.csv", f1tenth_imu)}
    with (
        Witness(broker.port) as witness,
        Daemon(tmp_path, configuration(broker.port, tmp_path, sections(channels, EVERY_SAMPLE))) as daemon,
        Replay(F1TENTH / "DS1", ["/odom", "/imu"], *F1TENTH_MAPPING, "--rate", "10") as player,
    ):
        until(lambda: len(witness.records("odom")) > 200, "the beginning of the drive")
        broker.stop()
        until(lambda: daemon.status()["outbox"]["records"] > 200, "an outage that is felt")
        before_return = len(witness.arrivals)
        broker.start()
        assert player.finish() == {"/odom": 1427, "/imu": 1427}
        wait_for_all(witness, daemon, recorded)

    after_return = {arrival.topic.removeprefix("robot/robot_001/") for arrival in witness.arrivals[before_return:]}
    for name, messages in recorded.items():
        assert_told(witness, name, messages)
        assert {f"backlog/{name}", f"telemetry/{name}"} <= after_return
    assert witness.continuity().lost == 0


def test_cdr_arrives_byte_for_byte(broker: LocalBroker, tmp_path: Path) -> None:
    """60 s of three types; DDS may fill a message up to whole 32-bit words, nothing else may change."""
    recorded = by_channel(HUSKY_CHANNELS, HUSKY, duration_s=60.0)
    settings = ((*EVERY_SAMPLE, 'encoding = "cdr"'), "critical")
    options = ("--duration", "60", "--rate", "20")
    witness = carry(broker, tmp_path, HUSKY_CHANNELS, recorded, (HUSKY, options), settings)

    for name, messages in recorded.items():
        assert_numbered(witness, name, messages)
        for record, said in zip(witness.in_order(name), messages, strict=True):
            assert record["data"] in {said.cdr, said.cdr + bytes(-len(said.cdr) % 4)}


# --- what leaves, what is held back, and why --------------------------------------------------

RATE_HZ_MAX, HEARTBEAT_S, SETTLE_S, POSITION_M, ANGLE_RAD = 2.0, 0.5, 0.3, 0.2, 0.2
LATE_S = 0.1  # between reception and decision, on a busy machine
PACING = (
    f"rate_hz_max = {RATE_HZ_MAX}",
    f"heartbeat_s = {HEARTBEAT_S}",
    f"settle_s = {SETTLE_S}",
    f"deadband = {{ position_m = {POSITION_M}, angle_rad = {ANGLE_RAD} }}",
)


class Why(StrEnum):
    """Why a record left, or why a message was held back."""

    FIRST = "first"
    MOVED = "moved"
    HEARTBEAT = "heartbeat"
    FINAL = "final"
    RATE = "rate"
    DEADBAND = "deadband"
    UNKNOWN = "unknown"


def moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether an odometry is outside the deadband around another one."""
    old, new = before["pose"]["pose"], after["pose"]["pose"]
    distance_m = math.dist(old["position"].values(), new["position"].values())
    cosine = abs(sum(map(mul, old["orientation"].values(), new["orientation"].values())))
    return distance_m >= POSITION_M or 2.0 * math.acos(min(1.0, cosine)) >= ANGLE_RAD


def why_they_left(records: Sequence[Mapping[str, Any]], last_stamp_us: int) -> list[Why]:
    """Judge each record by the one that left before it."""
    found = [Why.FIRST]
    for before, record in pairwise(records):
        waited_s = (record["recv_us"] - before["recv_us"]) / 1e6 + LATE_S
        if moved(before["data"], record["data"]):
            found.append(Why.MOVED)
        elif waited_s >= HEARTBEAT_S:
            found.append(Why.HEARTBEAT)
        elif record["stamp_us"] == last_stamp_us or (found[-1] is Why.MOVED and waited_s >= SETTLE_S):
            found.append(Why.FINAL)
        else:
            found.append(Why.UNKNOWN)
    return found


def why_held_back(records: Sequence[Mapping[str, Any]], recorded: Sequence[Said]) -> Iterator[Why]:
    """Judge each message that did not leave by the newest one that had left: what has moved waits a period at most."""
    left = {record["stamp_us"] for record in records}
    newest = recorded[0]  # the first one leaves
    decided_us = newest.stamp_us  # when one left last, or was last seen not to have moved
    for said in recorded:
        if said.stamp_us in left:
            newest, decided_us = said, said.stamp_us
        elif not moved(newest.data, said.data):
            decided_us = said.stamp_us
            yield Why.DEADBAND
        else:
            yield Why.RATE if said.stamp_us - decided_us <= 1e6 / RATE_HZ_MAX else Why.UNKNOWN


def test_every_record_that_left_and_every_message_held_back_is_explained(broker: LocalBroker, tmp_path: Path) -> None:
    """A Husky (ROS 1 bag) drives, rests for 11 s and drives on, ten times as fast; paced by rate, distance and turn."""
    recorded = bag(HUSKY_ROS1, [HUSKY_ODOM], start_s=215.0, duration_s=45.0)[HUSKY_ODOM]
    config = configuration(broker.port, tmp_path, channel("odom", HUSKY_ODOM, ODOM, PACING))
    options = ("--start", "215", "--duration", "45", "--rate", "10")
    last_us = recorded[-1].stamp_us
    with (
        Witness(broker.port) as witness,
        Daemon(tmp_path, config),
        Replay(HUSKY_ROS1, [HUSKY_ODOM], *options) as player,
    ):
        assert player.finish() == {HUSKY_ODOM: len(recorded)}
        until(lambda: any(record["stamp_us"] == last_us for record in witness.records("odom")), "the final state")
    records = witness.in_order("odom")
    reasons = why_they_left(records, last_us)

    left = {record["stamp_us"] for record in records}
    assert_told(witness, "odom", [said for said in recorded if said.stamp_us in left])
    assert set(reasons) == {Why.FIRST, Why.MOVED, Why.HEARTBEAT, Why.FINAL}
    assert set(why_held_back(records, recorded)) == {Why.RATE, Why.DEADBAND}
    assert records[0]["stamp_us"] == recorded[0].stamp_us
    assert len(records) <= (last_us - recorded[0].stamp_us) / 1e6 * RATE_HZ_MAX + 2
    at_rest = reasons.index(Why.FINAL)
    assert reasons[at_rest + 1] is Why.HEARTBEAT
    assert records[at_rest]["data"]["pose"] == records[at_rest + 1]["data"]["pose"], "the final state is not the rest"
