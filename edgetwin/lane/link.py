"""Command lane: keeps one connection to the broker, for as long as the lane lives.

In: a dialler and a backoff, handed in by the daemon     Out: connected or not, once per change
The lane has links of its own: the telemetry link may be down, busy or in backoff, and a stop still comes.
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
from edgetwin.lane.stream import Arrival, OnTopic

_STABLE_S = 30.0


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
        changed: Up (None) or down (why, in words); once per change.
    """

    topic: OnTopic
    arrival: Callable[[Arrival], None]
    changed: Callable[[str | None], None]


class CommandLink:
    """One connection that is made again whenever it breaks.

    Attributes:
        up: Whether there is one, and it is subscribed.
        sessions: How many there have been.
    """

    def __init__(self, broker: LaneBroker, terms: Terms, hooks: LinkHooks, clock: Clock) -> None:
        self._broker = broker
        self._terms = terms
        self._hooks = hooks
        self._clock = clock
        self._rejoin = broker.rejoin()
        self._dropped = 0
        self._down_told = False
        self._connection: Connection | None = None
        self.up = False
        self.sessions = 0
        self.changed_ns = clock.now_ns()

    @property
    def dropped(self) -> int:
        """Acks of ours that nobody took."""
        return self._dropped + (self._connection.dropped if self._connection is not None else 0)

    def publish(self, topic: str, payload: bytes, *, content_type: str = "", correlation: bytes = b"") -> None:
        """Publish with QoS 1, or count it as dropped."""
        if self._connection is None:
            self._dropped += 1
        else:
            self._connection.publish(topic, payload, content_type=content_type, correlation=correlation)

    async def run(self) -> None:
        """Keep the link until cancelled; then say goodbye."""
        while True:
            reason_code: int | None = None
            try:
                await self._hold(await self._connect())
            except LinkError as error:
                reason_code = error.reason_code
                self._went_down(str(error))
            outage_s = (self._clock.now_ns() - self.changed_ns) / NS_PER_S
            await asyncio.sleep(self._rejoin.pause_s(outage_s, reason_code))

    async def _connect(self) -> Connection:
        sock = await self._broker.dial()
        connection = Connection(sock, self._terms, self._hooks.topic, self._hooks.arrival, self._clock)
        self._connection = connection  # a retained stop comes before the subscription is confirmed, and is answered
        try:
            await connection.open()
        except BaseException as error:
            self._end(connection, str(error))
            raise
        return connection

    async def _hold(self, connection: Connection) -> None:
        self.up = True
        self.sessions += 1
        self.changed_ns = self._clock.now_ns()
        self._down_told = False
        self._hooks.changed(None)
        try:
            await asyncio.wait((connection.ended,), timeout=_STABLE_S)
            if not connection.ended.done():
                self._rejoin.reset()
            raise await connection.ended
        finally:
            self.up = False
            self.changed_ns = self._clock.now_ns()
            self._end(connection, "disconnected")

    def _end(self, connection: Connection, why: str) -> None:
        connection.close(why)
        self._dropped += connection.dropped
        self._connection = None

    def _went_down(self, why: str) -> None:
        if not self._down_told:
            self._down_told = True
            self._hooks.changed(why)
