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
from tests.integration.lab import Daemon, Robot, channel, configuration, until
from tests.integration.lane_lab import Base, Operator

OPEN = """
[gate]
remote_motion = true
admission = "open"
linear_accel_max_mps2 = 50.0
linear_jerk_max_mps3 = 1000.0
"""
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


def drive(daemon: Daemon, operator: Operator, base: Base) -> None:
    """Have the robot move."""
    until(lambda: gate(daemon).get("state") == "IDLE" and gate(daemon)["link"] == "up", lambda: f"IDLE: {gate(daemon)}")
    assert operator.move(0.3)["verdict"] == "ACCEPTED"
    until(lambda: base.drives, "a twist")


def released(daemon: Daemon, operator: Operator) -> None:
    """Release the latch."""
    until(lambda: operator.reset()["code"] == "RESET_OK", lambda: f"a reset: {gate(daemon)}", patience_s=30)


def test_the_daemon_drives_stops_and_tells(broker: LocalBroker, operator: Operator, base: Base, tmp_path: Path) -> None:
    """One move, one stop: acks, status, events and log lines, one for each change and none for each tick."""
    with daemon_of(broker.port, tmp_path) as daemon:
        drive(daemon, operator, base)
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
        drive(daemon, operator, base)
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


def call(robot: Robot, name: str) -> Any:
    """Call a Trigger service and return its answer."""
    client = robot.node.create_client(Trigger, name)
    until(client.service_is_ready, f"the service {name}")
    request = client.handle.send_request(Trigger.Request())

    def answer() -> Any:
        header, response = client.handle.take_response(Trigger.Response)
        return response if header is not None and header.request_id.sequence_number == request else None

    found = until(answer, f"an answer of {name}")
    robot.node.destroy_client(client)
    return found


def test_the_local_services_stop_and_reset(
    broker: LocalBroker, robot: Robot, operator: Operator, base: Base, tmp_path: Path
) -> None:
    """`~/stop` and `~/reset` of the daemon's node, without a broker in between."""
    with daemon_of(broker.port, tmp_path) as daemon:
        drive(daemon, operator, base)
        stopped = call(robot, "/edgetwin/stop")
        until(lambda: base.heard[-1].zero, "a zero")
        early = call(robot, "/edgetwin/reset")
        time.sleep(1.1)
        reset = call(robot, "/edgetwin/reset")
        again = call(robot, "/edgetwin/reset")
        drive(daemon, operator, base)

    assert stopped.success
    assert not early.success
    assert "moves are still coming in" in early.message
    assert reset.success
    assert not again.success


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
