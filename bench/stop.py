"""Bench: how long a stop takes, from the PUBLISH of one process to the zero Twist in another, whatever else goes on.

In: the site     Out: latencies of edgetwin and of a bare relay, which take turns, under each of the stressors.
"""

from __future__ import annotations

import os
import queue
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench import prober
from bench.backlog import fill, is_drained
from bench.gate_step import MID_FIELD, SCENES, steps_us
from bench.peers import EDGETWIN, Peer, Placement, with_outbox
from bench.report import Rounds, Row, Section, medians, percentile
from bench.site import Running, Site, wait_until
from bench.stallable import COMPUTE, SLEEP, STALL_S
from edgetwin.sim.child import SimulationError
from edgetwin.sim.ports import HOST

LOAD = "reference"
_METHOD = """\
Two processes answer to stops at the same time: the daemon, and a bare relay of forty lines (paho to rclpy, no gate, no
latch, no answers). A third one publishes a stop with QoS 1 to each of them in turn, 5 to 15 ms after the last, and
takes the time until a zero Twist has reached it through DDS, all on one machine over loopback. The stressors are the
daemon's: 1,000 moves/s from a process of its own; the reference load (361 messages/s); a backlog that drains; a file
system that takes no byte (RLIMIT_FSIZE; a really full disk is among the tests); a main loop that computes, or sleeps,
for two seconds without a pause. The relay has none of them but the machine, so its row says what the machine was like.
The medians are over the rounds; p99.9 and the longest are over all stops together. Gate step: one tick of a drive
with a fence of 40 corners, an excluded area and a new scan of 360 points, in CPU time: where nothing is near, where the
fence is so near that the move is slowed down, where a wall is, where both are.
"""
_GATE = """
[ros]
cmd_vel_topic = "/{robot}/cmd_vel"
[gate]
remote_motion = true
admission = "open"
hold = "silent"
"""
_STOPS_PER_S = 100  # of a window
_WITHOUT_END_S = 600.0
_ANSWER_MAX_S = 120.0
_DRAIN_BATCH = 25
_FLOOD_HZ = 1000
_FLOOD_S = 1.0
_STEPS = 2000
IDLE: Final = "idle"
_COLUMNS = (IDLE, "1,000 moves/s", "telemetry", "backlog", "computing", "asleep", "disk full")


@dataclass(frozen=True, slots=True)
class Sample:
    """One condition of one round: every latency [ms] of both, and stops that no zero followed."""

    ours_ms: list[float]
    relay_ms: list[float]
    lost: int


class Prober:
    """The process that measures, from here."""

    def __init__(self, port: int) -> None:
        """Connect; the process is run by `probing`."""
        self._results: queue.Queue[bytes] = queue.Queue()
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        client.on_message = lambda _client, _userdata, message: self._results.put(message.payload)
        client.connect(HOST, port)
        client.subscribe(prober.RESULTS, qos=1)
        client.loop_start()

    def measure(self, ours: Running, relay: Running, count: int, seconds: float = _WITHOUT_END_S) -> Sample:
        """Have both stopped in turn.

        Raises:
            SimulationError: One of them does not answer.
        """
        names = [ours.place.robot_id, relay.place.robot_id]
        self._client.publish(prober.ORDERS, orjson.dumps({"targets": names, "count": count, "seconds": seconds}), qos=1)
        try:
            found = orjson.loads(self._results.get(timeout=_ANSWER_MAX_S))
        except queue.Empty:
            msg = f"no stop is measured; {ours.peer.name} said:\n{ours.child.last_words()}"
            raise SimulationError(msg) from None
        if "error" in found:
            msg = f"{found['error']}; it said:\n{ours.child.last_words()}"
            raise SimulationError(msg)
        first, second = (found[name] for name in names)
        return Sample(first["latencies_ms"], second["latencies_ms"], first["lost"])

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


def measure(site: Site) -> Section:
    """Measure all conditions, as many rounds as the effort says."""
    outbox = site.folder / "backlog.db"
    fill(outbox, site.effort.backlog)
    found: dict[str, list[Sample]] = {name: [] for name in _COLUMNS}
    with _running(site, Peer("prober", _of("bench.prober", with_id=False)), ready=prober.READY):
        orders = Prober(site.broker.port)
        try:
            with _running(site, Peer("relay", _of("bench.relay"))) as relay:
                for _ in range(site.effort.rounds):
                    for name, sample in _round(site, orders, relay, outbox).items():
                        found[name].append(sample)
        finally:
            orders.close()
    outbox.unlink()
    step_rows = [_step_row(scene, site.effort.repeats) for scene in SCENES]
    title = f"Stop: PUBLISH to zero Twist in another process ({len(_all(found[IDLE], _ours)):,} stops per column)"
    return Section("stop", title, [*_rows(found), *step_rows], found, _METHOD)


def _round(site: Site, orders: Prober, relay: Running, outbox: Path) -> dict[str, Sample]:
    count = round(_STOPS_PER_S * site.effort.window_s)
    found: dict[str, Sample] = {}
    with _running(site, Peer("edgetwin", partial(_daemon, EDGETWIN))) as ours:
        orders.measure(ours, relay, _DRAIN_BATCH)  # as long as it starts; not counted
        found[IDLE] = orders.measure(ours, relay, count)
        with _running(site, Peer("flood", _of("bench.flood", ours.place.robot_id, str(_FLOOD_HZ), with_id=False))):
            time.sleep(_FLOOD_S)
            found["1,000 moves/s"] = orders.measure(ours, relay, count)
    with site.loaded(LOAD), _running(site, Peer("edgetwin", partial(_daemon, EDGETWIN)), flowing=True) as ours:
        found["telemetry"] = orders.measure(ours, relay, count)
        for name, number in (("computing", COMPUTE), ("asleep", SLEEP)):
            found[name] = _stalled(orders, ours, relay, count, number)
        with _no_file_grows(ours.child.pid):
            found["disk full"] = orders.measure(ours, relay, count)
    with _running(site, Peer("edgetwin", partial(_daemon, with_outbox(outbox)))) as ours:
        found["backlog"] = _until(partial(is_drained, site), partial(orders.measure, ours, relay, _DRAIN_BATCH))
    return found


def _daemon(like: Peer, place: Placement) -> list[str]:
    """Return the command of a daemon that forwards the load and may be stopped and stalled."""
    like.command(place)
    settings = place.folder / "edgetwin.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + _GATE.format(robot=place.robot_id), encoding="utf-8")
    return [sys.executable, "-m", "bench.stallable", "run", "--config", str(settings)]


def _of(module: str, *arguments: str, with_id: bool = True) -> Callable[[Placement], list[str]]:
    def command(place: Placement) -> list[str]:
        return [sys.executable, "-m", module, str(place.port), *([place.robot_id] if with_id else []), *arguments]

    return command


@contextmanager
def _running(site: Site, peer: Peer, *, ready: str = "", flowing: bool = False) -> Iterator[Running]:
    with site.running(peer, LOAD, topics="#" if flowing else "none") as running:
        if ready:
            wait_until(lambda: ready in running.child.last_words(1), running.child)
        if flowing:
            site.wait_flowing(running)
        yield running


def _stalled(orders: Prober, ours: Running, relay: Running, count: int, number: int) -> Sample:
    """Measure while the main loop is blocked; once more and once more, until there is enough."""
    samples: list[Sample] = []
    while sum(len(sample.ours_ms) + sample.lost for sample in samples) < count:
        os.kill(ours.child.pid, number)
        samples.append(orders.measure(ours, relay, count, STALL_S * 0.9))
        time.sleep(STALL_S * 0.2)  # it works off what has come meanwhile
    return _joined(samples)


def _until(ended: Callable[[], bool], measured: Callable[[], Sample]) -> Sample:
    samples = [measured()]
    while not ended():
        samples.append(measured())
    return _joined(samples)


def _joined(samples: list[Sample]) -> Sample:
    return Sample(_all(samples, _ours), _all(samples, _relay), sum(sample.lost for sample in samples))


@contextmanager
def _no_file_grows(pid: int) -> Iterator[None]:
    """Have every write to a file fail."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def _rows(found: Rounds[Sample]) -> list[Row]:
    rows = [
        medians("edgetwin p50", "ms", found, lambda s: percentile(s.ours_ms, 50)),
        medians("relay p50", "ms", found, lambda s: percentile(s.relay_ms, 50)),
        medians("p50: edgetwin / relay", "x", found, lambda s: _ratio(s, 50), "idle <= 2"),
        medians("edgetwin p99", "ms", found, lambda s: percentile(s.ours_ms, 99), "<= 20"),
        medians("relay p99", "ms", found, lambda s: percentile(s.relay_ms, 99)),
        medians("p99: edgetwin / relay", "x", found, lambda s: _ratio(s, 99)),
    ]
    for whose, read in (("edgetwin", _ours), ("relay", _relay)):
        pooled = {name: _all(samples, read) for name, samples in found.items()}
        rows.append(Row(f"{whose} p99.9", "ms", _each(pooled, 99.9), "<= 50" if whose == "edgetwin" else ""))
        rows.append(Row(f"{whose} longest", "ms", _each(pooled, 100)))
    rows.append(
        Row("stops that no zero followed", "", {n: sum(s.lost for s in all_) for n, all_ in found.items()}, "0")
    )
    return rows


def _step_row(scene: str, repeats: int) -> Row:
    name = "gate step p99 (CPU)" + ("" if scene == MID_FIELD else f", {scene}")
    return Row(name, "us", {IDLE: percentile(steps_us(_STEPS * repeats, scene), 99)}, "<= 200")


def _ours(sample: Sample) -> list[float]:
    return sample.ours_ms


def _relay(sample: Sample) -> list[float]:
    return sample.relay_ms


def _all(samples: Any, read: Callable[[Sample], list[float]]) -> list[float]:
    return [latency_ms for sample in samples for latency_ms in read(sample)]


def _each(pooled: Mapping[str, list[float]], percent: float) -> dict[str, float | None]:
    return {name: percentile(values, percent) for name, values in pooled.items()}


def _ratio(sample: Sample, percent: float) -> float:
    return percentile(sample.ours_ms, percent) / percentile(sample.relay_ms, percent)
