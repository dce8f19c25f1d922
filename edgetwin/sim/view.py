"""Sim wing: shows the demo, on a terminal (rich, redrawn in place) or as plain lines.

In: scenes, several a second     Out: text. Nothing here decides anything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from edgetwin.sim.child import SimulationError
from edgetwin.sim.scene import Scene, foretold, milliseconds, one_line, side_by_side
from edgetwin.twin.age import Age

Show = Callable[[Scene], None]

_PLAIN_EVERY_S = 2.0
_REDRAWS_PER_S = 4
_LIKELY = 0.5
_NO_RICH = (
    "the live view needs rich: pip install 'edgetwin[demo]', or send the output to a file or pipe for plain lines"
)


@contextlib.contextmanager
def open_view(out: TextIO) -> Iterator[Show]:
    """Yield the function that shows a scene: a live table on a terminal, else plain lines.

    Raises:
        SimulationError: `out` is a terminal and rich is not installed.
    """
    if not out.isatty():
        yield _PlainView(out).show
        return
    try:
        from rich.console import Console  # noqa: PLC0415  # an extra; plain lines do without
        from rich.live import Live  # noqa: PLC0415
    except ImportError as error:
        raise SimulationError(_NO_RICH) from error
    with Live(console=Console(file=out), refresh_per_second=_REDRAWS_PER_S) as live:
        yield lambda now: live.update(_drawn(now))


class _PlainView:
    """A line when the story goes on, and the figures every two seconds."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._narration = ""
        self._next_s = 0.0

    def show(self, now: Scene) -> None:
        """Print what is new."""
        if now.narration != self._narration:
            self._narration = now.narration
            print(f"{now.elapsed_s:5.1f} s  {now.narration}", file=self._out, flush=True)
        if now.elapsed_s >= self._next_s:
            self._next_s = now.elapsed_s + _PLAIN_EVERY_S
            print(one_line(now), file=self._out, flush=True)
            if now.pair is not None:
                print(f"         {side_by_side(now.pair)}", file=self._out, flush=True)


def _drawn(now: Scene) -> Any:
    """Return the scene as something rich can draw."""
    from rich.console import Group  # noqa: PLC0415  # open_view has made sure of it
    from rich.panel import Panel  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    up = now.link == "up"
    head = Text.assemble(
        ("link ", "dim"),
        (now.link, "bold green" if up else "bold red"),
        ("   on disk ", "dim"),
        (f"{now.waiting:,}", "bold yellow" if now.waiting else "bold"),
        ("" if now.oldest_s is None else f" (oldest {now.oldest_s:.1f} s)", "dim"),
        ("   missing at the cloud ", "dim"),
        (f"{now.missing:,}", "bold yellow" if now.missing else "bold"),
        ("   latency p50 ", "dim"),
        (milliseconds(now.latency_p50_ms), "bold"),
        ("  p99 ", "dim"),
        (milliseconds(now.latency_p99_ms), "bold"),
    )
    likely = now.prognosis is not None and now.prognosis >= _LIKELY
    judged = Text.assemble(
        ("alerts ", "dim"),
        (f"{now.alerts}", "bold red" if now.alerts else "bold"),
        ("   motor fails soon ", "dim"),
        (foretold(now), "bold red" if likely else "bold"),
        ("   gate ", "dim"),
        (now.gate or "-", "bold"),
    )
    twin = Text("" if now.pair is None else side_by_side(now.pair))
    if now.pair is not None and now.pair.age is not Age.LIVE:
        twin.stylize("yellow")
    table = Table(expand=True)
    table.add_column("channel")
    for title in ("ROS in, 1/s", "to send, 1/s", "held back", "arrived live", "arrived from backlog"):
        table.add_column(title, justify="right")
    for row in now.rows:
        figures = (f"{row.in_hz:.1f}", f"{row.out_hz:.1f}", f"{row.held_back:,}", f"{row.live:,}", f"{row.backlog:,}")
        table.add_row(row.name, *figures)
    title = f"edgetwin demo   {min(now.elapsed_s, now.seconds):.0f} of {now.seconds:.0f} s"
    return Panel(Group(Text(now.narration, style="bold cyan"), Text(), head, judged, twin, table), title=title)
