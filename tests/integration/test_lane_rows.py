"""The rows of the gate's table, each refused or shaped at the real border: one good move, changed in one thing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edgetwin.command.rules import Level, OperatorKey, Role
from edgetwin.sim.broker import LocalBroker
from tests.integration.lab import ROBOT_ID, Robot, until
from tests.integration.lane_lab import LIMITS, Base, Operator, Rig

NAMES = ("stop/x", "STOP", "moves", "move/x", "x/move", "")
MS = 1_000_000


@pytest.fixture
def operator(broker: LocalBroker) -> Iterator[Operator]:
    """A client at the broker."""
    made = Operator(broker.port)
    yield made
    made.close()


class Driver:
    """One client with the lease; every move of it is good, but for what it is told to change."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._seq = 0
        self._held = self._lease("acquire")

    def _lease(self, action: str) -> dict[str, Any]:
        return self._operator.ask("lease", {"client": "anna", "action": action}, expiry_s=1)

    def good(self, **changed: Any) -> dict[str, Any]:
        """Return a move of now, with a number of its own."""
        self._seq += 1
        robot_ms = self._lease("renew")["robot_ms"]
        body = {"id": f"m{self._seq}", "linear": 0.1, "angular": 0.0, "epoch": self._held["epoch"]}
        body |= {"seq": self._seq, "t_ms": robot_ms, "ttl_ms": 2000, "duration_ms": 100}
        return body | {name: value(robot_ms) if callable(value) else value for name, value in changed.items()}

    def send(self, payload: bytes | dict[str, Any], *, expiry_s: int | None = 1) -> dict[str, Any]:
        """Send a move; return the ack that follows, whatever id could be read."""
        before = len(self._operator.acks)
        self._operator.send("move", payload, expiry_s=expiry_s)
        until(lambda: len(self._operator.acks) > before, f"an ack of {payload!r}")
        return self._operator.acks[before]


BODIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("BAD_VERSION", {"v": 2}),
    ("BAD_SCHEMA", {"linear": "0.1"}),
    ("BAD_SCHEMA", {"angular": True}),
    ("BAD_SCHEMA", {"unheard_of": 1}),
    ("NOT_FINITE", {"linear": float("nan")}),
    ("NOT_FINITE", {"angular": float("inf")}),
    ("WRONG_ROBOT", {"robot_id": "another"}),
    ("CLOCK_UNCERTAIN", {"eps_ms": 1000}),
    ("EXPIRED", {"t_ms": lambda robot_ms: robot_ms - 60_000}),
    ("FROM_FUTURE", {"t_ms": lambda robot_ms: robot_ms + 60_000}),
    ("TTL_TOO_LONG", {"ttl_ms": 60_000}),
    ("NO_LEASE", {"epoch": "another"}),
    ("OUT_OF_RANGE", {"linear": 6.0}),
    ("REPLAY", {"seq": 1}),
)


def test_a_move_with_one_thing_wrong_is_refused_with_the_code_of_its_row(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Rows 4 to 14, 20 and 24, and nothing of them moves the robot; the same move without the fault does."""
    with Rig(broker.port, tmp_path, level=Level.LEASE) as rig:
        base = Base(robot, rig.topic)
        rig.becomes("IDLE")
        driver = Driver(operator)
        found = [(code, driver.send(driver.good(**changed))) for code, changed in BODIES]
        twice = json.dumps(driver.good()).encode()[:-1] + b',"linear":0.2}'
        found += [("BAD_JSON", driver.send(b"{")), ("BAD_JSON", driver.send(twice))]
        found += [("NO_EXPIRY", driver.send(driver.good(), expiry_s=expiry_s)) for expiry_s in (None, 60)]
        still = all(twist.zero for twist in base.heard)
        taken = driver.good()
        first = driver.send(taken)
        again, other = driver.send(taken), driver.send(driver.good(id=taken["id"]))

    assert [(ack["verdict"], ack["code"]) for _, ack in found] == [("REJECTED", code) for code, _ in found]
    assert still
    assert first["verdict"] == "ACCEPTED"
    assert (again["verdict"], again["first_verdict"]) == ("DUPLICATE", "ACCEPTED")
    assert other["code"] == "ID_REUSED"


def test_a_move_nobody_known_signed_is_refused(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Row 9: with an operator's key in the settings; a stop needs none."""
    raw = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with Rig(broker.port, tmp_path) as rig:
        rules = replace(rig.plan.rules, keys={"anna": OperatorKey(raw, "anna", Role.OPERATOR)})
    with Rig(broker.port, tmp_path, rules=rules) as rig:
        base = Base(robot, rig.topic)
        rig.becomes("IDLE")
        refused = operator.move()
        stopped = operator.stop()

    assert (refused["verdict"], refused["code"]) == ("REJECTED", "BAD_SIG")
    assert stopped["verdict"] == "STOPPED"
    assert all(twist.zero for twist in base.heard)


def test_other_topics_are_not_heard(broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path) -> None:
    """Row 1: neither below the command topics nor beside them nor of another robot."""
    with Rig(broker.port, tmp_path) as rig:
        Base(robot, rig.topic)
        rig.becomes("IDLE")
        for name in NAMES:
            operator.send(name, {"id": "stray", "linear": 0.3, "angular": 0.0})
        operator.send(f"../../{ROBOT_ID}x/commands/stop", {"id": "stray"})
        operator.ask("ping", {"t_ms": 1})
        operator.stop()
        figures = rig.lane.figures()

    assert figures["received"] == 2
    assert not operator.acks_of("stray")


def test_without_a_base_that_listens_nothing_moves(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Row 21: it was there, and left."""
    with Rig(broker.port, tmp_path) as rig:
        base = Base(robot, rig.topic)
        rig.becomes("IDLE")
        base.close()
        until(lambda: rig.lane.figures()["subscribers"] == 0, "that it left")
        refused = operator.move()

    assert (refused["verdict"], refused["code"]) == ("REJECTED", "NO_SUBSCRIBER")


def test_a_move_is_shaped_to_the_limits_and_says_so(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Rows 25 and 29: the same curve, more slowly; the longest duration."""
    long_lived = replace(LIMITS, duration_max_ns=3000 * MS, deadman_ns=3000 * MS)
    with Rig(broker.port, tmp_path, limits=long_lived) as rig:
        base = Base(robot, rig.topic)
        rig.becomes("IDLE")
        fast = operator.drive(base, 1.0, 0.5, duration_ms=3000)
        until(lambda: any(twist.linear == 0.5 for twist in base.heard), "the whole of it: its turn takes a while")
        long = operator.drive(base, 0.1, duration_ms=60_000)
        rig.becomes("IDLE")

    assert (fast["verdict"], fast["code"], fast["linear"], fast["angular"]) == ("CLAMPED", "CLAMPED_SPEED", 0.5, 0.25)
    assert (long["verdict"], long["code"]) == ("CLAMPED", "DURATION")
    assert max(twist.linear for twist in base.heard) == 0.5
    assert max(twist.angular for twist in base.heard) == 0.25


def test_refused_traffic_does_not_hold_off_the_deadman(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Row 30, P15: one accepted move of ten seconds, then nothing but NaN: it brakes, and for the deadman."""
    limits = replace(LIMITS, deadman_ns=1500 * MS, duration_max_ns=30_000 * MS)
    with Rig(broker.port, tmp_path, limits=limits) as rig:
        base = Base(robot, rig.topic)
        rig.becomes("IDLE")
        operator.drive(base, 0.1, duration_ms=30_000)

        def braked() -> bool:
            operator.send("move", b'{"id":"nan","linear":NaN,"angular":0.0}', wait=False)
            return rig.state != "ACTIVE"

        until(braked, "the deadman")
        codes = [entry.code for entry in rig.entries() if entry.after == "BRAKE"]

    assert codes[0] == "DEADMAN"
