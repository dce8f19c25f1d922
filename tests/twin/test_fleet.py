"""All robots of a broker: routing, hostile messages, who appears and leaves; and what is shown of a backlog."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edgetwin import announcement, wire
from edgetwin.announcement import Announcement
from edgetwin.records import ChannelClass, Encoding, LinkState
from edgetwin.twin.fleet import Doors, Fleet, filters
from edgetwin.twin.pings import Pings
from edgetwin.twin.quality import quality
from edgetwin.twin.state import RobotTwin
from tests.twin.stage import MS, ODOM, WALL_US, S, moment


class Seat:
    """A fleet, and what it showed."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, str, Any]] = []
        self.gone: list[str] = []
        doors = Doors(
            lambda *_: None, lambda twin, name, data: self.shown.append((twin.robot_id, name, data)), self.gone.append
        )
        self.fleet = Fleet("robot", doors)

    def take(
        self, topic: str, payload: bytes, now_ns: int = 0, properties: Sequence[tuple[str, str]] = (), *,
        retained: bool = False,
    ) -> None:  # fmt: skip
        """One message."""
        self.fleet.take(topic, payload, properties, moment(now_ns), retained=retained)


def bodies(count: int, robot: str = "r1", encoding: Encoding = Encoding.JSON) -> list[bytes]:
    """Standalone records."""
    lane = wire.Topics(robot).channel_lane("odom", ChannelClass.CRITICAL, encoding, 1)
    numbering = wire.Numbering(robot, "b1", lane)
    records = [
        numbering.number(b'{"n":%d}' % index, stamp_us=WALL_US, recv_us=WALL_US, now_ns=0) for index in range(count)
    ]
    return [numbering.standalone(record) for record in records]


def status(state: LinkState = LinkState.ONLINE) -> bytes:
    """A status message."""
    return wire.status("r1", "b1", state, version="0", stamp_us=WALL_US, heartbeat_s=5.0)


def test_live_batches_are_shown_whole_and_of_a_backlog_only_what_is_newest() -> None:
    """Five in one live message; then five of an outage, which the state has passed; then three newer ones at once."""
    seat, made = Seat(), bodies(16)
    seat.take("robot/r1/telemetry/odom", wire.batch("r1", made[8:13]))
    live = [data["n"] for _, _, data in seat.shown]
    seat.take("robot/r1/backlog/odom", wire.batch("r1", made[:8]))
    seat.take("robot/r1/backlog/odom", wire.batch("r1", made[13:16]))

    assert live == [8, 9, 10, 11, 12]
    assert [data["n"] for _, _, data in seat.shown[5:]] == [15]
    assert seat.fleet.robots["r1"].channels["odom"].lost == 0


def test_a_cdr_record_alone_and_in_a_batch_is_shown_as_bytes() -> None:
    """Its envelope is in the user properties, or around it."""
    seat = Seat()
    lane = wire.Topics("r1").channel_lane("odom", ChannelClass.CRITICAL, Encoding.CDR, 1)
    numbering = wire.Numbering("r1", "b1", lane)
    first, second = (numbering.number(raw, stamp_us=1, recv_us=1, now_ns=0) for raw in (b"one", b"two"))
    seat.take("robot/r1/telemetry/odom", first.body, 0, numbering.properties(first))
    seat.take("robot/r1/telemetry/odom", wire.batch("r1", [numbering.standalone(second)]))

    assert [data for _, _, data in seat.shown] == [b"one", b"two"]


@given(
    st.sampled_from(
        ["status", "channels", "telemetry/odom", "backlog/odom", "events/gap", "events/clock", "acks", "x/y"]
    ),
    st.binary(max_size=200) | st.sampled_from([
        b"[]", b"{}", b"null", b'{"v":1}', b'{"v":1,"records":[{}]}', b'{"v":1,"records":5}', b'{"id":[],"robot_us":1}',
        b'{"v":1,"channels":[],"robot_id":"r1","boot":"b"}', b'{"boot":"b","state":"online","stamp_us":true}',
        b'{"v":1,"robot_id":"r1","boot":"b","channel":"odom","seq":-1,"stamp_us":1,"recv_us":1,"data":{}}',
        b'{"v":1,"robot_id":"r1","boot":"b","channel":"odom","seq":1e400,"stamp_us":1,"recv_us":1,"data":{}}',
        b'{"v":1,"robot_id":"r2","boot":"b","channel":"odom","seq":1,"stamp_us":1,"recv_us":1,"data":{}}',
        b'{"v":1,"robot_id":"r1","boot":"b","channel":"gap","seq":1,"stamp_us":1,"recv_us":1,"data":{"from_seq":"0"}}',
    ]),
    st.lists(st.tuples(st.sampled_from(["seq", "content-encoding", "v"]), st.text(max_size=5)), max_size=3),
)  # fmt: skip
def test_nothing_that_anybody_publishes_ends_the_mirror(
    kind: str, payload: bytes, properties: list[tuple[str, str]]
) -> None:
    """Garbage, half messages, wrong robots: counted at most; nothing is shown, nothing raised."""
    seat = Seat()
    seat.take("robot/r1/telemetry/odom", bodies(1)[0])
    seat.take(f"robot/r1/{kind}", payload, MS, properties)

    assert len(seat.shown) == 1 or kind == "status"


def test_a_cleared_status_takes_a_robot_away_and_an_hour_offline_too() -> None:
    """Its first message makes a new one."""
    seat = Seat()
    seat.take("robot/r1/status", status())
    seat.take("robot/r1/status", b"", retained=False)
    seat.take("robot/r1/status", status())
    seat.take("robot/r1/status", status(LinkState.OFFLINE))
    seat.fleet.forget_long_gone(3_599 * S)
    kept = list(seat.fleet.robots)
    seat.fleet.forget_long_gone(3_601 * S)

    assert kept == ["r1"]
    assert (seat.gone, seat.fleet.robots) == (["r1", "r1"], {})


def test_robots_are_bounded() -> None:
    """1,000 are taken; the one after them is counted."""
    seat = Seat()
    for index in range(1_001):
        seat.take(f"robot/r{index}/status", status())

    assert (len(seat.fleet.robots), seat.fleet.crowded_out) == (1_000, 1)


def test_topics_of_others_are_not_taken() -> None:
    """Another prefix, an empty level, too many levels, an endless name."""
    seat = Seat()
    for topic in ("fleet/r1/status", "robot//status", "robot/r1/telemetry/a/b", "robot/" + "x" * 200 + "/status"):
        seat.take(topic, status())

    assert (seat.fleet.robots, seat.fleet.unreadable) == ({}, 4)


def test_a_probe_on_the_topics_of_a_robot_that_does_not_exist_makes_none() -> None:
    """`edgetwin doctor` tries where it may publish; an empty batch on a real robot's topics is no record either."""
    seat = Seat()
    seat.take("robot/nobody/events/doctor", wire.batch("nobody", []))
    seat.take("robot/nobody/acks", b"{}")
    seat.take("robot/r1/status", status())
    seat.take("robot/r1/telemetry/odom", wire.batch("r1", []))

    assert (list(seat.fleet.robots), seat.fleet.robots["r1"].channels, seat.fleet.unreadable) == (["r1"], {}, 0)


def test_filters_name_what_must_be_known_first() -> None:
    """One robot, or all; the announcement comes before what it announces."""
    first, flowing = filters("robot", ["r1"])

    assert first[0] == "robot/r1/channels"
    assert "robot/+/telemetry/+" in filters("robot", [])[1]
    assert {topic.split("/")[2] for topic in flowing} == {"events", "telemetry", "backlog"}


def test_pings_come_quickly_at_first_and_anew_for_each_boot() -> None:
    """Four within half a second, then one in five; an answer to the run before is nobody's."""
    pings, twin = Pings("robot"), RobotTwin("r1")
    unknown = pings.due(twin, 0)
    twin.announce(Announcement("r1", "b1", {"odom": ODOM}))
    asked = [tick for tick in range(200) if pings.due(twin, tick * 100 * MS)]
    topic, payload = pings.question("r1", 20 * S)
    twin.announce(Announcement("r1", "b2", {"odom": ODOM}))
    again = pings.due(twin, 20 * S)
    pings.answer(twin, payload[:-1] + b',"robot_us":5}', 20 * S)

    assert not unknown
    assert asked == [0, 1, 2, 3, 53, 103, 153]
    assert topic == "robot/r1/commands/ping"
    assert again
    assert twin.time.at(20 * S) is None


@given(st.binary(max_size=100))
def test_an_announcement_is_read_back_or_refused(noise: bytes) -> None:
    """There and back; noise is a ValueError."""
    said = Announcement("r1", "b1", {"odom": ODOM})

    assert announcement.decode(announcement.encode(said)) == said
    try:
        announcement.decode(noise)
    except ValueError:
        return


@given(
    st.fixed_dictionaries({
        "boot": st.text(max_size=5), "state": st.sampled_from(["online", "offline", "?"]), "stamp_us": st.integers(),
        "heartbeat_s": st.floats() | st.integers() | st.none() | st.booleans(),
        "flows": st.none() | st.dictionaries(st.just("odom"), st.none() | st.dictionaries(
            st.sampled_from(["received", "published"]), st.integers() | st.none() | st.floats(),
        )), "clock": st.none() | st.just({"synchronised": 1}),
    }),
    st.floats(min_value=0), st.floats(min_value=0), st.integers(0, 2**62 - 1), st.integers(0, 2**62 - 1),
    st.integers(), st.integers(),
)  # fmt: skip
def test_figures_can_be_made_of_whatever_was_said(
    said: dict[str, Any], rate: float, heartbeat: float, stamp_us: int, recv_us: int, step_us: int, after_us: int
) -> None:
    """Absurd numbers in every place that ages, clocks and shares are reckoned from: figures, never an exception."""
    seat = Seat()
    record = {
        "v": 1,
        "robot_id": "r1",
        "boot": "b1",
        "channel": "odom",
        "seq": 0,
        "stamp_us": stamp_us,
        "recv_us": recv_us,
    }
    channels = {"odom": {"topic": "/o", "type": "a/msg/B", "class": "critical", "rate_hz_max": rate,
                         "heartbeat_s": heartbeat, "encoding": "json", "fields": None}}  # fmt: skip
    clock = {"step_us": step_us, "after_us": after_us}
    seat.take("robot/r1/channels", json.dumps({"v": 1, "robot_id": "r1", "boot": "b1", "channels": channels}).encode())
    seat.take("robot/r1/telemetry/odom", json.dumps(record | {"data": {}}).encode())
    seat.fleet.robots["r1"].time.ping(0, MS, stamp_us)
    seat.take("robot/r1/events/clock", json.dumps(record | {"channel": "clock", "data": clock}).encode())
    seat.take("robot/r1/telemetry/odom", json.dumps(record | {"data": {}, "seq": 1}).encode())
    seat.take("robot/r1/status", json.dumps(said).encode())
    figures = quality(seat.fleet.robots["r1"], moment(S), linked=True)

    assert figures.robot_id == "r1"
