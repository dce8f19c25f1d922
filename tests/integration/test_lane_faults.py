"""The command lane when something around it, or in it, breaks: the robot stands, and a stop is never late."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgetwin.gate.limits import GateLimits
from edgetwin.lane.guard import LATE_NS
from edgetwin.sim.broker import LocalBroker
from tests.integration.lab import Robot, until
from tests.integration.lane_lab import LIMITS, ROOT, Base, Operator, Rig, figures_of, prober

ONLY_STOPS = replace(LIMITS, hold_zeros=False, burst_ns=0)  # the lane then publishes nothing but what a stop causes
STOPS = 100


@pytest.fixture
def operator(broker: LocalBroker) -> Iterator[Operator]:
    """A client at the broker."""
    made = Operator(broker.port)
    yield made
    made.close()


def driving(rig: Rig, robot: Robot, operator: Operator) -> Base:
    """Return a base that is being driven, for as long as a move may last."""
    base = Base(robot, rig.topic)
    rig.becomes("IDLE")
    operator.drive(base, duration_ms=rig.plan.limits.duration_max_ns // 1_000_000)
    return base


def test_a_lane_that_stalls_is_replaced_by_the_guard(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Its loop does nothing for 1.2 s in mid-drive: zeros meanwhile, FAULT after it; only a local reset ends that."""
    limits = replace(
        LIMITS, deadman_ns=10_000_000_000, duration_max_ns=10_000_000_000, tick_fault_ns=GateLimits().tick_fault_ns
    )
    with Rig(broker.port, tmp_path, limits=limits) as rig:
        base = driving(rig, robot, operator)
        rig.on_lane(time.sleep, 1.2)
        stalled_s = time.monotonic()
        until(lambda: base.heard[-1].zero, "a zero of the guard")
        while time.monotonic() < stalled_s + 1.0:
            assert rig.lane.figures()["state"] == "ACTIVE", "the lane was to stall"
            time.sleep(0.01)
        zeros = [twist for twist in base.heard if twist.zero]
        rig.becomes("FAULT")
        time.sleep(0.3)
        after = [twist for twist in base.heard if twist.at_s > zeros[0].at_s]
        codes = [entry.code for entry in rig.entries() if entry.after == "FAULT"]

        assert len(zeros) >= (1.0 - LATE_NS / 1e9) / 0.05 / 2
        assert all(twist.zero for twist in after)
        assert codes[0] == "STALLED"
        assert rig.lane.figures()["guard_trips"] == 1
        assert operator.move()["code"] == "FAULT"
        until(lambda: rig.latch()["state"] == "FAULT", "the latch on disk")


@pytest.mark.parametrize("where", ["tick", "callback"])
def test_a_lane_that_breaks_leaves_zeros_and_ends_the_process(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path, where: str
) -> None:
    """An exception where none may be: zero at once, zeros until the process ends; the next start is held."""
    rig = Rig(broker.port, tmp_path)

    def defect() -> None:
        message = "a defect"
        raise LookupError(message)

    try:
        rig.__enter__()
        base = driving(rig, robot, operator)
        if where == "tick":
            rig.lane._serving.house._parts = None  # type: ignore[union-attr]
        else:
            rig.on_lane(defect)
        until(lambda: rig.failures, "a failure")
        until(lambda: base.heard[-1].zero, "a zero")
        heard = len(base.heard)
        until(lambda: len(base.heard) > heard + 5, "the guard's zeros")
        until(lambda: not rig.lane.running, "the end of the thread")
        rest = base.heard[heard:]
    finally:
        rig.lane.stop()
        rig.ended.wait(5)
        rig.lane.close()

    assert all(twist.zero for twist in rest)
    assert rig.latch()["driving"]


@pytest.mark.parametrize("busy", ["idle", "computing", "asleep"])
def test_a_stop_is_not_late_while_the_main_thread_is_busy(broker: LocalBroker, tmp_path: Path, busy: str) -> None:
    """Every stop is heard, whatever the main thread does: nothing, Python without end, a call that does not return."""
    with Rig(broker.port, tmp_path, limits=ONLY_STOPS) as rig:
        measuring = prober(broker.port, rig.topic, str(STOPS))
        assert measuring.stdout is not None
        assert measuring.stdout.readline() == b"READY\n"
        count = 0
        while measuring.poll() is None and busy == "computing":
            count += 1
        if busy == "asleep":
            time.sleep(2.0)
        found = figures_of(measuring)
        figures = rig.lane.figures()

    assert found["lost"] == [], figures
    assert len(found["latencies_ms"]) == STOPS


def test_no_stop_is_lost_in_a_flood(broker: LocalBroker, tmp_path: Path) -> None:
    """A thousand moves a second on the other connection, from another process."""
    with Rig(broker.port, tmp_path, limits=ONLY_STOPS) as rig:
        measuring = prober(broker.port, rig.topic, str(STOPS), "1000", f"{ROOT}/commands/move")
        assert measuring.stdout is not None
        assert measuring.stdout.readline() == b"READY\n"
        found = figures_of(measuring)

        assert found["lost"] == []
        assert rig.lane.figures()["stops"] > STOPS
        assert rig.lane.figures()["received"] > 2 * STOPS


def test_without_the_stop_connection_nothing_moves(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Somebody takes it over, by its name: moves are refused until it is back."""
    import paho.mqtt.client as paho  # noqa: PLC0415
    from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415

    with Rig(broker.port, tmp_path) as rig:
        Base(robot, rig.topic)
        rig.becomes("IDLE")
        thief = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{rig.plan.robot_id}-stop", protocol=paho.MQTTv5)
        thief.connect("127.0.0.1", broker.port)
        thief.loop_start()
        until(lambda: rig.lane.figures()["link"] == "down", "the loss")
        refused = operator.move()
        thief.disconnect()
        thief.loop_stop()

        assert (refused["verdict"], refused["code"]) == ("REJECTED", "NOT_READY")
        assert "stop connection" in refused["detail"]
        assert rig.notices("gate.link_down")[0].fields["CONNECTION"] == "stop"


def test_it_drives_again_after_the_broker_was_away(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """The link is lost in mid-drive: the robot brakes by itself; the link comes back by itself."""
    with Rig(broker.port, tmp_path) as rig:
        base = driving(rig, robot, operator)
        broker.kill()
        until(lambda: base.heard[-1].zero, "a zero")
        rig.becomes("IDLE")
        broker.start()
        until(lambda: rig.lane.figures()["link"] == "up", "the link")
        until(lambda: operator.move(id=f"again-{time.monotonic()}")["verdict"] == "ACCEPTED", "a move")


def test_it_ends_in_order_without_a_broker(robot: Robot, tmp_path: Path) -> None:
    """Nobody listens on the port; the latch and the services are there all the same."""
    rig = Rig(1, tmp_path)
    rig.lane.start()
    until(lambda: len(rig.notices("gate.link_down")) == 2, "a word about each connection")
    rig.lane.stop()

    assert rig.ended.wait(5)
    rig.lane.close()
    assert not rig.failures
