"""Drive wing: a person at a terminal.

In: keys of a terminal, signals     Out: moves, stops, resets; the terminal as it was, whatever happens
Leaving in any way (q, Ctrl-C, the end of input, a signal, an error) leads to the same end: see `command`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgetwin.clock import Clock
from edgetwin.drive.client import RATE_HZ, DriveClient
from edgetwin.drive.keys import Act, Keys, split
from edgetwin.drive.pacing import Pacing

HELP = "w/s or up/down: ahead, back; a/d or left/right: turn; space: STOP (latched); r: reset it; q: quit"
_READ_BYTES = 1024
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def keys_at_once(fd: int) -> Iterator[None]:
    """Have a terminal deliver each key as it is pressed, and not show it; as it was before, afterwards."""
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


class Seat:
    """One person at one terminal."""

    def __init__(self, client: DriveClient, keys: Keys, clock: Clock, say: Callable[[str], None]) -> None:
        """Nobody sits there yet.

        Args:
            client: Connected.
            keys: How fast each key is.
            clock: Ours.
            say: Told what the acks do not say.
        """
        self._client = client
        self._keys = keys
        self._clock = clock
        self._say = say
        self._acts: list[Act] = []
        self._woken = asyncio.Event()

    async def run(self, fd: int) -> None:
        """Drive until somebody leaves.

        Raises:
            LinkError: The robot does not answer, or the broker has gone.
        """
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._act, Act.QUIT)
        try:
            with keys_at_once(fd):
                loop.add_reader(fd, self._read, fd)
                try:
                    await self._drive()
                finally:
                    loop.remove_reader(fd)
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    async def _drive(self) -> None:
        pacing = Pacing(RATE_HZ, self._clock.now_ns())
        while Act.QUIT not in self._acts:
            self._client.check()
            if self._acts:
                await self._do(self._acts.pop(0))
                continue
            twist = self._keys.wanted(self._clock.now_ns())
            if twist is not None and not await self._client.move(twist):
                self._keys.let_go()
                self._say(f"no lease ({self._client.lease_lost or 'none was granted'}); r asks for it again")
            self._woken.clear()
            try:
                async with asyncio.timeout(pacing.wait_s(self._clock.now_ns())):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _do(self, act: Act) -> None:
        self._keys.let_go()
        if act is Act.STOP:
            await self._client.stop()
        elif act is Act.RESET:
            await self._client.reset()
            await self._client.acquire()

    def _read(self, fd: int) -> None:
        try:
            received = os.read(fd, _READ_BYTES)
        except OSError:  # the terminal has gone
            received = b""
        if not received:
            self._act(Act.QUIT)
        for key in split(received):
            act = self._keys.press(key, self._clock.now_ns())
            if act is not None:
                self._act(act)

    def _act(self, act: Act) -> None:
        """Remember what to do, a stop before everything else, and do it now rather than at the next move."""
        if act not in self._acts:
            self._acts.insert(0 if act is Act.STOP else len(self._acts), act)
        self._woken.set()
