"""Bench: figures in rows and columns.

In: what each peer measured, round by round     Out: medians, paired ratios, a table as text.
Pure. A figure that does not exist for a peer is None and prints as "-".
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

Sample = TypeVar("Sample")
Rounds: TypeAlias = Mapping[str, Sequence[Sample]]  # peer -> one sample per round


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of every peer.

    Attributes:
        figure: What was measured.
        unit: In which unit; "x" for ratios.
        values: Peer -> median.
        goal: What is asked of edgetwin, in words; "" where there is none.
    """

    figure: str
    unit: str
    values: Mapping[str, float | None]
    goal: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One table.

    Attributes:
        name: For the command line.
        title: For people.
        rows: The table.
        rounds: Every sample behind the medians, for those who doubt them.
        method: How it is measured, one paragraph.
    """

    name: str
    title: str
    rows: Sequence[Row]
    rounds: Mapping[str, Sequence[object]] = field(default_factory=dict)
    method: str = ""


def medians(figure: str, unit: str, rounds: Rounds[Sample], read: Callable[[Sample], float], goal: str = "") -> Row:
    """Return the row of medians of one figure."""
    return Row(figure, unit, {peer: statistics.median(map(read, samples)) for peer, samples in rounds.items()}, goal)


def ratios(figure: str, rounds: Rounds[Sample], base: str, read: Callable[[Sample], float], goal: str = "") -> Row:
    """Return how many times more `base` needs than each peer: the median over the rounds of base / peer."""
    values: dict[str, float | None] = {}
    for peer, samples in rounds.items():
        pairs = zip(map(read, rounds[base]), map(read, samples), strict=True)
        values[peer] = statistics.median(_ratio(*pair) for pair in pairs)
    return Row(figure, "x", values, goal)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(percent / 100 * len(ordered)) - 1))]


def cells(section: Section) -> list[list[str]]:
    """Return the section's table, its header first: figure, unit, a column per peer, goal."""
    peers = list(dict.fromkeys(peer for row in section.rows for peer in row.values))
    lines = [["", "unit", *peers, "goal"]]
    lines += [
        [row.figure, row.unit, *(_number(row.values.get(peer)) for peer in peers), row.goal] for row in section.rows
    ]
    return lines


def text(section: Section) -> str:
    """Return the section as a table."""
    lines = cells(section)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    last = len(widths) - 1
    table = [
        "  ".join(
            cell.ljust(width) if place in {0, 1, last} else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join((f"\n{section.title}", "-" * len(section.title), *table))


def _ratio(base: float, other: float) -> float:
    return base / other if other else math.inf if base else 1.0


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    if math.isinf(value):
        return "inf"
    if value == 0 or abs(value) >= 100:  # noqa: PLR2004  # three digits say enough
        return f"{value:,.0f}"
    return f"{value:.3g}"
