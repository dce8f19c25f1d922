"""Uplink room: one link to the broker that is made again whenever it breaks, for as long as the process lives.

In: where the broker is and who we are     Out: up and down, once per change; the pump attached while up.

Never gives up. Waits with jitter, longer the longer the outage lasts and the more lasting the refusal.
A link is dead when the socket says so, when paho's keepalive says so, or when a PUBACK is overdue.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import aiomqtt

from edgetwin.clock import NS_PER_S, Clock
from edgetwin.errors import LinkError
from edgetwin.records import LinkState, Parcel, Record
from edgetwin.uplink.backoff import Backoff
from edgetwin.uplink.dial import dial
from edgetwin.uplink.pump import Pump
from edgetwin.uplink.session import Session

_STABLE_S = 30.0
_WATCH_S = 1.0
_FAREWELL_TIMEOUT_S = 0.8
_BROKER_REASON = 0x80  # below are paho's own codes
_CURES = {
    0x84: "it does not speak MQTT 5; use a broker that does",
    0x85: "choose another [robot] id",
    0x86: "check the credentials mqtt_username and mqtt_password",
    0x87: "check the credentials mqtt_username and mqtt_password, and the broker's ACL for this robot",
    0x8E: "another client uses this robot's id; give each robot its own",
    0x95: "a message was too large for it; raise its limit, or select fewer fields",
    0x97: "its quota is used up",
}


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and who we are to it."""

    host: str
    port: int
    client_id: str
    keepalive_s: int
    ack_timeout_s: float
    reconnect_max_s: float
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LinkNews:
    """What the link tells the roof, on the loop.

    Attributes:
        up: Connected; argument: how long it was down [s].
        down: Lost, or the first try failed; arguments: why in words, live records whose PUBACK will not come.
    """

    up: Callable[[float], None]
    down: Callable[[str, Sequence[Record]], None]


class Link:
    """The link of one robot.

    Attributes:
        connected: Whether there is a session now.
        sessions: How many there have been.
        max_packet_bytes: What the broker takes, 0 before the first session.
    """

    def __init__(
        self, broker: Broker, pump: Pump, status: Callable[[LinkState], Parcel], news: LinkNews, clock: Clock
    ) -> None:
        """Nothing happens before `run`.

        Args:
            broker: Where to connect.
            pump: Attached to each session in turn.
            status: Makes the retained status message (birth, heartbeat, will, farewell).
            news: Changes of state.
            clock: For timeouts.
        """
        self.connected = False
        self.sessions = 0
        self.max_packet_bytes = 0
        self.changed_ns = clock.now_ns()
        self.last_error: str | None = None
        self._broker = broker
        self._pump = pump
        self._status = status
        self._news = news
        self._clock = clock
        self._backoff = Backoff(broker.reconnect_max_s, Random())  # noqa: S311  # jitter, not a secret
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Keep the link until `stop`."""
        while not self._stopping.is_set():
            reason_code: int | None = None
            try:
                session = await self._connect()
                self._went_up(session)
                await self._watch(session)
                await self._farewell(session)
            except LinkError as error:
                reason_code = error.reason_code
                self._went_down(str(error))
            outage_s = (self._clock.now_ns() - self.changed_ns) / NS_PER_S
            await self._pause(self._backoff.next_s(outage_s, reason_code))
        self._went_down("stopped")

    def stop(self) -> None:
        """Say goodbye and end `run`; what is in flight gets a second for its PUBACK."""
        self._stopping.set()

    def meet_next(self, broker: Broker) -> None:
        """Be this to the broker from the next connection on; the one that is up stays as it is."""
        self._broker = broker

    @property
    def stopping(self) -> bool:
        """Whether the end was asked for."""
        return self._stopping.is_set()

    def publish_status(self, state: LinkState) -> None:
        """Refresh the retained status, if connected."""
        self._pump.send_control(self._status(state), retain=True)

    async def _connect(self) -> Session:
        broker = self._broker
        sock = await dial(broker.host, broker.port, broker.tls)
        will = self._status(LinkState.OFFLINE)
        session = Session(
            broker.host,
            broker.port,
            sock,
            self._pump.acknowledged,
            identifier=broker.client_id,
            keepalive=broker.keepalive_s,
            username=broker.username,
            password=broker.password,
            will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True),
        )
        try:
            await session.__aenter__()
        except (aiomqtt.MqttError, OSError) as error:
            session.abort()
            raise translate(error) from error
        except asyncio.CancelledError:
            session.abort()
            raise
        return session

    async def _watch(self, session: Session) -> None:
        """Return when told to stop.

        Raises:
            LinkError: The session is over, or a PUBACK is overdue.
        """
        stopping = asyncio.get_running_loop().create_task(self._stopping.wait())
        stable_ns = self._clock.now_ns() + round(_STABLE_S * NS_PER_S)
        try:
            while not stopping.done():
                await asyncio.wait((session.ended, stopping), timeout=_WATCH_S, return_when=asyncio.FIRST_COMPLETED)
                if session.ended.done():
                    raise translate(session.ended.exception())
                if self._pump.oldest_age_ns() > self._broker.ack_timeout_s * NS_PER_S:
                    session.abort()
                    msg = f"no PUBACK within {self._broker.ack_timeout_s:g} s"
                    raise LinkError(msg)
                if self._clock.now_ns() > stable_ns:
                    self._backoff.reset()
        finally:
            stopping.cancel()

    async def _farewell(self, session: Session) -> None:
        """Give what waits a moment to leave, publish the offline status ourselves, disconnect."""
        for last_word in (None, LinkState.OFFLINE):
            if last_word is not None:
                self.publish_status(last_word)
            await asyncio.sleep(0)  # the pump's turn
            idle = asyncio.get_running_loop().create_task(self._pump.idle.wait())
            await asyncio.wait((idle, session.ended), timeout=_FAREWELL_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            idle.cancel()
        session.goodbye()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _went_up(self, session: Session) -> None:
        now_ns = self._clock.now_ns()
        outage_s = (now_ns - self.changed_ns) / NS_PER_S
        self.connected = True
        self.changed_ns = now_ns
        self.sessions += 1
        self.last_error = None
        self.max_packet_bytes = session.max_packet_bytes
        self._pump.attach(session)
        self.publish_status(LinkState.ONLINE)
        self._news.up(outage_s)

    def _went_down(self, why: str) -> None:
        returned = self._pump.detach()
        first = self.last_error is None
        self.last_error = why
        if self.connected:
            self.connected = False
            self.changed_ns = self._clock.now_ns()
        elif not first:
            return
        self._news.down(why, returned)


def translate(error: BaseException | None) -> LinkError:
    """Return the error in words an operator can act on, with the broker's reason code if it gave one."""
    if isinstance(error, LinkError):
        return error
    code = getattr(error, "rc", None)
    value = getattr(code, "value", code)
    if isinstance(error, aiomqtt.MqttCodeError) and isinstance(value, int) and value >= _BROKER_REASON:
        cure = _CURES.get(value, "see the broker's log")
        return LinkError(f"the broker refuses us: {code}; {cure}", reason_code=value)
    words = str(error) or type(error).__name__
    if "_ALERT_" in words:
        words = (
            f"the broker refuses our certificate ({words}); check [mqtt.tls] cert_file, and the broker's authorities"
        )
    elif "timed out" in words:
        words = "the broker accepts the connection but does not answer"
    return LinkError(words)
