"""Sim wing: the verdict of a demo. Pure.

In: the cloud's ledger, the daemon's last status, robot and twin     Out: figures, as JSON and as a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgetwin.motion import Verb, Verdict
from edgetwin.sim.scene import columns, held_back, milliseconds
from edgetwin.sim.side_by_side import Apart
from edgetwin.sim.subscriber import BACKLOG, LIVE, Ledger

_MOVED = {Verdict.ACCEPTED, Verdict.CLAMPED}
_MOST_PERCENT = 95


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
        alerts: What was raised, in words; from the events that arrived.
        failures: What was announced, in words.
        probability: The highest of a failure; None: nothing foretold one.
        commands: Those that the robot answered; pings do not count.
        accepted: Moves that the robot made, clamped ones included.
        refusals: Moves that it refused, by code.
        stops: Stops that it obeyed.
        error_m: Distance between robot and twin that 95 % of the looks stay within while the link was up.
        error_cut_m: The largest distance while the cable was pulled.
        lag_cut_s: How old the twin got meanwhile.
        notes: What was not played, and why.
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
    alerts: tuple[str, ...]
    failures: tuple[str, ...]
    probability: float | None
    commands: int
    accepted: int
    refusals: Mapping[str, int]
    stops: int
    error_m: float | None
    error_cut_m: float | None
    lag_cut_s: float
    notes: tuple[str, ...]

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
            "alerts": len(self.alerts),
            "failures": len(self.failures),
            "probability_max": _rounded(self.probability),
            "commands": self.commands,
            "accepted": self.accepted,
            "refused": sum(self.refusals.values()),
            "stops": self.stops,
            "outage_s": round(self.outage_s, 3),
            "twin": {
                "error_p95_m": _rounded(self.error_m),
                "error_outage_max_m": _rounded(self.error_cut_m),
                "lag_outage_max_s": round(self.lag_cut_s, 3),
            },
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
            *self._twin_lines(),
            *self._judged_lines(),
            *self.notes,
        ]

    def _twin_lines(self) -> list[str]:
        if self.error_m is None or self.error_cut_m is None:
            return []
        linked = f"within {self.error_m:.2f} m of the robot for {_MOST_PERCENT} % of the time with a link"
        cut = f"up to {self.error_cut_m:.2f} m off and {self.lag_cut_s:.1f} s old while the cable was pulled"
        return [f"The twin: {linked}; {cut}."]

    def _judged_lines(self) -> list[str]:
        lines = []
        if self.commands:
            why = f" ({', '.join(f'{code} {count}' for code, count in self.refusals.items())})" if self.refusals else ""
            moves = f"{self.accepted} moves accepted, {sum(self.refusals.values())} refused{why}"
            lines.append(f"Commands answered: {self.commands}; {moves}; stops obeyed: {self.stops}.")
        lines += [f"Alert: {cause}." for cause in self.alerts]
        lines += [f"Failure announced: {text}." for text in self.failures]
        if self.probability is not None:
            lines.append(f"Probability of a failure: {self.probability:.2f} at most.")
        return lines


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def summarise(
    ledger: Ledger, status: Mapping[str, Any], apart: Apart, *, seconds: float, outage_s: float,
    live_again_s: float | None, probability: float | None = None, notes: tuple[str, ...] = (),
) -> Summary:  # fmt: skip
    """Return the verdict on what `ledger` holds."""
    channels = status.get("channels", {})
    moves = [ack for ack in ledger.acks if ack.command == Verb.MOVE]
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
        alerts=tuple(str(event["cause"]) for event in ledger.alerts),
        failures=tuple(str(event["text"]) for event in ledger.failures),
        probability=probability,
        commands=sum(ack.command != Verb.PING for ack in ledger.acks),
        accepted=sum(ack.verdict in _MOVED for ack in moves),
        refusals=Counter(ack.code for ack in moves if ack.verdict not in _MOVED),
        stops=sum(ack.command == Verb.STOP and ack.verdict == Verdict.STOPPED for ack in ledger.acks),
        error_m=float(np.percentile(apart.linked_m, _MOST_PERCENT)) if apart.linked_m else None,
        error_cut_m=max(apart.cut_m, default=None),
        lag_cut_s=apart.lag_max_s,
        notes=notes,
    )


def _tail(status: Mapping[str, Any], ledger: Ledger) -> int:
    """Return how many numbers the daemon gave above the newest that arrived: no later one would show that hole."""
    tail = 0
    for name, figures in status.get("channels", {}).items():
        tally = ledger.continuity.streams.get((ledger.robot_id, str(status.get("boot")), name))
        newest = tally.accounted.last if tally else -1
        tail += max(0, int(figures.get("published", 0)) - (newest + 1))
    return tail
