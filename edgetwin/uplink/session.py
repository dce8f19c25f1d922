"""Uplink room: one MQTT 5 connection, from CONNACK to its end.

In: topic, payload, properties     Out: a packet id now, its PUBACK reason code later.

aiomqtt and paho own the connection (CONNECT, keepalive, DISCONNECT, TLS rules, reason codes).
PUBLISH and PUBACK, the two packets that every sample costs, pass them by: aiomqtt ignores PUBACK
reason codes, does not wake a pending publish when the link drops, and spends a task, an event and
a timer on each message. Here a publish is a plain call and its PUBACK a plain callback.
This reaches below aiomqtt's surface: its version is pinned, and tests/integration/test_session.py
is the contract. A Session is used once; reconnecting makes a new one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.enums import MQTTErrorCode

from edgetwin.errors import LinkError
from edgetwin.uplink import packets
from edgetwin.uplink.wire_socket import WireSocket

CONNACK_TIMEOUT_S = 4.0
WINDOW_MAX = 20  # mosquitto's Receive Maximum; beyond it a lost link costs more repeats than it gains speed
MAX_PACKET_BYTES = 268_435_455  # MQTT's own limit, where the broker names none
_UNSENT_MAX_BYTES = 1_048_576

_log = logging.getLogger("edgetwin.mqtt")
_log.setLevel(logging.CRITICAL)  # paho's own lines: the link reports changes of state once, in words

OnAck = Callable[[int, int], None]


class Session(aiomqtt.Client):
    """One connection over an already connected socket; `ended` resolves when it is over.

    Attributes:
        window: PUBLISH packets that may be unacknowledged at once (QoS 1).
        max_packet_bytes: Largest packet the broker takes.
        flushed_by_caller: The caller will call `flush` before this turn of the loop ends.
    """

    def __init__(
        self, hostname: str, port: int, sock: socket.socket | ssl.SSLSocket, on_ack: OnAck, **options: Any
    ) -> None:
        super().__init__(
            hostname,
            port,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=MQTT_CLEAN_START_FIRST_ONLY,
            timeout=CONNACK_TIMEOUT_S,
            logger=_log,
            **options,
        )
        self.window = WINDOW_MAX
        self.max_packet_bytes = MAX_PACKET_BYTES
        self._wire = WireSocket(sock)
        self._on_ack = on_ack
        self._packet_id = 0
        self.flushed_by_caller = False
        self._flush_scheduled = False
        self._writer_armed = False
        self._listening = False
        self._client._create_socket = lambda: self._wire  # type: ignore[method-assign]  # noqa: SLF001

    @property
    def ended(self) -> asyncio.Future[None]:
        """Resolves (or fails, with the reason) when the connection is over."""
        return self._disconnected

    @property
    def congested(self) -> bool:
        """Whether the kernel takes no more for now: the caller should wait before it publishes."""
        return self._wire.unsent_bytes > _UNSENT_MAX_BYTES

    @property
    def over(self) -> bool:
        """Whether the connection has ended."""
        return self._disconnected.done()

    def publish_nowait(
        self, topic: bytes, payload: bytes, properties: bytes, *, qos: int = 1, retain: bool = False
    ) -> int:
        """Queue one PUBLISH; it leaves at the next `flush`, or else at the end of this turn of the loop.

        The caller keeps the window. A QoS 0 publish has no acknowledgement.

        Args:
            topic: From `packets.utf8_string`.
            payload: Any bytes; the packet must not exceed `max_packet_bytes`.
            properties: From `packets.publish_properties`.
            qos: 0 or 1.
            retain: As in MQTT.

        Returns:
            Its packet id.

        Raises:
            LinkError: The connection is over.
        """
        if self._disconnected.done():
            msg = "connection is over"
            raise LinkError(msg)
        self._packet_id = packet_id = packets.next_packet_id(self._packet_id)
        self._wire.send(packets.publish(topic, payload, packet_id, qos=qos, retain=retain, properties=properties))
        if not self._flush_scheduled and not self.flushed_by_caller:
            self._schedule_flush()
        return packet_id

    def read_acks(self) -> None:
        """Take the PUBACKs that have come, now: for a caller that is awake anyway."""
        if not self._disconnected.done():
            self._readable()

    def listen(self, on: bool) -> None:  # noqa: FBT001
        """Whether a PUBACK wakes the loop; if not, the caller promises to `read_acks` every few milliseconds."""
        if on == self._listening or self._disconnected.done():
            return
        self._listening = on
        if on:
            self._loop.add_reader(self._wire.fileno(), self._readable)
        else:
            self._loop.remove_reader(self._wire.fileno())

    def flush(self) -> None:
        """Send now what would be sent at the end of this turn of the loop."""
        if self._wire.unsent_bytes and not self._disconnected.done():
            self._flush()

    def abort(self) -> None:
        """End the connection now, without a DISCONNECT, so that the broker publishes the will."""
        self._fail(LinkError("aborted"))

    def goodbye(self) -> None:
        """End the connection in order: DISCONNECT, so that the broker does not publish the will."""
        if not self._disconnected.done():
            self._client.disconnect()
            self._flush()
        self._fail(LinkError("disconnected"))

    async def _misc_loop(self) -> None:
        # aiomqtt looks once a second: with a keepalive of 1 s the PINGREQ would come too late for the broker.
        while self._client.loop_misc() == MQTTErrorCode.MQTT_ERR_SUCCESS:  # noqa: ASYNC110
            await asyncio.sleep(min(1.0, self._keepalive / 4))

    def _schedule_flush(self) -> None:
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self._disconnected.done() or (not self._wire.unsent_bytes and not self._client.want_write()):
            return
        try:
            if self._client.want_write():
                self._client.loop_write()
            flushed = self._wire.flush()
        except OSError as error:
            self._fail(error)
            return
        if flushed == self._writer_armed:
            self._writer_armed = not flushed
            if flushed:
                self._loop.remove_writer(self._wire.fileno())
            else:
                self._loop.add_writer(self._wire.fileno(), self._flush)

    def _readable(self) -> None:
        try:
            for packet_id, reason_code in self._wire.receive():
                self._on_ack(packet_id, reason_code)
            while self._wire.pending() and self._client._sock is not None:  # noqa: SLF001
                self._client.loop_read()
        except (OSError, ValueError) as error:
            self._fail(error)
        else:
            if self._wire.ended:
                self._fail(LinkError("the broker closed the connection"))

    def _fail(self, error: Exception) -> None:
        descriptor = self._wire.fileno()
        if descriptor >= 0:
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)
        if self._misc_task is not None:
            self._misc_task.cancel()
        self._wire.close()
        self._client._sock = None  # noqa: SLF001
        if not self._connected.done():  # still waiting for CONNACK: say why at once, not after a timeout
            self._connected.set_exception(aiomqtt.MqttError(str(error)))
        if not self._disconnected.done():
            self._disconnected.set_exception(error)
        for future in (self._connected, self._disconnected):
            future.exception()  # retrieved here: there may be nobody who waits for it

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        if properties is not None:
            self.window = min(WINDOW_MAX, getattr(properties, "ReceiveMaximum", WINDOW_MAX))
            self.max_packet_bytes = getattr(properties, "MaximumPacketSize", MAX_PACKET_BYTES)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:
        def start() -> None:
            if self._disconnected.done():
                return
            self._misc_task = self._loop.create_task(self._misc_loop())
            self.listen(True)  # noqa: FBT003

        self._loop.call_soon_threadsafe(start)  # paho calls this from aiomqtt's executor thread

    def _on_socket_close(self, client: Any, userdata: Any, sock: Any) -> None:
        self._loop.remove_writer(sock.fileno())
        super()._on_socket_close(client, userdata, sock)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        self._loop.call_soon_threadsafe(self._schedule_flush)

    def _on_socket_unregister_write(self, client: Any, userdata: Any, sock: Any) -> None:
        """Nothing to take back: writability is watched only while the kernel's buffer is full."""
