"""Bench: live latency while a large backlog drains, and what a large backlog does to the start.

In: the site     Out: start, latency and drain rate with a full outbox, beside an empty one.
"""

from __future__ import annotations

import random
import re
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.arrivals import Journey, follow, read_tap
from bench.peers import EDGETWIN, Peer, with_outbox
from bench.procfs import whole_cpu_ns
from bench.report import Section, medians, percentile
from bench.site import Site, wait_until
from bench.streams import LOADS
from edgetwin import status, wire
from edgetwin.clock import NS_PER_US
from edgetwin.records import ChannelClass, Lane
from edgetwin.store.block import Block, pack
from edgetwin.store.database import Database

LOAD = "reference"
EMPTY = "empty outbox"
_METHOD = """\
An outbox file is filled with records of 200 B, in blocks of 100, as an earlier run would have left them. Start: from
exec to the retained `online`, in a ROS domain without publishers, with an empty outbox and with a copy of the full one,
in turn, after one start that is not counted. Latency: the daemon starts with the link cut (a TCP proxy) and the
reference load running; then the link is mended. Live messages published between the first and the last arrival of the
backlog stand in the column of the full outbox, those published in the same process once it is drained in the other.
The drain rate is taken between these two arrivals, at a subscriber of QoS 0, without any delay on the way.
"""
EARLIER: Final = Lane("earlier", "live", "backlog", ChannelClass.CRITICAL)
_BOOT = "earlier-boot"
_SEQ: Final = re.compile(rb'"seq":(\d+)')
_RECORDS_PER_BLOCK = 100  # 1 kHz in blocks of 100 ms
_BLOCKS_PER_APPEND = 50
_MAX_BYTES = 1_000_000_000
_DRAIN_MAX_S = 120.0
_REST_S = 1.0  # what the drain leaves to be done
_TAIL_S = 0.7


@dataclass(frozen=True, slots=True)
class Start:
    """One start."""

    ready_s: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Flow:
    """Live latency over one stretch of time, and what drained in it; NaN where nothing did."""

    messages: int
    p50_ms: float
    p99_ms: float
    drain_per_s: float
    missing: float


def measure(site: Site) -> Section:
    """Start with and without; then drain."""
    full = f"{site.effort.backlog:,} records"
    outbox = site.folder / "earlier.db"
    fill(outbox, site.effort.backlog)
    _start(site, EDGETWIN)  # leaves the bytecode behind
    starts: dict[str, list[Start]] = {EMPTY: [], full: []}
    for _ in range(site.effort.rounds):
        starts[EMPTY].append(_start(site, EDGETWIN))
        starts[full].append(_start(site, with_outbox(outbox)))
    after, during = _drain(site, outbox)
    flows = {EMPTY: [after], full: [during]}
    outbox.unlink()
    rows = [
        medians("exec to retained `online`", "s", starts, lambda s: s.ready_s, "as fast as with none"),
        medians("CPU until then", "ms", starts, lambda s: s.cpu_ms),
        medians("live latency p50", "ms", flows, lambda f: f.p50_ms),
        medians("live latency p99", "ms", flows, lambda f: f.p99_ms, "<= 5 ms more while it drains"),
        medians("live messages in that time", "messages", flows, lambda f: f.messages),
        medians("drained per second", "records/s", flows, lambda f: f.drain_per_s),
        medians("backlog records that never came", "records", flows, lambda f: f.missing, "0"),
    ]
    rounds = {name: [*starts[name], *flows[name]] for name in starts}
    return Section("backlog", _title(site), rows, rounds, _METHOD)


def _title(site: Site) -> str:
    rate_hz = sum(stream.rate_hz for stream in LOADS[LOAD])
    return f"Live lane beside a backlog of {site.effort.backlog:,} records, reference load ({rate_hz} messages/s)"


def fill(path: Path, count: int) -> None:
    """Make an outbox file that holds `count` records of an earlier boot."""
    numbering, noise = wire.Numbering("bench", _BOOT, EARLIER), random.Random(1)
    database = Database(path, _MAX_BYTES)
    blocks: list[Block] = []
    for row in range(1, count // _RECORDS_PER_BLOCK + 1):
        records = [
            numbering.number(
                b'{"temperature":%b,"variance":0.01}' % repr(noise.gauss(40, 1)).encode(),
                stamp_us=(stamp_us := 1_700_000_000_000_000 + 1000 * turn),
                recv_us=stamp_us + 100,
                now_ns=0,
            )
            for turn in range(row * _RECORDS_PER_BLOCK, (row + 1) * _RECORDS_PER_BLOCK)
        ]
        empty = Block(row, EARLIER.name, _BOOT, EARLIER.channel_class, EARLIER.is_event, 0, 0, 0, b"")
        blocks.append(pack(empty, [record.body for record in records], [record.seq for record in records]))
        if len(blocks) == _BLOCKS_PER_APPEND:
            database.append(blocks)
            blocks = []
    database.append(blocks)
    database.close()


def _start(site: Site, peer: Peer) -> Start:
    with site.running(peer, LOAD, quiet_domain=True) as running:
        wait_until(lambda: "/status" in running.tap.last_words(50), running.child)
        cpu_ms = whole_cpu_ns(running.child.pid) / 1e6
    _, first_status_us = read_tap(running.tap_path, ())
    return Start(((first_status_us or 0) - running.started_ns // NS_PER_US) / 1e6, cpu_ms)


def _drain(site: Site, outbox: Path) -> tuple[Flow, Flow]:
    """Return the flow after the drain, and that during it."""
    with site.cable() as cable, site.loaded(LOAD) as load:
        cable.cut()
        with site.running(with_outbox(outbox), LOAD, port=cable.port) as running:
            wait_until(lambda: hears_everything(site), running.child)
            cable.mend()
            wait_until(lambda: is_drained(site), running.child, _DRAIN_MAX_S)
            time.sleep(_REST_S + site.effort.window_s)
            end_us = time.time_ns() // NS_PER_US
            time.sleep(_TAIL_S)
        load.end()
    earlier, _ = read_tap(running.tap_path, {EARLIER.name})
    live, _ = read_tap(running.tap_path, {stream.channel for stream in LOADS[LOAD]})
    journey = follow(load.sent, live)
    begin_us, drained_us = earlier[0].arrival_us, earlier[-1].arrival_us
    came = {seq for arrival in earlier for seq in _SEQ.findall(arrival.payload)}
    during = replace(
        _flow(journey, begin_us, drained_us),
        drain_per_s=len(came) / ((drained_us - begin_us) / 1e6),
        missing=site.effort.backlog - len(came),
    )
    return _flow(journey, drained_us + round(_REST_S * 1e6), end_us), during


def hears_everything(site: Site) -> bool:
    """Whether every channel of the load is heard by the daemon."""
    with suppress(OSError):
        channels = status.read(site.runtime_directory)["channels"]
        return min(float(channel["in_hz"]) for channel in channels.values()) > 0
    return False


def is_drained(site: Site) -> bool:
    """Whether what waits on disk is less than one block of an earlier run."""
    with suppress(OSError):
        figures = status.read(site.runtime_directory)
        return figures["link"]["state"] == "up" and int(figures["outbox"]["records"]) < _RECORDS_PER_BLOCK
    return False


def _flow(journey: Journey, begin_us: int, end_us: int) -> Flow:
    latencies_ms = journey.latencies_ms(journey.within(begin_us, end_us))
    nothing = float("nan")
    return Flow(len(latencies_ms), percentile(latencies_ms, 50), percentile(latencies_ms, 99), nothing, nothing)
