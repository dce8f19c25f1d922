"""Roof: who is still getting on: one heart for each lane of the daemon, and which of them have gone silent.

In: beats, from any thread     Out: the lanes that are late.
It starts nothing, logs nothing and judges nobody: a limit is the lane's own word.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edgetwin.clock import NS_PER_S, Clock, seconds_to_ns


@dataclass(frozen=True, slots=True)
class Late:
    """A lane that is silent for longer than it said it would ever be.

    Attributes:
        name: Of the lane.
        silent_s: Since its last beat [s].
        limit_s: What it promised [s].
    """

    name: str
    silent_s: float
    limit_s: float

    def __str__(self) -> str:
        return f"{self.name} for {self.silent_s:.1f} s (limit {self.limit_s:g} s)"


class Heart:
    """What one lane beats where its work comes round; one store of an int, so safe from its own thread."""

    __slots__ = ("_clock", "beaten_ns", "limit_ns", "name")

    def __init__(self, name: str, limit_ns: int, clock: Clock) -> None:
        self.name = name
        self.limit_ns = limit_ns
        self._clock = clock
        self.beaten_ns = clock.now_ns()

    def beat(self) -> None:
        """Say that work came round just now."""
        self.beaten_ns = self._clock.now_ns()


class Progress:
    """The hearts of one daemon."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hearts: dict[str, Heart] = {}

    @contextmanager
    def lane(self, name: str, limit_s: float) -> Iterator[Heart]:
        """Give a lane its heart for as long as it runs; it beats from now on.

        Args:
            name: Of the lane, as a log line would say it.
            limit_s: Silence longer than this means that the lane hangs [s].
        """
        heart = self._hearts[name] = Heart(name, seconds_to_ns(limit_s), self._clock)
        try:
            yield heart
        finally:
            del self._hearts[name]  # it ends in order: its silence means nothing any more

    def late(self) -> tuple[Late, ...]:
        """Return the lanes that are silent beyond their limits, longest silence first."""
        now_ns = self._clock.now_ns()
        silent = ((heart, now_ns - heart.beaten_ns) for heart in list(self._hearts.values()))
        late = [
            Late(heart.name, silent_ns / NS_PER_S, heart.limit_ns / NS_PER_S)
            for heart, silent_ns in silent
            if silent_ns > heart.limit_ns
        ]
        return tuple(sorted(late, key=lambda one: -one.silent_s))
