"""The cable that can be pulled: what passes, what is refused, what is held back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from edgetwin.sim.faulty_link import Fault, FaultyLink
from edgetwin.sim.ports import HOST

_PATIENCE_S = 5.0
_SILENCE_S = 0.2


class _Echo(asyncio.Protocol):
    """Sends back what it gets, then its own end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self._transport.write(data)


class _Client:
    """One connection through the link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, question: bytes) -> bytes:
        """Send, and return as many bytes as were sent."""
        self.writer.write(question)
        return await self.hear(len(question))

    async def hear(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        async with asyncio.timeout(_PATIENCE_S):
            return await self.reader.readexactly(count)

    async def hears_nothing(self) -> bool:
        """Whether nothing comes for a while, not even an end."""
        try:
            async with asyncio.timeout(_SILENCE_S):
                await self.reader.read(1)
        except TimeoutError:
            return True
        return False


class _Bench:
    """A link to an echo server, and the clients that dialled it."""

    def __init__(self, link: FaultyLink) -> None:
        self.link = link
        self.clients: list[_Client] = []

    async def dial(self) -> _Client:
        """Connect."""
        client = _Client(*await asyncio.open_connection(HOST, self.link.port))
        self.clients.append(client)
        return client


def _play(story: Callable[[_Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(_Echo, HOST, 0)
        async with server, FaultyLink(server.sockets[0].getsockname()[1]) as link:
            bench = _Bench(link)
            try:
                await story(bench)
            finally:
                for client in bench.clients:
                    client.writer.close()

    asyncio.run(main())


def test_bytes_pass_unchanged_and_in_order() -> None:
    """Some megabytes come back as they went."""

    async def story(bench: _Bench) -> None:
        client = await bench.dial()
        payload = bytes(range(256)) * 8192

        assert await client.ask(payload) == payload
        assert bench.link.connections == 1

    _play(story)


def test_the_end_of_a_connection_passes_too() -> None:
    """What was sent just before the client closed its side still arrives, then the end."""

    async def story(bench: _Bench) -> None:
        client = await bench.dial()
        client.writer.write(b"last words")
        client.writer.write_eof()
        async with asyncio.timeout(_PATIENCE_S):
            heard = await client.reader.read()

        assert heard == b"last words"

    _play(story)


def test_refuse_resets_and_refuses_then_passes_again_on_the_same_port() -> None:
    """Open connections are reset at once, new ones refused; afterwards a new one works."""

    async def story(bench: _Bench) -> None:
        client = await bench.dial()
        await client.ask(b"hello")
        await bench.link.set(Fault.REFUSE)
        with pytest.raises(ConnectionResetError):
            await client.hear(1)
        for _ in range(20):
            with pytest.raises(ConnectionRefusedError):
                await bench.dial()
        await bench.link.set(Fault.PASS)

        assert await (await bench.dial()).ask(b"again") == b"again"

    _play(story)


def test_a_blackhole_is_silent_and_loses_nothing() -> None:
    """Neither an answer nor an end while it lasts; afterwards every byte comes, in order."""

    async def story(bench: _Bench) -> None:
        client = await bench.dial()
        await client.ask(b"hello")
        await bench.link.set(Fault.BLACKHOLE)
        client.writer.write(b"one,")
        client.writer.write(b"two")
        silent = await client.hears_nothing()
        await bench.link.set(Fault.PASS)

        assert silent
        assert await client.hear(7) == b"one,two"

    _play(story)


def test_who_dials_into_a_blackhole_waits() -> None:
    """The connection is accepted, nobody answers; it works once the hole is closed."""

    async def story(bench: _Bench) -> None:
        await bench.link.set(Fault.BLACKHOLE)
        client = await bench.dial()
        client.writer.write(b"early")
        silent = await client.hears_nothing()
        await bench.link.set(Fault.PASS)

        assert silent
        assert await client.hear(5) == b"early"

    _play(story)


def test_a_blackhole_can_end_in_a_reset() -> None:
    """The peer that was silent for a while is gone: what was held is dropped with the connection."""

    async def story(bench: _Bench) -> None:
        client = await bench.dial()
        await client.ask(b"hello")
        await bench.link.set(Fault.BLACKHOLE)
        client.writer.write(b"lost")
        await bench.link.set(Fault.REFUSE)

        with pytest.raises(ConnectionResetError):
            await client.hear(1)

    _play(story)


def test_a_dead_server_behind_the_link_looks_like_a_reset() -> None:
    """The link accepts, finds nobody, and says so at once."""

    async def main() -> None:
        with socket.create_server((HOST, 0)) as gone:
            port = gone.getsockname()[1]
        async with FaultyLink(port) as link:
            client = await _Bench(link).dial()
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await client.hear(1)
            client.writer.close()

    asyncio.run(main())
