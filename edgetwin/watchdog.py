"""Roof: feeds systemd's watchdog, and only while every lane gets on.

In: the hearts of the lanes     Out: signs of life, or none; one log line per lane that goes silent or returns.

It runs on the main loop, so the loop's own progress is that this is called at all. A silence is logged at once:
the stacks that follow (the watchdog's SIGABRT, faulthandler) then have their reason above them in the journal.
"""

from __future__ import annotations

import asyncio
import logging

from edgetwin.notify import Systemd
from edgetwin.progress import Progress

_log = logging.getLogger("edgetwin")

_FEEDS_PER_LIMIT = 5  # of four in a row each may be late or lost
_PERIOD_S = 1.0  # where nobody waits for us: still worth a log line


class Watchdog:
    """Looks after the lanes for as long as it runs."""

    def __init__(self, progress: Progress, systemd: Systemd, limit_s: float | None) -> None:
        """Nothing happens before `run`.

        Args:
            progress: The lanes.
            systemd: Who is fed.
            limit_s: How long systemd waits for a sign of life [s]; None: not at all.
        """
        self._progress = progress
        self._systemd = systemd
        self._period_s = _PERIOD_S if limit_s is None else limit_s / _FEEDS_PER_LIMIT
        self._silent: set[str] = set()

    async def run(self) -> None:
        """Feed until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(self._period_s)

    def look(self) -> None:
        """Feed if every lane gets on; say which does not, once."""
        late = self._progress.late()
        if not late:
            self._systemd.alive()
        for one in late:
            if one.name not in self._silent:
                _log.critical(
                    "No progress of %s; the watchdog is not fed any more.", one,
                    extra={"EVENT": "watchdog.silent", "LANE": one.name, "SILENT_S": one.silent_s},
                )  # fmt: skip
        names = {one.name for one in late}
        for name in sorted(self._silent - names):
            _log.warning("%s gets on again.", name, extra={"EVENT": "watchdog.mended", "LANE": name})
        self._silent = names
