"""One thread of a process stands still, the others run: a blocked loop, without a line in the product for it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_ANY_THREAD = 0x40000000  # __WALL


@contextmanager
def frozen(thread: int) -> Iterator[None]:
    """Stop one thread with ptrace for as long as the context lasts.

    A process that dies meanwhile is not seen by its parent before the context ends.

    Args:
        thread: Its number on this host; that of its process for the main thread.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    for request in (_SEIZE, _INTERRUPT):
        if libc.ptrace(request, thread, None, None) != 0:
            raise OSError(ctypes.get_errno(), f"ptrace of {thread}")
    os.waitpid(thread, _ANY_THREAD)
    try:
        yield
    finally:
        if libc.ptrace(_DETACH, thread, None, None) != 0:  # it has died: its parent learns of it after us
            os.waitpid(thread, _ANY_THREAD)
