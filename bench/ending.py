"""Bench: how the bench's own child processes end: SIGTERM raises, so that `finally` writes what was logged."""

from __future__ import annotations

import signal
from types import FrameType


class Ended(BaseException):
    """SIGTERM came. Recovery: write the log and leave."""


def end_on_sigterm() -> None:
    """Raise Ended in the main thread at the first SIGTERM; later ones are ignored."""

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # as signal calls it
        signal.signal(number, signal.SIG_IGN)
        raise Ended

    signal.signal(signal.SIGTERM, end)
