"""Uplink room: a connected socket, soon after the network allows it.

In: host, port, TLS context     Out: a non-blocking socket, TLS handshake done.

A SYN that is lost is repeated by the kernel after 1, 3, 7 s: a black hole that ends in between costs seconds.
So another connection is tried beside a silent one every two seconds, and the first that answers wins.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeAlias

from edgetwin.errors import LinkError

Address: TypeAlias = tuple[socket.AddressFamily, Any]

STAGGER_S = 2.0
ROUNDS = 4
CONNECT_TIMEOUT_S = 10.0
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
HANDSHAKE_TIMEOUT_S = 6.0
_RESOLVE_TIMEOUT_S = 5.0


async def dial(host: str, port: int, tls: ssl.SSLContext | None) -> socket.socket | ssl.SSLSocket:
    """Return a connected socket.

    Raises:
        LinkError: Nobody answers, or TLS failed; in words.
    """
    addresses = await _resolve(host, port)
    sock = await _first_connected(addresses, f"{host}:{port}")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is None:
        return sock
    try:
        async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
            return await _handshake(sock, tls, host)
    except TimeoutError:
        msg = f"{host}:{port} does not finish the TLS handshake within {HANDSHAKE_TIMEOUT_S:g} s; is it a TLS port?"
        raise LinkError(msg) from None
    except ssl.SSLCertVerificationError as error:
        cure = "check [mqtt.tls] ca_file and the host name"
        if error.verify_code == _EXPIRED:
            cure = "renew the broker's certificate, or set this robot's clock"
        msg = f"certificate of {host}:{port} refused: {error.verify_message}; {cure}"
        raise LinkError(msg) from error
    except OSError as error:  # ssl.SSLError is one
        msg = f"TLS with {host}:{port} failed: {error}; check [mqtt.tls]"
        raise LinkError(msg) from error


async def _resolve(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVE_TIMEOUT_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        msg = f"host name {host!r} cannot be resolved: {error or 'no answer'}; check [mqtt] host and DNS"
        raise LinkError(msg) from error
    return [(family, address) for family, _, _, _, address in found]


async def _first_connected(addresses: list[Address], name: str) -> socket.socket:
    """Try all addresses at once, and again every STAGGER_S; return the first socket that connects."""
    outcome: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()
    failures: list[OSError] = []

    def failed(error: OSError) -> None:
        failures.append(error)
        if len(failures) >= len(addresses) and not outcome.done():  # all said no: an answer, not a silence
            outcome.set_exception(LinkError(f"{name} cannot be reached: {error.strerror or error}"))

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_attempt(address, turn * STAGGER_S, outcome, failed))
            for turn in range(ROUNDS)
            for address in addresses
        ]
        await asyncio.wait([outcome], timeout=CONNECT_TIMEOUT_S)
        for task in tasks:
            task.cancel()
    if not outcome.done():
        msg = f"{name} does not answer"
        raise LinkError(msg)
    return outcome.result()


async def _attempt(
    address: Address, delay_s: float, outcome: asyncio.Future[socket.socket], failed: Callable[[OSError], None]
) -> None:
    await asyncio.sleep(delay_s)
    sock = socket.socket(address[0], socket.SOCK_STREAM)
    sock.setblocking(False)  # noqa: FBT003
    try:
        await asyncio.get_running_loop().sock_connect(sock, address[1])
    except OSError as error:
        sock.close()
        failed(error)
    except asyncio.CancelledError:
        sock.close()
        raise
    else:
        if outcome.done():
            sock.close()
        else:
            outcome.set_result(sock)


async def _handshake(sock: socket.socket, tls: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    loop = asyncio.get_running_loop()
    wrapped = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    try:
        while True:
            try:
                wrapped.do_handshake()
            except ssl.SSLWantReadError:
                await _ready(wrapped, loop.add_reader, loop.remove_reader)
            except ssl.SSLWantWriteError:
                await _ready(wrapped, loop.add_writer, loop.remove_writer)
            else:
                return wrapped
    except BaseException:
        wrapped.close()
        raise


async def _ready(sock: socket.socket, add: Callable[..., Any], remove: Callable[..., Any]) -> None:
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def ready() -> None:
        if not waiter.done():
            waiter.set_result(None)

    add(sock.fileno(), ready)
    try:
        await waiter
    finally:
        remove(sock.fileno())
