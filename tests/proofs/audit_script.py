"""What the power cut interrupts: decisions going into an audit, in a process of its own whose calls can be recorded.

In: a path, how many batches, whether syncs are real     Out: a line for each batch that is said to be safe.
Played by `python -m tests.proofs.audit_script PATH BATCHES [unsynced]`; ends by SIGKILL.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from pathlib import Path

from edgetwin.store.audit_file import AuditFile

ACKED = "acked"
BYTES_MAX = 64_000  # segments of 7 kB: many begin, and the oldest go
_DETAIL = "x" * 150


def batch_of(index: int) -> deque[bytes | int]:
    """Return the decisions of a batch: 1 to 5, numbered through."""
    first = sum(1 + earlier % 5 for earlier in range(index))
    return deque(b'{"detail":"%b","id":%d}' % (_DETAIL.encode(), first + n) for n in range(1 + index % 5))


def play(path: Path, batches: int, unsynced: str = "") -> None:
    """Write batch after batch, saying after each that it is safe."""
    if unsynced:
        os.fdatasync = lambda _descriptor: None  # type: ignore[assignment]
    file = AuditFile(path, BYTES_MAX, "boot", lambda: None, lambda _what: None)
    for index in range(batches):
        file.append(batch_of(index), 0)
        os.write(1, f"{ACKED} {index}\n".encode())
    os.kill(os.getpid(), 9)


if __name__ == "__main__":
    play(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
