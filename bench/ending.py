"""Bench: how the bench's own child processes end.

In: signals     Out: Ended, raised, so that `finally` writes what was logged; or a flag to look at, where
a message half sent would count as lost.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType


class Ended(BaseException):
    """SIGTERM came. Recovery: write the log and leave."""


def end_on_sigterm() -> None:
    """Raise Ended in the main thread at the first SIGTERM; later ones are ignored."""

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # as signal calls it
        signal.signal(number, signal.SIG_IGN)
        raise Ended

    signal.signal(signal.SIGTERM, end)


def flag_of(*numbers: signal.Signals) -> Callable[[], bool]:
    """Return a function that says whether one of these signals has come."""
    came: list[int] = []
    for number in numbers:
        signal.signal(number, lambda number, _frame: came.append(number))
    return lambda: bool(came)
