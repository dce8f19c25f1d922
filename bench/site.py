"""Bench: the place where it happens: a folder, a broker, a ROS domain, and the processes in them.

In: how much effort     Out: running peers, taps and loads; all gone again when the site is left.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import cable, load, tap
from bench.ending import unbroken
from bench.peers import Peer, Placement, sensor
from bench.streams import LOADS
from edgetwin.sim.broker import BrokerKind, LocalBroker
from edgetwin.sim.child import Child, SimulationError
from edgetwin.sim.ports import HeldPort

_STOP_MAX_S = 6.0
_WAIT_MAX_S = 20.0
_POLL_S = 0.005
_DOMAINS = 100  # above this the ports of a domain reach into the kernel's ephemeral ones
_NOT_INHERITED = ("EDGETWIN_", "PYTHONDONTWRITEBYTECODE")
_MEMORY_DISK = Path("/dev/shm")  # noqa: S108  # as /run is, where the daemon's status belongs


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: Turns of every peer.
        settle_s: Before a window begins.
        window_s: Of measuring.
        outage_s: That the link is away.
        after_s: That the load lasts longer than the outage.
        outage_peers: How many of them suffer a frozen broker.
        repeats: Turns of every small piece.
        backlog: Records of the large backlog.
        kills: Whether gateways are killed, too.
    """

    rounds: int
    settle_s: float
    window_s: float
    outage_s: float
    after_s: float
    outage_peers: int
    repeats: int
    backlog: int
    kills: bool

    @classmethod
    def smoke(cls) -> Self:
        """Everything once, as short as can be: does it still run?"""
        return cls(
            rounds=1,
            settle_s=0.2,
            window_s=1.0,
            outage_s=1.5,
            after_s=0.3,
            outage_peers=1,
            repeats=1,
            backlog=20_000,
            kills=False,
        )

    @classmethod
    def quick(cls) -> Self:
        """Everything once: figures of the right size."""
        return cls(
            rounds=1,
            settle_s=1.0,
            window_s=3.0,
            outage_s=4.0,
            after_s=2.0,
            outage_peers=1,
            repeats=3,
            backlog=200_000,
            kills=True,
        )

    @classmethod
    def full(cls) -> Self:
        """Figures to believe."""
        return cls(
            rounds=3,
            settle_s=2.0,
            window_s=8.0,
            outage_s=20.0,
            after_s=3.0,
            outage_peers=2,
            repeats=9,
            backlog=1_000_000,
            kills=True,
        )


@dataclass(frozen=True, slots=True)
class Running:
    """One peer that runs, with its own tap."""

    peer: Peer
    child: Child
    tap: Child
    place: Placement
    started_ns: int

    @property
    def tap_path(self) -> Path:
        """Log of the tap, complete once the site has stopped it."""
        return self.place.folder / "tap.bin"


@dataclass(frozen=True, slots=True)
class Load:
    """A robot that publishes, and the folder of what it sent."""

    child: Child
    sent: Path

    def end(self) -> None:
        """Publish nothing more."""
        self.child.stop(_STOP_MAX_S)


@dataclass(frozen=True, slots=True)
class Cable:
    """A cable to the broker that can be cut."""

    child: Child
    port: int

    def cut(self) -> None:
        """Reset what is connected, refuse what comes."""
        os.kill(self.child.pid, cable.CUT)

    def mend(self) -> None:
        """Carry bytes again."""
        os.kill(self.child.pid, cable.MEND)


class Site:
    """A context manager; `effort` says how long its users should measure."""

    def __init__(self, effort: Effort) -> None:
        self.effort = effort
        self._stack = ExitStack()
        self._runs = 0
        self._loads = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgetwin-bench-")))
            memory = str(_MEMORY_DISK) if _MEMORY_DISK.is_dir() else None
            self._runtime = stack.enter_context(tempfile.TemporaryDirectory(prefix="edgetwin-bench-", dir=memory))
            with unbroken():
                self.broker = stack.enter_context(LocalBroker(BrokerKind.MOSQUITTO))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextmanager
    def loaded(self, name: str) -> Iterator[Load]:
        """Run the robot."""
        self._loads += 1
        sent = self.runtime_directory / f"load-{self._loads}"
        argv = [sys.executable, "-m", "bench.load", name, str(sent)]
        with self._child("load", argv, self._folder / f"load-{self._loads}.log") as child:
            wait_until(lambda: load.READY in child.last_words(1), child)
            yield Load(child, sent)

    @contextmanager
    def running(
        self,
        peer: Peer,
        load_name: str,
        *,
        qos: int = 0,
        quiet_domain: bool = False,
        port: int = 0,
        topics: str = "#",
    ) -> Iterator[Running]:
        """Run a peer and its tap; both are stopped in order at the end.

        Args:
            peer: Which.
            load_name: The load it forwards.
            qos: Of the tap's subscription.
            quiet_domain: In a ROS domain without any publisher.
            port: Where it finds the broker; 0: where the broker is.
            topics: What the tap listens to, below the robot's own level.
        """
        self._runs += 1
        folder = self._folder / str(self._runs)
        folder.mkdir()
        sent = self.runtime_directory / f"sent-{self._runs}"
        with HeldPort() as local:
            place = Placement(folder, port or self.broker.port, local.number, f"bench_{self._runs}", load_name, sent)
            tap_argv = [sys.executable, "-m", "bench.tap", str(self.broker.port), f"robot/{place.robot_id}/{topics}"]
            with self._child("tap", [*tap_argv, str(qos), str(folder / "tap.bin")], folder / "tap.log") as tapping:
                wait_until(lambda: tap.READY in tapping.last_words(1), tapping)
                argv = peer.command(place)
                started_ns = time.time_ns()
                with self._child(peer.name, argv, folder / "peer.log", quiet_domain=quiet_domain) as child:
                    yield Running(peer, child, tapping, place, started_ns)
                    child.stop(_STOP_MAX_S)
                tapping.stop(_STOP_MAX_S)

    @contextmanager
    def again(self, running: Running) -> Iterator[None]:
        """Run a peer that was killed once more, in the place where it was."""
        argv = running.peer.command(running.place)
        with self._child(running.peer.name, argv, running.place.folder / "peer.log") as child:
            yield
            child.stop(_STOP_MAX_S)

    @contextmanager
    def sensing(self, place: Placement) -> Iterator[Child]:
        """Run the sensor that speaks MQTT, beside the local broker of a place."""
        argv = sensor(place, place.local_port)
        with self._child("sensor", argv, place.folder / "sensor.log") as child:
            wait_until(lambda: load.READY in child.last_words(1), child)
            yield child

    @contextmanager
    def cable(self) -> Iterator[Cable]:
        """Lay a cable to the broker."""
        argv = [sys.executable, "-m", "bench.cable", str(self.broker.port)]
        self._runs += 1
        with self._child("cable", argv, self._folder / f"cable-{self._runs}.log") as child:
            wait_until(lambda: cable.READY in child.last_words(1), child)
            yield Cable(child, int(child.last_words(1).removeprefix(cable.READY)))

    def wait_flowing(self, running: Running) -> None:
        """Return once every channel has arrived, and the settling time after that has passed."""
        missing = {f"telemetry/{stream.channel}" for stream in LOADS[running.place.load]}

        def flowing() -> bool:
            said = running.tap.last_words(50)
            return all(topic in said for topic in missing)

        wait_until(flowing, running.child)
        time.sleep(self.effort.settle_s)

    @contextmanager
    def _child(self, name: str, argv: list[str], log_path: Path, *, quiet_domain: bool = False) -> Iterator[Child]:
        domain = 1 + 2 * (os.getpid() % (_DOMAINS // 2)) + quiet_domain
        environ = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_INHERITED)} | {
            # As an installed package has it: compiled once, not at every start.
            "PYTHONPYCACHEPREFIX": str(self._folder / "bytecode"),
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_LOG_DIR": str(self._folder),
            "RUNTIME_DIRECTORY": self._runtime,
        }
        with ExitStack() as stack:
            with unbroken():
                child = stack.enter_context(Child(name, argv, log_path=log_path, environ=environ))
            yield child

    @property
    def folder(self) -> Path:
        """Scratch, on a disk."""
        return self._folder

    @property
    def runtime_directory(self) -> Path:
        """Where the daemon keeps its status.json."""
        return Path(self._runtime)


def wait_until(condition: Callable[[], bool], child: Child, wait_max_s: float = _WAIT_MAX_S) -> None:
    """Return as soon as `condition()` holds.

    Raises:
        SimulationError: The child ended, or it took too long.
    """
    deadline_s = time.monotonic() + wait_max_s
    while not condition():
        child.check()
        if time.monotonic() > deadline_s:
            msg = f"{child.name} is not ready after {wait_max_s:g} s; it said:\n{child.last_words() or '(nothing)'}"
            raise SimulationError(msg)
        time.sleep(_POLL_S)
