"""One boot of an outbox, in a process of its own, that ends by SIGKILL: at a chosen system call, or when told to.

In: a path, a boot, how many records     Out: `open` on standard output once it is open.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from tests.proofs.keeper import ODOM, Keeper


async def _boot(path: Path, boot: str, records: int) -> None:
    keeper = Keeper(path, boot)
    await keeper.open()
    os.write(1, b"open\n")
    keeper.put(ODOM, records)
    await asyncio.sleep(0.001)  # numbers are noted at the end of the turn, before anything of it is sent
    os.kill(os.getpid(), signal.SIGKILL)  # the clock stands still: all of them are in memory only


if __name__ == "__main__":
    asyncio.run(_boot(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
