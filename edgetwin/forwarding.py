"""Roof: the doors between the live lane, the outbox and the link.

In: records; PUBACKs; link and disk going up and down     Out: everything acknowledged, or on disk.

What happens to a record when something happens to the world:

| event                 | live lane                             | outbox |
|-----------------------|---------------------------------------|--------|
| it leaves the pacer   | waits, is sent when the window has room | answers for it; cuts it after the commit interval |
| PUBACK                | -                                     | forgets it, on disk or not |
| PUBACK >= 0x80        | -                                     | keeps it, offers it again later |
| it was written        | lets go of it if the link is down     | then it is backlog |
| link lost             | what is in flight is returned         | returned records become backlog |
| link back             | goes on at once                       | backlog follows, oldest first |
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from edgetwin import wire
from edgetwin.announcing import announced
from edgetwin.clock import NS_PER_US, Clock
from edgetwin.records import Encoding, EventKind, Gap, GapCause, Lane, LinkState, Parcel, Record
from edgetwin.settings import Settings
from edgetwin.store.backlog import PARCEL_BYTES_MAX, Packer
from edgetwin.store.outbox import Outbox
from edgetwin.store.terms import Limits, OutboxNews
from edgetwin.uplink.link import Broker, Link, LinkNews
from edgetwin.uplink.live import PARCEL_BYTES_MAX as LIVE_BYTES_MAX
from edgetwin.uplink.live import LiveLane
from edgetwin.uplink.pump import Pump, Settlement

_log = logging.getLogger("edgetwin")

_NOT_AUTHORISED = 0x87
_ACCESS_CURE = "; check this robot's user or certificate name and the broker's ACL (config/mosquitto.acl)"


class Forwarding:
    """Live lane, outbox and link of one robot."""

    def __init__(
        self,
        settings: Settings,
        boot: str,
        topics: wire.Topics,
        broker: Broker,
        status: Callable[[LinkState], Parcel],
        clock: Clock,
    ) -> None:
        """Nothing is opened yet.

        Args:
            settings: For [robot], [mqtt] and [store].
            boot: Random id of this start.
            topics: Names.
            broker: Where to connect.
            status: Makes the retained status message.
            clock: The robot's.
        """
        self._robot_id = settings.robot.id
        self._boot = boot
        self._topics = topics
        self._clock = clock
        self._coalesce_s = settings.mqtt.coalesce_s
        self._loop = asyncio.get_running_loop()
        self._flush_timer: asyncio.TimerHandle | None = None
        self._numberings: dict[str, wire.Numbering] = {}
        self._announcement = Parcel(topics.channels, announced(settings, boot), 0)
        self._refused_topics: set[tuple[str, int]] = set()
        self.tried = asyncio.Event()  # the first attempt to connect is over, either way
        self.disk_problem: str | None = None
        self.live = LiveLane(self._pack, gather=self._coalesce_s > 0)
        store = settings.store
        self.outbox = Outbox(
            store.path,
            boot,
            Limits(store.max_bytes, store.commit_interval_s, store.backlog_rate_max),
            Packer(self._robot_id, self._backlog_topic),
            lambda record: self._numberings[record.lane.name].standalone(record),
            clock,
            OutboxNews(
                self._kick,
                self._committed,
                self._disk_trouble,
                self._file_set_aside,
                self._given_up,
                self._tell_gap,
                self._file_replaced,
                self._audit_news,
            ),
        )
        self.pump = Pump(
            self.live,
            Settlement(self.outbox.acked, self.outbox.record_acked, self._refused, self.outbox.drain.take),
            clock,
        )
        self.link = Link(broker, self.pump, status, LinkNews(self._link_up, self._link_down), clock)
        self._events = {kind: self.add_lane(topics.event_lane(kind)) for kind in EventKind}

    def retune(self, settings: Settings) -> None:
        """Take what may change while running: the backlog's rate, and what is announced of the channels' pacing."""
        self.outbox.drain.pace(settings.store.backlog_rate_max)
        self._announcement = Parcel(self._topics.channels, announced(settings, self._boot), 0)
        self.pump.send_control(self._announcement, retain=True)

    def add_lane(self, lane: Lane) -> wire.Numbering:
        """Return the numbering of a new lane."""
        numbering = self._numberings[lane.name] = wire.Numbering(self._robot_id, self._boot, lane)
        return numbering

    async def open(self) -> None:
        """Open the outbox; where the disk fails, go on without it and try again."""
        await self.outbox.open(self._numberings)
        if self.outbox.records:
            _log.info(
                "The outbox holds %d records of earlier runs; they will follow.", self.outbox.records,
                extra={"EVENT": "store.backlog", "RECORDS": self.outbox.records},
            )  # fmt: skip

    def finish(self) -> None:
        """Nothing new will come: let go what has gathered, and say goodbye to the broker."""
        self.pump.ticking(False)  # noqa: FBT003  # no tick will come and read the last PUBACKs
        self.link.publish_status(LinkState.STOPPING)
        self._flush()
        self.link.stop()

    async def close(self) -> None:
        """Keep on disk what is not acknowledged.

        Raises:
            StoreError: The disk does not take it.
        """
        await self.outbox.close()

    def leave(self, record: Record) -> None:
        """Take a record that leaves: on its way at once, and answered for until its PUBACK."""
        self.outbox.put(record)
        if self._coalesce_s == 0 and self.pump.send_alone(record):
            return
        self.live.put(record)
        if self._coalesce_s == 0 or record.lane.urgent:
            self.pump.kick()
        elif self._flush_timer is None:
            self._flush_timer = self._loop.call_later(self._coalesce_s, self._flush)

    def emit(self, kind: EventKind, data: bytes) -> Record:
        """Send an event of our own; return its record."""
        stamp_us = self._clock.stamp_ns() // NS_PER_US
        numbering = self._events[kind]
        record = numbering.number(data, stamp_us=stamp_us, recv_us=stamp_us, now_ns=self._clock.now_ns())
        self.leave(record)
        return record

    def _flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        self.live.flush()
        self.pump.kick()

    def _pack(self, records: list[Record]) -> Parcel:
        lane = records[0].lane
        numbering = self._numberings[lane.name]
        if len(records) > 1:
            is_json = lane.encoding is Encoding.JSON  # then a record stands alone as it is
            parts = [record.body for record in records] if is_json else map(numbering.standalone, records)
            payload = wire.batch(self._robot_id, parts)
            return Parcel(lane.live_topic, payload, len(records), lane.qos, records=records)
        record = records[0]
        if lane.encoding is Encoding.JSON:
            return Parcel(lane.live_topic, record.body, 1, lane.qos, records=records)
        envelope = numbering.properties(record)
        return Parcel(lane.live_topic, record.body, 1, lane.qos, wire.CDR_CONTENT_TYPE, envelope, records)

    def _backlog_topic(self, lane: str, is_event: bool) -> str:  # noqa: FBT001  # called by position, from the store
        return self._topics.events(lane) if is_event else self._topics.backlog(lane)

    def _kick(self) -> None:
        self.pump.kick()

    def _committed(self) -> None:
        release = self.live.release_overflow if self.link.connected else self.live.release_written
        self.outbox.returned(release())

    def _refused(self, parcel: Parcel, reason_code: int) -> None:
        if (parcel.topic, reason_code) not in self._refused_topics:
            self._refused_topics.add((parcel.topic, reason_code))
            _log.error(
                "The broker refuses %s with reason 0x%02X; records stay in the outbox and are offered again%s.",
                parcel.topic, reason_code, _ACCESS_CURE if reason_code == _NOT_AUTHORISED else "",
                extra={"EVENT": "link.refused", "TOPIC": parcel.topic, "REASON": reason_code},
            )  # fmt: skip
        self.outbox.refused(parcel, reason_code)

    def _link_up(self, outage_s: float) -> None:
        limit_bytes = self.link.max_packet_bytes // 2
        self.outbox.drain.payload_bytes_max = min(PARCEL_BYTES_MAX, limit_bytes)
        self.live.parcel_bytes_max = min(LIVE_BYTES_MAX, limit_bytes)
        self._refused_topics.clear()
        _log.info(
            "Connected to the broker after %.1f s; %d records wait on disk.", outage_s, self.outbox.backlog,
            extra={"EVENT": "link.up", "OUTAGE_S": outage_s, "BACKLOG": self.outbox.backlog},
        )  # fmt: skip
        self.tried.set()
        self.pump.send_control(self._announcement, retain=True)
        self.outbox.start_draining()
        if self.link.sessions > 1:
            news = {"state": "up", "outage_s": outage_s, "backlog": self.outbox.backlog}
            self.emit(EventKind.LINK, wire.encode(news))

    def _link_down(self, why: str, returned: Sequence[Record]) -> None:
        self.tried.set()
        self.outbox.stop_draining()
        self.outbox.returned(returned)
        self.outbox.returned(self.live.release_written())
        if self.link.stopping:
            _log.info("Disconnected from the broker.", extra={"EVENT": "link.closed"})
            return
        _log.warning("No link to the broker: %s; samples wait in the outbox.", why, extra={"EVENT": "link.down"})

    def _disk_trouble(self, problem: str | None) -> None:
        self.disk_problem = problem
        if problem is None:
            _log.info("The outbox works again.", extra={"EVENT": "store.mended"})
            self.emit(EventKind.STORE, wire.encode({"state": "ok"}))
        else:
            _log.error("The outbox cannot write: %s.", problem, extra={"EVENT": "store.trouble"})
            self.emit(EventKind.STORE, wire.encode({"state": "trouble", "what": problem}))

    def _file_set_aside(self, moved: Path, what: str) -> None:
        _log.error(
            "The outbox file is broken (%s); it was set aside as %s, and a new one begun.", what, moved,
            extra={"EVENT": "store.quarantined", "FILE": str(moved)},
        )  # fmt: skip
        self.emit(EventKind.STORE, wire.encode({"state": "quarantined", "file": str(moved), "what": what}))

    def _file_replaced(self, what: str) -> None:
        _log.error("%s What it held is told in `gap` events.", what, extra={"EVENT": "store.replaced"})
        self.emit(EventKind.STORE, wire.encode({"state": "replaced", "what": what}))

    def _audit_news(self, state: str, what: str) -> None:
        """The audit cannot be written, works again, or was found altered."""
        if state == "ok":
            _log.info("The audit works again.", extra={"EVENT": "audit.mended"})
        elif state == "trouble":
            _log.error("The audit cannot write: %s.", what, extra={"EVENT": "audit.trouble"})
        else:
            _log.critical(
                "The audit is not what was written (%s); a new one was begun. Find out who was on this machine.", what,
                extra={"EVENT": "audit.broken"},
            )  # fmt: skip
        self.emit(EventKind.STORE, wire.encode({"state": f"audit_{state}", "what": what}))

    def _given_up(self, cause: GapCause, count: int) -> None:
        """Say it when it begins, and each time the sum has grown tenfold."""
        total = self.outbox.gaps.given_up[cause]
        if len(str(total)) > len(str(total - count)) or total == count:
            _log.error(
                "%d records were given up (%s); `gap` events tell which.", total, cause,
                extra={"EVENT": "store.given_up", "CAUSE": str(cause), "RECORDS": total},
            )  # fmt: skip
            self.emit(EventKind.STORE, wire.encode({"state": "giving_up", "cause": str(cause), "records": total}))

    def _tell_gap(self, gap: Gap) -> Record:
        return self.emit(EventKind.GAP, wire.gap(gap))
