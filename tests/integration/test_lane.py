"""The command lane at its real borders: mosquitto on one side, rclpy on the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgetwin.sim.broker import LocalBroker
from tests.integration.lab import Robot, paced, until
from tests.integration.lane_lab import LIMITS, PLAIN, STAMPED, Base, Operator, Rig


@pytest.fixture
def operator(broker: LocalBroker) -> Iterator[Operator]:
    """A client at the broker."""
    made = Operator(broker.port)
    yield made
    made.close()


def ready(rig: Rig, robot: Robot, type_name: str = PLAIN) -> Base:
    """Return a base that the lane is ready to drive."""
    base = Base(robot, rig.topic, type_name)
    rig.becomes("IDLE")
    return base


@pytest.mark.parametrize("type_name", [PLAIN, STAMPED])
def test_a_move_drives_and_ends_by_itself(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path, type_name: str
) -> None:
    """Both types of twist; after the move zeros for a while, then silence, so that the local stack may drive."""
    with Rig(broker.port, tmp_path, type_name=type_name, limits=replace(LIMITS, burst_ns=300_000_000)) as rig:
        base = ready(rig, robot, type_name)
        ack = operator.drive(base, 0.3, 0.1)
        rig.becomes("IDLE")
        until(lambda: base.heard[-1].zero, "the last zero")
        silent = base.quiet_for(0.5)
        twists = base.heard

    assert (ack["verdict"], ack["linear"], ack["angular"], ack["state"]) == ("ACCEPTED", 0.3, 0.1, "ACTIVE")
    assert max(twist.linear for twist in twists) == pytest.approx(0.3)
    assert twists[-1].zero
    assert silent
    if type_name == STAMPED:
        assert all(abs(twist.stamp_ns - time.time_ns()) < 30e9 for twist in twists)
        assert [twist.stamp_ns for twist in twists] == sorted(twist.stamp_ns for twist in twists)


def test_a_stop_is_zero_at_once_and_latches(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """No ramp, whatever the payload; then zeros hold the lane, and moves are refused."""
    with Rig(broker.port, tmp_path) as rig:
        base = ready(rig, robot)
        operator.drive(base)
        stopped = operator.stop()
        until(lambda: base.heard[-1].zero, "a zero")
        heard = len(base.heard)
        refused = operator.move()
        until(lambda: len(base.heard) >= heard + 10, "the lane held by zeros")

        assert (stopped["verdict"], stopped["state"]) == ("STOPPED", "HELD")
        assert stopped["stop_id"]
        assert (refused["verdict"], refused["code"]) == ("REJECTED", "HELD")
        assert all(twist.zero for twist in base.heard[heard:])
        until(lambda: rig.latch()["state"] == "HELD", "the latch on disk")
        assert rig.latch()["stop_id"] == stopped["stop_id"]


@pytest.mark.parametrize("payload", [b"", b"\xff\xfe", b"{", b"x" * 200_000, b'{"id":NaN}'])
def test_any_payload_stops(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path, payload: bytes
) -> None:
    """Empty, no UTF-8, no JSON, larger than any command may be."""
    with Rig(broker.port, tmp_path) as rig:
        base = ready(rig, robot)
        operator.drive(base)
        operator.send("stop", payload)
        rig.becomes("HELD")
        until(lambda: base.heard[-1].zero, "a zero")
        until(lambda: operator.acks_of(""), "an ack without an id")

        assert [ack["verdict"] for ack in operator.acks_of("")] == ["STOPPED"]


def test_a_retained_stop_stops_at_start(broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path) -> None:
    """It is there before anybody subscribes; it is answered; and again when it is cleared."""
    operator.send("stop", {"id": "site"}, retain=True)
    with Rig(broker.port, tmp_path) as rig:
        base = Base(robot, rig.topic)
        rig.becomes("HELD")
        first = operator.ack("site")
        operator.send("stop", b"", retain=True)
        until(lambda: operator.acks_of(""), "an ack of the clearing")

        assert first["verdict"] == "STOPPED"
        assert rig.state == "HELD"
        assert until(lambda: base.heard, "zeros")[0].zero


@pytest.mark.parametrize("early", [True, False])
def test_a_retained_move_never_moves(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path, early: bool
) -> None:
    """One that the broker has kept is not even sent; one that is published with the flag is refused."""
    if early:
        operator.send("move", {"id": "old", "linear": 0.3, "angular": 0.0}, retain=True)
    with Rig(broker.port, tmp_path) as rig:
        base = ready(rig, robot)
        if not early:
            ack = operator.ask("move", {"linear": 0.3, "angular": 0.0}, retain=True)
            assert (ack["verdict"], ack["code"]) == ("REJECTED", "RETAINED")
        assert base.quiet_for(0.5)
        assert not operator.acks_of("old")
        assert rig.state == "IDLE"
    operator.send("move", b"", retain=True)


def test_trap_04_moves_sent_while_the_robot_was_away_never_come(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """The lane was there, went, and comes back: the broker has kept nothing for it, with QoS 1 and without expiry."""
    with Rig(broker.port, tmp_path) as rig:
        ready(rig, robot)
    for index in range(50):
        operator.send("move", {"id": f"away{index}", "linear": 0.3, "angular": 0.0})
    operator.send("stop", {"id": "away"})
    with Rig(broker.port, tmp_path) as again:
        base = ready(again, robot)
        asked = len(operator.acks)
        operator.drive(base)
        received = again.lane.figures()["received"]

    assert received == len(operator.acks) - asked
    assert not [ack for ack in operator.acks if ack["id"].startswith("away")]


def test_a_command_is_answered_once(broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path) -> None:
    """On the ack topic, and under its own response topic with the correlation data; nowhere else."""
    with Rig(broker.port, tmp_path) as rig:
        ready(rig, robot)
        operator.ask(
            "ping", {"id": "p1", "t_ms": 5}, response_topic="robot/robot_001/responses/me", correlation=b"\x00\x01"
        )
        until(lambda: operator.responses, "a response")
        operator.ask("ping", {"id": "p2", "t_ms": 6}, response_topic="elsewhere/x")
        operator.ask("ping", {"id": "p3", "t_ms": 7}, response_topic="robot/robot_001/responses/../#")
        operator.ask("stop", {"id": "s1"}, response_topic="robot/robot_001/responses/stop", correlation=b"c")
        until(lambda: len(operator.responses) >= 2, "a response to the stop")
        time.sleep(0.2)

    assert [(topic, ack["id"], data) for topic, ack, data in operator.responses] == [
        ("robot/robot_001/responses/me", "p1", b"\x00\x01"),
        ("robot/robot_001/responses/stop", "s1", b"c"),
    ]
    assert all(len(operator.acks_of(name)) == 1 for name in ("p1", "p2", "p3", "s1"))
    assert operator.ack("p1")["t_ms"] == 5
    assert operator.ack("p1")["robot_ms"] == pytest.approx(time.monotonic() * 1e3, abs=30_000)


def test_a_reset_takes_two_steps_and_moves_nothing(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """A wrong stop_id, a wrong nonce, a move just before: denied. The right ones: IDLE, and silence."""
    with Rig(broker.port, tmp_path, limits=replace(LIMITS, quiet_ns=4_000_000_000)) as rig:
        base = ready(rig, robot)
        stop_id = operator.stop()["stop_id"]
        wrong = operator.ask("reset", {"stop_id": "other"})
        operator.ask("reset", {"stop_id": stop_id})
        guessed = operator.ask("reset", {"stop_id": stop_id, "nonce": "guess"})
        nonce = operator.ask("reset", {"stop_id": stop_id})["nonce"]
        operator.move()
        early = operator.ask("reset", {"stop_id": stop_id, "nonce": nonce})
        done = until(lambda: (ack := operator.reset())["code"] != "RESET_DENIED" and ack, "the end of the quiet time")
        silent = base.quiet_for(0.5)

        assert (wrong["code"], guessed["code"], early["code"]) == ("RESET_DENIED",) * 3
        assert (done["verdict"], done["code"], done["state"]) == ("OK", "RESET_OK", "IDLE")
        assert silent
        assert all(twist.zero for twist in base.heard)
        until(lambda: rig.latch()["state"] == "", "an empty latch on disk")


def test_the_second_stop_is_the_same_latch(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """From every state that a client can bring about; the stop_id stays."""
    with Rig(broker.port, tmp_path) as rig:
        before = operator.stop()
        ready_after = operator.stop()

        assert before["stop_id"] == ready_after["stop_id"] == rig.lane.figures()["stop_id"]


def test_a_latch_outlives_the_process(broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path) -> None:
    """An end in order, and another lane on the same file."""
    with Rig(broker.port, tmp_path) as rig:
        ready(rig, robot)
        stopped = operator.stop()
    with Rig(broker.port, tmp_path) as again:
        again.becomes("HELD")
        refused = operator.move()
        notices = again.notices("gate.boot_held")

        assert (refused["code"], again.lane.figures()["stop_id"]) == ("HELD", stopped["stop_id"])
        assert len(notices) == 1
        assert operator.reset()["code"] in {"RESET_OK", "RESET_DENIED"}


def test_an_unreadable_latch_is_a_latch(broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path) -> None:
    """Nobody knows what it said."""
    tmp_path.joinpath("latch.json").write_bytes(b"\x00" * 100)
    with Rig(broker.port, tmp_path) as rig:
        rig.becomes("HELD")
        held = operator.move()

        assert held["code"] == "HELD"
        assert "cannot be read" in rig.notices("gate.boot_held")[0].text


def test_nothing_drives_before_its_marker_is_on_disk(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Where the directory takes no file no drive begins, and the refusal says why; a stop still stops."""
    folder = tmp_path / "state"
    with Rig(broker.port, tmp_path, latch_path=folder / "latch.json") as rig:
        base = ready(rig, robot)
        operator.drive(base)
        marked = rig.latch()["driving"]
        rig.becomes("IDLE")
        until(lambda: not rig.latch()["driving"], "the marker gone")
        folder.joinpath("latch.json").unlink()
        folder.rmdir()
        folder.write_bytes(b"")  # a file where the directory was: root's writes fail too
        heard = len(base.heard)
        refused = operator.move()
        stopped = operator.stop()

        assert marked
        assert (refused["verdict"], refused["code"]) == ("REJECTED", "NOT_READY")
        assert "must be on disk first" in refused["detail"]
        assert stopped["verdict"] == "STOPPED"
        assert all(twist.zero for twist in base.heard[heard:])
        folder.unlink()


def test_an_end_while_driving_is_zeros_and_a_clean_file(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Stop of the process: zeros for a moment, then nothing; the next start is not held."""
    with Rig(broker.port, tmp_path) as rig:
        base = ready(rig, robot)
        operator.drive(base)
    heard = list(base.heard)
    moved = max(index for index, twist in enumerate(heard) if not twist.zero)

    assert len(heard) - moved > 4
    assert rig.latch()["driving"] is False
    assert rig.latch()["state"] == ""


def test_an_end_while_driving_can_leave_a_latch(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """As the settings say."""
    with Rig(broker.port, tmp_path, hold_on_exit=True) as rig:
        operator.drive(ready(rig, robot))

    assert rig.latch()["state"] == "HELD"


def test_without_remote_motion_nothing_moves(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Stop and ping work; a move is forbidden."""
    with Rig(broker.port, tmp_path, limits=replace(LIMITS, remote_motion=False)) as rig:
        base = ready(rig, robot)
        refused = operator.move()
        pong = operator.ask("ping", {"t_ms": 1})
        silent = base.quiet_for(0.3)
        stopped = operator.stop()

    assert (refused["verdict"], refused["code"]) == ("REJECTED", "FORBIDDEN")
    assert (pong["verdict"], stopped["verdict"]) == ("OK", "STOPPED")
    assert silent


def test_a_flood_of_moves_is_answered_and_ended_by_a_stop(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """A thousand a second: each gets at most one ack, the stop is not behind them, and nothing is logged per move."""
    with Rig(broker.port, tmp_path) as rig:
        base = ready(rig, robot)
        for index in paced(1000, 1500):
            operator.send("move", {"id": f"f{index}", "linear": 0.2, "angular": 0.0}, qos=0, wait=False)
        stopped = operator.stop()
        until(lambda: base.heard[-1].zero, "a zero")
        until(lambda: rig.lane.figures()["received"] >= 1501, "every move received")
        until(lambda: len(operator.acks) + rig.lane.figures()["acks_dropped"] >= 1501, "every ack")

        assert stopped["verdict"] == "STOPPED"
        names = [ack["id"] for ack in operator.acks]
        assert len(names) == len(set(names))
        assert len(rig.entries()) < 60
