"""Keep room: named one-shot timers: asking twice is asking once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """Timers on the running loop.

    Attributes:
        waiting: Those that are set: who asks for each record looks here first.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.waiting: dict[str, asyncio.TimerHandle] = {}
        self._closed = False

    def later(self, name: str, delay_s: float, function: Callable[[], object]) -> None:
        """Call `function` after a while, unless a timer of this name is set, or all are closed."""
        if name in self.waiting or self._closed:
            return

        def run() -> None:
            self.waiting.pop(name, None)
            function()

        self.waiting[name] = self._loop.call_later(delay_s, run)

    def drop(self, name: str) -> None:
        """Cancel one, if it is set."""
        if (timer := self.waiting.pop(name, None)) is not None:
            timer.cancel()

    def clear(self) -> None:
        """Cancel all."""
        for timer in self.waiting.values():
            timer.cancel()
        self.waiting.clear()

    def close(self) -> None:
        """Cancel all, and set no more."""
        self._closed = True
        self.clear()
