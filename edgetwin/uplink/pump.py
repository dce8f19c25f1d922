"""Uplink room: keeps the publish window full, live lane first.

In: live and backlog parcels, PUBACKs     Out: PUBLISH packets; each parcel settled, refused or returned.

One window for everything (the broker's Receive Maximum, at most 20). The backlog may fill all of it but
a reserve, so a fresh sample never waits for an old one's acknowledgement. Where round trips are long, live parcels
leave at intervals (`spacing`): a window that is used up in a burst would stay shut for the rest of the round trip.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edgetwin.clock import NS_PER_S, Clock
from edgetwin.records import Fate, Parcel, Record
from edgetwin.uplink.live import LiveLane
from edgetwin.uplink.routes import NO_ROUTE, Routes
from edgetwin.uplink.session import Session
from edgetwin.uplink.spacing import Spacing

_SPREAD_SHARE = 2  # where round trips are long, live and backlog have half of the window each
_LIVE_SHARE = 4  # a quarter of the window is never given to the backlog, nor spread over a long round trip
_FAILURE = 0x80
_ALONE_BYTES_MAX = 16_384
_UNREAD_TURNS_MAX = 3  # a read costs as much as two records; PUBACKs can wait, the commit interval is ten times longer
_PACKET_OVERHEAD_BYTES = 512  # fixed header, topic and properties, generously


@dataclass(frozen=True, slots=True)
class Settlement:
    """Where a parcel goes when its fate is known.

    Attributes:
        acked: The broker has it.
        record_acked: The broker has this record, which was sent alone.
        refused: The broker refused it, with this reason code (>= 0x80); 0x95: too large to be sent at all.
        take_backlog: The next backlog parcel, or None.
    """

    acked: Callable[[Parcel], None]
    record_acked: Callable[[Record], None]
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
        self._in_flight: dict[int, Parcel | Record] = {}
        self._backlog_in_flight = 0
        self._control: deque[tuple[Parcel, bool]] = deque()
        self._kicked = False
        self._in_turn = False
        self._ticking = False
        self._unread_turns = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self._routes = Routes()
        self._spacing = Spacing()
        self._at_once = 0  # with fewer in flight, a live parcel leaves without waiting
        self._live_sent_ns = 0
        self._turn: asyncio.TimerHandle | None = None

    @property
    def in_flight(self) -> int:
        """PUBLISHes without PUBACK."""
        return len(self._in_flight)

    def oldest_age_ns(self) -> int:
        """How long the oldest PUBLISH has waited for its PUBACK [ns]; 0 when there is none."""
        oldest = next(iter(self._in_flight.values()), None)
        return 0 if oldest is None else self._age_ns(oldest)

    def attach(self, session: Session) -> None:
        """Send through this session from now on."""
        self._session = session
        self._spacing = Spacing()
        self._at_once = session.window
        self.kick()

    def detach(self) -> list[Record]:
        """The session is over: return the live records whose PUBACK will not come, oldest first."""
        self._session = None
        self._drop_turn()
        returned: list[Record] = []
        for sent in self._in_flight.values():
            returned.extend((sent,) if isinstance(sent, Record) else sent.records)
        self._in_flight.clear()
        self.idle.set()
        self._control.clear()
        self._backlog_in_flight = 0
        return returned

    def send_alone(self, record: Record) -> bool:
        """Send a record at once, if it may go alone and nothing waits before it; return whether it went.

        The short way of most records on a healthy link; all others go through the live lane.
        """
        session = self._session
        if session is None or self._live.waiting or len(self._in_flight) >= self._at_once:
            return False
        route = self._routes.of_lane(record.lane)
        if route is NO_ROUTE or record.size > _ALONE_BYTES_MAX or session.over or session.congested:
            return False
        record.fate = Fate.IN_FLIGHT
        packet_id = session.publish_nowait(route[0], record.body, route[1])
        self._in_flight[packet_id] = record
        self.idle.clear()
        return True

    def kick(self) -> None:
        """There may be something to send: look at the end of this turn."""
        if not self._kicked and self._session is not None:
            self._kicked = True
            self.idle.clear()
            if not self._in_turn:
                self._loop.call_soon(self._pump)

    def turn_begins(self) -> None:
        """Many records are about to come: send them together, at the end."""
        self._in_turn = True
        if self._session is not None:
            self._session.flushed_by_caller = True

    def turn_ends(self) -> None:
        """Send what came, with one system call; while ticking, take the PUBACKs of the last turn first."""
        self._in_turn = False
        session = self._session
        if session is None:
            self._kicked = False
            return
        if self._kicked:
            self._pump()
        session.flushed_by_caller = False
        session.flush()
        if self._ticking:
            self._unread_turns += 1
            if self._in_flight and (
                self._unread_turns >= _UNREAD_TURNS_MAX or len(self._in_flight) > session.window // _LIVE_SHARE
            ):
                self._unread_turns = 0
                session.read_acks()  # those of the turns before; what they make room for leaves with the next one
            # With nothing in flight nobody would read: PINGRESP, DISCONNECT and the end must still be heard.
            session.listen(not 0 < len(self._in_flight) <= session.window // 2)

    def ticking(self, on: bool) -> None:  # noqa: FBT001
        """Turns come at ticks: PUBACKs can wait for the next one, unless the window is filling."""
        self._ticking = on
        if self._session is not None:
            self._session.listen(not on)

    def send_control(self, parcel: Parcel, *, retain: bool) -> None:
        """Send this before everything else (birth, status, farewell); dropped when there is no session."""
        if self._session is not None:
            self._control.append((parcel, retain))
            self.kick()

    def acknowledged(self, packet_id: int, reason_code: int) -> None:
        """Take a PUBACK."""
        sent = self._in_flight.pop(packet_id, None)
        if sent is None:
            return
        if len(self._in_flight) >= self._at_once // _LIVE_SHARE:  # with fewer under way nobody asks
            self._learn(sent)
        if isinstance(sent, Parcel):
            self._settle(sent, reason_code)
        elif reason_code < _FAILURE:
            self._settlement.record_acked(sent)
        else:
            self._settlement.refused(Parcel(sent.lane.live_topic, sent.body, 1, records=(sent,)), reason_code)
        if self._live.waiting or self._backlog_in_flight:
            self.kick()
        elif not self._in_flight and not self._control:
            self.idle.set()

    def _settle(self, parcel: Parcel, reason_code: int) -> None:
        if parcel.rows:
            self._backlog_in_flight -= 1
            self.kick()
        if reason_code >= _FAILURE:
            self._settlement.refused(parcel, reason_code)
        else:
            self._settlement.acked(parcel)

    def _pump(self) -> None:
        self._kicked = False
        session = self._session
        if session is None:
            return
        while self._control and self._room(session):
            control, retain = self._control.popleft()
            self._send(session, control, retain=retain)
        self._send_live(session)
        backlog_max = session.window - session.window // (_SPREAD_SHARE if self._spacing.needed else _LIVE_SHARE)
        while self._backlog_in_flight < backlog_max and self._room(session):
            backlog = self._settlement.take_backlog()
            if backlog is None:
                break
            self._send(session, backlog)
        if not self._in_flight and not self._live.has_ready:
            self.idle.set()

    def _send_live(self, session: Session) -> None:
        self._drop_turn()
        while self._live.has_ready and (room := self._room(session)):
            at_once = self._at_once - len(self._in_flight)
            wait_ns = 0 if at_once > 0 or self._live.has_urgent else self._wait_ns(session)
            live = self._live.take_full() if wait_ns else self._live.take(max(1, min(room, at_once)))
            if live is None:
                self._turn = self._loop.call_later(wait_ns / NS_PER_S, self._pump)
                return
            self._send(session, live)

    def _wait_ns(self, session: Session) -> int:
        """Return how long the next live parcel should wait for its turn; if not at all, this is its turn."""
        now_ns = self._clock.now_ns()
        places = session.window - (session.window // _SPREAD_SHARE if self._backlog_in_flight else self._at_once)
        wait_ns = self._spacing.wait_ns(max(1, places), now_ns - self._live_sent_ns)
        if not wait_ns:
            self._live_sent_ns = now_ns
        return wait_ns

    def _drop_turn(self) -> None:
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    def _learn(self, sent: Parcel | Record) -> None:
        """Take note of how long a PUBACK took, and whether the window must be spread for it."""
        session = self._session
        if session is not None:
            self._spacing.acknowledged(self._age_ns(sent))
            self._at_once = max(1, session.window // _LIVE_SHARE) if self._spacing.needed else session.window

    def _age_ns(self, sent: Parcel | Record) -> int:
        return self._clock.now_ns() - (sent.born_ns if isinstance(sent, Record) else sent.sent_ns)

    def _room(self, session: Session) -> int:
        """PUBLISHes that may leave now; none once the session is over, so that what is taken can be sent."""
        if session.congested or session.over:
            return 0
        return session.window - len(self._in_flight)

    def _send(self, session: Session, parcel: Parcel, *, retain: bool = False) -> None:
        if len(parcel.payload) + _PACKET_OVERHEAD_BYTES > session.max_packet_bytes:
            self._settlement.refused(parcel, 0x95)
            return
        parcel.sent_ns = self._clock.now_ns()
        packet_id = session.publish_nowait(
            self._routes.topic(parcel.topic),
            parcel.payload,
            self._routes.properties(parcel),
            qos=parcel.qos,
            retain=retain,
        )
        if parcel.qos == 0:
            self._settlement.acked(parcel)
            return
        self._in_flight[packet_id] = parcel
        if parcel.rows:
            self._backlog_in_flight += 1
