"""Roof: the daemon as a process: signals, log, systemd, event loop, exit code.

SIGTERM and SIGINT are ours from the first line on: one that comes while ROS is still being imported is
remembered and obeyed as soon as there is something to stop. rclpy is never given the signals.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import signal
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from edgetwin.clock import SystemClock
from edgetwin.errors import EdgeTwinError, RefusedError
from edgetwin.journal import open_log
from edgetwin.notify import Systemd, watchdog_s

if TYPE_CHECKING:  # these load pydantic, ROS and aiomqtt
    from edgetwin.check import Prepared

EXIT_FAILED = 1
EXIT_REFUSED = 2  # the unit does not try again: only a human can mend settings

_END_AT_LATEST_S = 4.7  # 5 s are promised; a hang beyond this leaves its stack on stderr
_log = logging.getLogger("edgetwin")


class _EarlySignals:
    """Remembers a signal to stop until the loop takes over."""

    def __init__(self) -> None:
        self.stop = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._remember)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nothing is read yet that would have to be read again

    def _remember(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.stop = True
        faulthandler.dump_traceback_later(_END_AT_LATEST_S, exit=True)


def run(path: Path, environ: Mapping[str, str]) -> int:
    """Run the daemon until a signal; return the exit code.

    Raises:
        RefusedError: Bad settings, every fault; under systemd they go to the journal instead.
        EdgeTwinError: It could not start, or not everything could be kept at the end; the same.
    """
    faulthandler.enable()  # the watchdog's SIGABRT leaves the stacks of all threads on stderr
    early = _EarlySignals()
    log = open_log(environ)
    systemd = Systemd(environ, SystemClock())
    try:
        _prepare_and_serve(path, environ, early, systemd)
    except Exception as error:
        if not log.to_journal:
            raise
        return _told(error)
    finally:
        log.close()
        systemd.close()
        faulthandler.cancel_dump_traceback_later()
    return 0


def _told(error: Exception) -> int:
    """Tell the journal, with its fields, why the daemon ends; return the exit code."""
    if isinstance(error, RefusedError):
        for fault in error.faults:
            _log.error("Refused: %s", fault, extra={"EVENT": "settings.refused", "WHERE": fault.where})
        return EXIT_REFUSED
    if isinstance(error, EdgeTwinError):
        _log.error("edgetwin ends: %s", " ".join(str(error).split()), extra={"EVENT": "failed"})
    else:
        _log.critical("edgetwin ends: a defect; systemd starts it anew.", exc_info=error, extra={"EVENT": "defect"})
    return EXIT_FAILED


def _prepare_and_serve(path: Path, environ: Mapping[str, str], early: _EarlySignals, systemd: Systemd) -> None:
    import uvloop  # noqa: PLC0415  # the signals come first, then everything that takes time

    from edgetwin import check  # noqa: PLC0415

    prepared = check.prepare(path, environ)
    if not early.stop:
        uvloop.run(_serve(prepared, path, environ, early, systemd))


async def _serve(
    prepared: Prepared, path: Path, environ: Mapping[str, str], early: _EarlySignals, systemd: Systemd
) -> None:
    from edgetwin import check  # noqa: PLC0415
    from edgetwin.daemon import Daemon  # noqa: PLC0415
    from edgetwin.progress import Progress  # noqa: PLC0415
    from edgetwin.reloading import Reload  # noqa: PLC0415
    from edgetwin.status import runtime_directory  # noqa: PLC0415
    from edgetwin.vitals import Vitals  # noqa: PLC0415
    from edgetwin.watchdog import Watchdog  # noqa: PLC0415

    clock = SystemClock()
    progress = Progress(clock)
    vitals = Vitals(progress, systemd)
    daemon = Daemon(prepared.settings, prepared.broker, runtime_directory(environ), clock, vitals)

    def stop() -> None:
        faulthandler.dump_traceback_later(_END_AT_LATEST_S, exit=True)
        systemd.stopping()
        daemon.stop()

    reload = Reload(prepared, partial(check.prepare, path, environ), daemon.retune, systemd)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, reload.ask)
    if early.stop:
        daemon.stop()
    # Not in a TaskGroup, which would wrap what the daemon raises. Should it fail nobody is fed, and systemd sees to it.
    watch = loop.create_task(Watchdog(progress, systemd, watchdog_s(environ)).run())
    reloads = loop.create_task(reload.run())
    reloads.add_done_callback(_escalate)
    try:
        await daemon.run()
    finally:
        watch.cancel()
        reloads.cancel()


def _escalate(ended: asyncio.Task[None]) -> None:
    """A defect outside of the daemon's TaskGroup: hand it to the daemon, which ends in order."""
    if not ended.cancelled() and (error := ended.exception()) is not None:
        ended.get_loop().call_exception_handler({"message": "a defect in reloading", "exception": error})
