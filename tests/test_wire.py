"""The wire format: every bit of every number, the envelope of the contract, and a decoder that cannot be surprised."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st

from edgetwin import wire
from edgetwin.records import ChannelClass, Encoding, EventKind, Lane, LinkState

_TOPICS = wire.Topics("robot_001")
_any_float = st.floats(allow_nan=True, allow_infinity=True)
_data = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_us = st.integers(-(2**53), 2**53)


def _numbering(encoding: Encoding = Encoding.JSON, name: str = "odom") -> wire.Numbering:
    lane = _TOPICS.channel_lane(name, ChannelClass.CRITICAL, encoding, qos=1)
    return wire.Numbering("robot_001", "b00t", lane)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_comes_back_to_the_last_bit(number: float) -> None:
    """Subnormals and the sign of zero included."""
    back = orjson.loads(wire.encode([number]))[0]

    assert struct.pack("d", back) == struct.pack("d", number)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_every_float32_comes_back_to_the_last_bit(number: float) -> None:
    """As the double that rclpy shows of it."""
    assert struct.pack("f", json.loads(wire.encode(number))) == struct.pack("f", number)


@given(st.lists(_any_float, max_size=40))
def test_arrays_travel_as_lists_do(numbers: list[float]) -> None:
    """A numpy array and a list of the same floats are the same bytes."""
    assert wire.encode({"ranges": np.array(numbers, np.float64)}) == wire.encode({"ranges": numbers})


@given(st.lists(_any_float, max_size=40))
def test_non_finite_numbers_are_null_wherever_they_stand(numbers: list[float]) -> None:
    """NaN and infinities are no JSON; everything else stays in its place."""
    back = json.loads(wire.encode({"a": numbers, "b": [{"c": numbers}]}))

    expected = [number if math.isfinite(number) else None for number in numbers]
    assert back == {"a": expected, "b": [{"c": expected}]}


def test_topic_names_are_those_of_the_contract() -> None:
    """Prefix, robot, kind, channel."""
    assert _TOPICS.status == "robot/robot_001/status"
    assert _TOPICS.telemetry("odom") == "robot/robot_001/telemetry/odom"
    assert _TOPICS.backlog("odom") == "robot/robot_001/backlog/odom"
    assert _TOPICS.events(EventKind.GAP) == "robot/robot_001/events/gap"
    assert wire.Topics("r", "fleet/a").status == "fleet/a/r/status"


def test_lanes_say_how_they_are_treated() -> None:
    """Events are urgent and share one topic; an event channel is urgent and has two."""
    odom = _TOPICS.channel_lane("odom", ChannelClass.CRITICAL, Encoding.CDR, 0)
    bumper = _TOPICS.channel_lane("bumper", ChannelClass.EVENT, Encoding.JSON, 1)
    gap = _TOPICS.event_lane(EventKind.GAP)

    assert (odom.is_event, odom.urgent, odom.qos, odom.encoding) == (False, False, 0, Encoding.CDR)
    assert (bumper.is_event, bumper.urgent) == (False, True)
    assert (gap.is_event, gap.urgent, gap.name) == (True, True, "gap")


def test_the_record_is_the_contract_s_to_the_byte() -> None:
    """Its keys, in its order, and nothing else."""
    numbering = _numbering()
    numbering.next_seq = 1042

    record = numbering.number(b'{"x":1.5}', stamp_us=1795327201360952, recv_us=1795327201361100, now_ns=7)

    assert record.body == (
        b'{"v":1,"robot_id":"robot_001","boot":"b00t","channel":"odom","seq":1042,'
        b'"stamp_us":1795327201360952,"recv_us":1795327201361100,"data":{"x":1.5}}'
    )
    assert (record.seq, record.stamp_us, record.born_ns, record.row) == (1042, 1795327201360952, 7, 0)


def test_numbers_count_from_zero_without_holes() -> None:
    """Per lane."""
    numbering = _numbering()

    assert [numbering.number(b"{}", stamp_us=0, recv_us=0, now_ns=0).seq for _ in range(5)] == [0, 1, 2, 3, 4]
    assert _numbering(name="imu").number(b"{}", stamp_us=0, recv_us=0, now_ns=0).seq == 0


@given(_data, _us, _us)
def test_a_json_record_comes_back(data: Any, stamp_us: int, recv_us: int) -> None:
    """Alone on the live lane."""
    record = _numbering().number(wire.encode({"value": data}), stamp_us=stamp_us, recv_us=recv_us, now_ns=0)

    assert wire.decode(record.body) == [
        {
            "v": 1,
            "robot_id": "robot_001",
            "boot": "b00t",
            "channel": "odom",
            "seq": 0,
            "stamp_us": stamp_us,
            "recv_us": recv_us,
            "data": {"value": data},
        }
    ]


@given(st.binary(max_size=300), _us, _us)
def test_a_cdr_record_comes_back_alone(raw: bytes, stamp_us: int, recv_us: int) -> None:
    """The payload is the CDR, untouched; the envelope travels in user properties."""
    numbering = _numbering(Encoding.CDR)
    record = numbering.number(raw, stamp_us=stamp_us, recv_us=recv_us, now_ns=0)

    assert record.body == raw
    assert wire.decode(record.body, numbering.properties(record)) == [
        {
            "v": 1,
            "robot_id": "robot_001",
            "boot": "b00t",
            "channel": "odom",
            "seq": 0,
            "stamp_us": stamp_us,
            "recv_us": recv_us,
            "encoding": "cdr",
            "data": raw,
        }
    ]


@given(st.lists(st.binary(max_size=100), min_size=1, max_size=20), st.sampled_from(Encoding), st.booleans())
def test_a_batch_comes_back_in_order(raws: list[bytes], encoding: Encoding, packed: bool) -> None:
    """JSON and CDR alike, compressed or not."""
    numbering = _numbering(encoding)
    datas = raws if encoding is Encoding.CDR else [wire.encode({"raw": raw.hex()}) for raw in raws]
    records = [numbering.number(data, stamp_us=1, recv_us=2, now_ns=0) for data in datas]
    payload = wire.batch("robot_001", map(numbering.standalone, records))
    codec = wire.IDENTITY
    if packed:
        payload, codec = wire.compress(payload)

    back = wire.decode(payload, [(wire.CONTENT_ENCODING, codec)])

    assert [record["seq"] for record in back] == list(range(len(raws)))
    assert {record["boot"] for record in back} == {"b00t"}
    if encoding is Encoding.CDR:
        assert [record["data"] for record in back] == raws
    else:
        assert [record["data"]["raw"] for record in back] == [raw.hex() for raw in raws]


def test_a_batch_is_the_contract_s_to_the_byte() -> None:
    """Its own version and robot, then the records as they are."""
    assert wire.batch("robot_001", [b'{"a":1}', b'{"b":2}']) == (
        b'{"v":1,"robot_id":"robot_001","records":[{"a":1},{"b":2}]}'
    )


def test_a_batch_without_properties_is_plain() -> None:
    """The live lane names no content encoding."""
    assert wire.decode(wire.batch("robot_001", [])) == []


def test_a_late_event_says_so() -> None:
    """And is the same record otherwise."""
    numbering = wire.Numbering("robot_001", "b00t", _TOPICS.event_lane(EventKind.GAP))
    record = numbering.number(b'{"count":3}', stamp_us=1, recv_us=2, now_ns=0)

    (late,) = wire.decode(wire.mark_late(record.body))

    assert late.pop("late") is True
    assert [late] == wire.decode(record.body)


@given(st.binary(max_size=2000))
def test_what_was_compressed_comes_back(payload: bytes) -> None:
    """And is never larger for it."""
    packed, codec = wire.compress(payload)

    assert len(packed) <= len(payload)
    assert wire.decompress(packed, codec) == payload


def test_compression_is_used_where_it_helps() -> None:
    """A batch shrinks, a short word does not."""
    assert wire.compress(b"a" * 1000)[1] == wire.ZSTD
    assert wire.compress(b"a") == (b"a", wire.IDENTITY)
    assert wire.compress(b"") == (b"", wire.IDENTITY)


def test_status_carries_the_contract_s_keys_and_the_figures() -> None:
    """Birth, heartbeat, will and farewell alike."""
    payload = wire.status("robot_001", "b00t", LinkState.ONLINE, version="0.1", stamp_us=5, outbox={"records": 3})

    assert json.loads(payload) == {
        "v": 1,
        "robot_id": "robot_001",
        "boot": "b00t",
        "state": "online",
        "version": "0.1",
        "stamp_us": 5,
        "outbox": {"records": 3},
    }


def test_a_name_that_needs_escapes_stays_valid_json() -> None:
    """Quotes and other alphabets in a robot's name, should settings ever allow them."""
    lane = Lane("a", "t", "b", ChannelClass.SLOW)
    record = wire.Numbering('ro"böt', "b", lane).number(b"{}", stamp_us=1, recv_us=1, now_ns=0)

    assert wire.decode(record.body)[0]["robot_id"] == 'ro"böt'
