"""Roof: the daemon's signs of life, lane by lane, and what they say to systemd.

In: lanes that come round; the first attempt to connect; figures     Out: hearts that beat, READY, the headline.

What "gets on" means is said here for each lane: ROS has answered for every topic, the store's thread has come
round. The main loop needs no heart: the watchdog runs on it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from edgetwin.headline import SelfTest, headline, self_test
from edgetwin.notify import Systemd
from edgetwin.progress import Progress

_log = logging.getLogger("edgetwin")

ROS_SILENCE_MAX_S = 5.0
# Long: a flash disk that tidies up may hold a write for many seconds, and a hung disk is no reason to kill a daemon
# that drives and forwards without it. This is for a thread that will never come round.
STORE_SILENCE_MAX_S = 60.0
_STORE_LOOK_S = 5.0
_FIRST_LINK_MAX_S = 15.0  # after that it is not going to be soon, and we are as ready as we can be


class Vitals:
    """The signs of life of one daemon.

    Attributes:
        progress: For lanes that beat a heart of their own: `with vitals.progress.lane(name, limit_s) as heart`.
    """

    def __init__(self, progress: Progress, systemd: Systemd) -> None:
        self.progress = progress
        self._systemd = systemd

    async def watch_ros(self, watch: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        """Run the watch of the ROS graph, which beats each time that ROS has answered for all topics."""
        with self.progress.lane("ros", ROS_SILENCE_MAX_S) as heart:
            await watch(heart.beat)

    async def watch_store(self, turn: Callable[[], asyncio.Future[None]], troubled: Callable[[], bool]) -> None:
        """Ask the store's thread again and again to come round, until cancelled.

        A disk that hangs is told as trouble, and lived with for as long as it lasts: that is progress, too.
        """
        with self.progress.lane("store", STORE_SILENCE_MAX_S) as heart:
            coming = turn()
            while True:
                if not coming.done():
                    await asyncio.wait((coming,), timeout=_STORE_LOOK_S)
                if coming.done() or troubled():
                    heart.beat()
                if coming.done():
                    await asyncio.sleep(_STORE_LOOK_S)
                    coming = turn()

    async def tell_ready(self, tried: asyncio.Event, figures: Callable[[], Mapping[str, Any]]) -> None:
        """Say READY, and how each part is: ROS and store are open, and the broker, maybe away for weeks, was tried."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_LINK_MAX_S):
                await tried.wait()
        found = figures()
        self.show(found)
        _say(self_test(found))
        self._systemd.ready()

    def show(self, figures: Mapping[str, Any]) -> None:
        """Put the headline of these figures into `systemctl status`."""
        self._systemd.say(headline(figures))


def _say(found: SelfTest) -> None:
    """Leave one line of the start in the journal, each part a field of its own."""
    level, verdict = (logging.WARNING, "trouble") if found.troubles else (logging.INFO, "ok")
    _log.log(level, "Self-test: %s.", found, extra={"EVENT": "selftest", "VERDICT": verdict, **found.parts})
