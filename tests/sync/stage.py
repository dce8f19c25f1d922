"""A stage for pacers: timelines of messages in, (time, value) out; no clock, no sleep."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import strategies as st

from edgetwin.sync.deadband import ValueDeadband
from edgetwin.sync.pacer import Pacer, PaceRule

MS = 1_000_000
S = 1_000_000_000
EPOCH = 1_795_327_201 * S
NEVER_NS = 3600 * S

message = st.tuples(
    st.integers(0, 300 * MS),
    st.one_of(st.integers(0, 300 * MS), st.sampled_from([0, -5 * S, 30 * S, -EPOCH])),
    st.sampled_from([0.0, 0.1, 0.3, 0.6, 5.0, math.nan, math.inf]),
)
messages = st.lists(message, min_size=1, max_size=150)


@dataclass(frozen=True, slots=True)
class Said:
    """One message: when it came, what its stamp says, its value."""

    now_ns: int
    stamp_ns: int
    value: float

    @property
    def received_ns(self) -> int:
        """What the robot's wall clock shows when it comes."""
        return EPOCH + self.now_ns


@dataclass(slots=True)
class Stage:
    """A pacer, a loop that calls `release` when it is due, and what left: (time, value)."""

    pacer: Pacer[Said]
    left: list[tuple[int, float]] = field(default_factory=list)

    def play(self, said: Iterable[Said], *, then_ns: int = 10 * S) -> list[tuple[int, float]]:
        """Offer all of it, then let `then_ns` of silence go by; return what left."""
        now_ns = 0
        for message in said:
            self._release_until(message.now_ns)
            now_ns = message.now_ns
            if self.pacer.offer(message, message.stamp_ns, message.received_ns, now_ns):
                self.left.append((now_ns, message.value))
        self._release_until(now_ns + then_ns)
        return self.left

    def _release_until(self, now_ns: int) -> None:
        while self.pacer.due_ns is not None and self.pacer.due_ns <= now_ns:
            due_ns = self.pacer.due_ns
            sample = self.pacer.release(due_ns)
            assert self.pacer.due_ns is None or self.pacer.due_ns > due_ns
            if sample is not None:
                self.left.append((due_ns, sample.value))


def stage_of(
    rate_hz_max: float | None = 50.0,
    *,
    value: float | None = None,
    heartbeat_ns: int = NEVER_NS,
    settle_ns: int = S,
) -> Stage:
    """Return a stage with a fresh pacer; `value` is the threshold of a deadband."""
    band = ValueDeadband(value) if value is not None else None
    rule = PaceRule(rate_hz_max, heartbeat_ns, settle_ns, band)
    return Stage(Pacer(rule, lambda said: (said.value,)))


def steady(hz: float, seconds: float, *, start_ns: int = S, value: float | None = None) -> list[Said]:
    """Messages at a steady rate; the value is the index, or always the same."""
    step_ns = round(S / hz)
    return [
        Said(start_ns + i * step_ns, EPOCH + start_ns + i * step_ns, i if value is None else value)
        for i in range(round(hz * seconds))
    ]


def restamped(said: Iterable[Said], stamps: Iterable[int]) -> list[Said]:
    """Return the same messages with other stamps."""
    return [Said(one.now_ns, stamp_ns, one.value) for one, stamp_ns in zip(said, stamps, strict=False)]


def timeline(steps: Iterable[tuple[int, int, float]]) -> list[Said]:
    """Make messages of (wait, step of the stamp, value)."""
    now_ns, stamp_ns, said = S, EPOCH, []
    for waited_ns, stepped_ns, value in steps:
        now_ns, stamp_ns = now_ns + waited_ns, stamp_ns + stepped_ns
        said.append(Said(now_ns, stamp_ns, value))
    return said
