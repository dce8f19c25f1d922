"""Sim wing: an MQTT 5 broker on loopback, for the demo and for tests.

In: which kind, or none for the best one here     Out: a broker on a port that stays the same
through kill, start, pause and resume.

mosquitto where it is installed; else rumqttd, which PyPI's `iotcore` carries. Both listen on
127.0.0.1 alone, let anyone in, and leave nothing behind. Not for production.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
import time
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from edgetwin.clock import Clock, SystemClock, seconds_to_ns
from edgetwin.sim.child import Child, SimulationError
from edgetwin.sim.ports import HOST, HeldPort, answers

_SBIN_MOSQUITTO = "/usr/sbin/mosquitto"  # Debian puts it where a user's PATH does not look
_START_MAX_S = 10.0
_STOP_MAX_S = 5.0
_POLL_S = 0.02
_NONE_FOUND = (
    "no MQTT broker found; install one of: mosquitto (apt install mosquitto), or iotcore (pip install 'edgetwin[demo]')"
)

# A subscriber may be away for a while and miss nothing; sessions survive a kill (autosave every second).
_MOSQUITTO_CONF = """\
listener {port} {host}
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 1
max_queued_messages 1000000
user root
log_type warning
log_type error
"""

# The limits that the defaults set too low for batches: 20 kB a message.
_RUMQTTD_TOML = """\
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "v5-1"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 16777216
max_inflight_count = 100
dynamic_filters = true
"""


class BrokerKind(StrEnum):
    """The brokers that can be started."""

    MOSQUITTO = "mosquitto"
    IOTCORE = "iotcore"


def find_mosquitto() -> str | None:
    """Return the path of mosquitto, or None."""
    return shutil.which("mosquitto") or shutil.which(_SBIN_MOSQUITTO)


def find_broker() -> BrokerKind:
    """Return the best kind of broker that is installed.

    Raises:
        SimulationError: None is; the text names both cures.
    """
    if find_mosquitto():
        return BrokerKind.MOSQUITTO
    if importlib.util.find_spec("iotcore"):
        return BrokerKind.IOTCORE
    raise SimulationError(_NONE_FOUND)


class LocalBroker:
    """A broker on 127.0.0.1 and a free port; as a context manager it is started and stopped.

    Attributes:
        kind: Which broker.
        port: Where it listens, always the same.
    """

    def __init__(self, kind: BrokerKind | None = None, *, clock: Clock | None = None) -> None:
        self.kind = kind or find_broker()
        self._clock = clock or SystemClock()
        self._held = HeldPort()
        self.port = self._held.number
        self._folder = tempfile.TemporaryDirectory(prefix="edgetwin-broker-")
        self._child: Child | None = None

    def start(self) -> None:
        """Start it, and return once it accepts connections; does nothing while it runs.

        Raises:
            SimulationError: It ended at once, or does not listen after 10 s.
        """
        if self._child is not None:
            return
        self._child = child = Child(str(self.kind), self._argv(), log_path=Path(self._folder.name, "log"))
        deadline_ns = self._clock.now_ns() + seconds_to_ns(_START_MAX_S)
        while not answers(self.port):
            child.check()
            if self._clock.now_ns() > deadline_ns:
                msg = f"{self.kind} does not listen on port {self.port} after {_START_MAX_S:g} s"
                raise SimulationError(msg)
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End it in good order: its sessions are on disk, connections to it are refused."""
        if self._child is not None:
            self._child.stop(_STOP_MAX_S)
            self._child = None

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def pause(self) -> None:
        """Freeze it: the kernel still accepts connections, nobody answers."""
        self._running().pause()

    def resume(self) -> None:
        """Let it run again."""
        self._running().resume()

    def check(self) -> None:
        """Pass while it runs.

        Raises:
            SimulationError: It ended without being asked to.
        """
        self._running().check()

    def _running(self) -> Child:
        if self._child is None:
            msg = f"{self.kind} is not running; call start() first"
            raise SimulationError(msg)
        return self._child

    def _argv(self) -> list[str]:
        folder = Path(self._folder.name)
        if self.kind is BrokerKind.MOSQUITTO:
            conf = folder / "mosquitto.conf"
            conf.write_text(_MOSQUITTO_CONF.format(host=HOST, port=self.port, folder=folder), encoding="utf-8")
            return [find_mosquitto() or _SBIN_MOSQUITTO, "-c", str(conf)]
        conf = folder / "rumqttd.toml"
        conf.write_text(_RUMQTTD_TOML.format(host=HOST, port=self.port), encoding="utf-8")
        # rumqttd logs a line per packet as an error: only what is critical.
        return [sys.executable, "-m", "iotcore", "--config", str(conf), "--log-level", "CRITICAL"]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._close()

    def _close(self) -> None:
        self.kill()
        self._held.close()
        self._folder.cleanup()
