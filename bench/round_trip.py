"""Bench: a backlog drains over a long line, with the reference load live beside it.

In: the site     Out: per round trip: drain rate, and how much longer than the line live messages took.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from bench import cable
from bench.arrivals import follow, read_tap
from bench.backlog import EARLIER, fill, hears_everything
from bench.ending import unbroken
from bench.peers import with_outbox
from bench.report import Section, medians, percentile
from bench.site import Cable, Site, wait_until
from bench.streams import LOADS
from edgetwin import status
from edgetwin.clock import NS_PER_US
from edgetwin.sim.child import Child

LOAD = "reference"
ROUND_TRIPS_MS = {100.0: 1, 1000.0: 5}  # -> by how much its backlog is smaller, so that it ends
_METHOD = """\
As in the section before, but the cable is long: every byte comes half a round trip later, each way, on a line that is
not narrow. The broker is mosquitto as it comes: 20 PUBLISHes may be unacknowledged (Receive Maximum). The drain rate is
taken from the first arrival of the backlog to its last. Live latency is what a message took beyond the line itself,
while the backlog drains and after it, in the time that the window lasts.
"""
_SEQ: Final = re.compile(rb'"seq":(\d+)')
_DRAIN_MAX_S = 90.0
_TAIL_S = 0.7


@dataclass(frozen=True, slots=True)
class Flow:
    """The figures of one line."""

    records: int
    missing: int
    drain_per_s: float
    during_p50_ms: float
    during_p99_ms: float
    after_p50_ms: float
    after_p99_ms: float
    late: int
    lost: int


def measure(site: Site) -> Section:
    """One drain per length of line."""
    rounds = {f"{line_ms:,.0f} ms": [_drain(site, line_ms, share)] for line_ms, share in ROUND_TRIPS_MS.items()}
    rate_hz = sum(stream.rate_hz for stream in LOADS[LOAD])
    rows = [
        medians("drained per second", "records/s", rounds, lambda f: f.drain_per_s, ">= 40,000 at 100 ms"),
        medians("backlog", "records", rounds, lambda f: f.records),
        medians("backlog records that never came", "records", rounds, lambda f: f.missing, "0"),
        medians("live, beyond the line, p50, while it drains", "ms", rounds, lambda f: f.during_p50_ms),
        medians("live, beyond the line, p99, while it drains", "ms", rounds, lambda f: f.during_p99_ms),
        medians("live, beyond the line, p50, after it", "ms", rounds, lambda f: f.after_p50_ms),
        medians("live, beyond the line, p99, after it", "ms", rounds, lambda f: f.after_p99_ms),
        medians("live messages that came as backlog", "messages", rounds, lambda f: f.late, "0"),
        medians("live messages that never came", "messages", rounds, lambda f: f.lost, "0"),
    ]
    title = f"A long line: a backlog and the reference load ({rate_hz} messages/s), by round trip"
    return Section("round_trip", title, rows, rounds, _METHOD)


def _drain(site: Site, line_ms: float, share: int) -> Flow:
    records = site.effort.backlog // share
    outbox = site.folder / "long.db"
    fill(outbox, records)
    with _long_cable(site, line_ms) as line, site.loaded(LOAD) as load:
        line.cut()
        with site.running(with_outbox(outbox), LOAD, port=line.port) as running:
            wait_until(lambda: hears_everything(site), running.child)
            line.mend()
            wait_until(lambda: _is_drained(site), running.child, _DRAIN_MAX_S)
            settled_us = _now_us()
            time.sleep(site.effort.window_s + line_ms / 1000)
            end_us = _now_us() - round(line_ms * 1000)
            load.end()
            time.sleep(_TAIL_S + 2 * line_ms / 1000)
    outbox.unlink()
    earlier, _ = read_tap(running.tap_path, {EARLIER.name})
    live, _ = read_tap(running.tap_path, {stream.channel for stream in LOADS[LOAD]})
    journey = follow(load.sent, live)
    begin_us, drained_us = earlier[0].arrival_us, earlier[-1].arrival_us
    came = {seq for arrival in earlier for seq in _SEQ.findall(arrival.payload)}
    during, after = (
        [latency - line_ms / 2 for latency in journey.latencies_ms(journey.within(*window))]
        for window in ((begin_us, drained_us), (settled_us, end_us))
    )
    late = [stamp for arrival in live if arrival.lane == "backlog" for stamp in arrival.stamps_us()]
    return Flow(
        records=records,
        missing=records - len(came),
        drain_per_s=len(came) / max(1e-3, (drained_us - begin_us) / 1e6),
        during_p50_ms=percentile(during, 50),
        during_p99_ms=percentile(during, 99),
        after_p50_ms=percentile(after, 50),
        after_p99_ms=percentile(after, 99),
        late=sum(stamp > begin_us for stamp in late),
        lost=journey.lost(journey.within(begin_us, end_us)),
    )


@contextmanager
def _long_cable(site: Site, line_ms: float) -> Iterator[Cable]:
    argv = [sys.executable, "-m", "bench.cable", str(site.broker.port), str(line_ms)]
    with ExitStack() as stack:
        with unbroken():
            log = site.folder / f"cable-{line_ms:.0f}-ms.log"
            child = stack.enter_context(Child("cable", argv, log_path=log, environ=dict(os.environ)))
        wait_until(lambda: cable.READY in child.last_words(1), child)
        yield Cable(child, int(child.last_words(1).removeprefix(cable.READY)))


def _is_drained(site: Site) -> bool:
    """Whether nothing waits for the backlog lane; on a long line there are always rows whose PUBACK is under way."""
    with suppress(OSError):
        figures = status.read(site.runtime_directory)
        return figures["link"]["state"] == "up" and int(figures["outbox"]["backlog"]) == 0
    return False


def _now_us() -> int:
    return time.time_ns() // NS_PER_US
