"""Driving end to end: client, broker, daemon, simulated robot; measured at the robot's own odometry."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import math
import os
import pty
import subprocess
import sys
import termios
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from nav_msgs.msg import Odometry

from edgetwin import wire
from edgetwin.clock import SystemClock
from edgetwin.drive.acks import Ack
from edgetwin.drive.client import Address, DriveClient, connect
from edgetwin.drive.requests import Admission, Requests
from edgetwin.errors import LinkError
from edgetwin.motion import ZERO, Twist
from edgetwin.sim.broker import LocalBroker
from edgetwin.sim.faulty_link import Fault, FaultyLink
from edgetwin.sim.physics import COMMAND_TIMEOUT_S, LINEAR_ACCEL_MAX_MPS2
from tests.integration.lab import ROBOT_ID, Daemon, Robot, channel, configuration, until

# The fence ends before the walls of the simulated room, so that it is not the walls that hold the robot.
FENCE_X_M, FENCE_Y_M = 3.1, 2.2
FENCE = [[sx * FENCE_X_M, sy * FENCE_Y_M] for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
FOOTPRINT_M = 0.3
STOP_DISTANCE_MAX_M = 0.7
GATE = f"""
[gate]
remote_motion = true
linear_max_mps = 0.5
linear_decel_max_mps2 = {LINEAR_ACCEL_MAX_MPS2}
stop_distance_max_m = {STOP_DISTANCE_MAX_M}
robot_radius_m = {FOOTPRINT_M}
fence = {FENCE}
"""
ODOM = channel("odom", "/odom", "nav_msgs/msg/Odometry")
TOPICS = wire.Topics(ROBOT_ID)
STILL_MPS = 0.01


@dataclass
class Track:
    """Where the simulated robot says that it is."""

    robot: Robot
    poses: list[tuple[float, float, float, float, float]] = field(default_factory=list)  # x, y, yaw, speed, when

    def __post_init__(self) -> None:
        self._subscription = self.robot.node.create_subscription(Odometry, "/odom", lambda _: None, 1000)

    def look(self) -> tuple[float, float, float, float, float]:
        """Return the newest pose."""
        while (taken := self._subscription.handle.take_message(Odometry, False)) is not None:  # noqa: FBT003
            pose, speed = taken[0].pose.pose, taken[0].twist.twist.linear.x
            turn = 2 * math.atan2(pose.orientation.z, pose.orientation.w)
            self.poses.append((pose.position.x, pose.position.y, turn, speed, time.monotonic()))
        return self.poses[-1]

    def stands(self) -> bool:
        """Whether it does."""
        return abs(self.look()[3]) < STILL_MPS

    def way_to_standstill_m(self, since: int) -> float:
        """Return how long the way was from pose number `since` to the first one at which the robot stood."""
        self.look()
        line = self.poses[since:]
        stood = next(index for index, pose in enumerate(line) if abs(pose[3]) < STILL_MPS)
        return sum(math.dist(before[:2], after[:2]) for before, after in pairwise(line[: stood + 1]))

    def close(self) -> None:
        """Leave."""
        self.robot.node.destroy_subscription(self._subscription)


@pytest.fixture
def track(robot: Robot) -> Iterator[Track]:
    """A simulated robot, and where it is."""
    made = Track(robot)
    process = subprocess.Popen([sys.executable, "-m", "edgetwin.sim.robot"])
    try:
        until(lambda: _looked(made), "odometry")
        yield made
    finally:
        process.terminate()
        process.wait(timeout=10)
        made.close()


def _looked(track: Track) -> bool:
    try:
        track.look()
    except IndexError:
        return False
    return True


@pytest.fixture
def daemon(broker: LocalBroker, track: Track, tmp_path: Path) -> Iterator[Daemon]:
    """The daemon, ready to be driven."""
    with ready(Daemon(tmp_path, configuration(broker.port, tmp_path, ODOM + GATE))) as running:
        yield running


class ready:  # noqa: N801  # reads as a word
    """Wait for the gate, too."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def __enter__(self) -> Daemon:
        daemon = self._daemon.__enter__()
        until(lambda: gate(daemon).get("state") == "IDLE", lambda: f"IDLE: {gate(daemon)} {daemon.log[-2000:]}")
        return daemon

    def __exit__(self, *raised: object) -> None:
        self._daemon.__exit__(*raised)  # type: ignore[arg-type]  # handed on as it came


def gate(daemon: Daemon) -> dict[str, Any]:
    """What status.json says of the gate."""
    value: dict[str, Any] = daemon.status().get("gate", {})
    return value


@asynccontextmanager
async def client_at(
    port: int, admission: Admission = Admission.LEASE, heard: Callable[[Ack], None] = lambda _: None
) -> AsyncIterator[DriveClient]:
    """Connect as a dashboard would."""
    clock = SystemClock()
    requests = Requests(TOPICS, "lab", admission, clock)
    address = Address("127.0.0.1", port, TOPICS, f"drive-{os.getpid()}-{time.monotonic_ns()}")
    async with connect(address, requests, clock, heard=heard) as client:
        yield client


def ran(port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `edgetwin drive`."""
    return subprocess.run(
        [sys.executable, "-m", "edgetwin", "drive", "--broker", f"127.0.0.1:{port}", "--robot", ROBOT_ID, *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def turned(target: float, yaw: float) -> float:
    """Return how far to turn [rad], the short way."""
    return math.remainder(target - yaw, math.tau)


def to_corner(track: Track, corner: tuple[float, float]) -> Callable[[], Twist | None]:
    """Return what leads to a corner: turn towards it, then ahead, slower at its end."""

    def wanted() -> Twist | None:
        x, y, yaw, _, _ = track.look()
        far = math.dist((x, y), corner)
        if far < 0.1:
            return None
        error = turned(math.atan2(corner[1] - y, corner[0] - x), yaw)
        ahead = min(0.4, 0.1 + 0.5 * far) if abs(error) < 0.2 else 0.0
        return Twist(ahead, max(-0.8, min(0.8, 1.5 * error)))

    return wanted


def test_a_square_is_driven_within_the_fence(broker: LocalBroker, daemon: Daemon, track: Track) -> None:
    """Four corners of 2 m by the client's own sight of the odometry; every corner is reached, no footprint leaves."""
    acks: list[Ack] = []
    corners = [(1.0, -1.0), (1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0)]

    async def square() -> list[float]:
        reached = []
        async with client_at(broker.port, heard=acks.append) as client:
            granted = await client.acquire()
            assert granted is not None
            assert granted.code == "LEASE_OK"
            for corner in corners:
                async with asyncio.timeout(40):
                    await client.follow(to_corner(track, corner))
                reached.append(math.dist(track.look()[:2], corner))
            await client.rest()
        return reached

    reached = asyncio.run(square())
    until(track.stands, "a standstill")

    assert max(reached) < 0.15
    assert all(abs(x) + FOOTPRINT_M <= FENCE_X_M and abs(y) + FOOTPRINT_M <= FENCE_Y_M for x, y, *_ in track.poses)
    verdicts = Counter(ack.verdict for ack in acks if ack.command == "move")
    assert verdicts["REJECTED"] == 0
    assert len({ack.id for ack in acks}) == len(acks)
    until(lambda: gate(daemon)["state"] == "IDLE", "IDLE")


def test_nobody_drives_out_of_the_fence(broker: LocalBroker, daemon: Daemon, track: Track) -> None:
    """Full speed towards each side in turn, for as long as it takes: slowed down, then refused, never outside."""
    acks: list[Ack] = []

    async def push(heading: float) -> None:
        async with client_at(broker.port, heard=acks.append) as client:
            await client.acquire()
            start = time.monotonic()

            def aim() -> Twist | None:
                error = turned(heading, track.look()[2])
                return None if abs(error) < 0.03 else Twist(0.0, max(-0.8, min(0.8, 1.5 * error)))

            def ahead() -> Twist | None:
                refused = acks and acks[-1].code == "GEOFENCE" and acks[-1].verdict == "REJECTED"
                late = time.monotonic() - start > 30
                return None if late or (refused and track.stands()) else Twist(0.5, 0.0)

            async with asyncio.timeout(40):
                await client.follow(aim)
                await client.follow(ahead)
                back_until = time.monotonic() + 2.0
                await client.follow(lambda: Twist(-0.2, 0.0) if time.monotonic() < back_until else None)
            await client.rest()

    asyncio.run(push(0.0))
    asyncio.run(push(-math.pi / 2))
    until(track.stands, "a standstill")

    assert all(abs(x) + FOOTPRINT_M <= FENCE_X_M and abs(y) + FOOTPRINT_M <= FENCE_Y_M for x, y, *_ in track.poses)
    assert max(x for x, *_ in track.poses) > FENCE_X_M - FOOTPRINT_M - 0.3, "the fence was never near"
    codes = Counter((ack.verdict, ack.code) for ack in acks)
    assert codes["CLAMPED", "GEOFENCE"] > 0


@pytest.mark.parametrize("cut", ["frozen broker", "pulled cable", "dead client"])
def test_when_the_link_breaks_the_robot_stops_within_the_configured_distance(
    broker: LocalBroker, daemon: Daemon, track: Track, cut: str
) -> None:
    """At full speed; measured from the cut to the standstill. The client says that nobody answers."""
    cut_at: list[int] = []

    async def drive() -> str:
        async with FaultyLink(broker.port) as link:
            await link.set(Fault.PASS)

            def ahead() -> Twist | None:
                if not cut_at and track.look()[3] >= 0.45:
                    cut_at.append(len(track.poses) - 1)
                    if cut == "frozen broker":
                        broker.pause()
                    elif cut == "pulled cable":
                        group.create_task(link.set(Fault.BLACKHOLE))
                return None if cut_at and cut == "dead client" else Twist(0.5, _homewards(track))

            async with client_at(link.port) as client, asyncio.timeout(30), asyncio.TaskGroup() as group:
                await client.acquire()
                await client.follow(lambda: None if track.stands() else ZERO)  # what it does by itself is not ours
                try:
                    await client.follow(ahead)
                except LinkError as error:
                    return str(error)
                finally:
                    if cut == "frozen broker":
                        broker.resume()
        return ""

    said = asyncio.run(drive())
    (since,) = cut_at
    until(lambda: track.stands() or any(abs(pose[3]) < STILL_MPS for pose in track.poses[since:]), "a standstill")

    print(f"{cut}: {track.way_to_standstill_m(since):.3f} m from {track.poses[since][3]:.2f} m/s")
    assert track.poses[since][3] >= 0.45
    assert track.way_to_standstill_m(since) <= STOP_DISTANCE_MAX_M
    assert ("no answer on robot/robot_001/acks within 2 s" in said) is (cut != "dead client")


def _homewards(track: Track) -> float:
    """Return a turn that keeps the robot off the fence, so that it is not the fence that stops it."""
    x, y, yaw, _, _ = track.look()
    return max(-0.8, min(0.8, turned(math.atan2(-y, -x), yaw))) if math.hypot(x, y) > 0.8 else 0.0


def test_a_script_drives_stops_and_resets(broker: LocalBroker, daemon: Daemon, track: Track) -> None:
    """`--seconds`, `--stop`, `--reset`: exit codes, a line for each ack, the last line of JSON, the robot itself."""
    until(lambda: _settled(track), "odometry")
    drove = ran(broker.port, "--linear", "0.2", "--seconds", "2", "--json")
    figures = json.loads(drove.stdout.splitlines()[-1])
    stopped = ran(broker.port, "--stop")
    refused = ran(broker.port, "--seconds", "1")
    until(lambda: gate(daemon)["state"] == "HELD", "HELD")
    time.sleep(1.2)  # the robot must have been seen standing, and nobody asking, for a second
    reset = ran(broker.port, "--reset")
    again = ran(broker.port, "--seconds", "0.5", "--linear", "-0.2")

    assert (drove.returncode, figures["ok"], figures["verdicts"].keys() <= {"ACCEPTED", "CLAMPED"}) == (0, True, True)
    assert figures["moves"] >= 15
    assert figures["seconds"] == pytest.approx(2.0, abs=0.3)
    assert "not an emergency stop" in drove.stderr
    assert all(json.loads(line) for line in drove.stdout.splitlines())
    assert stopped.returncode == 0
    assert "stop STOPPED" in stopped.stdout
    assert "not an emergency stop" in stopped.stdout
    assert refused.returncode == 1
    assert "move REJECTED HELD" in refused.stdout
    assert reset.returncode == 0, reset.stdout
    assert "reset OK RESET_OK IDLE" in reset.stdout
    assert again.returncode == 0, again.stdout


def _settled(track: Track) -> bool:
    track.look()
    return len(track.poses) > 20


def test_the_lease_has_one_holder_and_may_be_taken(broker: LocalBroker, daemon: Daemon, track: Track) -> None:
    """The second is refused with 1, unless it takes it; the first then learns that it cannot drive any more."""

    async def two() -> tuple[int, int, str | None]:
        async with client_at(broker.port) as client:
            await client.acquire()
            refused = await asyncio.to_thread(ran, broker.port, "--client", "other", "--seconds", "0.5")
            taking = ("--client", "other", "--seconds", "0.5", "--take")
            taken = await asyncio.to_thread(ran, broker.port, *taking)
            await client.follow(lambda: Twist(0.0, 0.1))  # ends when the lease is gone
            return refused.returncode, taken.returncode, client.lease_lost

    refused, taken, why = asyncio.run(two())

    assert (refused, taken) == (1, 0)
    assert why


@pytest.mark.parametrize("admission", ["open", "stamped"])
def test_the_other_levels_are_driven_too(broker: LocalBroker, track: Track, tmp_path: Path, admission: str) -> None:
    """Without a lease: loopback brokers, and clocks that the settings trust."""
    more = f'admission = "{admission}"\ntrust_clock = true\n'
    with ready(Daemon(tmp_path, configuration(broker.port, tmp_path, ODOM + GATE + more))):
        drove = ran(broker.port, "--admission", admission, "--seconds", "1", "--linear", "0.1")

    assert drove.returncode == 0, drove.stdout
    assert "move ACCEPTED" in drove.stdout
    assert "lease" not in drove.stdout


def test_an_operator_signs_and_nobody_else_drives(broker: LocalBroker, track: Track, tmp_path: Path) -> None:
    """A key in the settings: with its private half one drives and resets, without it not; anybody stops."""
    private = Ed25519PrivateKey.generate()
    key = tmp_path / "anna.pem"
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = base64.b64encode(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    more = f'[gate.operators.anna]\npublic_key = "{public}"\n'
    with ready(Daemon(tmp_path, configuration(broker.port, tmp_path, ODOM + GATE + more))):
        unsigned = ran(broker.port, "--client", "anna", "--seconds", "0.5")
        signed = ran(broker.port, "--client", "anna", "--key", str(key), "--seconds", "0.5", "--linear", "0.1")
        stopped = ran(broker.port, "--client", "nobody", "--stop")
        time.sleep(1.2)  # standing and quiet for a second
        reset = ran(broker.port, "--client", "anna", "--key", str(key), "--reset")

    assert unsigned.returncode == 1
    assert "lease REJECTED BAD_SIG" in unsigned.stdout
    assert signed.returncode == 0, signed.stdout
    assert stopped.returncode == 0
    assert reset.returncode == 0, reset.stdout


class Terminal:
    """`edgetwin drive` in a terminal, with fingers."""

    def __init__(self, port: int) -> None:
        self._master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgetwin", "drive", "--broker", f"127.0.0.1:{port}", "--robot", ROBOT_ID],
            stdin=slave, stdout=slave, stderr=slave, preexec_fn=_own_terminal,  # noqa: PLW1509  # one thread here
        )  # fmt: skip
        os.set_blocking(self._master, False)
        self._shown = b""

    @property
    def shown(self) -> str:
        """What stands there."""
        try:
            while chunk := os.read(self._master, 65536):
                self._shown += chunk
        except (BlockingIOError, OSError):
            pass
        return self._shown.decode()

    def press(self, key: str) -> None:
        """Press a key, shortly."""
        os.write(self._master, key.encode())

    def hold(self, key: str, seconds: float) -> None:
        """Keep a key down: it repeats 25 times a second."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.press(key)
            time.sleep(0.04)

    def after(self) -> list[Any]:
        """Return how the terminal is now."""
        return termios.tcgetattr(self._slave)

    def close(self) -> None:
        """Put it away."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=10)
        os.close(self._master)
        os.close(self._slave)


def _own_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminal(broker: LocalBroker, daemon: Daemon) -> Iterator[Terminal]:
    """Somebody sits down."""
    made = Terminal(broker.port)
    until(lambda: "q: quit" in made.shown, lambda: f"the help: {made.shown}")
    yield made
    made.close()


def test_keys_drive_while_they_are_held_and_the_terminal_is_as_before(
    daemon: Daemon, track: Track, terminal: Terminal
) -> None:
    """w: ahead, until it is let go; space: held; r: reset, and driving again; q: the end, with 0."""
    terminal.hold("w", 1.0)
    driving = track.look()[3]
    until(track.stands, "a standstill after the key was let go")
    until(lambda: gate(daemon)["state"] == "IDLE", "IDLE")
    terminal.press(" ")
    until(lambda: gate(daemon)["state"] == "HELD", "HELD")
    time.sleep(1.2)  # standing and quiet for a second
    terminal.press("r")
    until(lambda: "reset OK RESET_OK" in terminal.shown, lambda: terminal.shown[-1500:])
    terminal.hold("s", 1.0)
    backing = track.look()[3]
    terminal.press("q")
    code = terminal.process.wait(timeout=10)
    until(track.stands, "a standstill after the end")

    assert driving > 0.1
    assert backing < -0.1
    assert code == 0
    assert terminal.after() == terminal.before
    assert "not an emergency stop" in terminal.shown


@pytest.mark.parametrize("way", ["Ctrl-C", "SIGTERM", "hang-up"])
def test_however_it_ends_the_robot_stops_and_the_terminal_is_as_before(
    daemon: Daemon, track: Track, terminal: Terminal, way: str
) -> None:
    """While a key is held."""
    terminal.hold("w", 1.0)
    driving = track.look()[3]
    if way == "Ctrl-C":
        terminal.press("\x03")
    elif way == "SIGTERM":
        terminal.process.terminate()
    else:
        terminal.process.send_signal(1)
    terminal.process.wait(timeout=10)
    until(lambda: gate(daemon)["state"] == "IDLE", "IDLE")
    until(track.stands, "a standstill")

    assert driving > 0.1
    assert terminal.after() == terminal.before
    assert "lease OK LEASE_OK" in terminal.shown.rsplit("move", 1)[-1]  # given back after the last move


def test_a_stop_that_nobody_confirms_says_so(broker: LocalBroker) -> None:
    """No robot there: the client does not pretend."""

    async def stop() -> str:
        clock = SystemClock()
        requests = Requests(TOPICS, "lab", Admission.OPEN, clock)
        address = Address("127.0.0.1", broker.port, TOPICS, "drive-nobody")
        async with connect(address, requests, clock, synchronise=False) as client:
            with pytest.raises(LinkError) as unheard:
                await client.stop(patience_s=0.5)
            return str(unheard.value)

    assert asyncio.run(stop()).startswith("THE STOP WAS NOT CONFIRMED")


def test_the_simulated_robot_obeys_for_half_a_second() -> None:
    """The base's own timeout, as the gate's page asks of a base."""
    assert COMMAND_TIMEOUT_S == 0.5
