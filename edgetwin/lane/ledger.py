"""Command lane: what was decided, on its way to the main loop: the audit, the events and the log.

In: entries and notices, on the lane's thread     Out: the same, on the main loop, in order
Handing over never waits: bounded queues that drop the oldest and count it, and one wake-up for many. There are two:
- the news, for log and events: what repeats within a second (refusals of a flood, moves of a drive, stops of a storm)
  becomes one entry with a count;
- the audit: every decision by itself. Of what changes nothing (refusals, repeated stops) at most 200 of a kind are kept
  each second, so that a flood wears out neither memory nor disk nor what was kept before it; the others are counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from edgetwin.clock import NS_PER_S
from edgetwin.motion import Reason, State, Verdict

_WAITING_MAX = 1024
_AUDIT_MAX = 8192
_PER_S_MAX = 200
_OPEN_MAX = 32
_WINDOW_NS = NS_PER_S
_DRIVEN = frozenset({Verdict.ACCEPTED, Verdict.CLAMPED})  # held back by the rate limit already
_OFTEN = _DRIVEN | {Verdict.REJECTED, Verdict.DUPLICATE, Verdict.STOPPED}


@dataclass(frozen=True, slots=True)
class DecisionEntry:
    """One decision, or one change of state that no command asked for.

    Attributes:
        stamp_us: Wall clock, UTC.
        now_ns: Monotonic.
        command: Last level of the topic; "local_stop" and "local_reset" for the services; empty for none.
        id: The sender's.
        client: Who asked, as far as known.
        verdict: Of the ack; None where nobody is answered.
        code: Worst reason.
        reasons: All of them, worst first.
        before: State before it.
        after: State after it.
        linear_mps: Published for it; None: nothing.
        angular_radps: The same.
        stop_id: Of the latch, if there is one.
        detail: For a person.
        repeat: How many such decisions this entry stands for.
    """

    stamp_us: int
    now_ns: int
    command: str
    id: str
    client: str
    verdict: Verdict | None
    code: Reason
    reasons: tuple[Reason, ...]
    before: State
    after: State
    linear_mps: float | None = None
    angular_radps: float | None = None
    stop_id: str = ""
    detail: str = ""
    repeat: int = 1


@dataclass(frozen=True, slots=True)
class Notice:
    """A line for the log: the lane itself never writes one."""

    level: int
    event: str
    text: str
    fields: Mapping[str, object] = field(default_factory=dict)


News = DecisionEntry | Notice


class Ledger:
    """The lane's half and the main loop's half of one queue.

    Attributes:
        dropped: Entries and notices that nobody fetched in time.
        unaudited: Decisions that are not in the audit, for want of room.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        """Begin empty.

        Args:
            wake: Has the main loop call `take` soon; must not wait.
        """
        self._wake = wake
        self._waiting: deque[News] = deque()
        self._open: dict[tuple[object, ...], tuple[DecisionEntry, int, int]] = {}  # newest, since, further ones
        self._woken = False
        self._audit: deque[DecisionEntry] = deque()
        self._audited: dict[Verdict | None, tuple[int, int]] = {}  # since when, how many
        self._told_unaudited = 0
        self.dropped = 0
        self.unaudited = 0

    def enter(self, entry: DecisionEntry) -> None:
        """Record a decision; among the news an identical one of the last second only counts."""
        self.keep(entry)
        if entry.before is not entry.after or entry.verdict not in _OFTEN:
            self.flush(entry.now_ns, everything=True)  # in order
            self._put(entry)
            return
        key = (entry.command, entry.client, entry.verdict, entry.code, entry.after)
        known = self._open.get(key)
        if known is None:
            if len(self._open) >= _OPEN_MAX:
                self.flush(entry.now_ns, everything=True)
            self._open[key] = (entry, entry.now_ns, 0)
            self._put(entry)
        else:
            self._open[key] = (entry, known[1], known[2] + 1)

    def keep(self, entry: DecisionEntry) -> None:
        """Record something for the audit alone."""
        if entry.before is entry.after and entry.verdict not in _DRIVEN:
            since_ns, count = self._audited.get(entry.verdict, (entry.now_ns, 0))
            if entry.now_ns - since_ns >= _WINDOW_NS:
                since_ns, count = entry.now_ns, 0
            self._audited[entry.verdict] = since_ns, count + 1
            if count >= _PER_S_MAX:
                self.unaudited += 1
                return
        if len(self._audit) >= _AUDIT_MAX:
            with suppress(IndexError):
                self._audit.popleft()
                self.unaudited += 1
        self._audit.append(entry)

    def note(self, notice: Notice) -> None:
        """Have a line logged."""
        self._put(notice)

    def flush(self, now_ns: int, *, everything: bool = False) -> None:
        """Put the counts whose second is over, and have the audit fetched; called at every tick."""
        if self._audit:
            self._call()
        over = [key for key, (_, since, _) in self._open.items() if everything or now_ns - since >= _WINDOW_NS]
        for key in over:
            newest, _, further = self._open.pop(key)
            if further:
                self._put(replace(newest, repeat=further))

    def take(self) -> list[News]:
        """Return what came since the last time; on the main loop."""
        self._woken = False
        taken: list[News] = []
        with suppress(IndexError):  # the lane, too, may take from the front
            while len(taken) < _WAITING_MAX:
                taken.append(self._waiting.popleft())
        return taken

    def take_audit(self) -> tuple[list[DecisionEntry], int]:
        """Return every decision since the last time, and how many were not kept since then; on the main loop."""
        taken: list[DecisionEntry] = []
        with suppress(IndexError):
            while len(taken) < _AUDIT_MAX:
                taken.append(self._audit.popleft())
        missing, self._told_unaudited = self.unaudited - self._told_unaudited, self.unaudited
        return taken, missing

    def _put(self, news: News) -> None:
        if len(self._waiting) >= _WAITING_MAX:
            with suppress(IndexError):
                self._waiting.popleft()
                self.dropped += 1
        self._waiting.append(news)
        self._call()

    def _call(self) -> None:
        if not self._woken:
            self._woken = True
            self._wake()
