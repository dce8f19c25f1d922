"""Bench: how soon the daemon is there, and what it costs while there is nothing to do.

In: the site     Out: start-up and idle figures. The page cache is warm; a cold disk adds its own time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench.arrivals import read_tap
from bench.peers import EDGETWIN
from bench.procfs import usage, whole_cpu_ns
from bench.report import Section, medians
from bench.site import Running, Site, wait_until
from edgetwin.clock import NS_PER_US

LOAD = "reference"
_METHOD = """\
The daemon with the five channels of the reference load, in a ROS domain where nobody publishes, beside a broker that is
there. The clock runs from exec to the arrival of the retained `online` at a subscriber. One start that is not counted
leaves the bytecode behind, as an installed package has it; the page cache is warm. CPU until then is in ticks of 10 ms.
Idle is the scheduler's time of all threads, the middleware's included, over the window after that.
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One start and the quiet after it."""

    ready_s: float
    ready_cpu_ms: float
    idle_percent: float
    rss_mb: float


def measure(site: Site) -> Section:
    """Start and idle, as many rounds as the effort says, after one start that leaves the bytecode behind."""
    with site.running(EDGETWIN, LOAD, quiet_domain=True) as running:
        _wait_ready(running)
    rounds = {EDGETWIN.name: [_sample(site) for _ in range(site.effort.rounds)]}
    rows = [
        medians("exec to retained `online`", "s", rounds, lambda s: s.ready_s, "<= 1.5"),
        medians("CPU until then", "ms", rounds, lambda s: s.ready_cpu_ms, "<= 500"),
        medians("idle, no publishers", "% of a core", rounds, lambda s: s.idle_percent, "< 0.3"),
        medians("memory (RSS), idle", "MB", rounds, lambda s: s.rss_mb),
    ]
    return Section("start", "Start and idle", rows, rounds, _METHOD)


def _wait_ready(running: Running) -> None:
    wait_until(lambda: "/status" in running.tap.last_words(50), running.child)


def _sample(site: Site) -> Sample:
    with site.running(EDGETWIN, LOAD, quiet_domain=True) as running:
        _wait_ready(running)
        ready_cpu_ms = whole_cpu_ns(running.child.pid) / 1e6
        time.sleep(site.effort.settle_s)
        before, begin_ns = usage(running.child.pid), time.monotonic_ns()
        time.sleep(site.effort.window_s)
        after, end_ns = usage(running.child.pid), time.monotonic_ns()
    _, first_status_us = read_tap(running.tap_path)
    return Sample(
        ready_s=((first_status_us or 0) - running.started_ns // NS_PER_US) / 1e6,
        ready_cpu_ms=ready_cpu_ms,
        idle_percent=100 * (after.cpu_ns - before.cpu_ns) / (end_ns - begin_ns),
        rss_mb=after.rss_bytes / 1e6,
    )
