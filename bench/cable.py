"""Bench: the cable between a robot and the broker, a process of its own. `python -m bench.cable PORT [ROUND_TRIP_MS]`.

In: SIGUSR1 cuts it, SIGUSR2 mends it, SIGTERM ends     Out: the port it listens on, as a line.

A cut resets what is open and refuses what comes: everybody notices at once, nobody has to wait for a keepalive.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop

from edgetwin.sim.faulty_link import Fault, FaultyLink
from edgetwin.sim.slow_link import SlowLink

READY = "cable at "
CUT, MEND = signal.SIGUSR1, signal.SIGUSR2


async def main(upstream_port: int, round_trip_ms: float) -> None:
    """Carry bytes until SIGTERM."""
    loop, orders = asyncio.get_running_loop(), asyncio.Queue[Fault | None]()
    for number, order in ((CUT, Fault.REFUSE), (MEND, Fault.PASS), (signal.SIGTERM, None)):
        loop.add_signal_handler(number, orders.put_nowait, order)
    long = SlowLink(upstream_port, round_trip_ms / 2000) if round_trip_ms else FaultyLink(upstream_port)
    async with long as link:
        print(f"{READY}{link.port}", flush=True)
        while (order := await orders.get()) is not None:
            await link.set(order)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))  # noqa: PLR2004
