"""Bench: three ways to keep what cannot leave: mosquitto as a bridge, paho's queue in memory, edgetwin.

In: the site     Out: per way what an outage cost: lost, repeated, out of order, time, CPU, disk, memory;
and what a kill -9 in the middle of one cost.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import sensor, tap
from bench.arrivals import follow, payload_bytes, read_tap, reordered
from bench.peers import BRIDGE, EDGETWIN, PAHO, Peer
from bench.procfs import Usage, usage
from bench.report import Rounds, Row, Section, medians
from bench.site import Cable, Running, Site, wait_until
from bench.streams import LOADS
from edgetwin.clock import NS_PER_US
from edgetwin.sim.child import Child
from edgetwin.sim.ports import answers

LOAD = "sensors"
PEERS = (BRIDGE, PAHO, EDGETWIN)
_METHOD = """\
Three gateways carry the same load, one after the other, over a cable (a TCP proxy) that is cut and mended: a cut
resets the connection and refuses new ones. The bridge is a local mosquitto with persistence, a save every second,
a queue that drops nothing, QoS 1 and a reconnect each second; a small paho publisher feeds it. paho is one process
that makes the messages and keeps them in its own queue (QoS 1, unlimited). edgetwin is the daemon, fed over ROS 2
with Temperature messages at the same rate, every message forwarded; its records are of about the same size. CPU is that
of the gateway's process over the whole run, link up, outage and drain, per message sent: the bridge's without its
publisher, paho's with the making of the messages, edgetwin's with the middleware and once without the middleware's own
threads. Bytes written are those of the whole run, compared with the payload of what was sent in the outage. Lost
counts every message that the source sent and nobody received; out of order is judged within a topic. The kill is a
run of its own: half way through the outage the gateway is killed and started again (paho is its own source, and stays
away); lost are messages sent before that.
"""
_HEARD_MAX_S = 30.0
_DRAIN_MAX_S = 120.0


@dataclass(frozen=True, slots=True)
class Flow:
    """A source, a gateway and a cable."""

    running: Running
    cable: Cable
    sent: Path
    quiet: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of one way; NaN where nobody measured."""

    messages: int
    lost: int
    repeats: int
    reordered: int
    back_s: float
    drained_s: float
    drain_per_s: float
    cpu_us: float
    cpu_without_dds_us: float
    written_ratio: float
    rss_max_mb: float
    lost_at_kill: float


@dataclass(frozen=True, slots=True)
class Outage:
    """When the cable was cut and mended [us, UTC], and what the gateway used around it."""

    begin_us: int
    cut_us: int
    mended_us: int
    end_us: int
    before: Usage
    after: Usage


def measure(site: Site) -> Section:
    """One outage and one kill per way."""
    rounds = {peer.name: [_sample(site, peer)] for peer in PEERS}
    rate_hz = sum(stream.rate_hz for stream in LOADS[LOAD])
    load = f"{rate_hz:,} messages/s of {sensor.PAYLOAD_BYTES} B"
    title = f"Store and forward: {load}, link cut for {site.effort.outage_s:g} s"
    return Section("store", title, _rows(rounds), rounds, _METHOD)


def _sample(site: Site, peer: Peer) -> Sample:
    with site.cable() as cable, _flow(site, peer, cable) as flow:
        outage = _suffer(site, flow)
    arrivals, _ = read_tap(flow.running.tap_path)
    journey = follow(flow.sent, arrivals)
    sent, during = journey.within(outage.begin_us, outage.end_us), journey.within(outage.cut_us, outage.mended_us)
    after = [arrival.arrival_us for arrival in arrivals if arrival.arrival_us > outage.mended_us]
    late = [journey.arrived_us[identity] for identity in during if identity in journey.arrived_us]
    back_us, drained_us = min(after), max(late)
    used_ns = outage.after.cpu_ns - outage.before.cpu_ns
    dds_ns = outage.after.dds_ns - outage.before.dds_ns
    written = outage.after.written_bytes - outage.before.written_bytes
    return Sample(
        messages=len(during),
        lost=journey.lost(journey.since_heard()),
        repeats=journey.repeats,
        reordered=reordered(arrivals),
        back_s=(back_us - outage.mended_us) / 1e6,
        drained_s=(drained_us - outage.mended_us) / 1e6,
        drain_per_s=len(late) / max(1e-3, (drained_us - back_us) / 1e6),
        cpu_us=used_ns / NS_PER_US / len(sent),
        cpu_without_dds_us=(used_ns - dds_ns) / NS_PER_US / len(sent),
        written_ratio=written / payload_bytes(arrivals, outage.cut_us, outage.mended_us),
        rss_max_mb=outage.after.rss_max_bytes / 1e6,
        lost_at_kill=_lost_at_kill(site, peer) if site.effort.kills else float("nan"),
    )


def _suffer(site: Site, flow: Flow) -> Outage:
    pid = flow.running.child.pid
    before, begin_us = usage(pid), _now_us()
    time.sleep(site.effort.settle_s)
    flow.cable.cut()
    cut_us = _now_us()
    time.sleep(site.effort.outage_s)
    flow.cable.mend()
    mended_us = _now_us()
    settled(flow.running.tap, site.effort.after_s, flow.quiet)
    return Outage(begin_us, cut_us, mended_us, _now_us(), before, usage(pid))


def _lost_at_kill(site: Site, peer: Peer) -> int:
    """Kill the gateway half way through an outage; return how many messages from before that never came."""
    with site.cable() as cable, _flow(site, peer, cable) as flow, ExitStack() as stack:
        flow.cable.cut()
        time.sleep(site.effort.outage_s / 2)
        killed_us = _now_us()
        flow.running.child.kill()
        if peer is not PAHO:  # its source died with it: nobody is left to wait for
            stack.enter_context(site.again(flow.running))
            time.sleep(site.effort.settle_s)
            flow.cable.mend()
            settled(flow.running.tap, site.effort.after_s, flow.quiet)
    arrivals, _ = read_tap(flow.running.tap_path)
    journey = follow(flow.sent, arrivals)
    return journey.lost(identity for identity in journey.since_heard() if journey.sent_us[identity] < killed_us)


@contextmanager
def _flow(site: Site, peer: Peer, cable: Cable) -> Iterator[Flow]:
    """Run a gateway and what feeds it; messages arrive when this yields."""
    with ExitStack() as stack:
        load = stack.enter_context(site.loaded(LOAD)) if peer is EDGETWIN else None
        running = stack.enter_context(site.running(peer, LOAD, qos=1, port=cable.port, topics="+/+"))
        place = running.place
        if load is not None:
            flow = Flow(running, cable, load.sent, load.end)
        elif peer is BRIDGE:
            wait_until(lambda: answers(place.local_port), running.child)
            feeding = stack.enter_context(site.sensing(place))
            flow = Flow(running, cable, place.sent, lambda: _hush(feeding))
        else:
            flow = Flow(running, cable, place.sent, lambda: _hush(running.child))
        site.wait_flowing(running)
        yield flow


def _hush(child: Child) -> None:
    os.kill(child.pid, sensor.QUIET)


def settled(tapping: Child, after_s: float, quiet: Callable[[], None]) -> None:
    """Return once the link is used again, the source has said its last, and everything that comes has come."""
    wait_until(lambda: not _silent(tapping), tapping, _HEARD_MAX_S)
    time.sleep(after_s)
    quiet()
    wait_until(lambda: _silent(tapping), tapping, _DRAIN_MAX_S)


def _silent(tapping: Child) -> bool:
    """Whether the tap has heard nothing for a second; names of new topics come in between."""
    said = [word for word in tapping.last_words(20).splitlines() if word in {tap.SILENT, tap.HEARD}]
    return said[-1:] == [tap.SILENT]


def _now_us() -> int:
    return time.time_ns() // NS_PER_US


def _rows(rounds: Rounds[Sample]) -> list[Row]:
    return [
        medians("lost, of all sent", "messages", rounds, lambda s: s.lost, "0"),
        medians("lost by kill -9 in the outage", "messages", rounds, lambda s: s.lost_at_kill, "<= 200: one interval"),
        medians("came twice", "messages", rounds, lambda s: s.repeats, "<= one window (20)"),
        medians("out of order within a topic", "messages", rounds, lambda s: s.reordered, "0"),
        medians("first message after the return", "s", rounds, lambda s: s.back_s, "<= 3"),
        medians("outage drained after the return", "s", rounds, lambda s: s.drained_s),
        medians("drained per second", "messages/s", rounds, lambda s: s.drain_per_s, ">= 10 x the bridge"),
        medians("CPU per message", "us", rounds, lambda s: s.cpu_us, "<= 1 x the bridge, without ROS"),
        medians("  without the middleware's threads", "us", rounds, lambda s: s.cpu_without_dds_us),
        medians("bytes written / payload bytes", "x", rounds, lambda s: s.written_ratio, "<= 2.0"),
        medians("memory (RSS), peak", "MB", rounds, lambda s: s.rss_max_mb),
    ]
