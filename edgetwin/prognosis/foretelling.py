"""Roof: failure prognosis in the daemon: channels -> windows -> model -> `failure` events.

In: raw messages of channels, before they are paced     Out: events, journal lines, figures.

    listener -> sources (CDR -> number) -> Prognosis.take -> Question -> model -> Answer -> Prognosis.judge -> event

Small models are asked on the loop, large ones in a thread each (see asker). Files are read, tried and loaded in a
thread of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from edgetwin import wire
from edgetwin.clock import NS_PER_S, Clock
from edgetwin.errors import MalformedMessageError
from edgetwin.prognosis.outlook import Outlook
from edgetwin.prognosis.sources import reader
from edgetwin.records import EventKind, Record
from edgetwin.ros.types import message_class
from edgetwin.settings import Settings

LOOK_PERIOD_S = 2.0
_KEEP_PERIOD_S = 600.0  # what a crash costs of what is learned; each time is a sync of the disk
_CLOSE_MAX_S = 1.0
FOLDER = "prognosis"

Listener: TypeAlias = Callable[[bytes, int], None]  # raw CDR, monotonic time [ns]
Emit: TypeAlias = Callable[[EventKind, bytes], Record]


class Foretelling:
    """All prognoses of one robot."""

    def __init__(self, settings: Settings, emit: Emit, clock: Clock) -> None:
        """Nothing is read yet.

        Args:
            settings: For [prognosis.*], [channels.*] and the folder of [store].
            emit: Sends an event.
            clock: The robot's.

        Raises:
            RosTypeError, FieldPathError: A source does not fit its channel's message type.
        """
        self._clock = clock
        self._files = ThreadPoolExecutor(1, "prognosis-files")
        self._listeners: dict[str, list[Listener]] = {}
        self.malformed = 0
        folder = settings.store.path.parent / FOLDER

        def tell(event: dict[str, Any]) -> None:
            emit(EventKind.FAILURE, wire.encode(event))

        self._outlooks = {
            name: Outlook(name, prognosis, _origins(settings, name), folder / f"{name}.json", tell, clock)
            for name, prognosis in settings.prognosis.items()
        }
        for name, prognosis in settings.prognosis.items():
            for source, setting in prognosis.sources.items():
                read = reader(message_class(settings.channels[setting.channel].type), setting)
                listener = self._listener(self._outlooks[name], source, read)
                self._listeners.setdefault(setting.channel, []).append(listener)

    def listeners(self, channel: str) -> tuple[Listener, ...]:
        """Return what wants every message of a channel: (raw CDR, monotonic time [ns])."""
        return tuple(self._listeners.get(channel, ()))

    async def run(self) -> None:
        """Watch the model files and keep what is learned, until cancelled."""
        loop = asyncio.get_running_loop()
        kept_ns = self._clock.now_ns()
        while self._outlooks:
            for outlook in self._outlooks.values():
                await outlook.look(self._files)
            now_ns = self._clock.now_ns()
            if now_ns - kept_ns >= _KEEP_PERIOD_S * NS_PER_S:
                kept_ns = now_ns
                for outlook in self._outlooks.values():
                    await loop.run_in_executor(self._files, outlook.keeping())
            await asyncio.sleep(LOOK_PERIOD_S)

    async def close(self) -> None:
        """Keep what was learned, and end the threads; `run` has been cancelled."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):  # a model is being loaded: what was kept last must do
            async with asyncio.timeout(_CLOSE_MAX_S):
                for outlook in self._outlooks.values():
                    await loop.run_in_executor(self._files, outlook.keeping())
        for outlook in self._outlooks.values():
            outlook.close()
        self._files.shutdown(wait=False, cancel_futures=True)

    def figures(self) -> dict[str, Any]:
        """Return what each prognosis is at, for the status."""
        return {name: outlook.figures() for name, outlook in self._outlooks.items()}

    def _listener(self, outlook: Outlook, source: str, read: Callable[[bytes], Any]) -> Listener:
        take = outlook.take

        def listen(raw: bytes, now_ns: int) -> None:
            try:
                value = read(raw)
            except MalformedMessageError:
                self.malformed += 1
                return
            if value is None:
                outlook.absent += 1
            else:
                take(source, value, now_ns)

        return listen


def _origins(settings: Settings, name: str) -> dict[str, str]:
    """Return where each source comes from, as a text: another text is another quantity."""
    origins = {}
    for source, one in settings.prognosis[name].sources.items():
        topic = settings.channels[one.channel].topic
        parts = (topic, one.field, one.element if one.element is not None else f"{one.combine}", one.rate_hz)
        origins[source] = " ".join(str(part) for part in parts if part is not None)
    return origins
