"""Sim wing: a cable that can be pulled. A TCP proxy on loopback between a client and a broker.

In: connections, and the fault that is set     Out: the same bytes, later, or not at all.

Only the connections that come through it suffer; whoever is connected to the broker itself is not
disturbed. No byte is ever changed or skipped: TCP would not do that either.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from enum import StrEnum
from types import TracebackType
from typing import Self

from edgetwin.sim.ports import HOST, HeldPort

_READ_BYTES = 65_536
_END_MAX_S = 2.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST instead of FIN


class Fault(StrEnum):
    """What the link does."""

    PASS = "pass"  # noqa: S105  # not a password
    REFUSE = "refuse"  # connections are reset, new ones refused: a broker that was killed
    BLACKHOLE = "blackhole"  # nothing moves and nobody is told: a pulled cable


class FaultyLink:
    """An async context manager: a port that leads to `upstream_port`, unless a fault is set."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._held = HeldPort()
        self.port = self._held.number
        self.fault = Fault.PASS
        self._open = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._carriers: set[asyncio.Task[None]] = set()

    async def set(self, fault: Fault) -> None:
        """Make the link behave so from now on.

        A blackhole that ends lets go what it held, in order, as TCP's repeats would.
        """
        self.fault = fault
        if fault is Fault.BLACKHOLE:
            self._open.clear()
        else:
            self._open.set()
        if fault is Fault.REFUSE:
            self._close_listener()
            self.reset_connections()
        elif self._server is None:
            self._server = await asyncio.start_server(self._carry, sock=self._held.listener())

    def reset_connections(self) -> None:
        """Reset every open connection, on both sides; the link itself stays as it is."""
        for writer in self._writers:
            _reset(writer)
        self._writers.clear()

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._carriers)

    def _close_listener(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        ends = [writer]
        carrier = asyncio.current_task()
        if carrier is not None:  # always; asyncio's types allow for callbacks outside a task
            self._carriers.add(carrier)
            carrier.add_done_callback(self._carriers.discard)
        try:
            await self._open.wait()
            up_reader, up_writer = await asyncio.open_connection(HOST, self._upstream_port)
            self._writers.add(up_writer)
            ends.append(up_writer)
            if writer.is_closing():  # reset while we were dialling
                up_writer.transport.abort()
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, up_writer))
                pumps.create_task(self._pump(up_reader, writer))
        except* OSError:  # one end is gone: so is the other
            for end in ends:
                _reset(end)
        finally:
            self._writers.difference_update(ends)
            for end in ends:
                end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_READ_BYTES):
            await self._open.wait()
            writer.write(chunk)
            await writer.drain()
        await self._open.wait()
        if not writer.is_closing():
            writer.write_eof()

    async def __aenter__(self) -> Self:
        await self.set(Fault.PASS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.set(Fault.REFUSE)
        if self._carriers:
            await asyncio.wait(self._carriers, timeout=_END_MAX_S)
        self._held.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # closed already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
