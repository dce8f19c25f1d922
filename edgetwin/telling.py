"""Roof: how the daemon tells how it goes: once a second, the same figures to everybody who may want them.

In: figures     Out: status.json, `systemctl status`, /diagnostics, Prometheus where a setting asks for it.
A file that cannot be written is tried again each second, and only the change is said: to tell is never a reason to end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from edgetwin.clock import Clock
from edgetwin.diagnostics import statuses
from edgetwin.errors import RosTypeError
from edgetwin.ros.diagnostics import DiagnosticsPublisher
from edgetwin.settings.status import StatusSettings
from edgetwin.status import StatusFile

if TYPE_CHECKING:  # a quarter of a second and some megabytes, for those who ask for it
    from edgetwin.prometheus import Prometheus

_log = logging.getLogger("edgetwin")

PERIOD_S = 1.0
Figures = Mapping[str, Any]


class Telling:
    """Tells of one daemon."""

    def __init__(
        self, settings: StatusSettings, robot_id: str, file: StatusFile, show: Callable[[Figures], None], clock: Clock
    ) -> None:
        """Nothing is opened before `run`.

        Args:
            settings: Whom to tell.
            robot_id: Ours, the hardware of the diagnostics.
            file: Of the status.
            show: Tells systemd.
            clock: The robot's.
        """
        self._settings = settings
        self._robot_id = robot_id
        self._file = file
        self._show = show
        self._clock = clock
        self._prometheus: Prometheus | None = None
        self._tellers: list[Callable[[Figures], None]] = []
        self._written = True

    async def run(self, figures: Callable[[], Figures], node: Any) -> None:
        """Tell until cancelled.

        Args:
            figures: Takes them.
            node: Of ROS; publishes the diagnostics.
        """
        self._open(node)
        while True:
            now = figures()
            self._show(now)
            for tell in self._tellers:
                tell(now)
            await asyncio.sleep(PERIOD_S)

    def close(self) -> None:
        """The daemon has ended in order: there is nothing to say any more."""
        self._tellers = []
        self._file.remove()
        prometheus, self._prometheus = self._prometheus, None
        if prometheus is not None:
            prometheus.close()

    def _open(self, node: Any) -> None:
        self._tellers.append(self._write)
        if self._settings.diagnostics:
            with suppress(RosTypeError):  # a robot without diagnostic_msgs has nobody who would read them
                publisher = DiagnosticsPublisher(node, self._robot_id, self._clock)
                self._tellers.append(partial(_diagnose, publisher))
        if self._settings.prometheus_port is not None:
            from edgetwin.prometheus import Prometheus  # noqa: PLC0415

            try:
                self._prometheus = Prometheus(self._settings.prometheus_port)
            except OSError as error:
                _log.warning(
                    "Prometheus is not answered: port %d of 127.0.0.1: %s; choose another [status] prometheus_port.",
                    self._settings.prometheus_port, error.strerror, extra={"EVENT": "status.off"},
                )  # fmt: skip
            else:
                self._tellers.append(self._prometheus.tell)

    def _write(self, figures: Figures) -> None:
        try:
            self._file.write(figures)
        except OSError as error:
            if self._written:
                _log.warning(
                    "No status file: %s; `edgetwin status` knows nothing new.", error, extra={"EVENT": "status.off"}
                )
            self._written = False
        else:
            if not self._written:
                _log.info("The status file is written again.", extra={"EVENT": "status.on"})
            self._written = True


def _diagnose(publisher: DiagnosticsPublisher, figures: Figures) -> None:
    if publisher.listeners:  # nobody hears it: nothing is made
        publisher.publish(statuses(figures))
