"""The command lane in the daemon: settings to wheels, and every way to end."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from std_srvs.srv import Trigger

from edgetwin.sim.broker import LocalBroker
from edgetwin.store import audit
from tests.integration.lab import Daemon, Robot, channel, configuration, until
from tests.integration.lane_lab import Base, Operator

OPEN = """
[gate]
remote_motion = true
admission = "open"
linear_accel_max_mps2 = 50.0
linear_jerk_max_mps3 = 1000.0
"""
STEADY = f"{OPEN}deadman_s = 2.0\nduration_max_s = 2.0\n"  # a drive does not end between two steps of a test
SECTION = channel("value", "/lane/value", "std_msgs/msg/Float64")


@pytest.fixture
def operator(broker: LocalBroker) -> Iterator[Operator]:
    """A client at the broker."""
    made = Operator(broker.port)
    yield made
    made.close()


@pytest.fixture
def base(robot: Robot) -> Iterator[Base]:
    """Wheels that listen where the daemon publishes by default."""
    made = Base(robot, "/cmd_vel")
    yield made
    made.close()


def daemon_of(port: int, folder: Path, gate: str = OPEN) -> Daemon:
    """Return a daemon that is not started."""
    return Daemon(folder, configuration(port, folder, SECTION + gate))


def gate(daemon: Daemon) -> dict[str, Any]:
    """What status.json says of the gate; a file that a killed daemon left says nothing."""
    assert daemon.process is not None
    status = daemon.status()
    value: dict[str, Any] = status.get("gate", {}) if status.get("pid") == daemon.process.pid else {}
    return value


def drive(daemon: Daemon, operator: Operator, base: Base, **more: Any) -> None:
    """Have the robot move, once the daemon sees its wheels: after a kill DDS may need seconds to find them again."""
    until(lambda: ready(gate(daemon)), lambda: f"IDLE, with wheels: {gate(daemon)}", patience_s=30)
    operator.drive(base, **more)


def ready(figures: dict[str, Any]) -> bool:
    """Whether the gate says that a move can be asked for."""
    return (figures.get("state"), figures.get("link")) == ("IDLE", "up") and figures["subscribers"] > 0


def released(daemon: Daemon, operator: Operator) -> None:
    """Release the latch."""
    until(lambda: operator.reset()["code"] == "RESET_OK", lambda: f"a reset: {gate(daemon)}", patience_s=30)


def test_the_daemon_drives_stops_and_tells(broker: LocalBroker, operator: Operator, base: Base, tmp_path: Path) -> None:
    """One move, one stop: acks, status, events and log lines, one for each change and none for each tick."""
    with daemon_of(broker.port, tmp_path, STEADY) as daemon:
        drive(daemon, operator, base, duration_ms=2000)
        stopped = operator.stop()
        until(lambda: base.heard[-1].zero, "a zero")
        until(lambda: gate(daemon).get("state") == "HELD", "HELD in status.json")
        until(lambda: any(event["data"]["after"] == "HELD" for event in operator.events), "an event")
        time.sleep(1.0)
        log = daemon.log

    events = sorted(operator.events, key=lambda event: event["seq"])  # what waited for the link may come later
    changes = [(event["data"]["before"], event["data"]["after"]) for event in events]
    assert changes == [("INIT", "IDLE"), ("IDLE", "ACTIVE"), ("ACTIVE", "HELD"), ("HELD", "DOWN")]
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert events[2]["data"]["stop_id"] == stopped["stop_id"]
    assert log.count("stopped and latched") == 1
    assert len(log.splitlines()) < 12


def test_without_a_gate_section_nothing_moves(
    broker: LocalBroker, operator: Operator, base: Base, tmp_path: Path
) -> None:
    """The defaults: lease admission, no remote motion; a stop still stops."""
    with daemon_of(broker.port, tmp_path, gate="") as daemon:
        until(lambda: gate(daemon).get("link") == "up", "the lane's link")
        lease = operator.ask("lease", {"client": "me", "action": "acquire"})
        now_ms = operator.ask("ping", {"t_ms": 0})["robot_ms"]
        refused = operator.ask(
            "move",
            {"linear": 0.1, "angular": 0.0, "epoch": lease["epoch"], "seq": 1, "t_ms": now_ms, "ttl_ms": 2000},
            expiry_s=2,
        )
        stopped = operator.stop()

    assert (lease["verdict"], refused["verdict"], stopped["verdict"]) == ("OK", "REJECTED", "STOPPED")
    assert refused["code"] == "FORBIDDEN"
    assert all(twist.zero for twist in base.heard)


def test_a_kill_while_driving_boots_held(broker: LocalBroker, operator: Operator, base: Base, tmp_path: Path) -> None:
    """SIGKILL in mid-drive: the next start is latched; two steps release it, and then it drives again."""
    daemon = daemon_of(broker.port, tmp_path)
    with daemon:
        drive(daemon, operator, base, duration_ms=1000)
        daemon.kill()
        left = json.loads(tmp_path.joinpath("latch.json").read_bytes())
        daemon.start().ready()
        until(lambda: gate(daemon).get("state") == "HELD" and gate(daemon).get("link") == "up", "HELD")
        refused = operator.move()
        released(daemon, operator)
        drive(daemon, operator, base)

    assert left["driving"]
    assert refused["code"] == "HELD"
    assert "ended while the robot was driven" in daemon.log


def test_a_kill_while_idle_does_not(broker: LocalBroker, operator: Operator, base: Base, tmp_path: Path) -> None:
    """Nothing moved: nothing is latched, and our own ghost in the graph is no foreign publisher."""
    daemon = daemon_of(broker.port, tmp_path)
    with daemon:
        drive(daemon, operator, base)
        until(lambda: not json.loads(tmp_path.joinpath("latch.json").read_bytes())["driving"], "the end of the drive")
        daemon.kill()
        daemon.start().ready()
        drive(daemon, operator, base)


def test_a_stop_outlives_an_end_in_order(broker: LocalBroker, operator: Operator, base: Base, tmp_path: Path) -> None:
    """SIGTERM, start: still latched, by the same name."""
    daemon = daemon_of(broker.port, tmp_path)
    with daemon:
        drive(daemon, operator, base)
        stopped = operator.stop()
    with daemon:
        until(lambda: gate(daemon).get("state") == "HELD", "HELD")

        assert gate(daemon)["stop_id"] == stopped["stop_id"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_while_driving_is_zero_and_exit_0(
    broker: LocalBroker, operator: Operator, base: Base, tmp_path: Path, number: int
) -> None:
    """A burst of zeros, then silence; the next start is not latched."""
    daemon = daemon_of(broker.port, tmp_path).start().ready()
    try:
        drive(daemon, operator, base)
        code = daemon.stop(number)
        heard = list(base.heard)
        latch = json.loads(tmp_path.joinpath("latch.json").read_bytes())
    finally:
        daemon.kill()
    zeros = len(heard) - 1 - max(index for index, twist in enumerate(heard) if not twist.zero)

    assert code == 0, daemon.log
    assert zeros >= 5
    assert (latch["driving"], latch["state"]) == (False, "")
    assert "Traceback" not in daemon.log


class Caller:
    """A client of one Trigger service that is there."""

    def __init__(self, robot: Robot, name: str) -> None:
        self._robot = robot
        self._name = name
        self._client = robot.node.create_client(Trigger, name)
        until(self._client.service_is_ready, f"the service {name}")

    def call(self) -> Any:
        """Return the answer."""
        handle = self._client.handle
        request = handle.send_request(Trigger.Request())

        def answer() -> Any:
            header, response = handle.take_response(Trigger.Response)
            return response if header is not None and header.request_id.sequence_number == request else None

        return until(answer, f"an answer of {self._name}")

    def close(self) -> None:
        """Leave."""
        self._robot.node.destroy_client(self._client)


def test_on_exit_hold_begins_latched(broker: LocalBroker, operator: Operator, base: Base, tmp_path: Path) -> None:
    """SIGTERM with nothing latched; the next start is held, refuses moves, and is released by a reset."""
    with daemon_of(broker.port, tmp_path, OPEN + 'on_exit = "hold"\n') as daemon:
        drive(daemon, operator, base)
        until(lambda: gate(daemon).get("state") == "IDLE", "the end of the drive")
    with daemon:
        until(lambda: gate(daemon).get("state") == "HELD" and gate(daemon).get("link") == "up", "HELD")
        refused = operator.move()
        released(daemon, operator)

    assert refused["code"] == "HELD"


STAMPED = OPEN.replace('"open"', '"stamped"') + "trust_clock = true\n"


def stamped(operator: Operator, seq: int) -> dict[str, Any]:
    """Send a move of now, with this number."""
    body = {"linear": 0.1, "angular": 0.0, "client": "anna", "seq": seq, "stamp_ms": time.time() * 1e3, "ttl_ms": 2000}
    return operator.ask("move", body, expiry_s=2)


@pytest.mark.parametrize("end", ["SIGTERM", "SIGKILL"])
def test_no_restart_makes_an_old_number_new(
    broker: LocalBroker, operator: Operator, base: Base, tmp_path: Path, end: str
) -> None:
    """Under `stamped`: a number that was there before the restart is a REPLAY after it, whatever its stamp."""
    daemon = daemon_of(broker.port, tmp_path, STAMPED)
    with daemon:
        until(lambda: gate(daemon).get("state") == "IDLE" and gate(daemon)["link"] == "up", "IDLE")
        first = stamped(operator, 41)
        again = stamped(operator, 40)
        marks = tmp_path / "high_water.json"
        if end == "SIGKILL":
            until(lambda: marks.exists() and json.loads(marks.read_bytes())["clients"]["anna"][0] == 41, "it on disk")
            daemon.kill()
        else:
            daemon.stop()
        daemon.start().ready()
        until(lambda: gate(daemon).get("link") == "up", "the link")
        replayed = stamped(operator, 41)
        newer = stamped(operator, 42)

    assert first["verdict"] == "ACCEPTED"
    assert (again["code"], replayed["code"]) == ("REPLAY", "REPLAY")
    assert newer["code"] != "REPLAY"


def test_every_decision_is_in_the_audit(broker: LocalBroker, operator: Operator, base: Base, tmp_path: Path) -> None:
    """Accepted moves each with its id, refusals, the stop, the changes of state; in a chain that holds."""
    with daemon_of(broker.port, tmp_path, STEADY) as daemon:
        drive(daemon, operator, base, duration_ms=2000)
        moves = [operator.move(0.1, duration_ms=2000)["id"] for _ in range(5)]
        stopped = operator.stop()
        refused = operator.move()
    kept = [entry["entry"] for entry in audit.entries(tmp_path / "outbox.db") if entry["kind"] == "decision"]
    by_id = {entry["id"]: entry for entry in kept}

    assert audit.verify(tmp_path / "outbox.db") is None
    assert [by_id[name]["verdict"] for name in moves] == ["ACCEPTED"] * 5
    assert by_id[stopped["id"]]["stop_id"] == stopped["stop_id"]
    assert (by_id[refused["id"]]["verdict"], by_id[refused["id"]]["code"]) == ("REJECTED", "HELD")
    assert [(entry["before"], entry["after"]) for entry in kept if entry["before"] != entry["after"]] == [
        ("INIT", "IDLE"), ("IDLE", "ACTIVE"), ("ACTIVE", "HELD"), ("HELD", "DOWN"),
    ]  # fmt: skip


def test_a_flood_leaves_its_number_in_the_audit(
    broker: LocalBroker, operator: Operator, base: Base, tmp_path: Path
) -> None:
    """A thousand refusals at once: some hundred are kept each second, the others are one number; none is missing."""
    with daemon_of(broker.port, tmp_path) as daemon:
        until(lambda: gate(daemon).get("state") == "IDLE" and gate(daemon)["link"] == "up", "IDLE")
        operator.stop()
        for index in range(1000):
            operator.send("move", {"id": f"f{index}", "linear": 0.2, "angular": 0.0}, qos=1, wait=False)
        until(lambda: gate(daemon)["received"] >= 1001, "all of them")
        figures = until(lambda: (seen := gate(daemon)) and seen["received"] >= 1001 and seen, "figures")
    kept = [entry["entry"] for entry in audit.entries(tmp_path / "outbox.db") if entry["kind"] == "decision"]
    refusals = sum(entry.get("verdict") == "REJECTED" for entry in kept)
    counted = sum(entry["count"] for entry in kept if entry["code"] == "UNAUDITED")

    assert refusals + counted == 1000
    assert counted > 0
    assert figures["audit_dropped"] == counted


def test_the_local_services_stop_and_reset(
    broker: LocalBroker, robot: Robot, operator: Operator, base: Base, tmp_path: Path
) -> None:
    """`~/stop` and `~/reset` of the daemon's node, without a broker in between."""
    with daemon_of(broker.port, tmp_path) as daemon:
        drive(daemon, operator, base)
        stopper, resetter = Caller(robot, "/edgetwin/stop"), Caller(robot, "/edgetwin/reset")
        stopped = stopper.call()
        until(lambda: base.heard[-1].zero, "a zero")
        operator.move()
        early = resetter.call()
        until(lambda: (answer := resetter.call()).success or "still coming in" not in answer.message, "the quiet time")
        again = resetter.call()
        drive(daemon, operator, base)
        stopper.close()
        resetter.close()

    assert stopped.success
    assert not early.success
    assert "moves are still coming in" in early.message
    assert not again.success
    assert "nothing to reset in IDLE" in again.message


def test_a_stop_works_while_the_store_is_of_no_use(
    broker: LocalBroker, operator: Operator, base: Base, tmp_path: Path
) -> None:
    """An outbox that is no database."""
    tmp_path.joinpath("outbox.db").write_bytes(b"no database at all" * 1000)
    with daemon_of(broker.port, tmp_path) as daemon:
        drive(daemon, operator, base)
        stopped = operator.stop()
        until(lambda: base.heard[-1].zero, "a zero")

        assert stopped["verdict"] == "STOPPED"


def test_a_second_publisher_of_motion_is_seen(
    broker: LocalBroker, robot: Robot, operator: Operator, base: Base, tmp_path: Path
) -> None:
    """While somebody else publishes on the motion topic nothing moves; a move under way is braked at once."""
    from geometry_msgs.msg import Twist  # noqa: PLC0415

    with daemon_of(broker.port, tmp_path) as daemon:
        drive(daemon, operator, base)
        other = robot.publisher(Twist, "/cmd_vel", 1)
        until(lambda: gate(daemon)["foreign_publishers"], "the other one in status.json")
        refused = operator.move()
        robot.node.destroy_publisher(other)
        until(lambda: not gate(daemon)["foreign_publishers"], "that it left")
        drive(daemon, operator, base)

    assert refused["code"] == "FOREIGN_PUBLISHER"


def test_a_base_of_the_other_type_is_named(
    broker: LocalBroker, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Only TwistStamped is listened to where Twist is sent: refused with the code that says so."""
    other = Base(robot, "/cmd_vel", "geometry_msgs/msg/TwistStamped")
    with daemon_of(broker.port, tmp_path) as daemon:
        until(lambda: gate(daemon).get("link") == "up", "the lane's link")
        refused = until(
            lambda: (ack := operator.move())["reasons"] and "TYPE_MISMATCH" in ack["reasons"] and ack, "the reason"
        )
    other.close()

    assert refused["verdict"] == "REJECTED"
