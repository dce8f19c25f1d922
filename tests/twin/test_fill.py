"""JSON and CDR into messages: what goes in comes out, and what does not fit is refused, never published."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import BatteryState, Imu, JointState, LaserScan, NavSatFix, PointCloud2
from std_msgs.msg import Byte, ByteMultiArray, Int8
from test_msgs.msg import Arrays, BasicTypes, BoundedSequences, Nested, Strings, UnboundedSequences  # type: ignore[import-untyped]

from edgetwin import wire
from edgetwin.errors import MalformedMessageError
from edgetwin.records import Encoding
from edgetwin.ros import cdr
from edgetwin.twin.fill import cdr_maker, json_maker
from edgetwin.twin.places import point_reader

TYPES = [
    Odometry, JointState, LaserScan, Imu, BatteryState, NavSatFix, PointCloud2, Byte, ByteMultiArray, Int8,
    Arrays, BasicTypes, BoundedSequences, Nested, Strings, UnboundedSequences,
]  # fmt: skip


def there_and_back(message: Any) -> Any:
    """Through the robot's decoder, JSON, and the mirror's filler, to bytes and back."""
    cls = type(message)
    data = orjson.loads(wire.encode(cdr.dict_decoder(cls)(serialize_message(message))))
    return deserialize_message(serialize_message(json_maker(cls)(data)), cls)


@pytest.mark.parametrize("cls", TYPES, ids=lambda cls: cls.__name__)
def test_every_kind_of_field_survives_the_way(cls: Any) -> None:
    """Defaults of types that between them have every kind of field: octets, bounded texts, fixed and open arrays."""
    message = deserialize_message(serialize_message(cls()), cls)

    assert repr(there_and_back(message)) == repr(message)


@given(st.lists(st.floats(allow_infinity=False), max_size=50), st.lists(st.text(max_size=8), max_size=5))
def test_values_survive_bit_by_bit(position: list[float], names: list[str]) -> None:
    """Doubles to the last bit, NaN as NaN, texts of any script (up to a NUL, where C ends one)."""
    names = [name.partition("\0")[0] for name in names]
    message = JointState(name=names, position=position)

    assert repr(there_and_back(message)) == repr(deserialize_message(serialize_message(message), JointState))


def test_infinity_comes_back_as_nan() -> None:
    """The wire knows null alone for what is not finite."""
    scan = there_and_back(LaserScan(ranges=[1.5, math.inf, math.nan]))

    assert [math.isnan(value) for value in scan.ranges] == [False, True, True]


@pytest.mark.parametrize(
    ("cls", "data"),
    [
        (Odometry, []), (Odometry, {"pose": 3}), (Odometry, {"colour": 1}), (Odometry, {"child_frame_id": 5}),
        (Odometry, {"pose": {"covariance": [0.0] * 35}}), (Odometry, {"pose": {"covariance": ["x"] * 36}}),
        (Odometry, {"header": {"stamp": {"sec": 2**31}}}), (Odometry, {"header": {"stamp": {"sec": 1.5}}}),
        (Odometry, {"header": {"stamp": {"sec": None}}}), (Int8, {"data": 200}), (Int8, {"data": True}),
        (JointState, {"position": 1.0}), (JointState, {"position": [[]]}), (JointState, {"name": [None]}),
        (Byte, {"data": 256}), (PointCloud2, {"data": [-1]}), (BatteryState, {"present": 1}),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(cls: Any, data: Any) -> None:
    """Wrong kinds, wrong lengths, out of range, unknown fields: one error, never a crash below rclpy."""
    with pytest.raises(MalformedMessageError):
        json_maker(cls)(data)


def test_cdr_passes_untouched_and_broken_cdr_does_not() -> None:
    """The very bytes; every truncation (8 bytes are padding), and what is no bytes at all, is refused."""
    raw = serialize_message(JointState(name=["a"], position=[1.0]))
    make = cdr_maker(JointState)

    assert make(raw) is raw
    for broken in (*(raw[:length] for length in range(len(raw) - 8)), {"position": []}, None):
        with pytest.raises(MalformedMessageError):
            make(broken)


def test_the_position_is_found_in_json_and_in_cdr() -> None:
    """Of a pose that is nested; None where fields leave it out, and of a type without one."""
    message = Odometry()
    message.pose.pose.position.x, message.pose.pose.position.y = 1.5, -2.0
    data = cdr.dict_decoder(Odometry)(serialize_message(message))
    in_json = point_reader(Odometry, Encoding.JSON)
    nowhere: list[Any] = [{}, [], {"pose": {"pose": {"position": {"x": None}}}}]

    assert in_json(data) == (1.5, -2.0, 0.0)
    assert point_reader(Odometry, Encoding.CDR)(serialize_message(message)) == (1.5, -2.0, 0.0)
    assert list(map(in_json, nowhere)) == [None] * 3
    assert point_reader(Odometry, Encoding.CDR)(b"no") is None
    assert point_reader(JointState, Encoding.JSON)({"position": [1.0]}) is None
