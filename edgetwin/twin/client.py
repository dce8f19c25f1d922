"""Twin wing: one MQTT 5 connection that only listens (and asks for the time), made for many small messages.

In: what aiomqtt's Client takes, and who takes messages     Out: each message by a plain call, on the loop
aiomqtt and paho own the connection (CONNECT, keepalive, SUBSCRIBE, DISCONNECT, TLS rules, reason codes). PUBLISH and
its PUBACK, the two packets that every record costs, pass them by, and with them aiomqtt's queue, which drops silently
when full: what we are too slow for waits in TCP. A message is acknowledged once it was taken. This reaches below
aiomqtt's surface: its version is pinned, and tests/integration/test_mirror_session.py is the contract.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgetwin.twin.gathered_socket import GatheredSocket
from edgetwin.twin.packets import Publish

Take = Callable[[Publish], None]


class Client(aiomqtt.Client):
    """One connection.

    Attributes:
        failure: Fails with what `take` raised, a defect of ours.
    """

    def __init__(self, take: Take, **options: Any) -> None:
        """Nothing happens before it is entered."""
        super().__init__(**options)
        self.failure: asyncio.Future[None] = self._loop.create_future()
        self._take = take
        self._in_turn = False
        self._writer_armed = False
        paho = self._client
        create = paho._create_socket  # noqa: SLF001
        paho._create_socket = lambda: GatheredSocket(create())  # type: ignore[method-assign, arg-type]  # noqa: SLF001
        paho.disconnect = functools.partial(paho.disconnect, properties=_for_good())  # type: ignore[method-assign]

    @property
    def ended(self) -> asyncio.Future[None]:
        """Resolves, or fails with the reason, when the connection is over."""
        return self._disconnected

    def publish_nowait(self, topic: str, payload: bytes, properties: Properties) -> None:
        """Hand one message of QoS 0 to the broker, without a word when it cannot be."""
        self._client.publish(topic, payload, 0, False, properties)  # noqa: FBT003

    def _readable(self, sock: GatheredSocket) -> None:
        """Take all that has come; what is answered to it leaves at the end, at once."""
        self._in_turn = True
        try:
            messages, acks = sock.receive()
            for message in messages:
                self._taken(message)
            sock.send(acks)
            while sock.readable and self._client._sock is sock:  # noqa: SLF001
                self._client.loop_read()
        except Exception as error:  # noqa: BLE001  # as aiomqtt has it: the connection broke
            self._broke(error)
        finally:
            self._in_turn = False
        self._write(sock)

    def _taken(self, message: Publish) -> None:
        try:
            self._take(message)
        except Exception as error:  # noqa: BLE001  # a defect of ours: it ends the mirror, it is no broken connection
            if not self.failure.done():
                self.failure.set_exception(error)

    def _write(self, sock: GatheredSocket) -> None:
        if self._client._sock is not sock:  # noqa: SLF001  # closed meanwhile
            return
        try:
            self._client.loop_write()
            flushed = sock.flush()
        except Exception as error:  # noqa: BLE001
            self._broke(error)
            return
        if flushed == self._writer_armed and self._client._sock is sock:  # noqa: SLF001
            self._writer_armed = not flushed
            if flushed:
                self._loop.remove_writer(sock.fileno())
            else:
                self._loop.add_writer(sock.fileno(), self._write, sock)

    def _broke(self, error: Exception) -> None:
        if not self._disconnected.done():
            self._disconnected.set_exception(error)

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        def start() -> None:
            self._misc_task = self._loop.create_task(self._misc_loop())
            self._loop.add_reader(sock.fileno(), self._readable, sock)

        self._loop.call_soon_threadsafe(start)  # paho calls this from aiomqtt's executor thread

    def _on_socket_close(self, client: Any, userdata: Any, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_writer(sock.fileno())
        self._writer_armed = False
        super()._on_socket_close(client, userdata, sock)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ARG002
        if not self._in_turn:  # else all leaves together when the turn ends
            self._loop.call_soon_threadsafe(self._write, sock)

    def _on_socket_unregister_write(self, client: Any, userdata: Any, sock: Any) -> None:
        """Nothing to take back: writability is watched only while the kernel's buffer is full."""


def _for_good() -> Properties:
    """Return what a farewell says: nobody comes back to this session, so nothing need wait for us."""
    properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 0
    return properties
