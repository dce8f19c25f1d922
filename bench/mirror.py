"""Bench: the mirror of one robot, of ten, of a hundred, of as many as one core takes.

In: the site     Out: what each message and each robot cost, beside a bare paho subscriber that decodes the same JSON.
"""

from __future__ import annotations

import math
import os
import sys
import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.ending import unbroken
from bench.fleet import PROBED, PROBED_HZ, RATE_HZ, read_count
from bench.load import READY
from bench.procfs import usage
from bench.report import Rounds, Row, Section, medians, percentile
from bench.site import Effort, Site, wait_until
from edgetwin.clock import NS_PER_US
from edgetwin.sim.child import Child

LISTENER: Final = "paho subscriber"
MIRROR: Final = "mirror"
LOOKED_AT: Final = "mirror, all looked at"
PEERS: Final = (LISTENER, MIRROR, LOOKED_AT)
_METHOD = f"""\
Robots that only speak MQTT, all in one process: Odometry, JointState with 7 joints and Imu at 10 Hz, BatteryState and
Temperature at 1 Hz, whole messages as JSON, {RATE_HZ} QoS 1 records a second and robot; they announce themselves and
answer pings. The peers run in turn. The paho subscriber decodes each record (orjson) and does nothing else. The mirror
runs once with nobody in its ROS domain, and once with a process that subscribes to every topic it has, figures too.
CPU is the scheduler's time of all threads of the process, the middleware's too. Latency runs from just before the
robot's send to the subscriber's callback, for the mirror to a ROS callback in another process (the odometry of five
robots); added is what that is above the paho subscriber's. One core: robots are added until the mirror, all looked at,
takes nine tenths of one; what the last fleet that it kept up with was, and what it cost.
"""
_COUNTS: Final = (1, 10, 100)
_ROUNDS_MAX = 2
_STOP_MAX_S = 10.0
_TAIL_S = 1.0
_ARRIVED_MIN = 0.98  # what was sent just before the end of the window may be counted on one side alone
_START_MAX_S = 60.0
_CORE_SHARE = 0.9
_FEWER = 0.8
_TRIES = 4
_KEPT_UP_P99_MS = 500.0
_ROBOTS_MAX = 1000  # of one mirror
_DOMAINS = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """One window of one peer; what somebody must have looked at is NaN where nobody did.

    Attributes:
        arrived: Of the records sent in the window that were looked for, the share that had come a second after it.
    """

    robots: int
    messages: int
    arrived: float
    cpu_us: float
    core_percent: float
    rss_mb: float
    latency_p50_ms: float
    latency_p99_ms: float


class Stage:
    """Runs fleets and peers in a ROS domain that nobody else is in."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._runs = 0

    def sample(self, peer: str, robots: int) -> Sample:
        """Measure one peer with a fleet of its own."""
        self._runs += 1
        folder = self.site.folder / f"mirror-{self._runs}"
        folder.mkdir()
        port, sent, log = str(self.site.broker.port), folder / "sent", folder / "log"
        mirror = ["edgetwin", "mirror", "--broker", f"127.0.0.1:{port}"]
        command, ready = (["bench.listener", port, str(log)], READY) if peer == LISTENER else (mirror, "connected")
        with (
            self._child("fleet", ["bench.fleet", port, str(robots), str(sent)], folder, READY) as fleet,
            self._child(peer, command, folder, ready) as child,
            ExitStack() as stack,
        ):
            looking = [child] if peer == LISTENER else []
            if peer == LOOKED_AT:
                viewer = ["bench.viewer", str(robots), str(log)]
                looking.append(stack.enter_context(self._child("viewer", viewer, folder, READY)))
            time.sleep(self.site.effort.settle_s)
            fleet.check()
            began_us, before, first = time.time_ns() // NS_PER_US, usage(child.pid), read_count(sent)
            time.sleep(self.site.effort.window_s)
            ended_us, after, last = time.time_ns() // NS_PER_US, usage(child.pid), read_count(sent)
            child.check()
            time.sleep(_TAIL_S)
            for one in looking:
                one.stop(_STOP_MAX_S)
            child.stop(_STOP_MAX_S)
        latencies_ms = _latencies_ms(log, began_us, ended_us) if looking else []
        messages, cpu_us = max(1, last - first), (after.cpu_ns - before.cpu_ns) / NS_PER_US
        looked_for = messages * (PROBED_HZ * min(robots, PROBED) / RATE_HZ / robots if peer == LOOKED_AT else 1.0)
        return Sample(
            robots=robots,
            messages=messages,
            arrived=min(1.0, len(latencies_ms) / looked_for) if looking else math.nan,
            cpu_us=cpu_us / messages,
            core_percent=100 * cpu_us / (ended_us - began_us),
            rss_mb=after.rss_bytes / 1e6,
            latency_p50_ms=percentile(latencies_ms, 50),
            latency_p99_ms=percentile(latencies_ms, 99),
        )

    @contextmanager
    def _child(self, name: str, command: Sequence[str], folder: Path, ready: str) -> Iterator[Child]:
        module, *arguments = command
        environ = dict(os.environ) | {
            "PYTHONPYCACHEPREFIX": str(self.site.folder / "bytecode"),
            "ROS_DOMAIN_ID": str(1 + os.getpid() % _DOMAINS),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "ROS_LOG_DIR": str(self.site.folder),
        }
        argv = [sys.executable, "-m", module, *arguments]
        with ExitStack() as stack:
            with unbroken():
                path = folder / f"{name.partition(',')[0].replace(' ', '-')}.log"
                child = stack.enter_context(Child(name, argv, log_path=path, environ=environ))
            wait_until(lambda: ready in child.last_words(20), child, _START_MAX_S)
            yield child
            child.stop(_STOP_MAX_S)


def measure(site: Site) -> Section:
    """Measure all peers at every size of fleet, then look for the size that one core takes."""
    stage = Stage(site)
    rounds: dict[str, list[dict[int, Sample]]] = {peer: [] for peer in PEERS}
    counts = _counts(site.effort)
    for _ in range(min(_ROUNDS_MAX, site.effort.rounds)):
        turn = {(peer, robots): stage.sample(peer, robots) for robots in counts for peer in PEERS}
        for peer in PEERS:
            rounds[peer].append({robots: turn[peer, robots] for robots in counts})
    rows = [row for robots in counts for row in _rows(robots, _at(rounds, robots))]
    if site.effort.kills:
        rows += _capacity(stage, rounds[LOOKED_AT][-1][counts[-1]])
    plain = {peer: [list(turn.values()) for turn in turns] for peer, turns in rounds.items()}
    return Section("mirror", f"The mirror: fleets of {RATE_HZ} records/s and robot", rows, plain, _METHOD)


def _counts(effort: Effort) -> tuple[int, ...]:
    return _COUNTS if effort.kills else _COUNTS[:2]


def _at(rounds: Mapping[str, Sequence[Mapping[int, Sample]]], robots: int) -> dict[str, list[Sample]]:
    return {peer: [turn[robots] for turn in turns] for peer, turns in rounds.items()}


def _rows(robots: int, rounds: Rounds[Sample]) -> list[Row]:
    """Return the rows of one size of fleet."""
    who = "1 robot" if robots == 1 else f"{robots} robots"
    per_robot: Callable[[Sample], float] = lambda s: s.core_percent / s.robots  # noqa: E731  # a name for a column
    return [
        medians(f"{who}: CPU per message", "us", rounds, lambda s: s.cpu_us),
        medians(f"{who}: CPU, this / {LISTENER}", "x", _pairs(rounds), lambda p: p[0].cpu_us / p[1].cpu_us, "<= 3"),
        medians(f"{who}: share of a core, per robot", "%", rounds, per_robot),
        medians(f"{who}: memory (RSS)", "MB", rounds, lambda s: s.rss_mb),
        medians(f"{who}: arrived", "%", rounds, lambda s: 100 * s.arrived, "100, or the CPU is not of all"),
        medians(f"{who}: latency p50", "ms", rounds, lambda s: s.latency_p50_ms),
        medians(f"{who}: latency p99", "ms", rounds, lambda s: s.latency_p99_ms),
        _added(f"{who}: added latency p50", rounds, lambda s: s.latency_p50_ms),
        _added(f"{who}: added latency p99", rounds, lambda s: s.latency_p99_ms),
    ]


def _pairs(rounds: Rounds[Sample]) -> dict[str, list[Any]]:
    """Return each sample of a mirror with the paho subscriber's of the same round."""
    return {
        peer: list(zip(samples, rounds[LISTENER], strict=True)) for peer, samples in rounds.items() if peer != LISTENER
    }


def _added(figure: str, rounds: Rounds[Sample], read: Callable[[Sample], float]) -> Row:
    return medians(figure, "ms", _pairs(rounds), lambda pair: read(pair[0]) - read(pair[1]))


def _capacity(stage: Stage, known: Sample) -> list[Row]:
    """Return how many robots one core takes: a guess from what is known, tried, and corrected by what came out."""
    best = known if _kept_up(known) else None
    for _ in range(_TRIES):
        if _kept_up(known):
            share = max(known.core_percent, 1.0) / 100
            robots = min(_ROBOTS_MAX, round(known.robots * _CORE_SHARE / share))
        else:
            robots = round(known.robots * _FEWER)
        if best is not None and abs(robots - best.robots) <= best.robots // 20:
            break
        known = stage.sample(LOOKED_AT, robots)
        if _kept_up(known) and (best is None or known.robots > best.robots):
            best = known
    if best is None:
        return [Row("one core: robots", "", {LOOKED_AT: None})]
    columns: list[tuple[str, str, float]] = [
        ("one core: robots", "", best.robots),
        ("one core: records per second", "/s", best.robots * RATE_HZ),
        ("one core: share of it", "%", best.core_percent),
        ("one core: CPU per message", "us", best.cpu_us),
        ("one core: memory (RSS)", "MB", best.rss_mb),
        ("one core: latency p50", "ms", best.latency_p50_ms),
        ("one core: latency p99", "ms", best.latency_p99_ms),
    ]
    return [Row(figure, unit, {LOOKED_AT: value}) for figure, unit, value in columns]


def _kept_up(sample: Sample) -> bool:
    in_time = sample.arrived >= _ARRIVED_MIN and sample.latency_p99_ms < _KEPT_UP_P99_MS
    return in_time and sample.core_percent < 100 * (_CORE_SHARE + 0.05)


def _latencies_ms(log: Path, began_us: int, ended_us: int) -> list[float]:
    """Return the latencies of what was measured within the window."""
    numbers = array("q", log.read_bytes())
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return [(came_us - stamp_us) / 1000 for came_us, stamp_us in pairs if began_us <= stamp_us < ended_us]
