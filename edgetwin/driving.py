"""Roof: the command lane, seen from the main loop: built from the settings, heard, and ended.

In: settings; what the lane decided     Out: the audit of all of it, one `gate` event per kind, one log line per change
The lane needs nothing from here to stop the robot: what it hands over has happened before.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any, Protocol

from edgetwin import wire
from edgetwin.clock import NS_PER_US, Clock
from edgetwin.lane import terms
from edgetwin.lane.lane import Lane
from edgetwin.lane.latch import FILE_NAME
from edgetwin.lane.ledger import DecisionEntry, News, Notice
from edgetwin.lane.link import LaneBroker, Rejoin
from edgetwin.lane.marks import FILE_NAME as MARKS_NAME
from edgetwin.lane.marks import Marks
from edgetwin.lane.plan import LaneHooks, Plan
from edgetwin.motion import Reason, State, Verdict
from edgetwin.progress import Progress
from edgetwin.settings import Settings
from edgetwin.uplink.backoff import Backoff
from edgetwin.uplink.dial import dial
from edgetwin.uplink.link import Broker

_log = logging.getLogger("edgetwin.gate")

_SILENCE_MAX_S = 5.0
_END_S = 2.5
_REFUSALS_KEPT = 5
_SWITCH_INTERVAL_S = 0.0001  # the lane waits this long for the interpreter, at most, while the main loop computes
_EARLY_MAX = 2048  # decisions kept until the store is open
_STEADY = frozenset({Verdict.ACCEPTED, Verdict.CLAMPED, Verdict.DUPLICATE})
_CHANGES = {
    State.IDLE: ("gate.idle", logging.INFO, "Nothing of ours is published on the motion topic"),
    State.ACTIVE: ("gate.active", logging.INFO, "The robot is driven from afar"),
    State.BRAKE: ("gate.brake", logging.INFO, "The robot is braked"),
    State.HELD: ("gate.stopped", logging.WARNING, "The robot is stopped and latched; a reset releases it"),
    State.ESTOP: ("gate.estop", logging.WARNING, "The e-stop input says stop; released, the robot stays latched"),
    State.LOCAL: ("gate.local", logging.WARNING, "Somebody beside the robot drives; commands are not heard"),
    State.FAULT: ("gate.fault", logging.ERROR, "The gate does not trust itself; a local reset clears it"),
    State.DOWN: ("gate.down", logging.INFO, "The command lane ends"),
}


class Audit(Protocol):
    """Keeps decisions."""

    def __call__(self, entries: Sequence[Mapping[str, object]], *, at_once: bool) -> object:
        """Take them, in order."""
        ...


class Driving:
    """The command lane of one daemon."""

    def __init__(
        self, settings: Settings, boot: str, topics: wire.Topics, broker: Broker, clock: Clock,
        told: Callable[[bytes], object], failed: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        """Nothing runs yet.

        Args:
            settings: Checked.
            boot: Random id of this start.
            topics: Names.
            broker: Of the telemetry; the lane has connections of its own to it.
            clock: The robot's.
            told: Takes the data of a `gate` event.
            failed: Told that the lane is broken; the process must end.
        """
        self._settings = settings
        self._boot = boot
        self._topics = topics
        self._broker = broker
        self._clock = clock
        self._told = told
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._lane: Lane | None = None
        self._open = False
        self._early: deque[News] = deque(maxlen=_EARLY_MAX)
        self._audit: Audit | None = None
        self._marks: Marks | None = None
        self.refusals: deque[DecisionEntry] = deque(maxlen=_REFUSALS_KEPT)  # the newest last

    def start(self, progress: Progress) -> None:
        """Have the lane run; it needs no store, and what it decides before `listen` is kept.

        Raises:
            RosUnavailableError, RosTypeError: ROS is missing, or a package.
        """
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        self._heart = progress.lane("command lane", _SILENCE_MAX_S)
        heart = self._heart.__enter__()
        hooks = LaneHooks(
            partial(self._soon, self._take), self._lane_failed, partial(self._soon, self._ended.set), heart.beat
        )
        path = self._settings.store.path.parent / MARKS_NAME
        marks = self._marks = Marks(path, self._snapshot, _marks_trouble)
        self._lane = Lane(self._plan(marks.remembered), hooks, self._clock)
        self._lane.start()
        marks.look()

    def listen(self, audit: Audit) -> None:
        """Events can leave from now on, and decisions be kept.

        Args:
            audit: Takes decisions in order, each a mapping; `at_once` if one of them refuses or changes the state.
        """
        self._open = True
        self._audit = audit
        early = list(self._early)
        self._early.clear()
        self._tell(early)
        self._take()

    async def end(self) -> None:
        """Have the robot stand and the lane end; within 2.5 s, whatever hangs."""
        lane, self._lane = self._lane, None
        if lane is None:
            return
        lane.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                await self._ended.wait()
        if not self._ended.is_set():
            _log.error("The command lane does not end; the guard says zero.", extra={"EVENT": "gate.hangs"})
        self._tell(lane.take_news())
        self._keep(lane)
        if self._marks is not None:
            await self._marks.end(lane.snapshot())
        lane.close()
        self._heart.__exit__(None, None, None)

    def figures(self) -> dict[str, Any]:
        """Return the lane in numbers."""
        return self._lane.figures() if self._lane is not None else {"state": str(State.DOWN)}

    def meet_next(self, broker: Broker) -> None:
        """Be this to the broker from the lane's next connection on; those that are up stay as they are."""
        self._broker = broker

    async def _dial(self) -> socket.socket | ssl.SSLSocket:
        """Called on the lane's thread."""
        broker = self._broker
        return await dial(broker.host, broker.port, broker.tls)

    def _snapshot(self) -> Mapping[str, Any]:
        return self._lane.snapshot() if self._lane is not None else {}

    def _plan(self, remembered: Mapping[str, Any] | None) -> Plan:
        settings, broker = self._settings, self._broker
        sources = terms.sources_of(settings)
        return Plan(
            robot_id=settings.robot.id,
            boot=self._boot,
            topics=self._topics,
            broker=LaneBroker(
                self._dial,
                self._rejoin,
                broker.keepalive_s,
                broker.username,
                broker.password,
            ),
            rules=terms.rules_of(settings, self._topics),
            limits=terms.limits_of(settings, sources),
            sources=sources,
            node_name=settings.ros.node_name,
            cmd_vel_topic=settings.ros.cmd_vel_topic,
            cmd_vel_type=settings.ros.cmd_vel_type,
            latch_path=settings.store.path.parent / FILE_NAME,
            allowed=frozenset(settings.gate.allowed_publishers),
            hold_on_exit=settings.gate.on_exit == "hold",
            remembered=remembered,
            cancel_goals=settings.gate.cancel_goals,
        )

    def _rejoin(self) -> Rejoin:
        backoff = Backoff(self._broker.reconnect_max_s, Random())  # noqa: S311  # jitter, not a secret
        return Rejoin(backoff.next_s, backoff.reset)

    def _soon(self, act: Callable[[], object]) -> None:
        """Called on the lane's thread: must not wait."""
        with suppress(RuntimeError):  # the main loop has ended
            self._loop.call_soon_threadsafe(act)

    def _lane_failed(self, error: BaseException) -> None:
        self._soon(partial(self._failed, error))

    def _take(self) -> None:
        if self._lane is not None:
            self._tell(self._lane.take_news())
            self._keep(self._lane)

    def _keep(self, lane: Lane) -> None:
        """Hand every decision to the audit; until there is one they wait in the lane, as many as it has room for."""
        if self._audit is None:
            return
        entries, missing = lane.take_audit()
        kept: list[Mapping[str, object]] = [data_of(entry) for entry in entries]
        if missing:
            kept.append({"stamp_us": self._clock.stamp_ns() // NS_PER_US, "code": "UNAUDITED", "count": missing})
        if kept:
            self._audit(kept, at_once=bool(missing) or any(map(_weighs, entries)))

    def _tell(self, news: Sequence[News]) -> None:
        for one in news:
            if isinstance(one, Notice):
                _log.log(one.level, one.text, extra={"EVENT": one.event, **one.fields})
                continue
            if not self._open:
                self._early.append(one)
                continue
            _tell_in_log(one)
            if one.verdict is Verdict.REJECTED:
                self.refusals.append(one)
            if _weighs(one):
                self._told(wire.encode(data_of(one)))


def _weighs(entry: DecisionEntry) -> bool:
    """Whether it refuses, or changes the state."""
    return entry.before is not entry.after or entry.verdict not in _STEADY


def _marks_trouble(problem: str) -> None:
    _log.warning(
        "The numbers of the moves seen are not on disk: %s; a restart may forget the newest.", problem,
        extra={"EVENT": "gate.marks"},
    )  # fmt: skip


def data_of(entry: DecisionEntry) -> dict[str, object]:
    """Return a decision as the data of a `gate` event."""
    return {
        "stamp_us": entry.stamp_us,
        "command": entry.command,
        "id": entry.id,
        "client": entry.client,
        "verdict": None if entry.verdict is None else str(entry.verdict),
        "code": str(entry.code),
        "reasons": [str(reason) for reason in entry.reasons],
        "detail": entry.detail,
        "before": str(entry.before),
        "after": str(entry.after),
        "linear": entry.linear_mps,
        "angular": entry.angular_radps,
        "stop_id": entry.stop_id,
        "repeat": entry.repeat,
    }


def _tell_in_log(entry: DecisionEntry) -> None:
    """Log a change of state, a refusal, a step of a reset; not the moves of a drive."""
    fields: dict[str, object] = {
        "COMMAND": entry.command, "COMMAND_ID": entry.id, "CLIENT": entry.client, "REASON": str(entry.code),
        "STATE": str(entry.after), "STOP_ID": entry.stop_id, "REPEAT": entry.repeat,
    }  # fmt: skip
    if entry.before is not entry.after:
        event, level, words = _CHANGES.get(entry.after, ("gate.changed", logging.INFO, str(entry.after)))
        if entry.code is Reason.RESET_OK:
            event, words = "gate.reset", "The latch was reset; nothing moves before a new move"
        _log.log(level, "%s (%s).", words, entry.code, extra={"EVENT": event, **fields})
    elif entry.verdict is Verdict.REJECTED:
        words = entry.detail or str(entry.code)
        times = f", {entry.repeat} more times" if entry.repeat > 1 else ""
        _log.warning(
            "Command %s refused: %s%s.", entry.command, words, times, extra={"EVENT": "gate.refused", **fields}
        )
