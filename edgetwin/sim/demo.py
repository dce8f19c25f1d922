"""Sim wing: `edgetwin demo`. Everything on one machine, without any set-up.

In: how long     Out: a live view, a verdict, an exit code.

What is played is in script.py and play.py; here are signals, failures and the last words.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import Any, TextIO

from edgetwin.sim.child import SimulationError
from edgetwin.sim.play import Play
from edgetwin.sim.script import Script, plan
from edgetwin.sim.summary import Summary
from edgetwin.sim.view import open_view

SECONDS = 40.0
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIGNAL_EXIT = 128  # a shell's way to say "ended by signal n"; Ctrl-C makes it 130


def run(seconds: float | None, *, as_json: bool) -> int:
    """Play the demo; return the exit code: 0 all arrived, 1 not, 130 on Ctrl-C.

    With `as_json` the last line on stdout is the summary and the story goes to stderr.
    """
    out = sys.stderr if as_json else sys.stdout
    try:
        return asyncio.run(_perform(plan(seconds or SECONDS), out, as_json=as_json))
    except KeyboardInterrupt:  # it came before ours were set
        return _SIGNAL_EXIT + signal.SIGINT


async def _perform(script: Script, out: TextIO, *, as_json: bool) -> int:
    received = _cancel_on_signals()
    failures: list[BaseException] = []
    summary: Summary | None = None
    try:
        with open_view(out) as show:
            summary = await Play(script, show).run()
    except* asyncio.CancelledError:
        if not received:
            raise
    except* SimulationError as group:
        failures = _leaves(group)
    for failure in failures:
        print(f"edgetwin demo: {failure}", file=sys.stderr)
    if summary is None:
        return _SIGNAL_EXIT + received[0] if received else 1
    print("", *summary.lines(), sep="\n", file=out, flush=True)
    if as_json:
        print(json.dumps(summary.as_json()), flush=True)
    for fault in summary.faults:
        print(f"edgetwin demo: {fault}", file=sys.stderr)
    return 1 if summary.faults else 0


def _leaves(error: BaseException) -> list[BaseException]:
    """Return what happened, without the groups that task groups make of it."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for one in error.exceptions for leaf in _leaves(one)]


def _cancel_on_signals() -> list[int]:
    """Let the ending signals cancel the running task, once; return the list of those that came."""
    received: list[int] = []
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()

    def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not received:  # what a connection says that is cut off half made is no news to who ends it
            loop.default_exception_handler(context)

    loop.set_exception_handler(complain)

    def end(signum: int) -> None:
        received.append(signum)
        if task is not None and len(received) == 1:
            task.cancel()

    for signum in _ENDING_SIGNALS:
        loop.add_signal_handler(signum, end, signum)
    return received
