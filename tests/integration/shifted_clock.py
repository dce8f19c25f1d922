"""`edgetwin` on a robot whose wall clock is ahead of ours by what a file says [ns]: `python -m ... FILE run ...`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from edgetwin.clock import SystemClock

_AHEAD = Path(sys.argv.pop(1))


def _stamp_ns() -> int:
    return time.time_ns() + int(_AHEAD.read_text(encoding="ascii"))


if __name__ == "__main__":
    SystemClock.stamp_ns = staticmethod(_stamp_ns)
    from edgetwin.cli import main

    sys.exit(main())
