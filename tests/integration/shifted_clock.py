"""`edgetwin` on a robot whose wall clock is ahead of ours by what a file says [ns]: `python -m ... FILE run ...`.

All of it: the daemon's own clock, and the middleware's time of reception.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from edgetwin.clock import SystemClock
from edgetwin.ros import topic

_AHEAD = Path(sys.argv.pop(1))


def _ahead_ns() -> int:
    return int(_AHEAD.read_text(encoding="ascii"))


def _stamp_ns() -> int:
    return time.time_ns() + _ahead_ns()


class _Topic(topic.Topic):
    def __init__(self, *given: Any) -> None:
        *others, sink = given

        def shifted(raw: bytes, received_ns: int, now_ns: int) -> None:
            sink(raw, received_ns and received_ns + _ahead_ns(), now_ns)

        super().__init__(*others, shifted)  # type: ignore[call-arg]


if __name__ == "__main__":
    SystemClock.stamp_ns = staticmethod(_stamp_ns)
    topic.Topic = _Topic  # type: ignore[assignment, misc]
    from edgetwin.cli import main

    sys.exit(main())
