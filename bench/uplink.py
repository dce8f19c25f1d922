"""Bench: store and uplink alone, without ROS, beside a mosquitto bridge, at 1,000 and 10,000 messages a second.

In: the site     Out: per rate and way: CPU per message, with the link up, in an outage and after it; the drain; losses.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import feeder
from bench.arrivals import follow, payload_bytes, read_tap, reordered
from bench.ending import unbroken
from bench.peers import BRIDGE, Peer, Placement
from bench.procfs import Usage, usage
from bench.report import Row, Section, medians
from bench.site import Cable, Running, Site, wait_until
from bench.store import LOAD, settled
from bench.streams import LOADS
from edgetwin.clock import NS_PER_US
from edgetwin.sim.child import Child
from edgetwin.sim.ports import answers

FACTORS = (1, 10)
OURS = "edgetwin"
_METHOD = """\
A small process makes messages of 200 B and hands over each 20 ms what is due: to edgetwin's own forwarding, outbox and
uplink, which run in that process as they do in the daemon, without ROS; or, in one write, to a local mosquitto that
bridges to the far broker (persistence, a save every second, a queue that drops nothing, QoS 1). The cable is cut and
mended as in the section before. CPU is the scheduler's time of all threads, per message sent: of the bridge, which
takes its messages from a socket; of edgetwin's process, less what the same process takes to make the same messages and
hand them to nobody, measured in the same run (`the making`). The envelope of a record is edgetwin's, not the making's.
"""
_MAKING_S = 3.0
_STOP_MAX_S = 6.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one way at one rate; CPU in us per message sent in that time."""

    messages: int
    lost: int
    repeats: int
    reordered: int
    cpu_us: float
    cpu_up_us: float
    cpu_outage_us: float
    making_us: float
    drained_s: float
    drain_per_s: float
    written_ratio: float
    rss_max_mb: float


@dataclass(frozen=True, slots=True)
class Phases:
    """Readings of the gateway's use, and when they were made [us, UTC]: begin, cut, mended, end."""

    uses: Sequence[Usage]
    at_us: Sequence[int]


def measure(site: Site) -> Section:
    """Both ways at both rates, in turn."""
    rounds: dict[str, list[Sample]] = {}
    for _ in range(site.effort.rounds):
        for factor in FACTORS:
            rounds.setdefault(_column(BRIDGE.name, factor), []).append(_bridge(site, factor))
            rounds.setdefault(_column(OURS, factor), []).append(_edgetwin(site, factor))
    title = f"Store and uplink without ROS: messages of 200 B, link cut for {site.effort.outage_s:g} s"
    return Section("uplink", title, _rows(rounds), rounds, _METHOD)


def _column(name: str, factor: int) -> str:
    return f"{name} {factor * _RATE_HZ:,}/s"


_RATE_HZ = sum(stream.rate_hz for stream in LOADS[LOAD])


def _bridge(site: Site, factor: int) -> Sample:
    with site.cable() as cable, ExitStack() as stack:
        running = stack.enter_context(site.running(BRIDGE, LOAD, qos=1, port=cable.port, topics="+/+"))
        place = running.place
        wait_until(lambda: answers(place.local_port), running.child)
        argv = _argv(feeder.PUBLISH, place, place.local_port, factor)
        source = stack.enter_context(_child("feeder", argv, place.folder / "feeder.log"))
        phases = _suffer(site, running, cable, source)
    return _sample(running, phases, 0.0)


def _edgetwin(site: Site, factor: int) -> Sample:
    peer = Peer(OURS, lambda place: _argv(feeder.FORWARD, place, place.port, factor))
    with site.cable() as cable, site.running(peer, LOAD, qos=1, port=cable.port, topics="+/+") as running:
        phases = _suffer(site, running, cable, running.child)
        making_us = _making_us(running.place, factor)
    return _sample(running, phases, making_us)


def _making_us(place: Placement, factor: int) -> float:
    """Return what one message costs to make."""
    with _child("feeder", _argv(feeder.MAKE, place, place.port, factor), place.folder / "making.log") as child:
        wait_until(lambda: feeder.READY in child.last_words(1), child)
        time.sleep(_MAKING_S / 10)
        before, begin_s = usage(child.pid), time.monotonic()
        time.sleep(_MAKING_S)
        after, seconds = usage(child.pid), time.monotonic() - begin_s
        child.stop(_STOP_MAX_S)
    return (after.cpu_ns - before.cpu_ns) / NS_PER_US / (seconds * factor * _RATE_HZ)


def _argv(way: str, place: Placement, port: int, factor: int) -> list[str]:
    sent = place.sent if way != feeder.MAKE else place.sent.with_name(f"{place.sent.name}-made")
    arguments = [way, str(port), place.robot_id, str(factor), str(sent), str(place.folder)]
    return [sys.executable, "-m", "bench.feeder", *arguments]


@contextmanager
def _child(name: str, argv: list[str], log: Path) -> Iterator[Child]:
    with ExitStack() as stack:
        with unbroken():
            child = stack.enter_context(Child(name, argv, log_path=log, environ=_environ()))
        yield child


def _environ() -> Mapping[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("EDGETWIN_")}


def _suffer(site: Site, running: Running, cable: Cable, source: Child) -> Phases:
    site.wait_flowing(running)
    uses, at_us = [usage(running.child.pid)], [_now_us()]

    def read() -> None:
        uses.append(usage(running.child.pid))
        at_us.append(_now_us())

    time.sleep(site.effort.settle_s + site.effort.window_s)
    cable.cut()
    read()
    time.sleep(site.effort.outage_s)
    read()
    cable.mend()
    settled(running.tap, site.effort.after_s, lambda: os.kill(source.pid, feeder.QUIET))
    read()
    return Phases(uses, at_us)


def _sample(running: Running, phases: Phases, making_us: float) -> Sample:
    arrivals, _ = read_tap(running.tap_path)
    journey = follow(running.place.sent, arrivals)
    begin_us, cut_us, mended_us, end_us = phases.at_us
    during = journey.within(cut_us, mended_us)
    late = [journey.arrived_us[identity] for identity in during if identity in journey.arrived_us]
    back_us = min(arrival.arrival_us for arrival in arrivals if arrival.arrival_us > mended_us)

    def cpu_us(first: int, last: int) -> float:
        sent = len(journey.within(phases.at_us[first], phases.at_us[last]))
        return (phases.uses[last].cpu_ns - phases.uses[first].cpu_ns) / NS_PER_US / max(1, sent) - making_us

    written = phases.uses[-1].written_bytes - phases.uses[0].written_bytes
    return Sample(
        messages=len(journey.within(begin_us, end_us)),
        lost=journey.lost(journey.since_heard()),
        repeats=journey.repeats,
        reordered=reordered(arrivals),
        cpu_us=cpu_us(0, 3),
        cpu_up_us=cpu_us(0, 1),
        cpu_outage_us=cpu_us(1, 2),
        making_us=making_us,
        drained_s=(max(late) - mended_us) / 1e6,
        drain_per_s=len(late) / max(1e-3, (max(late) - back_us) / 1e6),
        written_ratio=written / payload_bytes(arrivals, cut_us, mended_us),
        rss_max_mb=phases.uses[-1].rss_max_bytes / 1e6,
    )


def _now_us() -> int:
    return time.time_ns() // NS_PER_US


def _rows(rounds: Mapping[str, Sequence[Sample]]) -> list[Row]:
    return [
        medians("CPU per message", "us", rounds, lambda s: s.cpu_us),
        _beside("  this / the bridge", rounds, "cpu_us", "<= 1 at 1,000/s, <= 0.5 at 10,000/s"),
        medians("  with the link up", "us", rounds, lambda s: s.cpu_up_us),
        medians("  in the outage", "us", rounds, lambda s: s.cpu_outage_us),
        medians("  the making, taken off", "us", rounds, lambda s: s.making_us),
        medians("outage drained after the return", "s", rounds, lambda s: s.drained_s),
        medians("drained per second", "messages/s", rounds, lambda s: s.drain_per_s),
        _beside("  this / the bridge", rounds, "drain_per_s", ">= 10"),
        medians("lost, of all sent", "messages", rounds, lambda s: s.lost, "0"),
        medians("came twice", "messages", rounds, lambda s: s.repeats, "<= one window (20 PUBLISHes)"),
        medians("out of order within a topic", "messages", rounds, lambda s: s.reordered, "0"),
        medians("bytes written / payload bytes of the outage", "x", rounds, lambda s: s.written_ratio, "<= 2.0"),
        medians("memory (RSS), peak", "MB", rounds, lambda s: s.rss_max_mb),
    ]


def _beside(figure: str, rounds: Mapping[str, Sequence[Sample]], name: str, goal: str) -> Row:
    """Return each of our columns over the bridge's at the same rate: the median of the rounds' ratios."""
    values: dict[str, float | None] = {}
    for factor in FACTORS:
        bridge, ours = (rounds[_column(peer, factor)] for peer in (BRIDGE.name, OURS))
        pairs = {
            _column(OURS, factor): [
                getattr(mine, name) / getattr(theirs, name) for mine, theirs in zip(ours, bridge, strict=True)
            ]
        }
        row = medians(figure, "x", pairs, float)
        values |= {_column(BRIDGE.name, factor): 1.0, **row.values}
    return Row(figure, "x", values, goal)
