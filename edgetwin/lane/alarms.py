"""Command lane: what a person should look into: stops in a row, ticks that come late, a broker that refuses us.

In: each of them     Out: a line for the log when it begins, a decision too but for ticks; nothing per stop or tick
"""

from __future__ import annotations

import logging
from collections import deque

from edgetwin.clock import NS_PER_S
from edgetwin.gate.memory import Memory
from edgetwin.lane.ledger import DecisionEntry, Ledger, Notice
from edgetwin.lane.moment import Moments
from edgetwin.motion import Reason

_STOPS = 4  # more than three in a minute: somebody leans on the button, or worse
_STOPS_NS = 60 * NS_PER_S
_LATE_EVERY = 100


class Alarms:
    """Those of one lane.

    Attributes:
        stops: Stops since the start.
        late_ticks: Ticks that came late.
    """

    def __init__(self, ledger: Ledger, moments: Moments) -> None:
        self.stops = 0
        self.late_ticks = 0
        self._ledger = ledger
        self._moments = moments
        self._stops_ns: deque[int] = deque(maxlen=_STOPS)
        self._too_many = False

    def stopped(self, memory: Memory) -> None:
        """Count a stop; say it once when they come too often to be meant, and again when it happens again."""
        self.stops += 1
        moment = self._moments.now()
        self._stops_ns.append(moment.now_ns)
        before, self._too_many = self._too_many, False
        if len(self._stops_ns) < _STOPS or moment.now_ns - self._stops_ns[0] >= _STOPS_NS:
            return
        self._too_many = True
        if before:
            return
        words = f"More than {_STOPS - 1} stops within a minute, {self.stops} since the start: find out who sends them."
        self._ledger.note(Notice(logging.WARNING, "gate.stops", words, {"STOPS": self.stops}))
        self._enter(memory, Reason.STOPPED, words)

    def refused(self, memory: Memory, words: str) -> None:
        """Have it kept that the broker took a connection away, or never gave it; the log has its line already."""
        self._enter(memory, Reason.NOT_READY, words)

    def late(self, late_ns: int) -> None:
        """Count a late tick; say it at the first, and at every hundredth."""
        self.late_ticks += 1
        if self.late_ticks == 1 or not self.late_ticks % _LATE_EVERY:
            text = "The command lane ticked %.0f ms late (%d times so far): this machine is too busy for it."
            fields = {"LATE_MS": late_ns // 1_000_000, "LATE_TICKS": self.late_ticks}
            words = text % (late_ns / 1e6, self.late_ticks)
            self._ledger.note(Notice(logging.WARNING, "gate.late", words, fields))

    def _enter(self, memory: Memory, code: Reason, words: str) -> None:
        moment = self._moments.now()
        self._ledger.enter(
            DecisionEntry(
                moment.stamp_us, moment.now_ns, "alarm", "", "", None, code, (code,),
                memory.state, memory.state, stop_id=memory.stop_id, detail=words,
            )
        )  # fmt: skip
