"""Command lane: one MQTT connection on the lane's loop, from CONNECT to its end.

In: a connected socket, what to listen to     Out: topics at once, messages after; what we publish, with QoS 1
Used once; reconnecting makes a new one. Clean start and session expiry 0: nothing waits for an absent robot.
A message is acknowledged when it comes, not when it is judged, so that the broker keeps no old ones for us.

Granted subscriptions prove nothing: mosquitto grants those that its rules do not allow, too, and then delivers nothing.
So we publish where only this robot may (`prove`); the broker's reason code says for whom it takes us.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from edgetwin.clock import NS_PER_S, Clock
from edgetwin.errors import LinkError
from edgetwin.lane import packets
from edgetwin.lane.outgoing import WINDOW_MAX, Message, Outgoing
from edgetwin.lane.packets import Subscription, Welcome
from edgetwin.lane.stream import Arrival, OnTopic, Packet, Stream, read_publish

_T = TypeVar("_T")
_HANDSHAKE_TIMEOUT_S = 4.0
_RECV_BYTES = (
    16_384  # a turn: about a hundred moves, a millisecond; a flood on one connection leaves the other its turn
)
_TLS_TURNS = 4
_KEEP_BYTES = 16_384
_UNSENT_MAX_BYTES = 262_144
_NOT_AUTHORISED = 0x87
_WOULD_BLOCK = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_CURES = {
    0x84: "it does not speak MQTT 5; use a broker that does",
    0x86: "check the credentials mqtt_username and mqtt_password",
    0x87: "check this robot's user name or certificate, and the broker's ACL for it (config/mosquitto.acl)",
    0x8E: "another client uses this robot's id; give each robot its own",
    0x95: "a message was too large for it",
    0x97: "its quota is used up",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """How to introduce ourselves, and what to listen to.

    Attributes:
        client_id: Ours; another connection with the same one ends this one.
        keepalive_s: The broker drops us after one and a half of it in silence, we it after one.
        subscriptions: Exact topics.
        proof: What is published as proof that the broker takes us for this robot; it says nothing to those who read it.
        receive_max: Messages with QoS 1 that may be on their way to us at once.
        packet_max_bytes: Longest packet the broker may send; 0: any.
    """

    client_id: str
    keepalive_s: int
    username: str | None
    password: str | None
    subscriptions: Sequence[Subscription]
    proof: Message
    receive_max: int = 20
    packet_max_bytes: int = 0


class Connection:
    """One connection.

    Attributes:
        ended: Resolves with the reason when it is over.
        doubted: Resolves when the broker forbids us a publish: `prove` once more. A new one after each proof.
        outgoing: What we publish.
    """

    def __init__(
        self,
        sock: socket.socket | ssl.SSLSocket,
        terms: Terms,
        on_topic: OnTopic,
        on_arrival: Callable[[Arrival], None],
        clock: Clock,
    ) -> None:
        """Take over a connected, non-blocking socket.

        Args:
            sock: From the dialler; closed at the end.
            terms: Of the connection.
            on_topic: Called with each topic before anything else is read of its message.
            on_arrival: Called with each message.
            clock: For the keepalive.
        """
        self._sock = sock
        self._terms = terms
        self._on_arrival = on_arrival
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._stream = Stream(on_topic, _KEEP_BYTES)
        self._unsent = bytearray()
        self._writer_armed = self._flush_scheduled = False
        self._packet_id = 0
        self._heard_ns = self._sent_ns = clock.now_ns()
        self._keepalive_ns = terms.keepalive_s * NS_PER_S
        self._timer: asyncio.TimerHandle | None = None
        self._welcomed: asyncio.Future[Welcome] = self._loop.create_future()
        self._subscribed: asyncio.Future[bytes] = self._loop.create_future()
        self._proved: asyncio.Future[int] = self._loop.create_future()
        self.ended: asyncio.Future[LinkError] = self._loop.create_future()
        self.doubted: asyncio.Future[None] = self._loop.create_future()
        self.outgoing = Outgoing(self._send, self._next_id)

    async def open(self) -> None:
        """Introduce ourselves and subscribe; then messages come, if the broker takes us for who we are (`prove`).

        Raises:
            LinkError: The broker does not answer, or refuses.
        """
        terms = self._terms
        self._loop.add_reader(self._sock.fileno(), self._readable)
        self._send(
            packets.connect(
                terms.client_id,
                terms.keepalive_s,
                terms.username,
                terms.password,
                receive_max=terms.receive_max,
                packet_max=terms.packet_max_bytes,
            )
        )
        welcome = await self._answer(self._welcomed)
        _refuse(welcome.reason_code, "the broker refuses us")
        self.outgoing.window = min(WINDOW_MAX, welcome.receive_max)
        if welcome.keepalive_s is not None:
            self._keepalive_ns = welcome.keepalive_s * NS_PER_S
        self._send(packets.subscribe(self._next_id(), terms.subscriptions))
        for code in await self._answer(self._subscribed):
            _refuse(code, "the broker refuses a command topic")
        if self._keepalive_ns:
            self._keep_alive()

    async def prove(self) -> None:
        """Return when the broker has taken a publish that no other robot's name is good for.

        Raises:
            LinkError: It refuses, does not answer, or the connection ended. Where it refuses, the connection stays:
                a stop that comes by it all the same is one.
        """
        self._proved = self._loop.create_future()
        self.outgoing.publish_first(self._terms.proof)
        code = await self._answer(self._proved)
        _refuse(code, f"the broker lets us listen, but not speak as this robot, on {self._terms.proof.topic}")
        self.doubted = self._loop.create_future()

    def close(self, why: str = "disconnected") -> None:
        """Say goodbye and end."""
        if not self.ended.done():
            self._unsent += packets.DISCONNECT_PACKET
            with suppress(OSError):
                self._sock.send(self._unsent)
        self._fail(LinkError(why))

    async def _answer(self, answer: asyncio.Future[_T]) -> _T:
        done, _ = await asyncio.wait(
            (answer, self.ended), timeout=_HANDSHAKE_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        if self.ended.done():
            raise self.ended.result()
        if answer not in done:
            msg = "the broker accepts the connection but does not answer"
            raise LinkError(msg)
        return answer.result()

    def _readable(self) -> None:
        try:
            for _ in range(_TLS_TURNS):
                received = self._sock.recv(_RECV_BYTES)
                if not received:
                    self._fail(LinkError("the broker closed the connection"))
                    return
                self._heard_ns = self._clock.now_ns()
                found = self._stream.feed(received)  # a stop is zero when this returns
                # mosquitto holds a small packet back (Nagle) until the one before is acknowledged, which our kernel
                # would do 40 ms later: a stop that follows something else would be that late. After `feed`: each
                # call into the kernel lets go of the interpreter, and a main loop that computes gives it back late.
                self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                for packet in found:
                    self._take(packet)
                if not (isinstance(self._sock, ssl.SSLSocket) and self._sock.pending()):
                    return
        except _WOULD_BLOCK:
            return
        except (OSError, ValueError) as error:  # UnicodeDecodeError is a ValueError
            self._fail(LinkError(_words(error)))

    def _take(self, packet: Packet) -> None:
        if packet.kind == packets.PUBLISH:
            arrival = read_publish(packet)
            if arrival.packet_id is not None:
                self._send(packets.puback(arrival.packet_id))
            self._on_arrival(arrival)
        elif packet.kind == packets.PUBACK:
            self._acknowledged(*packets.read_ack(packet.body))
        elif packet.kind == packets.CONNACK and not self._welcomed.done():
            self._welcomed.set_result(packets.read_connack(packet.body))
        elif packet.kind == packets.SUBACK and not self._subscribed.done():
            self._subscribed.set_result(packets.read_suback(packet.body))
        elif packet.kind == packets.DISCONNECT:
            code = packet.body[0] if packet.body else 0
            cure = _CURES.get(code, "see the broker's log")
            self._fail(LinkError(f"the broker ends the connection with 0x{code:02X}; {cure}", reason_code=code))
        elif packet.kind != packets.PINGRESP:
            msg = f"the broker sends a packet of type {packet.kind}"
            raise ValueError(msg)

    def _acknowledged(self, packet_id: int, code: int) -> None:
        topic = self.outgoing.acknowledged(packet_id, code)
        if topic == self._terms.proof.topic and not self._proved.done():
            self._proved.set_result(code)
        elif topic is not None and code == _NOT_AUTHORISED and not self.doubted.done():
            self.doubted.set_result(None)

    def _next_id(self) -> int:
        self._packet_id = packets.next_packet_id(self._packet_id)
        return self._packet_id

    def _send(self, packet: bytes) -> None:
        """Take a packet; it leaves at the end of this turn of the loop, with all others of the turn."""
        if self.ended.done():
            return
        self._unsent += packet
        if not self._flush_scheduled and not self._writer_armed:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        if self.ended.done():
            return
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
                self._sent_ns = self._clock.now_ns()
        except _WOULD_BLOCK:
            if len(self._unsent) > _UNSENT_MAX_BYTES:
                self._fail(LinkError("the broker does not read what we send"))
                return
        except OSError as error:
            self._fail(LinkError(_words(error)))
            return
        if bool(self._unsent) != self._writer_armed:
            self._writer_armed = bool(self._unsent)
            if self._writer_armed:
                self._loop.add_writer(self._sock.fileno(), self._flush)
            else:
                self._loop.remove_writer(self._sock.fileno())

    def _keep_alive(self) -> None:
        """Ping after half a keepalive in which we said nothing, or heard nothing; give up after a whole one."""
        now_ns = self._clock.now_ns()
        if now_ns - self._heard_ns > self._keepalive_ns:
            self._fail(LinkError("the broker does not answer"))
            return
        if now_ns - min(self._heard_ns, self._sent_ns) >= self._keepalive_ns // 2:
            self._send(packets.PINGREQ_PACKET)
        self._timer = self._loop.call_later(self._keepalive_ns / NS_PER_S / 4, self._keep_alive)

    def _fail(self, error: LinkError) -> None:
        if self.ended.done():
            return
        descriptor = self._sock.fileno()
        self._loop.remove_reader(descriptor)
        self._loop.remove_writer(descriptor)
        if self._timer is not None:
            self._timer.cancel()
        self._sock.close()
        self.outgoing.end()
        self.ended.set_result(error)


def _refuse(code: int, what: str) -> None:
    if code >= packets.REFUSED:
        msg = f"{what} (0x{code:02X}); {_CURES.get(code, 'see its log')}"
        raise LinkError(msg, reason_code=code)


def _words(error: Exception) -> str:
    """Return what went wrong; TLS 1.3 brokers refuse a client's certificate only after the handshake."""
    words = str(error) or type(error).__name__
    if isinstance(error, ssl.SSLError):
        return f"the broker ends TLS ({words}); check [mqtt.tls] cert_file, and the broker's authorities"
    return words
