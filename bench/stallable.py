"""Bench: the daemon as it is, with a main loop that can be blocked from outside. `python -m bench.stallable ARGUMENTS`.

In: SIGUSR1, the main thread computes for two seconds; SIGUSR2, it sleeps     Out: what `python -m edgetwin` does.

One thing differs: no burst follows a stop, so that every zero belongs to the stop that caused it.
"""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import replace
from types import FrameType

from edgetwin.cli import main
from edgetwin.gate.limits import GateLimits
from edgetwin.lane import terms
from edgetwin.ros.robot_inputs import Sources
from edgetwin.settings import Settings

STALL_S = 2.0
COMPUTE, SLEEP = signal.SIGUSR1, signal.SIGUSR2
_limits_of = terms.limits_of


def _compute(_number: int, _frame: FrameType | None) -> None:
    until_s = time.monotonic() + STALL_S
    while time.monotonic() < until_s:
        sum(range(1000))


def _sleep(_number: int, _frame: FrameType | None) -> None:
    time.sleep(STALL_S)


def _without_burst(settings: Settings, sources: Sources) -> GateLimits:
    return replace(_limits_of(settings, sources), burst_ns=0)


if __name__ == "__main__":
    terms.limits_of = _without_burst
    signal.signal(COMPUTE, _compute)
    signal.signal(SLEEP, _sleep)
    sys.exit(main(sys.argv[1:]))
