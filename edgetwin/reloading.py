"""Roof: SIGHUP: the settings are read again, and what may change while running does.

In: a signal; the settings file as it is now     Out: another pace, other thresholds and TLS files; a line for each key
All or nothing: a file with any fault changes nothing, and each fault is a line. A file without one changes what needs
no restart (`settings.changes` has the table); of the rest each key is refused with a line. Nothing of [gate] is ever
changed here, and no connection ends: TLS files are for the next one.

The reading (a disk, message types, keys) is done beside the loop; the change itself is a few assignments on it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from edgetwin.check import Prepared, broker_of, faults_here
from edgetwin.errors import RefusedError
from edgetwin.notify import Systemd
from edgetwin.settings import Settings
from edgetwin.settings.changes import Change, adopted, changes
from edgetwin.settings.faults import faults_of
from edgetwin.settings.keys import dotted
from edgetwin.uplink.link import Broker

_log = logging.getLogger("edgetwin")

_TLS = ("mqtt", "tls")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reload has found, without a fault.

    Attributes:
        prepared: What shall run from now on.
        found: Every key that differs, also those that may not change.
        mark: Of the content of the TLS files.
    """

    prepared: Prepared
    found: list[Change]
    mark: bytes


class Reload:
    """The reloads of one daemon."""

    def __init__(
        self,
        running: Prepared,
        read: Callable[[], Prepared],
        retune: Callable[[Settings, Broker], None],
        systemd: Systemd,
    ) -> None:
        """Wait for the first one.

        Args:
            running: What the daemon was started with.
            read: Reads and checks the settings anew, or raises RefusedError; called on another thread.
            retune: Takes what changes, on the loop.
            systemd: Is told when one begins and ends.
        """
        self._running = running
        self._read = read
        self._retune = retune
        self._systemd = systemd
        self._asked = asyncio.Event()
        self._mark = mark_of(running.settings)

    def ask(self) -> None:
        """Reload soon; asked again meanwhile, once more after that."""
        self._asked.set()

    async def run(self) -> None:
        """Reload whenever it is asked, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            self._systemd.reload_begins()
            try:
                self._take(await asyncio.to_thread(self._look))
            except RefusedError as refused:
                for fault in refused.faults:
                    _log.error("Reload refused: %s", fault, extra={"EVENT": "reload.refused", "WHERE": fault.where})
            finally:
                self._systemd.reload_ends()

    def _look(self) -> Wanted:
        """Read the settings, and what would come of them beside what may not change."""
        wanted = self._read().settings
        running = self._running.settings
        try:
            settings = adopted(running, wanted)
        except ValidationError as error:
            raise RefusedError([fault for _, fault in faults_of(error, dotted)]) from None
        if faults := faults_here(settings):
            raise RefusedError(faults)
        mark = mark_of(settings)
        return Wanted(Prepared(settings, broker_of(settings)), changes(running, wanted), mark)

    def _take(self, wanted: Wanted) -> None:
        other_files = wanted.mark != self._mark
        told = [change for change in wanted.found if change.allowed]
        if told or other_files:
            self._retune(wanted.prepared.settings, wanted.prepared.broker)
            self._running, self._mark = wanted.prepared, wanted.mark
        for change in wanted.found:
            _tell(change)
        if other_files:
            _log.info(
                "Reload: the files of [mqtt.tls] have another content; the next connection uses it.",
                extra={"EVENT": "reload.applied", "KEY": ".".join(_TLS)},
            )
        elif not wanted.found:
            _log.info("Reload: nothing has changed.", extra={"EVENT": "reload.same"})


def mark_of(settings: Settings) -> bytes:
    """Return a mark of the content of the TLS files; it changes when one of them does."""
    mark = hashlib.sha256()
    tls = settings.mqtt.tls
    for path in (tls.ca_file, tls.cert_file, tls.key_file) if tls is not None else ():
        mark.update(b"/")
        with suppress(OSError):  # that it cannot be read is told by whoever needs it
            mark.update(hashlib.sha256(path.read_bytes()).digest() if path is not None else b"")
    return mark.digest()


def _tell(change: Change) -> None:
    if not change.allowed:
        _log.warning(
            "Reload: %s stays %s, not %s; %s.", change.key, change.before, change.after, change.cure,
            extra={"EVENT": "reload.refused", "KEY": change.key},
        )  # fmt: skip
        return
    when = ", from the next connection on" if change.path[: len(_TLS)] == _TLS else ""
    _log.info(
        "Reload: %s is now %s, and was %s%s.", change.key, change.after, change.before, when,
        extra={"EVENT": "reload.applied", "KEY": change.key},
    )  # fmt: skip
