"""One detector on real messages: serialised by rclpy, read from the bytes, judged, told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import BatteryState, Imu, JointState

from edgetwin.analytics.alerts import AlertState
from edgetwin.analytics.frozen import DetectorStateError
from edgetwin.judging.gauge import faults, gauge
from edgetwin.judging.watch import Told, Watch
from edgetwin.settings import Settings

CHANNELS = {
    "joint_states": {"topic": "/joint_states", "type": "sensor_msgs/msg/JointState", "class": "critical"},
    "battery": {"topic": "/battery", "type": "sensor_msgs/msg/BatteryState", "class": "slow"},
    "imu": {"topic": "/imu", "type": "sensor_msgs/msg/Imu", "class": "critical"},
    "odom": {"topic": "/odom", "type": "nav_msgs/msg/Odometry", "class": "critical"},
}
EFFORT = {"channel": "joint_states", "field": "effort", "label": "name", "warmup_s": 5.0}


def settings(**anomaly: Any) -> Settings:
    """Return settings with one detector, called one."""
    return Settings.model_validate({"robot": {"id": "r"}, "channels": CHANNELS, "anomaly": {"one": anomaly}})


def watch(**anomaly: Any) -> Watch:
    """Return it at work."""
    chosen = settings(**anomaly)
    return Watch(chosen.anomaly["one"], gauge(chosen.anomaly["one"], chosen))


def joints(names: Sequence[str], efforts: Sequence[float], velocities: Sequence[float] = ()) -> bytes:
    """Return a serialised JointState."""
    message = JointState(name=list(names), effort=list(efforts), velocity=list(velocities))
    return bytes(serialize_message(message))


def noise(rows: int, width: int, seed: int = 2) -> list[list[float]]:
    """Return small efforts."""
    rows_of: list[list[float]] = (0.1 + 0.3 * np.random.default_rng(seed).normal(size=(rows, width))).tolist()
    return rows_of


def test_a_joint_that_strains_is_named_whatever_the_order_of_the_message() -> None:
    """Every message names its joints in another order; the alert has the right one, and the figures."""
    names = ["joint_1", "joint_2", "joint_3"]
    one = watch(**EFFORT)
    told: list[Told] = []
    for row, efforts in enumerate(noise(400, 3)):
        if row >= 300:
            efforts[2] += 25.0
        turn = row % 3
        told += one.take(joints(names[turn:] + names[:turn], efforts[turn:] + efforts[:turn]), row / 20)
    told += one.judge()

    assert [(one.element, one.alert.state) for one in told] == [("joint_3", AlertState.RAISED)]
    assert told[0].alert.since_s == 300 / 20
    assert 24.0 < told[0].alert.usual.value < 27.0
    assert told[0].alert.usual.mean == pytest.approx(0.1, abs=0.3)
    assert told[0].alert.usual.scale == pytest.approx(0.3, rel=0.4)
    assert one.figures()["raised"] == ["joint_3"]


def test_a_joint_that_appears_warms_up_by_itself() -> None:
    """A gripper is plugged in: no alarm, and the others are watched on."""
    one = watch(**EFFORT)
    told: list[Told] = []
    for row, efforts in enumerate(noise(800, 3)):
        count = 2 if row < 400 else 3
        efforts[2] += 50.0
        if row >= 700:
            efforts[0] += 25.0
        told += one.take(joints(["a", "b", "gripper"][:count], efforts[:count]), row / 20)
    told += one.judge()

    assert [told_one.element for told_one in told] == ["a"]
    assert one.figures()["judged"] == 3


def test_messages_without_values_and_broken_ones_are_counted() -> None:
    """JointState without effort is common; bytes that are none are dropped."""
    one = watch(**EFFORT)
    one.take(joints(["a"], []), 0.0)
    one.take(joints(["a"], [1.0])[:24], 0.1)
    one.take(b"", 0.2)

    assert one.judge() == []
    assert (one.empty, one.malformed, one.figures()["phase"]) == (1, 2, "waiting")


def test_a_number_needs_no_name() -> None:
    """A battery has one voltage; limits are crossed at once."""
    one = watch(channel="battery", field="voltage", method="limits", low=22.0, hysteresis=0.5)
    for row, voltage in enumerate([24.0, 21.5]):
        one.take(bytes(serialize_message(BatteryState(voltage=voltage))), float(row))

    (told,) = one.judge()
    assert (told.element, told.alert.state, told.alert.usual.mean) == ("", AlertState.RAISED, 22.0)


def test_a_vector_has_its_own_names() -> None:
    """x, y and z of an acceleration, not 0, 1 and 2."""
    one = watch(channel="imu", field="linear_acceleration", method="limits", high=15.0)
    message = Imu()
    message.linear_acceleration.z = 20.0
    one.take(bytes(serialize_message(message)), 0.0)

    assert [told.element for told in one.judge()] == ["z"]


def test_twins_are_found_by_name_and_wait_for_each_other() -> None:
    """Until both were seen there is no judgement, and the status says why."""
    one = watch(
        channel="joint_states", field="effort", label="name", method="twin_ratio", motion=["velocity"],
        pairs=["wheel_left/wheel_right"], warmup_s=1.0,
    )  # fmt: skip
    one.take(joints(["arm"], [1.0], [0.0]), 0.0)
    one.judge()
    assert "wheel_left" in str(one.figures()["problem"])

    told: list[Told] = []
    for row, noises in enumerate(noise(1200, 3)):
        left, right = (8.0 + value for value in noises[:2])
        left *= 2.0 if row >= 900 else 1.0
        message = joints(["wheel_right", "arm", "wheel_left"], [right, 1.0, left], [0.5, 0.0, 0.5])
        told += one.take(message, 1.0 + row / 20)
    told += one.judge()

    assert [(one.element, one.alert.state) for one in told] == [("wheel_left/wheel_right", AlertState.RAISED)]
    assert one.problem is None
    assert 1.5 < told[0].alert.usual.value < 2.2
    assert told[0].alert.usual.mean == pytest.approx(1.0, abs=0.1)


def test_motion_may_come_from_another_channel() -> None:
    """The newest one holds; before the first there is no judgement."""
    from nav_msgs.msg import Odometry  # noqa: PLC0415

    one = watch(
        channel="battery", field="current", method="conditioned", motion_channel="odom",
        motion=["twist.twist.linear.x"], warmup_s=1.0,
    )  # fmt: skip
    one.take(bytes(serialize_message(BatteryState(current=1.0))), 0.0)
    assert one.empty == 1

    told: list[Told] = []
    for row, (wobble,) in enumerate(noise(2000, 1)):
        speed = abs(np.sin(row / 60))
        odometry = Odometry()
        odometry.twist.twist.linear.x = float(speed)
        one.take_motion(bytes(serialize_message(odometry)))
        current = 2.0 + 8.0 * speed + 0.3 * wobble + (4.0 if row >= 1800 else 0.0)
        told += one.take(bytes(serialize_message(BatteryState(current=current))), row / 20)
    told += one.judge()

    assert [one.alert.state for one in told] == [AlertState.RAISED]
    assert told[0].alert.since_s >= 1800 / 20


def test_what_was_learned_survives_a_restart() -> None:
    """No second warm-up, and the same words as without the restart."""
    messages = [joints(["a", "b"], efforts) for efforts in noise(900, 2)]
    messages[800] = joints(["a", "b"], [30.0, 0.1])
    before, after, whole = watch(**EFFORT), watch(**EFFORT), watch(**EFFORT)
    for row, message in enumerate(messages[:700]):
        before.take(message, row / 20)
    before.judge()

    after.load(json.loads(json.dumps(before.save())))

    told = [one for row in range(700, 900) for one in after.take(messages[row], row / 20)] + after.judge()
    said = [one for row in range(900) for one in whole.take(messages[row], row / 20)] + whole.judge()
    expected = [(one.element, one.alert.since_s, one.alert.score) for one in said if one.alert.since_s >= 700 / 20]
    assert after.figures()["phase"] == "watching"
    assert [(one.element, one.alert.since_s, one.alert.score) for one in told] == expected
    assert expected[0][:2] == ("a", 800 / 20)


@pytest.mark.parametrize(
    "change", [{"wish": "x"}, {"labels": [1]}, {"labels": ["a"]}, {"detector": {}}, {"widths": "x"}]
)
def test_a_state_that_does_not_fit_is_refused_and_learning_begins_anew(change: dict[str, object]) -> None:
    """Other settings, other elements, a broken file."""
    one = watch(**EFFORT)
    for row, efforts in enumerate(noise(100, 2)):
        one.take(joints(["a", "b"], efforts), row / 20)
    one.judge()
    other = watch(**EFFORT)

    with pytest.raises(DetectorStateError):
        other.load((one.save() or {}) | change)

    assert other.figures()["phase"] == "waiting"
    other.take(joints(["z"], [1.0]), 0.0)
    other.judge()
    assert other.figures()["judged"] == 1


@pytest.mark.parametrize(
    ("anomaly", "words"),
    [
        ({**EFFORT, "channel": "nowhere"}, "anomaly.one.channel: 'nowhere' is no channel; name one of [channels]"),
        ({**EFFORT, "field": "efort"}, "anomaly.one: efort"),
        ({**EFFORT, "field": "name"}, "anomaly.one: name"),
        ({**EFFORT, "label": "position"}, "anomaly.one: position"),
        ({**EFFORT, "method": "conditioned", "motion": ["speed"]}, "anomaly.one: speed"),
        (
            {**EFFORT, "method": "conditioned", "motion": ["velocity"], "motion_channel": "sky"},
            "anomaly.one.motion_channel: 'sky'",
        ),
    ],
)
def test_what_does_not_fit_the_messages_is_a_fault_with_its_key(anomaly: dict[str, Any], words: str) -> None:
    """Told by `check`, before the robot moves."""
    (fault,) = faults(settings(**anomaly))

    assert str(fault).startswith(words)


@pytest.mark.parametrize("method", ["robust_z", "residual", "t_squared"])
def test_another_threshold_keeps_what_was_learned_and_what_is_raised(method: str) -> None:
    """No warm-up, no word; a strain that alarmed before does not alarm any more, and the state is for a restart."""
    names, wish = ["joint_1", "joint_2"], EFFORT | {"method": method, "cooldown_s": 0.0, "clear_after_s": 0.5}
    one = watch(**wish)
    rows = noise(900, 2)
    for efforts in rows[300:320] + rows[600:620]:
        efforts[1] += 25.0
    told: dict[str, list[AlertState]] = {"before": [], "after": []}
    for row, efforts in enumerate(rows):
        if row == 500:
            before = one.judge()
            judged = one.figures()["judged"]
            one.retune(settings(**wish, threshold=1e5).anomaly["one"])
            assert (before, one.figures()["phase"], one.figures()["judged"]) == ([], "watching", judged)
        told["before" if row < 500 else "after"] += [
            said.alert.state for said in one.take(joints(names, efforts), row / 20)
        ]

    assert told["before"][0] is AlertState.RAISED
    assert told["before"][-1] is AlertState.CLEARED
    assert told["after"] == []
    anew = watch(**wish, threshold=1e5)
    anew.load(json.loads(json.dumps(one.save())))
    with pytest.raises(DetectorStateError):
        watch(**wish).load(one.save())
