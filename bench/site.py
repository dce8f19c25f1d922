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

from bench import load, tap
from bench.peers import Peer, Placement
from bench.streams import LOADS
from edgetwin.sim.broker import BrokerKind, LocalBroker
from edgetwin.sim.child import Child, SimulationError

_STOP_MAX_S = 6.0
_WAIT_MAX_S = 20.0
_POLL_S = 0.005
_DOMAINS = 100  # above this the ports of a domain reach into the kernel's ephemeral ones
_NOT_INHERITED = ("EDGETWIN_", "PYTHONDONTWRITEBYTECODE")
_MEMORY_DISK = Path("/dev/shm")  # noqa: S108  # as /run is, where the daemon's status belongs


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure."""

    rounds: int
    settle_s: float
    window_s: float
    outage_s: float
    outage_peers: int
    repeats: int

    @classmethod
    def quick(cls) -> Self:
        """Everything once: does it still run?"""
        return cls(rounds=1, settle_s=1.0, window_s=3.0, outage_s=3.0, outage_peers=1, repeats=3)

    @classmethod
    def full(cls) -> Self:
        """Figures to believe."""
        return cls(rounds=3, settle_s=2.0, window_s=8.0, outage_s=15.0, outage_peers=2, repeats=9)


@dataclass(frozen=True, slots=True)
class Running:
    """One peer that runs, with its own tap."""

    child: Child
    tap: Child
    place: Placement
    started_ns: int

    @property
    def tap_path(self) -> Path:
        """Log of the tap, complete once the site has stopped it."""
        return self.place.folder / "tap.bin"


class Site:
    """A context manager; `effort` says how long its users should measure."""

    def __init__(self, effort: Effort) -> None:
        self.effort = effort
        self._stack = ExitStack()
        self._runs = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgetwin-bench-")))
            memory = str(_MEMORY_DISK) if _MEMORY_DISK.is_dir() else None
            self._runtime = stack.enter_context(tempfile.TemporaryDirectory(prefix="edgetwin-bench-", dir=memory))
            self.broker = stack.enter_context(LocalBroker(BrokerKind.MOSQUITTO))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextmanager
    def loaded(self, name: str) -> Iterator[Callable[[], Path]]:
        """Run the robot; yields a function that ends it and returns its log."""
        log = self._folder / f"load-{name}.json"
        argv = [sys.executable, "-m", "bench.load", name, str(log)]
        with self._child("load", argv, self._folder / "load.log", quiet_domain=False) as child:
            wait_until(lambda: load.READY in child.last_words(1), child)

            def end() -> Path:
                child.stop(_STOP_MAX_S)
                return log

            yield end

    @contextmanager
    def running(self, peer: Peer, load_name: str, *, qos: int = 0, quiet_domain: bool = False) -> Iterator[Running]:
        """Run a peer and its tap; both are stopped in order at the end.

        Args:
            peer: Which.
            load_name: The load it forwards.
            qos: Of the tap's subscription.
            quiet_domain: In a ROS domain without any publisher.
        """
        self._runs += 1
        folder = self._folder / str(self._runs)
        folder.mkdir()
        place = Placement(folder, self.broker.port, f"bench_{self._runs}", load_name)
        tap_argv = [sys.executable, "-m", "bench.tap", str(place.port), f"robot/{place.robot_id}/#", str(qos)]
        with self._child("tap", [*tap_argv, str(folder / "tap.bin")], folder / "tap.log") as tapping:
            wait_until(lambda: tap.READY in tapping.last_words(1), tapping)
            argv = peer.command(place)
            started_ns = time.time_ns()
            with self._child(peer.name, argv, folder / "peer.log", quiet_domain=quiet_domain) as child:
                yield Running(child, tapping, place, started_ns)
                child.stop(_STOP_MAX_S)
            tapping.stop(_STOP_MAX_S)

    def wait_flowing(self, running: Running) -> None:
        """Return once every channel has arrived, and the settling time after that has passed."""
        missing = {f"telemetry/{stream.channel}" for stream in LOADS[running.place.load]}

        def flowing() -> bool:
            said = running.tap.last_words(50)
            return all(topic in said for topic in missing)

        wait_until(flowing, running.child)
        time.sleep(self.effort.settle_s)

    def _child(self, name: str, argv: list[str], log_path: Path, *, quiet_domain: bool = False) -> Child:
        domain = 1 + 2 * (os.getpid() % (_DOMAINS // 2)) + quiet_domain
        environ = {key: value for key, value in os.environ.items() if not key.startswith(_NOT_INHERITED)} | {
            # As an installed package has it: compiled once, not at every start.
            "PYTHONPYCACHEPREFIX": str(self._folder / "bytecode"),
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_LOG_DIR": str(self._folder),
            "RUNTIME_DIRECTORY": self._runtime,
        }
        return Child(name, argv, log_path=log_path, environ=environ)

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
