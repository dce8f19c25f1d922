"""Sim wing: the verdict of a demo. Pure.

In: the cloud's ledger and the daemon's last status     Out: figures, as JSON and as a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgetwin.sim.scene import columns, held_back, milliseconds
from edgetwin.sim.subscriber import BACKLOG, LIVE, Ledger


@dataclass(frozen=True, slots=True)
class Summary:
    """What a demo came to.

    Attributes:
        seconds: Its length, from the first record to the robot's stop.
        outage_s: How long the cable was pulled.
        live_again_s: From the cable's return to the first record measured after it; None: none came.
        published: Distinct records that arrived.
        backlog: Those of them that came by the backlog lane.
        held_back: Messages that repeated what was known and never left.
        lost: Numbers that neither arrived nor are explained, those after the newest that arrived included.
        duplicates: Records that came again (at least once permits it).
        waiting: Records still in the outbox when the patience was over.
        unreadable: Messages that are not of the wire format.
        payload_bytes: Of all messages.
        latency_p50_ms: Live records, from measurement to arrival.
        latency_p99_ms: The same.
        channels: (name, messages held back, live, backlog).
    """

    seconds: float
    outage_s: float
    live_again_s: float | None
    published: int
    backlog: int
    held_back: int
    lost: int
    duplicates: int
    waiting: int
    unreadable: int
    payload_bytes: int
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    channels: tuple[tuple[str, int, int, int], ...]

    @property
    def faults(self) -> list[str]:
        """What must not be, one line each; empty when the demo kept its promise."""
        judged = (
            (self.lost, "records are missing"),
            (self.waiting, "records still wait in the outbox"),
            (self.unreadable, "messages could not be read"),
        )
        return [f"{count} {what}" for count, what in judged if count]

    def as_json(self) -> dict[str, Any]:
        """Return the figures under the names of the public interface."""
        return {
            "seconds": round(self.seconds, 3),
            "published": self.published,
            "held_back": self.held_back,
            "backlog": self.backlog,
            "lost": self.lost,
            "duplicates": self.duplicates,
            "waiting": self.waiting,
            "alerts": 0,  # nothing judges and nobody commands in this version; readers rely on the names
            "commands": 0,
            "outage_s": round(self.outage_s, 3),
            "live_again_s": _rounded(self.live_again_s),
            "payload_bytes": self.payload_bytes,
            "latency_ms": {"p50": _rounded(self.latency_p50_ms), "p99": _rounded(self.latency_p99_ms)},
        }

    def lines(self) -> list[str]:
        """Return the summary for a reader."""
        head = ("channel", "held back", "arrived live", "arrived from backlog")
        rows = [head, *((name, f"{held:,}", f"{live:,}", f"{late:,}") for name, held, live, late in self.channels)]
        back = "none came live" if self.live_again_s is None else f"live again after {self.live_again_s:.2f} s"
        arrived = f"{self.published:,} records arrived in {self.seconds:.0f} s, {self.payload_bytes / 1e6:.1f} MB"
        return [
            *columns(rows),
            "",
            f"{arrived}; {self.held_back:,} messages were held back.",
            f"The cable was pulled for {self.outage_s:.1f} s: {back}; {self.backlog:,} records came from the backlog.",
            f"Live latency: p50 {milliseconds(self.latency_p50_ms)}, p99 {milliseconds(self.latency_p99_ms)}.",
            f"Lost: {self.lost}. Twice: {self.duplicates} (at least once permits it).",
        ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def summarise(
    ledger: Ledger, status: Mapping[str, Any], *, seconds: float, outage_s: float, live_again_s: float | None
) -> Summary:
    """Return the verdict on what `ledger` holds."""
    channels = status.get("channels", {})
    return Summary(
        seconds=seconds,
        outage_s=outage_s,
        live_again_s=live_again_s,
        published=ledger.continuity.records,
        backlog=ledger.by_lane(BACKLOG),
        held_back=held_back(status),
        lost=ledger.continuity.lost + _tail(status, ledger),
        duplicates=ledger.continuity.duplicates,
        waiting=int(status.get("outbox", {}).get("records", 0)),
        unreadable=ledger.unreadable,
        payload_bytes=ledger.payload_bytes,
        latency_p50_ms=ledger.latency_ms(50),
        latency_p99_ms=ledger.latency_ms(99),
        channels=tuple(
            (name, int(figures.get("held_back", 0)), ledger.arrived[name, LIVE], ledger.arrived[name, BACKLOG])
            for name, figures in channels.items()
        ),
    )


def _tail(status: Mapping[str, Any], ledger: Ledger) -> int:
    """Return how many numbers the daemon gave above the newest that arrived: no later one would show that hole."""
    tail = 0
    for name, figures in status.get("channels", {}).items():
        tally = ledger.continuity.streams.get((ledger.robot_id, str(status.get("boot")), name))
        newest = tally.accounted.last if tally else -1
        tail += max(0, int(figures.get("published", 0)) - (newest + 1))
    return tail
