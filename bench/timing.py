"""Bench: CPU time of calls in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Argument = TypeVar("Argument")


def cpu_us_per_call(call: Callable[[Argument], object], arguments: Sequence[Argument]) -> float:
    """Return the CPU time of `call` for one argument, on average over all of them, once warm [us]."""
    for argument in arguments[:16]:
        call(argument)
    begin_ns = time.thread_time_ns()
    for argument in arguments:
        call(argument)
    return (time.thread_time_ns() - begin_ns) / 1000 / len(arguments)
