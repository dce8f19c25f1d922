"""Twin wing: `edgetwin mirror`.

In: its arguments
Out: topics in ROS; what was asked for on stdout; remarks on stderr; 0, or 1 where no broker was ever reached, or 130
on Ctrl-C
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys
from collections.abc import Callable

import uvloop

from edgetwin.clock import Clock, SystemClock
from edgetwin.twin import plot
from edgetwin.twin.looking import Looker
from edgetwin.twin.mirror import Mirror, Report
from edgetwin.twin.options import Wish, wish_of

_FAILED = 1
_INTERRUPTED = 130


def main(arguments: argparse.Namespace) -> int:
    """Run `edgetwin mirror`; return its exit code.

    Raises:
        RefusedError: The arguments cannot be used.
        RosUnavailableError: There is no ROS here.
    """
    wish = wish_of(arguments)
    if wish.plot is not None:
        plot.require()
    plotted = wish.plot is not None
    looker = Looker(sys.stdout, watch=wish.watch, as_json=wish.as_json, csv_path=wish.csv, plotted=plotted)
    try:
        code = uvloop.run(_run(wish, looker, SystemClock()))
    finally:
        looker.close()
        if wish.plot is not None:
            plot.draw(looker.series, wish.plot)
    return code


def _tell(line: str) -> None:
    sys.stderr.write(f"{' '.join(line.split())}\n")
    sys.stderr.flush()


def _both(one: asyncio.Event, other: asyncio.Event) -> Callable[[], None]:
    def set_both() -> None:
        one.set()
        other.set()

    return set_both


async def _run(wish: Wish, looker: Looker, clock: Clock) -> int:
    """Mirror until the end; return the exit code."""
    mirror = Mirror(wish.address, wish.prefix, wish.robots, clock, _tell)
    reached = False

    def look(report: Report) -> None:
        nonlocal reached
        reached = reached or report.linked
        looker.look(report)

    gc.freeze()  # what is here stays: the collector need not walk over it again and again
    gc.set_threshold(20_000, 20, 50)
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    interrupted = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGINT, _both(interrupted, stopping))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(mirror.run(look, always=looker.wants_all))
        waiting = group.create_task(stopping.wait())
        await asyncio.wait((task, waiting), timeout=wish.seconds, return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        waiting.cancel()
    if interrupted.is_set():
        return _INTERRUPTED
    return 0 if reached else _FAILED
