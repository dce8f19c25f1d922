"""Floor: what the kernel says of the wall clock: whether anything disciplines it, and how far it may be off.

In: nothing     Out: KernelClock. Asks, sets nothing; anybody may ask unless a sandbox forbids it.

Source: adjtimex(2), clock_adjtime with modes 0.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

from edgetwin.clock import NS_PER_S, NS_PER_US

_UNSYNCHRONISED = 0x0040
_IN_NANOSECONDS = 0x2000
_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    """The head of the kernel's `struct timex` (LP64); the rest is room for it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


_LIBRARY = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class KernelClock:
    """The wall clock as the kernel sees it.

    Attributes:
        synchronised: Whether something keeps it right; None: the kernel may not be asked.
        offset_ns: What is still being corrected [ns].
        error_max_ns: Bound of its error [ns]; means nothing while it is not synchronised.
        why: Why the kernel may not be asked.
    """

    synchronised: bool | None
    offset_ns: int = 0
    error_max_ns: int = 0
    why: str = ""

    def figures(self) -> dict[str, object]:
        """Return it as plain values, in seconds."""
        known = bool(self.synchronised)
        return {
            "synchronised": self.synchronised,
            "offset_s": self.offset_ns / NS_PER_S if known else None,
            "error_max_s": self.error_max_ns / NS_PER_S if known else None,
        }


def look() -> KernelClock:
    """Return what the kernel says now."""
    ask = getattr(_LIBRARY, "adjtimex", None)
    if ask is None:
        return KernelClock(None, why="this libc has no adjtimex")
    answer = _Timex()  # of this call alone: the command lane asks on a thread of its own
    state = ask(ctypes.byref(answer))
    if state == -1:
        return KernelClock(None, why=os.strerror(ctypes.get_errno()))
    status = int(answer.status)
    unit_ns = 1 if status & _IN_NANOSECONDS else NS_PER_US
    return KernelClock(
        synchronised=state != _TIME_ERROR and not status & _UNSYNCHRONISED,
        offset_ns=int(answer.offset) * unit_ns,
        error_max_ns=int(answer.maxerror) * NS_PER_US,
    )
