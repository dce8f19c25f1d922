"""Sim wing: one moment of the demo, in figures and words. Pure.

In: the daemon's status.json, the cloud's ledger, robot and twin     Out: a scene to show; plain lines of it.

Every key of the status is optional: the daemon may not have written its first one yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgetwin.sim.side_by_side import Pair
from edgetwin.sim.subscriber import BACKLOG, LIVE, Ledger

_RECENT_RECORDS = 1000
_DASH = "-"


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """One channel: what ROS gives, what leaves, what is held back; and what arrived at the other end."""

    name: str
    in_hz: float
    out_hz: float
    held_back: int
    live: int
    backlog: int


@dataclass(frozen=True, slots=True)
class Scene:
    """What there is to see at one moment.

    Attributes:
        elapsed_s: Since the first record arrived.
        seconds: Planned length.
        narration: What is happening, in one line.
        link: The daemon's own word for its link.
        waiting: Records in the outbox.
        oldest_s: Age of the oldest of them.
        missing: Numbers that have not arrived yet, of those below the newest that has.
        latency_p50_ms: Of recent live records.
        latency_p99_ms: The same.
        rows: One per channel.
        alerts: Anomalies that were raised, as far as the cloud has heard.
        prognosis: Probability that the motor fails soon, by the robot's own word; None: it has none yet.
        phase: What the prognosis is at.
        gate: State of the robot's gate, by its newest ack; "" before the first.
        pair: Robot and twin; None before both are known.
    """

    elapsed_s: float
    seconds: float
    narration: str
    link: str
    waiting: int
    oldest_s: float | None
    missing: int
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    rows: tuple[ChannelRow, ...]
    alerts: int = 0
    prognosis: float | None = None
    phase: str = ""
    gate: str = ""
    pair: Pair | None = None


def scene(
    status: Mapping[str, Any], ledger: Ledger, *, elapsed_s: float, seconds: float, narration: str,
    pair: Pair | None = None,
) -> Scene:  # fmt: skip
    """Return the scene of this moment."""
    outbox = status.get("outbox", {})
    return Scene(
        elapsed_s=elapsed_s,
        seconds=seconds,
        narration=narration,
        link=str(status.get("link", {}).get("state", "starting")),
        waiting=int(outbox.get("records", 0)),
        oldest_s=outbox.get("oldest_s"),
        missing=ledger.continuity.lost,
        latency_p50_ms=ledger.latency_ms(50, last=_RECENT_RECORDS),
        latency_p99_ms=ledger.latency_ms(99, last=_RECENT_RECORDS),
        rows=tuple(_row(name, figures, ledger) for name, figures in status.get("channels", {}).items()),
        alerts=len(ledger.alerts),
        prognosis=probability(status),
        phase=str(_prognosis(status).get("phase", "")),
        gate=ledger.acks[-1].state if ledger.acks else "",
        pair=pair,
    )


def probability(status: Mapping[str, Any]) -> float | None:
    """Return the newest probability of a failure; None where there is none."""
    value = _prognosis(status).get("probability")
    return float(value) if isinstance(value, int | float) else None


def _prognosis(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the figures of the demo's one prognosis."""
    figures: Mapping[str, Any] = status.get("prognosis", {})
    return next(iter(figures.values()), {})


def _row(name: str, figures: Mapping[str, Any], ledger: Ledger) -> ChannelRow:
    return ChannelRow(
        name=name,
        in_hz=float(figures.get("in_hz", 0.0)),
        out_hz=float(figures.get("out_hz", 0.0)),
        held_back=int(figures.get("held_back", 0)),
        live=ledger.arrived[name, LIVE],
        backlog=ledger.arrived[name, BACKLOG],
    )


def held_back(status: Mapping[str, Any]) -> int:
    """Return how many messages the daemon has held back, over all channels."""
    return sum(int(figures.get("held_back", 0)) for figures in status.get("channels", {}).values())


def milliseconds(value: float | None) -> str:
    """Return a latency for a reader."""
    return _DASH if value is None else f"{value:.1f} ms"


def one_line(now: Scene) -> str:
    """Return the scene in one line, for a log."""
    live = sum(row.live for row in now.rows)
    backlog = sum(row.backlog for row in now.rows)
    return (
        f"{now.elapsed_s:5.1f} s  link {now.link:<8}  live {live:>6}  backlog {backlog:>6}  on disk {now.waiting:>6}  "
        f"latency p50 {milliseconds(now.latency_p50_ms)} p99 {milliseconds(now.latency_p99_ms)}  "
        f"alerts {now.alerts}  failure {foretold(now)}"
    )


def foretold(now: Scene) -> str:
    """Return the probability of a failure for a reader, or why there is none."""
    return now.phase.replace("_", " ") or _DASH if now.prognosis is None else f"{100 * now.prognosis:.0f} %"


def side_by_side(pair: Pair) -> str:
    """Return robot and twin in one line."""
    (robot_x, robot_y), (twin_x, twin_y) = pair.robot, pair.twin
    return (
        f"robot at {robot_x:+.2f} {robot_y:+.2f} m, twin at {twin_x:+.2f} {twin_y:+.2f} m: "
        f"{pair.error_m:.2f} m apart; the twin is {pair.age}, {pair.lag_s:.1f} s old"
    )


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of words as aligned lines: the first column to the left, figures to the right."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for row in rows:
        words = [word.rjust(width) for word, width in zip(row, widths, strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *words[1:]]).rstrip())
    return lines
