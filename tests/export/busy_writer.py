"""A process that holds an outbox and writes into it as fast as it can, until its input ends.

In: a path, bytes     Out: on stdout, after each append, how many records of `odom` are on disk; at the end `done`.
`odom` is kept; `scan` is written and deleted all the time, so that pages move and checkpoints come.
"""

from __future__ import annotations

import select
import sys
from pathlib import Path
from random import Random

from tests.export.outboxes import ODOM, SCAN, Robot, pose


def main(path: Path, max_bytes: int) -> None:
    """Write until stdin ends."""
    robot = Robot(path, max_bytes=max_bytes)
    random = Random(1)
    written = 0
    scans: list[int] = []
    while not select.select([sys.stdin], [], [], 0)[0]:
        if written < 20_000:
            robot.store(ODOM, map(pose, range(written, written + 5)))
            written += 5
        scans += robot.store(SCAN, [random.randbytes(random.randrange(4000)).hex() for _ in range(3)], rows=3)
        if len(scans) > 200:
            random.shuffle(scans)
            robot.database.forget(scans[:100])
            del scans[:100]
        sys.stdout.write(f"{written}\n")
        sys.stdout.flush()
    robot.close()
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
