"""Sim wing: a cable that is long. A FaultyLink that carries every byte later, each way.

In: connections, a delay     Out: the same bytes, so much later.

A round trip then takes twice the delay. It does not narrow the line: what is under way at once is bounded, but large.
"""

from __future__ import annotations

import asyncio

from edgetwin.sim.faulty_link import FaultyLink

_READ_BYTES = 65_536
_UNDER_WAY_MAX = 1024  # chunks: then the sender waits


class SlowLink(FaultyLink):
    """As FaultyLink; `delay_s` is for one way."""

    def __init__(self, upstream_port: int, delay_s: float) -> None:
        super().__init__(upstream_port)
        self._delay_s = delay_s

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY_MAX)
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deliver(under_way, writer))
            chunk = b"?"
            while chunk:
                chunk = await reader.read(_READ_BYTES)
                await under_way.put((loop.time() + self._delay_s, chunk))

    async def _deliver(self, under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        """Write each chunk when it is due; the empty one is the end."""
        loop = asyncio.get_running_loop()
        while True:
            due_s, chunk = await under_way.get()
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            await self._open.wait()
            if not chunk:
                break
            writer.write(chunk)
            await writer.drain()
        if not writer.is_closing():
            writer.write_eof()
