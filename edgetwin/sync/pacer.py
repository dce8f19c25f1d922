"""Pace room: which samples of one channel leave, and when.

In: samples as they come, the time     Out: leave now, or hold; later: the held one leaves after all.
Pure: no clock, no loop, no decoding of its own (`read` is called only when a deadband must know).

The rules, in this order:
1. An `event` channel holds nothing.
2. Rate: not more than `rate_hz_max` in the message's own time.
3. Heartbeat: while messages come, one leaves at least this often, whatever its value.
4. Deadband: what has not moved since the last one that left is held.
5. Final state: the newest held sample leaves when motion has settled inside the deadband, and when
   the source falls silent in the middle of a burst. What a twin shows at rest is where the robot is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from edgetwin.errors import MalformedMessageError
from edgetwin.sync.deadband import Deadband, Reading
from edgetwin.sync.message_time import MessageTime, RateLimit

_SILENCE_MIN_NS = 100_000_000

Sample = TypeVar("Sample")


@dataclass(frozen=True, slots=True)
class PaceRule:
    """How one channel is paced. `rate_hz_max` None: everything leaves at once (event)."""

    rate_hz_max: float | None
    heartbeat_ns: int
    settle_ns: int
    deadband: Deadband | None = None


class Pacer(Generic[Sample]):
    """The pacing of one channel.

    Attributes:
        received: Samples offered.
        passed: Samples that left.
        due_ns: Monotonic time at which `release` wants to be called, or None.
    """

    def __init__(self, rule: PaceRule, read: Callable[[Sample], Reading] | None = None) -> None:
        self.received = 0
        self.passed = 0
        self.due_ns: int | None = None
        self.time = MessageTime()
        self._held: Sample | None = None
        self._reading: Reading | None = None  # of the sample that is being offered
        self._offered_ns = 0
        self._interval_ns = 0
        self._moved_ns: int | None = None  # when it last moved; None at rest, the final state has left
        self.repace(rule, read)

    def repace(self, rule: PaceRule, read: Callable[[Sample], Reading] | None = None) -> None:
        """Go on by another rule: counters, message time and what is held stay; the next sample offered leaves.

        The next one leaves because there is nothing to compare it with: what left before was judged, and may not even
        have been read, by the rule before.
        """
        self._rule = rule
        self._read = read
        self._limit = RateLimit(rule.rate_hz_max) if rule.rate_hz_max is not None else None
        self._looks = RateLimit(rule.rate_hz_max or 1.0)
        self._silence_ns = max(_SILENCE_MIN_NS, 2 * self._limit.period_ns) if self._limit else 0
        self._reference: Sample | None = None
        self._reference_reading: Reading | None = None
        self._left_ns: int | None = None

    @property
    def held_back(self) -> int:
        """Samples that did not leave."""
        return self.received - self.passed

    def offer(self, sample: Sample, stamp_ns: int, received_ns: int, now_ns: int) -> bool:
        """Return whether `sample` leaves now.

        Args:
            sample: Opaque; handed to `read`, kept while held.
            stamp_ns: When it was measured, any time line [ns]; 0: it does not say.
            received_ns: When the middleware received it [ns, UTC].
            now_ns: Monotonic time it was taken [ns], not before the last one.
        """
        self.received += 1
        if self._limit is None:
            self.passed += 1
            return True
        self._interval_ns, self._offered_ns = now_ns - self._offered_ns, now_ns
        message_ns = self.time.advance(stamp_ns, received_ns)
        if self._rule.deadband is None:  # by rate alone: the usual case, and the hot one
            if not self._limit.admit(message_ns):
                self._hold(sample, now_ns + self._silence())
                return False
            self.passed += 1
            self._held = self.due_ns = None
            return True
        if not self._limit.ready(message_ns):
            self._hold(sample, now_ns + self._silence())
            return False
        self._reading = None
        if not self._wanted(sample, message_ns, now_ns):
            return False
        self._leave(sample, message_ns, now_ns)
        return True

    def _wanted(self, sample: Sample, message_ns: int, now_ns: int) -> bool:
        """Whether a sample that the rate permits is news; if not, it is held for as long as it may be needed."""
        if self._left_ns is None or self._heartbeat_due(now_ns):
            return True
        if not self._looks.ready(message_ns):  # at rest a fast source is not read more often than it may leave
            self._hold(sample, now_ns + self._silence())
            return False
        self._looks.take(message_ns)
        if self._moved(sample):
            self._moved_ns = now_ns
            return True
        if self._moved_ns is None:
            self._held = self.due_ns = None
            return False
        settled_ns = self._moved_ns + self._rule.settle_ns
        if now_ns >= settled_ns:
            self._moved_ns = None
            return True
        self._hold(sample, min(settled_ns, now_ns + self._silence()))
        return False

    def release(self, now_ns: int) -> Sample | None:
        """Return the held sample if its time has come: the source has been silent, or motion has settled."""
        if self.due_ns is None or now_ns < self.due_ns:
            return None
        sample = self._held
        if sample is not None:
            self._leave(sample, self.time.now_ns, now_ns)
            self._moved_ns = None
        self.due_ns = None
        return sample

    def flush(self) -> Sample | None:
        """Return what is held, at the end of the process."""
        self.due_ns = self.due_ns and 0
        return self.release(self._offered_ns)

    def _silence(self) -> int:
        """How long no message must come before the held one leaves: longer than the source's own pace."""
        return self._silence_ns if self.received == 1 else max(self._silence_ns, 2 * self._interval_ns)

    def _heartbeat_due(self, now_ns: int) -> bool:
        # Half an interval early rather than half an interval late: a 1 Hz source beats at 1 Hz.
        elapsed_ns = now_ns - (self._left_ns or 0)
        return elapsed_ns + self._interval_ns // 2 >= self._rule.heartbeat_ns

    def _moved(self, sample: Sample) -> bool:
        if self._read is None or self._reference is None or self._rule.deadband is None:
            return True
        self._reading = self._read(sample)
        if self._reference_reading is None:
            try:
                self._reference_reading = self._read(self._reference)
            except MalformedMessageError:
                return True  # what left could not be read; this one can
        return self._rule.deadband.moved(self._reference_reading, self._reading)

    def _hold(self, sample: Sample, due_ns: int) -> None:
        self._held = sample
        self.due_ns = due_ns

    def _leave(self, sample: Sample, message_ns: int, now_ns: int) -> None:
        if self._limit is not None:
            self._limit.take(message_ns)
        self.passed += 1
        self._left_ns = now_ns
        self._reference = sample
        self._reference_reading, self._reading = self._reading, None
        self._held = None
        self.due_ns = None
