"""Roof: the daemon as a process: signals, logging, event loop, exit code.

SIGTERM and SIGINT are ours from the first line on: one that comes while ROS is still being imported is
remembered and obeyed as soon as there is something to stop. rclpy is never given the signals.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from edgetwin.clock import SystemClock
from edgetwin.errors import RefusedError

if TYPE_CHECKING:  # these load pydantic, ROS and aiomqtt
    from edgetwin.check import Prepared
    from edgetwin.settings import Settings

_END_AT_LATEST_S = 4.7  # 5 s are promised; a hang beyond this leaves its stack on stderr
_log = logging.getLogger("edgetwin")


class _EarlySignals:
    """Remembers a signal to stop until the loop takes over."""

    def __init__(self) -> None:
        self.stop = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._remember)

    def _remember(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.stop = True
        faulthandler.dump_traceback_later(_END_AT_LATEST_S, exit=True)


def run(path: Path, environ: Mapping[str, str]) -> int:
    """Run the daemon until a signal; return the exit code.

    Raises:
        RefusedError: Bad settings, every fault.
        EdgeTwinError: It could not start, or not everything could be kept at the end.
    """
    faulthandler.enable()
    early = _EarlySignals()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")

    import uvloop  # noqa: PLC0415  # the signals come first, then everything that takes time

    from edgetwin import check  # noqa: PLC0415

    prepared = check.prepare(path, environ)
    if not early.stop:
        uvloop.run(_serve(prepared, path, environ, early))
    faulthandler.cancel_dump_traceback_later()
    return 0


async def _serve(prepared: Prepared, path: Path, environ: Mapping[str, str], early: _EarlySignals) -> None:
    from edgetwin.daemon import Daemon  # noqa: PLC0415
    from edgetwin.status import runtime_directory  # noqa: PLC0415

    daemon = Daemon(prepared.settings, prepared.broker, runtime_directory(environ), SystemClock())

    def stop() -> None:
        faulthandler.dump_traceback_later(_END_AT_LATEST_S, exit=True)
        daemon.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, _reload, prepared.settings, path, environ)
    if early.stop:
        daemon.stop()
    await daemon.run()


def _reload(running: Settings, path: Path, environ: Mapping[str, str]) -> None:
    """SIGHUP: say what a restart would change. Nothing can be changed while running in this version."""
    from edgetwin import config  # noqa: PLC0415

    try:
        wanted = config.load(path, environ).settings
    except RefusedError as refused:
        _log.error("Reload refused: %s", refused, extra={"EVENT": "reload.refused"})
        return
    changed = [
        section for section in type(wanted).model_fields if getattr(wanted, section) != getattr(running, section)
    ]
    if changed:
        _log.warning(
            "Reload refused: %s changed; restart to use it.", ", ".join(f"[{section}]" for section in changed),
            extra={"EVENT": "reload.refused"},
        )  # fmt: skip
    else:
        _log.info("Reload: nothing has changed.", extra={"EVENT": "reload.same"})
