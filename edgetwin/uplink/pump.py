"""Uplink room: keeps the publish window full, live lane first.

In: live and backlog parcels, PUBACKs     Out: PUBLISH packets; each parcel settled, refused or returned.

One window for everything (the broker's Receive Maximum, at most 20). The backlog may fill all of it but
a reserve, so a fresh sample never waits for an old one's acknowledgement.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edgetwin.clock import Clock
from edgetwin.records import Parcel
from edgetwin.uplink import packets
from edgetwin.uplink.live import LiveLane
from edgetwin.uplink.session import Session

_LIVE_SHARE = 4  # a quarter of the window is never given to the backlog
_FAILURE = 0x80
_PACKET_OVERHEAD_BYTES = 512  # fixed header, topic and properties, generously


@dataclass(frozen=True, slots=True)
class Settlement:
    """Where a parcel goes when its fate is known.

    Attributes:
        acked: The broker has it.
        refused: The broker refused it, with this reason code (>= 0x80); 0x95: too large to be sent at all.
        take_backlog: The next backlog parcel, or None.
    """

    acked: Callable[[Parcel], None]
    refused: Callable[[Parcel, int], None]
    take_backlog: Callable[[], Parcel | None]


class Pump:
    """Moves parcels into the session that is attached.

    Attributes:
        idle: Set while nothing is in flight and nothing fresh waits.
    """

    def __init__(self, live: LiveLane, settlement: Settlement, clock: Clock) -> None:
        self._live = live
        self._settlement = settlement
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._session: Session | None = None
        self._in_flight: dict[int, Parcel] = {}
        self._backlog_in_flight = 0
        self._control: deque[tuple[Parcel, bool]] = deque()
        self._kicked = False
        self.idle = asyncio.Event()
        self.idle.set()
        self._topics: dict[str, bytes] = {}
        self._properties: dict[tuple[str, tuple[tuple[str, str], ...]], bytes] = {}

    @property
    def in_flight(self) -> int:
        """PUBLISHes without PUBACK."""
        return len(self._in_flight)

    def oldest_age_ns(self) -> int:
        """How long the oldest PUBLISH has waited for its PUBACK [ns]; 0 when there is none."""
        oldest = next(iter(self._in_flight.values()), None)
        return 0 if oldest is None else self._clock.now_ns() - oldest.sent_ns

    def attach(self, session: Session) -> None:
        """Send through this session from now on."""
        self._session = session
        self.kick()

    def detach(self) -> list[Parcel]:
        """The session is over: return the parcels whose PUBACK will not come, oldest first."""
        self._session = None
        returned = list(self._in_flight.values())
        self._in_flight.clear()
        self.idle.set()
        self._control.clear()
        self._backlog_in_flight = 0
        return returned

    def kick(self) -> None:
        """There may be something to send: look at the end of this turn of the loop."""
        if not self._kicked and self._session is not None:
            self._kicked = True
            self.idle.clear()
            self._loop.call_soon(self._pump)

    def send_control(self, parcel: Parcel, *, retain: bool) -> None:
        """Send this before everything else (birth, status, farewell); dropped when there is no session."""
        if self._session is not None:
            self._control.append((parcel, retain))
            self.kick()

    def acknowledged(self, packet_id: int, reason_code: int) -> None:
        """Take a PUBACK."""
        parcel = self._in_flight.pop(packet_id, None)
        if parcel is None:
            return
        if parcel.rows:
            self._backlog_in_flight -= 1
        if reason_code >= _FAILURE:
            self._settlement.refused(parcel, reason_code)
        else:
            self._settlement.acked(parcel)
        if self._live.has_ready or self._backlog_in_flight or parcel.rows:
            self.kick()
        elif not self._in_flight and not self._control:
            self.idle.set()

    def _pump(self) -> None:
        self._kicked = False
        session = self._session
        if session is None:
            return
        while self._control and self._room(session):
            control, retain = self._control.popleft()
            self._send(session, control, retain=retain)
        while (room := self._room(session)) and (live := self._live.take(room)) is not None:
            self._send(session, live)
        backlog_max = session.window - session.window // _LIVE_SHARE
        while self._backlog_in_flight < backlog_max and self._room(session):
            backlog = self._settlement.take_backlog()
            if backlog is None:
                break
            self._send(session, backlog)
        if not self._in_flight and not self._live.has_ready:
            self.idle.set()

    def _room(self, session: Session) -> int:
        """PUBLISHes that may leave now; none once the session is over, so that what is taken can be sent."""
        if session.congested or session.ended.done():
            return 0
        return session.window - len(self._in_flight)

    def _send(self, session: Session, parcel: Parcel, *, retain: bool = False) -> None:
        if len(parcel.payload) + _PACKET_OVERHEAD_BYTES > session.max_packet_bytes:
            self._settlement.refused(parcel, 0x95)
            return
        parcel.sent_ns = self._clock.now_ns()
        packet_id = session.publish_nowait(
            self._topic(parcel.topic), parcel.payload, self._property_block(parcel), qos=parcel.qos, retain=retain
        )
        if parcel.qos == 0:
            self._settlement.acked(parcel)
            return
        self._in_flight[packet_id] = parcel
        if parcel.rows:
            self._backlog_in_flight += 1

    def _topic(self, topic: str) -> bytes:
        encoded = self._topics.get(topic)
        if encoded is None:
            encoded = self._topics[topic] = packets.utf8_string(topic)
        return encoded

    def _property_block(self, parcel: Parcel) -> bytes:
        key = (parcel.content_type, parcel.user_properties)
        if len(parcel.user_properties) > 1:  # the envelope of a cdr record: new each time
            return packets.publish_properties(*key)
        block = self._properties.get(key)
        if block is None:
            block = self._properties[key] = packets.publish_properties(*key)
        return block
