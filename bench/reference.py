"""Bench: the whole daemon at the reference load, each message forwarded, link up.

In: the site     Out: per peer CPU, disk, memory, latency and losses, with the goals beside them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.arrivals import Arrival, Journey, follow, read_tap
from bench.peers import COALESCED, EDGETWIN, TUTORIAL, Peer
from bench.procfs import Usage, usage
from bench.report import Rounds, Row, Section, medians, percentile, ratios
from bench.site import Running, Site
from edgetwin.clock import NS_PER_US

LOAD = "reference"
PEERS = (TUTORIAL, EDGETWIN, COALESCED)
_METHOD = """\
Tutorial: one executor, typed subscriptions, json.dumps, paho with QoS 1, and an INSERT and a COMMIT per message.
edgetwin: the daemon with every message forwarded, every record alone, and once with `coalesce_s = 0.1`. The load is
Odometry 50 Hz, JointState with 7 joints 100 Hz, Imu 200 Hz, a LaserScan of 720 beams 10 Hz and a BatteryState 1 Hz,
from a process of its own. The peers run in turn; each settles before its window begins. CPU is the scheduler's time of
all threads of the process, bytes written are those the kernel charges to it, and latency runs from the moment the
robot published to the arrival at a bare MQTT subscriber, all on one machine over loopback.
"""
_TAIL_S = 0.7  # what is under way at the end of the window still arrives


@dataclass(frozen=True, slots=True)
class Window:
    """What one peer used between two moments [us, UTC]."""

    peer: Peer
    running: Running
    begin_us: int
    end_us: int
    before: Usage
    after: Usage


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of one window; "per message" is per message that the robot published in it."""

    messages: int
    cpu_us: float
    core_percent: float
    written_bytes: float
    rss_mb: float
    latency_p50_ms: float
    latency_p99_ms: float
    lost: int
    wire_bytes: float
    publishes: float


def measure(site: Site) -> Section:
    """Measure the peers in turn, as many rounds as the effort says."""
    windows: list[Window] = []
    with site.loaded(LOAD) as load:
        for _ in range(site.effort.rounds):
            windows += [_window(site, peer) for peer in PEERS]
        load.end()
    rounds: dict[str, list[Sample]] = {peer.name: [] for peer in PEERS}
    for window in windows:
        arrivals, _ = read_tap(window.running.tap_path)
        rounds[window.peer.name].append(_sample(window, arrivals, follow(load.sent, arrivals)))
    title = "Whole daemon, reference load (361 messages/s), link up"
    return Section("reference", title, _rows(rounds), rounds, _METHOD)


def _window(site: Site, peer: Peer) -> Window:
    with site.running(peer, LOAD) as running:
        site.wait_flowing(running)
        before, begin_us = usage(running.child.pid), time.time_ns() // NS_PER_US
        time.sleep(site.effort.window_s)
        after, end_us = usage(running.child.pid), time.time_ns() // NS_PER_US
        time.sleep(_TAIL_S)
    return Window(peer, running, begin_us, end_us, before, after)


def _sample(window: Window, arrivals: list[Arrival], journey: Journey) -> Sample:
    sent = journey.within(window.begin_us, window.end_us)
    messages = max(1, len(sent))
    cpu_us = (window.after.cpu_ns - window.before.cpu_ns) / NS_PER_US
    latencies_ms = journey.latencies_ms(sent)
    inside = [arrival for arrival in arrivals if window.begin_us <= arrival.arrival_us < window.end_us]
    return Sample(
        messages=len(sent),
        cpu_us=cpu_us / messages,
        core_percent=100 * cpu_us / (window.end_us - window.begin_us),
        written_bytes=(window.after.written_bytes - window.before.written_bytes) / messages,
        rss_mb=window.after.rss_bytes / 1e6,
        latency_p50_ms=percentile(latencies_ms, 50),
        latency_p99_ms=percentile(latencies_ms, 99),
        lost=journey.lost(sent),
        wire_bytes=sum(arrival.wire_bytes for arrival in inside) / messages,
        publishes=len(inside) / messages,
    )


def _rows(rounds: Rounds[Sample]) -> list[Row]:
    base = TUTORIAL.name
    return [
        ratios("CPU per message: tutorial / this", rounds, base, lambda s: s.cpu_us, ">= 10; >= 18 with 0.1 s"),
        ratios("bytes written: tutorial / this", rounds, base, lambda s: s.written_bytes, ">= 100"),
        medians("CPU per message", "us", rounds, lambda s: s.cpu_us),
        medians("share of a core", "%", rounds, lambda s: s.core_percent),
        medians("written to disk per message", "B", rounds, lambda s: s.written_bytes),
        medians("memory (RSS)", "MB", rounds, lambda s: s.rss_mb, "<= 110"),
        medians("latency p50, published to arrived", "ms", rounds, lambda s: s.latency_p50_ms),
        medians("latency p99", "ms", rounds, lambda s: s.latency_p99_ms, "<= 10, every record alone"),
        medians("lost", "messages", rounds, lambda s: s.lost, "0"),
        medians("MQTT bytes per message", "B", rounds, lambda s: s.wire_bytes),
        medians("MQTT publishes per message", "", rounds, lambda s: s.publishes),
    ]
