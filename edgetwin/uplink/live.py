"""Uplink room: the live lane: what has not been sent yet, and what should be sent next.

In: records     Out: parcels, urgent lanes first, then the lane that has waited longest.
Pure: no I/O, no clock.

While the publish window has room a record leaves alone and at once. When it is full, what waits on a
lane leaves as one parcel as soon as there is room again: latency where the link is good, throughput
where it is not (rate = window x records per parcel / round trip). With coalescing by time, lanes gather
until `flush`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from edgetwin.records import Fate, Lane, Parcel, Record

PARCEL_BYTES_MAX = 65_536
PARCEL_RECORDS_MAX = 1_000
LANE_BYTES_MAX = 1_048_576  # what waits longer than this much is left to the outbox

Pack = Callable[[list[Record]], Parcel]


class _Queue:
    __slots__ = ("lane", "ready", "records", "size")

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.records: deque[Record] = deque()
        self.size = 0
        self.ready = False


class LiveLane:
    """Records on their way to the window.

    Args:
        pack: Makes a parcel of records of one lane (one or more).
        gather: Coalesce by time: non-urgent lanes wait for `flush`.
    """

    def __init__(self, pack: Pack, *, gather: bool = False) -> None:
        self._pack = pack
        self._gather = gather
        self._queues: dict[str, _Queue] = {}
        self._urgent: deque[_Queue] = deque()
        self._ready: deque[_Queue] = deque()
        self.waiting = 0
        self.parcel_bytes_max = PARCEL_BYTES_MAX

    @property
    def has_ready(self) -> bool:
        """Whether `take` has something."""
        return bool(self._urgent or self._ready)

    @property
    def has_urgent(self) -> bool:
        """Whether the next parcel is of a lane that waits for nobody."""
        return bool(self._urgent)

    def put(self, record: Record) -> None:
        """Take a record in."""
        queue = self._queues.get(record.lane.name)
        if queue is None:
            queue = self._queues[record.lane.name] = _Queue(record.lane)
        queue.records.append(record)
        queue.size += record.size
        self.waiting += 1
        if not queue.ready and not (self._gather and not record.lane.urgent):
            self._make_ready(queue)

    def flush(self) -> None:
        """What has gathered may leave."""
        for queue in self._queues.values():
            if queue.records and not queue.ready:
                self._make_ready(queue)

    def take(self, room: int) -> Parcel | None:
        """Return the next parcel, its records in flight, or None.

        Args:
            room: PUBLISHes that the window takes now (at least 1).
        """
        queues = self._urgent or self._ready
        if not queues:
            return None
        queue = queues.popleft()
        alone = queue.lane.is_event or (not self._gather and self.waiting <= room)
        return self._take_from(queue, 1 if alone else PARCEL_RECORDS_MAX)

    def take_full(self) -> Parcel | None:
        """Return the parcel of a lane on which more waits than one parcel holds, or None: to wait gains it nothing."""
        for queue in self._ready:
            if queue.size >= self.parcel_bytes_max:
                self._ready.remove(queue)
                return self._take_from(queue, PARCEL_RECORDS_MAX)
        return None

    def _take_from(self, queue: _Queue, count_max: int) -> Parcel:
        records = self._pop(queue, count_max)
        queue.ready = bool(queue.records)
        if queue.ready:
            (self._urgent if queue.lane.urgent else self._ready).append(queue)
        for record in records:
            record.fate = Fate.IN_FLIGHT
        return self._pack(records)

    def release_overflow(self) -> list[Record]:
        """Let go of the oldest records that are on disk or given up, where a lane holds too much; return them."""
        released: list[Record] = []
        for queue in self._queues.values():
            if queue.size > LANE_BYTES_MAX:
                released += self._drop_written(queue, LANE_BYTES_MAX // 2)
        return released

    def release_written(self) -> list[Record]:
        """Let go of all records that are on disk or given up (the link is down); return them."""
        return [record for queue in self._queues.values() for record in self._drop_written(queue, -1)]

    def _make_ready(self, queue: _Queue) -> None:
        queue.ready = True
        (self._urgent if queue.lane.urgent else self._ready).append(queue)

    def _pop(self, queue: _Queue, count_max: int) -> list[Record]:
        taken = [queue.records.popleft()]
        size = taken[0].size
        limit = self.parcel_bytes_max
        while queue.records and len(taken) < count_max and size + queue.records[0].size <= limit:
            record = queue.records.popleft()
            size += record.size
            taken.append(record)
        queue.size -= size
        self.waiting -= len(taken)
        return taken

    def _drop_written(self, queue: _Queue, down_to_bytes: int) -> Iterable[Record]:
        while queue.records and queue.size > down_to_bytes:
            record = queue.records[0]
            if not record.row and record.fate is not Fate.RETURNED:
                break  # nobody else has it yet
            queue.records.popleft()
            queue.size -= record.size
            self.waiting -= 1
            yield record
        if not queue.records and queue.ready:
            queue.ready = False
            (self._urgent if queue.lane.urgent else self._ready).remove(queue)
