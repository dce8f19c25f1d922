"""Roof: anomaly detection in the daemon: channels -> detectors -> `anomaly` events and journal lines.

In: raw messages of channels, before they are paced     Out: events, journal lines, figures

    listener -> Watch (CDR -> rows -> detector -> alerts) -> event

What was learned is kept beside the outbox, so that a restart does not begin with a warm-up. It takes no part in
motion: nothing here reaches the gate.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from edgetwin import wire
from edgetwin.analytics.alerts import AlertState, cause
from edgetwin.analytics.frozen import DetectorStateError
from edgetwin.clock import NS_PER_S, NS_PER_US, Clock
from edgetwin.errors import MalformedMessageError
from edgetwin.judging.gauge import gauge
from edgetwin.judging.watch import Told, Watch
from edgetwin.records import EventKind, Record
from edgetwin.ros import cdr
from edgetwin.ros.types import message_class
from edgetwin.settings import Settings
from edgetwin.sync.message_time import MessageTime

_log = logging.getLogger("edgetwin")

GATHER_S = 0.5
_KEEP_PERIOD_S = 600.0  # what a crash costs of what is learned; each time is a write to flash
_STATE_MAX_BYTES = 64_000_000
FOLDER = "anomaly"

Listener: TypeAlias = Callable[[bytes, int], None]  # raw CDR, reception [ns, UTC; 0: unknown]
Emit: TypeAlias = Callable[[EventKind, bytes], Record]


class Judging:
    """All detectors of one robot."""

    def __init__(self, settings: Settings, emit: Emit, clock: Clock) -> None:
        """Build the detectors; what they knew is read by `open`.

        Args:
            settings: For [anomaly.*], [channels.*] and the folder of [store].
            emit: Sends an event.
            clock: The robot's.

        Raises:
            RosTypeError, FieldPathError: A detector does not fit its channel's message type.
        """
        self._settings = settings
        self._emit = emit
        self._clock = clock
        self._folder = settings.store.path.parent / FOLDER
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._watches = {name: Watch(one, gauge(one, settings)) for name, one in settings.anomaly.items()}
        self._behind_ns = dict.fromkeys(self._watches, 0)  # wall time minus message time, of the newest message

    def open(self) -> None:
        """Take back what was learned before the restart; where it does not fit, learning begins anew."""
        for name, watch in self._watches.items():
            path = self._path(name)
            try:
                if path.stat().st_size <= _STATE_MAX_BYTES:
                    watch.load(orjson.loads(path.read_bytes()))
            except FileNotFoundError:
                continue
            except (OSError, ValueError, DetectorStateError) as error:
                _log.warning(
                    "Detector %s learns anew: what it knew cannot be used (%s).", name, error,
                    extra={"EVENT": "anomaly.learns_anew", "DETECTOR": name},
                )  # fmt: skip

    def retune(self, settings: Settings) -> None:
        """Judge by other thresholds from now on; what was learned and what is raised stay."""
        self.judge()
        self._settings = settings
        for name, watch in self._watches.items():
            watch.retune(settings.anomaly[name])

    def listeners(self, channel: str) -> tuple[Listener, ...]:
        """Return what wants every message of a channel: (raw CDR, reception [ns, UTC; 0: unknown])."""
        found: list[Listener] = []
        for name, one in self._settings.anomaly.items():
            if one.channel == channel:
                found.append(self._listener(name, self._watches[name]))
            if one.motion_channel == channel and one.motion_channel != one.channel:
                found.append(_motion_listener(self._watches[name]))
        return tuple(found)

    async def run(self) -> None:
        """Keep what is learned now and then, until cancelled."""
        while self._watches:
            await asyncio.sleep(_KEEP_PERIOD_S)
            await self._keep()

    async def close(self) -> None:
        """Keep what was learned; `run` has been cancelled."""
        if self._timer is not None:
            self._timer.cancel()
        await self._keep()

    def figures(self) -> dict[str, Any]:
        """Return what each detector is at, for the status."""
        return {name: watch.figures() for name, watch in self._watches.items()}

    def _listener(self, name: str, watch: Watch) -> Listener:
        take = watch.take
        time = MessageTime()
        stamp_of = cdr.stamp_reader(message_class(self._settings.channels[self._settings.anomaly[name].channel].type))

        def listen(raw: bytes, received_ns: int) -> None:
            received_ns = received_ns or self._clock.stamp_ns()
            try:
                stamp_ns = stamp_of(raw) if stamp_of is not None else 0
            except MalformedMessageError:
                watch.malformed += 1
                return
            time_ns = time.advance(stamp_ns, received_ns)
            self._behind_ns[name] = received_ns - time_ns
            for told in take(raw, time_ns / NS_PER_S):
                self._tell(name, told)
            if self._timer is None:
                self._timer = self._loop.call_later(GATHER_S, self.judge)

        return listen

    def judge(self) -> None:
        """Judge what has gathered; at the end too, while events can still leave."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for name, watch in self._watches.items():
            if watch.gathered:
                for told in watch.judge():
                    self._tell(name, told)

    def _tell(self, name: str, told: Told) -> None:
        alert, anomaly = told.alert, self._settings.anomaly[name]
        since_ns = self._behind_ns[name] + round(alert.since_s * NS_PER_S)
        since = datetime.fromtimestamp(since_ns / NS_PER_S, UTC).strftime("%H:%M:%S UTC")
        words = cause(told.element, anomaly.field, alert.usual, since)
        event = {
            "detector": name,
            "channel": anomaly.channel,
            "field": anomaly.field,
            "element": told.element,
            "state": str(alert.state),
            "since_us": since_ns // NS_PER_US,
            "score": alert.score,
            "peak": alert.peak,
            "value": alert.usual.value,
            "usual_mean": alert.usual.mean,
            "usual_scale": alert.usual.scale,
            "held_back": alert.held_back,
            "cause": words,
        }
        self._emit(EventKind.ANOMALY, wire.encode(event))
        extra = {"EVENT": f"anomaly.{alert.state}", "DETECTOR": name, "ELEMENT": told.element, "SCORE": alert.score}
        if alert.state is AlertState.CLEARED:
            _log.info("Usual again (%s): %s.", name, words, extra=extra)
        else:
            _log.warning("Anomaly (%s): %s.", name, words, extra=extra)

    async def _keep(self) -> None:
        states = {self._path(name): watch.save() for name, watch in self._watches.items()}
        known = {path: orjson.dumps(state) for path, state in states.items() if state is not None}
        if not known:
            return
        try:
            await asyncio.to_thread(_write, self._folder, known)
        except OSError as error:
            _log.warning(
                "What the detectors know cannot be kept: %s; after a restart they learn anew.", error,
                extra={"EVENT": "anomaly.not_kept"},
            )  # fmt: skip

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def _motion_listener(watch: Watch) -> Listener:
    def listen(raw: bytes, received_ns: int) -> None:
        del received_ns
        watch.take_motion(raw)

    return listen


def _write(folder: Path, contents: dict[Path, bytes]) -> None:
    """Write files so that a power cut leaves the old or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        beside = path.with_suffix(".new")
        beside.write_bytes(content)
        beside.replace(path)
