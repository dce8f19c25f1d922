"""Replay: what the user sees, during and after.

In: messages as they go out, tallies     Out: one updating line on stderr, the text of the summary.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from edgetwin.clock import NS_PER_S, Clock
from edgetwin.sim.player import Tally
from edgetwin.sim.recorded import Recorded

_EVERY_NS = NS_PER_S // 4
_ERASE = "\r\x1b[K"


class Screen:
    """One line on the terminal, rewritten four times a second; nothing where `show` is false."""

    def __init__(self, clock: Clock, *, show: bool) -> None:
        self._clock = clock
        self._show = show
        self._begun_ns = self._next_ns = clock.now_ns()
        self._first_stamp_ns: int | None = None
        self._messages = 0
        self._size_bytes = 0

    def note(self, message: Recorded) -> None:
        """Take notice of a message that went out."""
        if not self._show:
            return
        self._messages += 1
        self._size_bytes += len(message.cdr)
        if self._first_stamp_ns is None:
            self._first_stamp_ns = message.stamp_ns
        now_ns = self._clock.now_ns()
        if now_ns < self._next_ns:
            return
        self._next_ns = now_ns + _EVERY_NS
        at_s = (message.stamp_ns - self._first_stamp_ns) / NS_PER_S
        elapsed_s = (now_ns - self._begun_ns) / NS_PER_S
        sent = f"{self._messages:,} messages, {self._size_bytes / 1e6:,.1f} MB"
        line = f"{_ERASE}{sent}, {at_s:.1f} s of the recording, {elapsed_s:.1f} s elapsed"
        print(line, end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Remove the line."""
        if self._show:
            print(_ERASE, end="", file=sys.stderr, flush=True)


def summary(tallies: Sequence[Tally], elapsed_s: float, *, as_json: bool) -> str:
    """Return what was sent, per topic and in total: a table, or one line of JSON."""
    messages = sum(it.messages for it in tallies)
    size_bytes = sum(it.size_bytes for it in tallies)
    if as_json:
        topics: list[dict[str, Any]] = [
            {"topic": it.topic, "type": it.type_name, "messages": it.messages, "bytes": it.size_bytes} for it in tallies
        ]
        return json.dumps({"seconds": round(elapsed_s, 3), "messages": messages, "bytes": size_bytes, "topics": topics})
    width = max(len(it.topic) for it in tallies)
    lines = [
        f"{it.topic:<{width}}  {it.messages:>9,} messages  {it.size_bytes:>12,} bytes  {it.type_name}" for it in tallies
    ]
    return "\n".join([*lines, f"{messages:,} messages, {size_bytes:,} bytes in {elapsed_s:.1f} s"])
