"""Bench: how the bench's own child processes end.

In: signals     Out: Ended, raised, so that `finally` writes what was logged; or a flag to look at, where
a message half sent would count as lost.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Ended(BaseException):
    """SIGTERM came. Recovery: write the log and leave."""


def end_on_sigterm() -> None:
    """Raise Ended in the main thread at the first SIGTERM; later ones are ignored."""

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # as signal calls it
        signal.signal(number, signal.SIG_IGN)
        raise Ended

    signal.signal(signal.SIGTERM, end)


@contextmanager
def unbroken() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back until the block has ended: a child is born and known, or not born."""
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, _frame: came.append(number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def flag_of(*numbers: signal.Signals) -> Callable[[], bool]:
    """Return a function that says whether one of these signals has come."""
    came: list[int] = []
    for number in numbers:
        signal.signal(number, lambda number, _frame: came.append(number))
    return lambda: bool(came)
