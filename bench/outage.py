"""Bench: the broker freezes (SIGSTOP: the kernel still takes bytes, nobody answers), then goes on.

In: the site     Out: per peer what was lost or came twice, how fast the backlog drained, what the disk bore.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from bench.arrivals import Arrival, Journey, follow, payload_bytes, read_tap
from bench.peers import EDGETWIN, TUTORIAL, Peer
from bench.procfs import Usage, usage
from bench.report import Rounds, Row, Section, medians
from bench.site import Running, Site
from bench.streams import LOADS
from edgetwin import status, wire
from edgetwin.clock import NS_PER_US
from edgetwin.continuity import Continuity

LOAD = "small"
PEERS = (EDGETWIN, TUTORIAL)
_METHOD = """\
The broker is frozen (SIGSTOP): the kernel goes on taking bytes, nobody answers, and only a keepalive can tell. The load
goes on; then the broker does, and the load lasts a little longer. A message is known by its channel and stamp; lost is
what was sent since its channel was first heard and never came, and for edgetwin also what is missing in the records'
own numbers with no `gap` event to explain it. CPU and bytes written are those of the outage itself.
"""
_DRAIN_MAX_S = 20.0
_POLL_S = 0.2
_CALM_POLLS = 8  # status.json is rewritten once a second


@dataclass(frozen=True, slots=True)
class Outage:
    """One outage [us, UTC] and what was read around it."""

    running: Running
    journey: Journey
    arrivals: list[Arrival]
    begin_us: int
    end_us: int
    before: Usage
    after: Usage


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of one outage; NaN where a peer has no such thing."""

    messages: int
    lost: int
    lost_numbers: float
    repeats: int
    reordered: float
    first_live_s: float
    drained_s: float
    drain_per_s: float
    cpu_us: float
    written_ratio: float
    rss_mb: float


def measure(site: Site) -> Section:
    """One outage per peer."""
    rounds: dict[str, list[Sample]] = {}
    for peer in PEERS[: site.effort.outage_peers]:
        outage = _suffer(site, peer)
        rounds[peer.name] = [_sample(outage, peer)]
    rate_hz = sum(stream.rate_hz for stream in LOADS[LOAD])
    title = f"Outage: {rate_hz:,} small messages/s, broker frozen for {site.effort.outage_s:g} s"
    return Section("outage", title, _rows(rounds), rounds, _METHOD)


def _suffer(site: Site, peer: Peer) -> Outage:
    with site.loaded(LOAD) as load, site.running(peer, LOAD, qos=1) as running:
        site.wait_flowing(running)
        before, begin_us = usage(running.child.pid), time.time_ns() // NS_PER_US
        site.broker.pause()
        try:
            time.sleep(site.effort.outage_s)
        finally:
            after, end_us = usage(running.child.pid), time.time_ns() // NS_PER_US
            site.broker.resume()
        time.sleep(site.effort.after_s)
        load.end()
        _wait_drained(site, running)
    arrivals, _ = read_tap(running.tap_path)
    return Outage(running, follow(load.sent, arrivals), arrivals, begin_us, end_us, before, after)


def _wait_drained(site: Site, running: Running) -> None:
    """Return once the peer says that nothing waits, or after a while where it says nothing."""
    deadline_s = time.monotonic() + _DRAIN_MAX_S
    calm = 0
    while calm < _CALM_POLLS and time.monotonic() < deadline_s:
        running.child.check()
        with suppress(OSError):
            outbox = status.read(site.runtime_directory)["outbox"]
            waits = outbox["records"] + outbox["waiting"] + outbox["in_flight"]
            calm = 0 if waits else calm + 1
        time.sleep(_POLL_S)


def _sample(outage: Outage, peer: Peer) -> Sample:
    journey = outage.journey
    during = journey.within(outage.begin_us, outage.end_us)
    live_after = [
        arrival.arrival_us
        for arrival in outage.arrivals
        if arrival.lane == "telemetry" and min(arrival.arrival_us, max(arrival.stamps_us())) > outage.end_us
    ]
    late = [journey.arrived_us[identity] for identity in during if identity in journey.arrived_us]
    drained_s = (max(late) - outage.end_us) / 1e6 if late else float("nan")
    books = _books(outage.arrivals) if peer is not TUTORIAL else None
    return Sample(
        messages=len(during),
        lost=journey.lost(journey.since_heard()),
        lost_numbers=books.lost if books else float("nan"),
        repeats=journey.repeats,
        reordered=books.reordered if books else float("nan"),
        first_live_s=(min(live_after) - outage.end_us) / 1e6 if live_after else float("nan"),
        drained_s=drained_s,
        drain_per_s=len(late) / drained_s,
        cpu_us=(outage.after.cpu_ns - outage.before.cpu_ns) / NS_PER_US / len(during),
        written_ratio=(outage.after.written_bytes - outage.before.written_bytes)
        / payload_bytes(outage.arrivals, outage.begin_us, outage.end_us),
        rss_mb=outage.after.rss_bytes / 1e6,
    )


def _books(arrivals: list[Arrival]) -> Continuity:
    books = Continuity()
    for arrival in arrivals:
        for record in wire.decode(arrival.payload):
            books.note(record, lane=arrival.lane)
    return books


def _rows(rounds: Rounds[Sample]) -> list[Row]:
    return [
        medians("lost, of all sent", "messages", rounds, lambda s: s.lost, "0"),
        medians("lost, by the record's numbers", "records", rounds, lambda s: s.lost_numbers, "0"),
        medians("came twice", "messages", rounds, lambda s: s.repeats, "<= one window (20)"),
        medians("out of order within a lane", "records", rounds, lambda s: s.reordered, "0"),
        medians("first live record after return", "s", rounds, lambda s: s.first_live_s, "<= 3"),
        medians("outage drained after return", "s", rounds, lambda s: s.drained_s),
        medians("drained per second", "messages/s", rounds, lambda s: s.drain_per_s),
        medians("CPU per message, in the outage", "us", rounds, lambda s: s.cpu_us),
        medians("bytes written / payload bytes", "x", rounds, lambda s: s.written_ratio, "<= 2.0"),
        medians("memory (RSS) at its end", "MB", rounds, lambda s: s.rss_mb),
    ]
