"""Command lane: keeps one connection to the broker, for as long as the lane lives.

In: a dialler and a backoff, handed in by the daemon     Out: up or not, and why not, once per change
The lane has links of its own: the telemetry link may be down, busy or in backoff, and a stop still comes.
Up means: connected, subscribed, and the broker has proved to take us for this robot. A connection without that proof
is "down" for all that asks whether the robot can be stopped, but it listens until the next try: it costs nothing.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from edgetwin.clock import NS_PER_S, Clock
from edgetwin.errors import LinkError
from edgetwin.lane.connection import Connection, Terms
from edgetwin.lane.outgoing import Message
from edgetwin.lane.stream import Arrival, OnTopic

_STABLE_S = 30.0
_DOUBT_S = 10.0  # between two proofs of one connection, whatever the broker refuses meanwhile


@dataclass(frozen=True, slots=True)
class Rejoin:
    """How long to wait before the next try; made for each link anew, it remembers.

    Attributes:
        pause_s: Called with (how long the link has been down [s], the broker's reason or None).
        reset: Called when the link has stayed up.
    """

    pause_s: Callable[[float, int | None], float]
    reset: Callable[[], None]


@dataclass(frozen=True, slots=True)
class LaneBroker:
    """Where the broker is and who we are to it; the same facts as those of the telemetry.

    Attributes:
        dial: Returns a connected socket, its TLS handshake done, or raises LinkError in words.
        rejoin: Makes a backoff.
    """

    dial: Callable[[], Awaitable[socket.socket | ssl.SSLSocket]]
    rejoin: Callable[[], Rejoin]
    keepalive_s: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LinkHooks:
    """What a link tells, on the lane's loop.

    Attributes:
        topic: A message has this topic; nothing else of it is known yet.
        arrival: A whole message.
        changed: Up (None) or down (why); once per change, and when the broker gives another reason.
    """

    topic: OnTopic
    arrival: Callable[[Arrival], None]
    changed: Callable[[LinkError | None], None]


class CommandLink:
    """One connection that is made again whenever it breaks.

    Attributes:
        up: Whether there is one, it is subscribed, and the broker takes us for this robot.
        trouble: Why not, in words; None while it is up, and before the first try has failed.
        sessions: How many there have been.
    """

    def __init__(self, broker: LaneBroker, terms: Terms, hooks: LinkHooks, clock: Clock) -> None:
        self._broker = broker
        self._terms = terms
        self._hooks = hooks
        self._clock = clock
        self._rejoin = broker.rejoin()
        self._dropped = 0
        self._told: LinkError | None = None  # the trouble that was told last
        self._connection: Connection | None = None
        self.up = False
        self.trouble: str | None = None
        self.sessions = 0
        self.changed_ns = clock.now_ns()

    @property
    def dropped(self) -> int:
        """Acks of ours that nobody took."""
        return self._dropped + (self._connection.outgoing.dropped if self._connection is not None else 0)

    def publish(self, topic: str, payload: bytes, *, content_type: str = "", correlation: bytes = b"") -> None:
        """Publish with QoS 1, or count it as dropped."""
        if self._connection is None:
            self._dropped += 1
        else:
            self._connection.outgoing.publish(Message(topic, payload, content_type, correlation))

    async def run(self) -> None:
        """Keep the link until cancelled; then say goodbye."""
        try:
            while True:
                await self._keep()
        finally:
            self._end("disconnected")

    async def _keep(self) -> None:
        """Make one connection, hold it while it is good, then wait as long as the next try should."""
        reason_code: int | None = None
        try:
            await self._hold(await self._connect())
        except LinkError as error:
            reason_code = error.reason_code
            self._went_down(error)
        if self._connection is not None and self._connection.ended.done():
            self._end("disconnected")
        outage_s = (self._clock.now_ns() - self.changed_ns) / NS_PER_S
        await asyncio.sleep(self._rejoin.pause_s(outage_s, reason_code))  # one without proof listens meanwhile
        self._end("trying anew")

    async def _connect(self) -> Connection:
        sock = await self._broker.dial()
        connection = Connection(sock, self._terms, self._hooks.topic, self._hooks.arrival, self._clock)
        self._connection = connection  # a retained stop comes before the subscription is confirmed, and is answered
        try:
            await connection.open()
        except LinkError as error:
            self._end(str(error))
            raise
        return connection

    async def _hold(self, connection: Connection) -> None:
        await connection.prove()
        self.up = True
        self.trouble = None
        self.sessions += 1
        self.changed_ns = self._clock.now_ns()
        self._told = None
        self._hooks.changed(None)
        stable = asyncio.get_running_loop().call_later(_STABLE_S, self._rejoin.reset)
        try:
            await self._watch(connection)
        finally:
            stable.cancel()
            self.up = False
            self.changed_ns = self._clock.now_ns()

    async def _watch(self, connection: Connection) -> None:
        """Hold a connection until it ends, or the broker no longer takes us for this robot: its rules may change.

        Raises:
            LinkError: One of the two.
        """
        while True:
            await asyncio.wait((connection.ended, connection.doubted), return_when=asyncio.FIRST_COMPLETED)
            if connection.ended.done():
                raise connection.ended.result()
            await connection.prove()
            await asyncio.wait((connection.ended,), timeout=_DOUBT_S)

    def _end(self, why: str) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(why)
            self._dropped += connection.outgoing.dropped

    def _went_down(self, error: LinkError) -> None:
        self.trouble = str(error)
        if self._told is None or self._told.reason_code != error.reason_code:
            self._told = error
            self._hooks.changed(error)
