"""The live lane: who goes first, what goes together, what is let go."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edgetwin.records import ChannelClass, Encoding, EventKind, Fate, Lane, Parcel, Record
from edgetwin.uplink.live import LANE_BYTES_MAX, PARCEL_BYTES_MAX, PARCEL_RECORDS_MAX, LiveLane
from edgetwin.wire import Topics

_TOPICS = Topics("r")
_ODOM = _TOPICS.channel_lane("odom", ChannelClass.CRITICAL, Encoding.JSON, 1)
_SCAN = _TOPICS.channel_lane("scan", ChannelClass.SLOW, Encoding.CDR, 1)
_BUMPER = _TOPICS.channel_lane("bumper", ChannelClass.EVENT, Encoding.JSON, 1)
_GAP = _TOPICS.event_lane(EventKind.GAP)
_LANES = (_ODOM, _SCAN, _BUMPER, _GAP)


def _pack(records: list[Record]) -> Parcel:
    return Parcel(records[0].lane.live_topic, b"", len(records), records=records)


def _record(lane: Lane, seq: int, size: int = 100) -> Record:
    return Record(lane, seq, 0, 0, bytes(size), size, 0)


def _filled(lanes: list[Lane], *, gather: bool = False, size: int = 100) -> LiveLane:
    live = LiveLane(_pack, gather=gather)
    for seq, lane in enumerate(lanes):
        live.put(_record(lane, seq, size))
    return live


def _drain(live: LiveLane, room: int) -> list[list[int]]:
    """Take until there is nothing; return the numbers, parcel by parcel."""
    parcels = []
    while (parcel := live.take(room)) is not None:
        parcels.append([record.seq for record in parcel.records])
    return parcels


def test_with_room_every_record_leaves_alone_and_in_flight() -> None:
    """Latency where the link is good."""
    live = _filled([_ODOM, _ODOM, _ODOM])
    parcel = live.take(20)
    assert parcel is not None

    assert [record.fate for record in parcel.records] == [Fate.IN_FLIGHT]
    assert _drain(live, 20) == [[1], [2]]
    assert (live.waiting, live.has_ready, live.take(20)) == (0, False, None)


def test_without_room_what_waits_on_a_lane_leaves_together() -> None:
    """Throughput where the link is slow; lanes never mix."""
    live = _filled([_ODOM, _SCAN, _ODOM, _SCAN, _ODOM])

    assert _drain(live, 1) == [[0, 2, 4], [1, 3]]


def test_a_lane_that_fills_a_parcel_can_be_taken_before_its_turn() -> None:
    """The first of those that do; the others wait for theirs, and so does what is left of it."""
    live = LiveLane(_pack)
    for seq in range(4):
        live.put(_record(_SCAN, seq, 100))
    assert live.take_full() is None
    for seq in range(5):
        live.put(_record(_ODOM, seq, PARCEL_BYTES_MAX // 4))
    parcel = live.take_full()
    assert parcel is not None

    assert [record.seq for record in parcel.records] == [0, 1, 2, 3]
    assert {record.fate for record in parcel.records} == {Fate.IN_FLIGHT}
    assert live.take_full() is None
    assert _drain(live, 1) == [[0, 1, 2, 3], [4]]
    assert (live.waiting, live.has_ready) == (0, False)


def test_the_lane_that_waited_longest_is_next() -> None:
    """No lane starves another."""
    live = _filled([_ODOM, _ODOM, _SCAN])

    assert _drain(live, 20) == [[0], [2], [1]]


def test_urgent_lanes_overtake() -> None:
    """A bumper and an event before a thousand poses; events one by one even then."""
    live = _filled([_ODOM] * 1000 + [_BUMPER, _GAP, _GAP])

    assert _drain(live, 1)[:3] == [[1000], [1001], [1002]]


def test_a_parcel_has_bounds() -> None:
    """In bytes and in records; a record larger than the bound leaves alone."""
    small = _drain(_filled([_ODOM] * 2500, size=10), 1)
    large = _drain(_filled([_ODOM] * 5, size=PARCEL_BYTES_MAX // 2), 1)
    huge = _drain(_filled([_ODOM] * 3, size=PARCEL_BYTES_MAX + 1), 1)

    assert [len(parcel) for parcel in small] == [PARCEL_RECORDS_MAX, PARCEL_RECORDS_MAX, 500]
    assert [len(parcel) for parcel in large] == [2, 2, 1]
    assert [len(parcel) for parcel in huge] == [1, 1, 1]


def test_gathered_lanes_wait_for_the_flush_and_leave_together() -> None:
    """However much room there is; urgent ones do not wait."""
    live = _filled([_ODOM, _SCAN, _ODOM, _BUMPER], gather=True)
    assert _drain(live, 20) == [[3]]

    live.flush()
    assert _drain(live, 20) == [[0, 2], [1]]
    live.flush()
    assert not live.has_ready


def test_with_the_link_down_what_is_on_disk_is_let_go() -> None:
    """Oldest first, up to the first that is in memory only; the rest stays in order."""
    live = LiveLane(_pack)
    records = [_record(_ODOM, seq) for seq in range(5)]
    for row, record in zip((1, 1, 2, 0, 0), records, strict=True):
        record.row = row
        live.put(record)

    assert live.release_written() == records[:3]
    assert live.release_written() == []
    assert live.waiting == 2
    assert _drain(live, 1) == [[3, 4]]


def test_a_lane_that_was_emptied_by_the_release_is_not_ready_and_works_again() -> None:
    """Nothing is taken from an empty queue."""
    live = LiveLane(_pack)
    for lane in _LANES:
        record = _record(lane, 0)
        record.row = 1
        live.put(record)

    assert len(live.release_written()) == 4
    assert (live.has_ready, live.take(20)) == (False, None)
    live.put(_record(_ODOM, 1))
    assert _drain(live, 20) == [[1]]


def test_a_lane_that_holds_too_much_lets_go_of_its_oldest_half() -> None:
    """Only of what is on disk, and only that lane."""
    live = LiveLane(_pack)
    size = LANE_BYTES_MAX // 100
    for seq in range(110):
        record = _record(_ODOM, seq, size)
        record.row = 1
        live.put(record)
    other = _record(_SCAN, 0, size)
    other.row = 1
    live.put(other)

    released = live.release_overflow()

    assert [record.seq for record in released] == list(range(len(released)))
    assert 50 <= 110 - len(released) <= 51
    assert live.release_overflow() == []
    assert live.waiting == 111 - len(released)


class LiveMachine(RuleBasedStateMachine):
    """Any order of puts, takes, writes and releases: every record comes out once, in order per lane."""

    def __init__(self) -> None:
        super().__init__()
        self.live = LiveLane(_pack)
        self.inside: dict[str, list[Record]] = {lane.name: [] for lane in _LANES}
        self.seq = 0

    @rule(lane=st.sampled_from(_LANES), size=st.sampled_from([10, 1000, 40_000, 300_000]))
    def put(self, lane: Lane, size: int) -> None:
        """A new record."""
        record = _record(lane, self.seq, size)
        self.seq += 1
        self.live.put(record)
        self.inside[lane.name].append(record)

    @rule(room=st.integers(1, 20))
    def take(self, room: int) -> None:
        """The oldest of one lane, an urgent one if there is any."""
        parcel = self.live.take(room)
        if parcel is None:
            assert not any(self.inside.values())
            return
        taken = list(parcel.records)
        lane = taken[0].lane
        assert taken == self.inside[lane.name][: len(taken)]
        assert lane.urgent or not (self.inside["bumper"] or self.inside["gap"])
        assert len(taken) == 1 or not lane.is_event
        del self.inside[lane.name][: len(taken)]

    @precondition(lambda self: any(self.inside.values()))
    @rule(share=st.integers(0, 100))
    def written(self, share: int) -> None:
        """The oldest part of every lane goes to disk."""
        for records in self.inside.values():
            for record in records[: len(records) * share // 100 + 1]:
                record.row = 1

    @rule(all_written=st.booleans())
    def release(self, all_written: bool) -> None:
        """What comes back is on disk, and the oldest of its lane."""
        released = self.live.release_written() if all_written else self.live.release_overflow()
        for record in released:
            assert record.row
            assert self.inside[record.lane.name].pop(0) is record
        if all_written:
            assert not any(records and records[0].row for records in self.inside.values())

    @invariant()
    def the_figures_add_up(self) -> None:
        """What waits, and whether there is something to take."""
        waiting = sum(map(len, self.inside.values()))
        assert self.live.waiting == waiting
        assert self.live.has_ready == bool(waiting)


LiveMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLiveMachine = LiveMachine.TestCase
