"""The lease at its real border: whoever loses it no longer moves the robot, at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgetwin.command.rules import Level
from edgetwin.sim.broker import LocalBroker
from tests.integration.lab import Robot, until
from tests.integration.lane_lab import LIMITS, Base, Operator, Rig

LONG = replace(LIMITS, deadman_ns=5_000_000_000, duration_max_ns=5_000_000_000)


@pytest.fixture
def operator(broker: LocalBroker) -> Iterator[Operator]:
    """A client at the broker."""
    made = Operator(broker.port)
    yield made
    made.close()


def lease(operator: Operator, client: str, action: str) -> dict[str, Any]:
    """Ask for something about the lease."""
    return operator.ask("lease", {"client": client, "action": action}, expiry_s=1)


def drive(operator: Operator, held: dict[str, Any], seq: int = 1, *, wait: bool = True) -> dict[str, Any]:
    """Send a move under a lease that was just granted."""
    body = {"linear": 0.3, "angular": 0.0, "epoch": held["epoch"], "seq": seq, "t_ms": held["robot_ms"]}
    message = body | {"id": f"m{seq}", "ttl_ms": 2000, "duration_ms": 5000}
    if wait:
        return operator.ask("move", message, expiry_s=1)
    operator.send("move", message, expiry_s=1, wait=False)
    return {}


def driven(operator: Operator) -> tuple[dict[str, Any], int]:
    """Acquire the lease and have a move accepted, asked again while its mark is not on disk; return lease and seq."""
    held = lease(operator, "first", "acquire")
    for seq in range(1, 20):
        ack = drive(operator, held, seq)
        if ack["code"] != "NOT_READY":
            break
        held |= {"robot_ms": lease(operator, "first", "renew")["robot_ms"]}
    assert ack["verdict"] == "ACCEPTED", ack
    return held, seq


@pytest.mark.parametrize(("who", "action"), [("second", "take"), ("first", "release")])
def test_a_move_ends_with_its_lease(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path, who: str, action: str
) -> None:
    """The ack of the take-over, or of the release, already says that the robot is braked."""
    with Rig(broker.port, tmp_path, level=Level.LEASE, limits=LONG) as rig:
        base = Base(robot, rig.topic)
        rig.becomes("IDLE")
        driven(operator)
        until(lambda: base.drives, "a twist")
        ended = lease(operator, who, action)
        rig.becomes("IDLE")
        changes = [(entry.after, entry.code) for entry in rig.entries() if entry.before != entry.after]

    assert (ended["verdict"], ended["state"]) == ("OK", "BRAKE")
    assert ("BRAKE", "NO_LEASE") in changes
    assert base.heard[-1].zero


def test_a_lease_that_is_revoked_for_a_flood_ends_its_move(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Far above the rate for three seconds: refused, revoked, braked, though no deadman has run out."""
    with Rig(broker.port, tmp_path, level=Level.LEASE, limits=LONG) as rig:
        Base(robot, rig.topic)
        rig.becomes("IDLE")
        rig_rules = rig.plan.rules
        held, seq = driven(operator)
        renewed_s = time.monotonic()

        def revoked() -> bool:
            nonlocal seq, held, renewed_s
            for _ in range(20):
                seq += 1
                drive(operator, held, seq, wait=False)
            if time.monotonic() - renewed_s > 0.5:
                renewed_s = time.monotonic()
                renewed = lease(operator, "first", "renew")
                held = held | {"robot_ms": renewed.get("robot_ms", held["robot_ms"])}
            return rig.state != "ACTIVE"

        until(revoked, lambda: f"the end of the lease: {rig.lane.figures()}")
        refused = drive(operator, held, 100_000)

    assert rig_rules.rate_hz == 20.0
    assert (refused["verdict"], refused["code"]) == ("REJECTED", "NO_LEASE")
    assert "RATE_LIMIT" in refused["detail"]
