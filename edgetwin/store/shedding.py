"""Keep room: what is given up when the outbox is full, and in which order.

In: what classes are there     Out: the next step.
Pure.

Order: critical samples are thinned evenly over time (every 2nd, 4th, ... 64th number is kept), then cut from
the oldest; then slow ones likewise; events only when nothing else is left. A number is kept by a rule of its
own (seq % 2^level == 0), so that thinning twice is thinning once, and the picture stays even over the whole
outage, new samples included: what is written while a pass is under way is thinned as far as the last pass went.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from edgetwin.records import ChannelClass

LEVEL_MAX = 6
ORDER = (ChannelClass.CRITICAL, ChannelClass.SLOW, ChannelClass.EVENT)


class Action(Enum):
    """One kind of step."""

    THIN = auto()
    CUT = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """The next thing to do: thin the rows of a class after `after_row` to `level`, or cut its oldest rows."""

    action: Action
    channel_class: ChannelClass
    level: int = 0
    after_row: int = 0


@dataclass(slots=True)
class _Pass:
    level: int = 0  # every row has been thinned to this
    cursor: int = 0  # rows up to here to one more


@dataclass(slots=True)
class Shedding:
    """The state of shedding: a pass per class, and the classes that have nothing left."""

    _passes: dict[ChannelClass, _Pass] = field(default_factory=lambda: {cls: _Pass() for cls in ORDER})
    _empty: set[ChannelClass] = field(default_factory=set)

    def next_step(self) -> Step | None:
        """Return the next step, or None when nothing is left to shed."""
        for channel_class in ORDER:
            if channel_class in self._empty:
                continue
            state = self._passes[channel_class]
            if channel_class is ChannelClass.EVENT or state.level >= LEVEL_MAX:
                return Step(Action.CUT, channel_class)
            return Step(Action.THIN, channel_class, state.level + 1, state.cursor)
        return None

    def done(self, step: Step, last_row: int | None) -> None:
        """A step was taken; `last_row` is the last row it looked at, None when there was none."""
        state = self._passes[step.channel_class]
        if step.action is Action.CUT:
            if last_row is None:
                self._empty.add(step.channel_class)
        elif last_row is None:
            if step.after_row == 0:
                self._empty.add(step.channel_class)
            else:
                state.level, state.cursor = step.level, 0
        else:
            state.cursor = last_row

    def level(self, channel_class: ChannelClass) -> int:
        """How far new rows of a class are thinned before they are written."""
        return self._passes[channel_class].level

    @property
    def thinning(self) -> bool:
        """Whether new rows of any class are thinned, or a pass is under way."""
        return any(state.level or state.cursor for state in self._passes.values())

    def appended(self, channel_class: ChannelClass) -> None:
        """A class has rows again."""
        self._empty.discard(channel_class)

    def relax(self) -> None:
        """There is room again: new samples are kept whole."""
        for state in self._passes.values():
            state.level = state.cursor = 0
        self._empty.clear()


def kept_at(level: int, seq: int) -> bool:
    """Whether a number survives thinning to `level`."""
    return seq & ((1 << level) - 1) == 0
