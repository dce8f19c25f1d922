"""The command lane when a link, a disk or a listener is in trouble in mid-drive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from action_msgs.srv import CancelGoal
from paho.mqtt.enums import CallbackAPIVersion

from edgetwin.sim.broker import LocalBroker
from tests.integration.lab import Robot, until
from tests.integration.lane_lab import LIMITS, Base, Operator, Rig
from tests.proofs.mounts import ext4, tmpfs

LONG = replace(LIMITS, deadman_ns=5_000_000_000, duration_max_ns=5_000_000_000)
LISTENER = """
import sys, time
from geometry_msgs.msg import Twist
from edgetwin.ros.context import open_node
node = open_node("listener")
subscription = node.create_subscription(Twist, sys.argv[1], lambda message: None, 1)
print("READY", flush=True)
time.sleep(600)
"""


@pytest.fixture
def operator(broker: LocalBroker) -> Iterator[Operator]:
    """A client at the broker."""
    made = Operator(broker.port)
    yield made
    made.close()


def driving(rig: Rig, robot: Robot, operator: Operator, **more: Any) -> Base:
    """Return a base that is being driven."""
    base = Base(robot, rig.topic)
    rig.becomes("IDLE")
    operator.drive(base, **more)
    return base


def test_the_loss_of_the_stop_connection_brakes(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """A robot that could not be stopped does not go on, long before its deadman or the end of its move."""
    with Rig(broker.port, tmp_path, limits=LONG) as rig:
        base = driving(rig, robot, operator, duration_ms=5000)
        thief = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{rig.plan.robot_id}-stop", protocol=paho.MQTTv5)
        thief.connect("127.0.0.1", broker.port)
        thief.loop_start()
        until(lambda: base.heard[-1].zero, "a zero")
        thief.disconnect()
        thief.loop_stop()
        change = next(entry for entry in rig.entries() if entry.after == "BRAKE")

    assert (change.before, change.code) == ("ACTIVE", "NO_LEASE")


def test_a_listener_that_hangs_delays_nobody(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """A process that subscribed to the motion topic is stopped by SIGSTOP: the base hears every twist, and the stop."""
    with Rig(broker.port, tmp_path, limits=LONG) as rig:
        listener = subprocess.Popen(
            [sys.executable, "-c", LISTENER, rig.topic], stdout=subprocess.PIPE, env=os.environ.copy()
        )
        try:
            assert listener.stdout is not None
            assert listener.stdout.readline() == b"READY\n"
            until(lambda: rig.lane.figures()["subscribers"] == 1, "the listener's subscription")
            base = driving(rig, robot, operator, duration_ms=5000)
            listener.send_signal(signal.SIGSTOP)
            before = len(base.heard)
            until(lambda: len(base.heard) >= before + 40, "two seconds of twists")
            stopped = operator.stop()
            until(lambda: base.heard[-1].zero, "a zero")
            figures = rig.lane.figures()
        finally:
            listener.kill()
            listener.communicate()

    assert stopped["verdict"] == "STOPPED"
    assert figures["guard_trips"] == 0


def test_a_stop_ends_the_wait_for_the_disk(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """A disk that hangs holds back the marker of a drive, and so the move; the stop comes first, it is refused."""
    with ext4(tmp_path / "image", tmp_path / "disk") as disk:  # noqa: SIM117  # the rig ends before its disk
        with Rig(broker.port, tmp_path, latch_path=disk.folder / "latch.json") as rig:
            base = Base(robot, rig.topic)
            rig.becomes("IDLE")
            until(rig.plan.latch_path.exists, "the first latch on disk")
            with disk.frozen():
                operator.send("move", {"id": "m", "linear": 0.3, "angular": 0.0})
                stopped = operator.stop()
                refused = operator.ack("m")
                zero = until(lambda: base.heard, "a zero")[0]
            until(lambda: rig.latch()["state"] == "HELD", "the latch on disk, now that it works")

            assert stopped["verdict"] == "STOPPED"
            assert zero.zero
            assert refused["verdict"] == "REJECTED"
            assert refused["code"] in {"HELD", "NOT_READY"}, "the stop came first, or the wait for the disk was over"
            assert all(twist.zero for twist in base.heard)


def test_a_full_disk_costs_no_stop(broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path) -> None:
    """Really full, in mid-drive: zero, latched, answered; told as trouble; on disk as soon as there is room."""
    with (
        tmpfs(tmp_path / "small", 65_536) as folder,
        Rig(broker.port, tmp_path, limits=LONG, latch_path=folder / "latch.json") as rig,
    ):
        base = driving(rig, robot, operator, duration_ms=5000)
        filler = folder / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(b"x" * 100_000)
        stopped = operator.stop()
        until(lambda: base.heard[-1].zero, "a zero")
        until(lambda: rig.notices("gate.latch"), "a word about the disk")
        marked = rig.latch()
        refused = operator.move()
        filler.unlink()
        until(lambda: rig.latch()["state"] == "HELD", "the latch on disk")
        kept = rig.latch()

    assert (stopped["verdict"], refused["code"]) == ("STOPPED", "HELD")
    assert marked["driving"], "what was there before says enough: the next start is held"
    assert kept["stop_id"] == stopped["stop_id"]


def test_a_command_is_refused_by_its_size_or_does_not_come(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Above 4 KiB: TOO_LARGE. Above 8 KiB the broker keeps it, as told; nothing breaks, the next one is answered."""
    with Rig(broker.port, tmp_path) as rig:
        Base(robot, rig.topic)
        rig.becomes("IDLE")
        pad = {"linear": 0.3, "angular": 0.0}
        operator.send("move", pad | {"id": "large", "note": "x" * 5_000})
        large = operator.ack("")  # unread, so nobody knows its id
        operator.send("move", pad | {"id": "huge", "note": "x" * 20_000})
        after = operator.move()
        link = rig.lane.figures()["link"]

    assert (large["verdict"], large["code"]) == ("REJECTED", "TOO_LARGE")
    assert after["verdict"] == "ACCEPTED"
    assert not operator.acks_of("huge")
    assert link == "up"


def test_a_stop_cancels_the_goals_of_the_local_stack(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """All goals of an action server that is there; one that is not there is not waited for."""
    action = f"/navigate_{os.getpid()}"
    service = robot.node.create_service(
        CancelGoal, f"{action}/_action/cancel_goal", lambda _request, response: response
    )
    requests = []

    def asked() -> bool:
        while (taken := service.handle.service_take_request(CancelGoal.Request))[1] is not None:
            requests.append(taken[0])
        return bool(requests)

    try:
        with Rig(broker.port, tmp_path, cancel_goals=("/absent", action)) as rig:
            driving(rig, robot, operator)
            time.sleep(0.5)  # a client that matched here may not be matched there yet; DDS offers no sign of that
            stopped = operator.stop()
            until(asked, "a request to cancel")
            operator.stop()
            rig.becomes("HELD")
            asked()
    finally:
        robot.node.destroy_service(service)

    assert stopped["verdict"] == "STOPPED"
    assert not any(requests[0].goal_info.goal_id.uuid)
    assert (requests[0].goal_info.stamp.sec, requests[0].goal_info.stamp.nanosec) == (0, 0)
    assert len(requests) == 1, "not for each stop of a storm"


def test_stops_in_a_row_are_told_once(broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path) -> None:
    """The fourth within a minute: one line, one decision, however many follow."""
    with Rig(broker.port, tmp_path) as rig:
        for _ in range(3):
            operator.stop()
        early = rig.notices("gate.stops")
        for _ in range(5):
            operator.stop()
        told = rig.notices("gate.stops")
        alarms = [entry for entry in rig.entries() if entry.command == "alarm"]

    assert early == []
    assert [notice.fields["STOPS"] for notice in told] == [4]
    assert len(alarms) == 1
