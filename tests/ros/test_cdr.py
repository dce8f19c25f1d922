"""Reading CDR: known messages, stamps, paths, numbers; and everything that is not a message."""

from __future__ import annotations

import json
import math
import random
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS is not installed")

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, PointStamped, Pose, PoseArray, TransformStamped, Twist, TwistStamped
from nav_msgs.msg import Odometry, Path
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import BatteryState, CameraInfo, Imu, JointState, LaserScan, NavSatFix
from std_msgs.msg import Empty, Float64MultiArray, String

from edgetwin import wire
from edgetwin.errors import FieldPathError, MalformedMessageError
from edgetwin.ros.cdr import (
    PosePaths,
    dict_decoder,
    number_reader,
    numeric_paths,
    pose_paths,
    stamp_reader,
    string_list_reader,
)

# ROS's generated code loads its generator, which loads a lark that still imports sre_parse and sre_constants.
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")

HEADER = {"stamp": {"sec": 1_795_327_201, "nanosec": 360_952_017}, "frame_id": "map"}


def stamped(message: Any) -> Any:
    """Return the message with the header of these tests."""
    message.header.stamp.sec, message.header.stamp.nanosec = 1_795_327_201, 360_952_017
    message.header.frame_id = "map"
    return message


def as_json(cls: Any, raw: bytes, fields: list[str] | None = None) -> Any:
    """Return what a subscriber of the record reads."""
    return json.loads(wire.encode(dict_decoder(cls, fields)(raw)))


def joints(names: list[str]) -> Any:
    """Return joint states with an effort per joint."""
    return JointState(name=names, position=[0.1] * len(names), effort=[float(index) for index in range(len(names))])


def test_bytes_written_by_hand_decode() -> None:
    """A Vector3-like layout that owes nothing to rclpy: string, padding, doubles."""
    raw = bytes.fromhex("00010000070000000800000005000000626173650000000000000000")
    raw += struct.pack("<6d", 0.1, -0.0, math.nan, 4.0, math.inf, 1e300) + b"\0\0\0"

    decoded = dict_decoder(TwistStamped)(raw)

    assert decoded["header"] == {"stamp": {"sec": 7, "nanosec": 8}, "frame_id": "base"}
    assert json.loads(wire.encode(decoded["twist"])) == {
        "linear": {"x": 0.1, "y": -0.0, "z": None},
        "angular": {"x": 4.0, "y": None, "z": 1e300},
    }


def test_odometry_keeps_its_names_and_every_bit() -> None:
    """Whole, and by the selection of the example configuration."""
    odometry = stamped(Odometry(child_frame_id="base_footprint"))
    odometry.pose.pose.position.x, odometry.pose.pose.orientation.w = 0.1 + 0.2, 1.0
    odometry.pose.covariance[35] = 1e-9
    odometry.twist.twist.angular.z = -5e-324
    raw = serialize_message(odometry)
    pose = {"position": {"x": 0.1 + 0.2, "y": 0.0, "z": 0.0}, "orientation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}}
    twist = {"linear": {"x": 0.0, "y": 0.0, "z": 0.0}, "angular": {"x": 0.0, "y": 0.0, "z": -5e-324}}

    assert as_json(Odometry, raw) == {
        "header": HEADER,
        "child_frame_id": "base_footprint",
        "pose": {"pose": pose, "covariance": [0.0] * 35 + [1e-9]},
        "twist": {"twist": twist, "covariance": [0.0] * 36},
    }
    assert as_json(Odometry, raw, ["twist.twist", "pose.pose"]) == {"pose": {"pose": pose}, "twist": {"twist": twist}}
    assert as_json(Odometry, raw, ["pose", "pose.pose.position.x"])["pose"]["pose"] == pose
    assert as_json(Odometry, raw, []) == {}


def test_joint_states_keep_empty_arrays() -> None:
    """Velocity is often not filled."""
    raw = serialize_message(stamped(joints(["left", "right"])))

    assert as_json(JointState, raw) == {
        "header": HEADER,
        "name": ["left", "right"],
        "position": [0.1, 0.1],
        "velocity": [],
        "effort": [0.0, 1.0],
    }


def test_float32_is_the_double_that_rclpy_shows() -> None:
    """Short and long arrays, and single values; NaN is null."""
    ranges = [0.1, math.inf, 2.5] * 240
    scan = stamped(LaserScan(angle_min=-0.1, ranges=ranges, intensities=[0.1]))
    decoded = as_json(LaserScan, serialize_message(scan))
    battery = stamped(BatteryState(percentage=0.7, voltage=math.nan, present=True, cell_voltage=[3.7]))
    power = as_json(BatteryState, serialize_message(battery))
    widened = float(np.float32(0.1))

    assert decoded["ranges"] == [widened, None, 2.5] * 240
    assert decoded["intensities"] == [widened]
    assert decoded["angle_min"] == -widened
    assert (power["percentage"], power["voltage"]) == (float(np.float32(0.7)), None)
    assert power["cell_voltage"] == [float(np.float32(3.7))]
    assert power["present"] is True


def test_fixes_and_transforms_decode() -> None:
    """A nested status with a 16-bit field, a child frame between two messages."""
    fix = stamped(NavSatFix(latitude=48.137, longitude=11.575, altitude=519.0))
    fix.status.status, fix.status.service = -1, 65535
    transform = stamped(TransformStamped(child_frame_id="odom"))
    transform.transform.rotation.w = 1.0

    assert as_json(NavSatFix, serialize_message(fix))["status"] == {"status": -1, "service": 65535}
    assert as_json(NavSatFix, serialize_message(fix), ["latitude", "altitude"]) == {
        "latitude": 48.137,
        "altitude": 519.0,
    }
    assert as_json(TransformStamped, serialize_message(transform)) == {
        "header": HEADER,
        "child_frame_id": "odom",
        "transform": {
            "translation": {"x": 0.0, "y": 0.0, "z": 0.0},
            "rotation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0},
        },
    }


def test_sequences_of_messages_decode_and_can_be_cut() -> None:
    """At equal distances (poses) and not (diagnostics); a path leads into each element."""
    poses = PoseArray(poses=[Pose(position=Point(x=float(index))) for index in range(3)])
    values = [KeyValue(key="amps", value="3"), KeyValue(key="volts", value="")]
    status = DiagnosticStatus(level=DiagnosticStatus.WARN, name="motor", values=values)
    raw = serialize_message(DiagnosticArray(status=[status, DiagnosticStatus()]))

    assert as_json(PoseArray, serialize_message(poses), ["poses.position.x"]) == {
        "poses": [{"position": {"x": 0.0}}, {"position": {"x": 1.0}}, {"position": {"x": 2.0}}]
    }
    assert as_json(DiagnosticArray, raw, ["status.level", "status.values.key"]) == {
        "status": [{"level": 1, "values": [{"key": "amps"}, {"key": "volts"}]}, {"level": 0, "values": []}]
    }
    assert as_json(Empty, serialize_message(Empty())) == {}


def test_invalid_utf8_is_replaced() -> None:
    """A frame name in Latin-1 must not stop a robot's telemetry."""
    raw = b"\0\1\0\0" + struct.pack("<I", 6) + b"gr\xfc\xdfe\0"

    assert as_json(String, raw) == {"data": "gr\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}e"}


def test_a_signalling_nan_is_null_without_a_warning() -> None:
    """Warnings are errors in tests; on a robot this would fill the journal."""
    raw = bytearray(serialize_message(LaserScan(ranges=[1.0] * 50)))
    at = raw.index(struct.pack("<f", 1.0))
    raw[at : at + 4] = bytes.fromhex("0100a07f")

    assert as_json(LaserScan, bytes(raw))["ranges"][:2] == [None, 1.0]
    assert math.isnan(number_reader(LaserScan, ["ranges"])(bytes(raw))[0][0])


@pytest.mark.parametrize(
    ("message", "stamp_ns"),
    [
        (stamped(Odometry()), 1_795_327_201_360_952_017),
        (Odometry(), 0),
        (Clock(clock=Time(sec=5, nanosec=1)), 5_000_000_001),
        (Time(sec=1, nanosec=999_999_999), 1_999_999_999),
    ],
)
def test_the_stamp_is_in_nanoseconds_and_zero_when_unset(message: Any, stamp_ns: int) -> None:
    """From the header, or the first field that is a time; in either byte order."""
    raw = serialize_message(message)
    big = b"\0\0\0\0" + struct.pack(">iI", *struct.unpack_from("<iI", raw, 4)) + bytes(4 + 4 + 704)
    read = stamp_reader(type(message))

    assert read is not None
    assert read(raw) == read(big) == stamp_ns


def test_types_without_a_header_have_no_stamp() -> None:
    """Reception time is all there is."""
    assert stamp_reader(Twist) is None
    assert stamp_reader(String) is None


def test_numbers_come_in_the_order_asked_for() -> None:
    """Scalars, booleans, arrays, vectors; long arrays as float64."""
    odometry = Odometry()
    odometry.pose.pose.position.y = 2.5
    battery = BatteryState(present=True, power_supply_status=3)
    camera = CameraInfo(width=640, d=[0.1, 0.2])

    vectors = ["pose.pose.orientation", "pose.pose.position", "pose.covariance"]
    orientation, position, covariance = number_reader(Odometry, vectors)(serialize_message(odometry))

    assert (orientation, position) == ((0.0, 0.0, 0.0, 1.0), (0.0, 2.5, 0.0))
    assert covariance.dtype == np.float64
    assert covariance.shape == (36,)
    scalars = number_reader(BatteryState, ["present", "power_supply_status"])(serialize_message(battery))
    assert scalars == (1.0, 3.0)
    assert [type(value) for value in scalars] == [float, float]
    assert number_reader(CameraInfo, ["d", "width"])(serialize_message(camera)) == ((0.1, 0.2), 640.0)
    assert number_reader(Twist, [])(serialize_message(Twist())) == ()


def test_numeric_paths_leave_out_what_always_changes() -> None:
    """Header, strings and sequences of messages are not measured."""
    assert numeric_paths(JointState) == ["position", "velocity", "effort"]
    assert numeric_paths(Odometry, ["twist.twist.linear", "pose.covariance"]) == [
        "pose.covariance",
        "twist.twist.linear.x",
        "twist.twist.linear.y",
        "twist.twist.linear.z",
    ]
    assert numeric_paths(PoseArray) == []
    assert numeric_paths(Clock) == []


@pytest.mark.parametrize(
    ("cls", "paths"),
    [
        (Odometry, PosePaths("pose.pose.position", "pose.pose.orientation")),
        (Pose, PosePaths("position", "orientation")),
        (TransformStamped, PosePaths("transform.translation", "transform.rotation")),
        (Imu, PosePaths(None, "orientation")),
        (Path, None),
        (PointStamped, None),
        (JointState, None),
    ],
)
def test_a_pose_is_found_by_its_shape(cls: Any, paths: PosePaths | None) -> None:
    """Not in a sequence: which element would it be."""
    assert pose_paths(cls) == paths


def test_names_follow_the_message_whatever_was_read_before() -> None:
    """Lists are remembered by their bytes; padding left by chance, other names, other lengths do not confuse it."""
    read = string_list_reader(JointState, "name")
    raw = serialize_message(joints(["a", "bb", "ccc"]))
    dirty = raw.replace(b"a\0\0\0", b"a\0\x99\x88")

    for _ in range(2):
        first = read(raw)
        first.append("changed by the caller")
        assert read(raw) == read(dirty) == ["a", "bb", "ccc"]
        assert read(serialize_message(joints(["a", "bb"]))) == ["a", "bb"]
        assert read(serialize_message(joints([]))) == []
        assert read(serialize_message(joints(["x" * length for length in range(1, 60)])))[-1] == "x" * 59
    for index in range(40):
        assert read(serialize_message(joints([f"joint_{index}", "", "\N{SNOWMAN}"]))) == [
            f"joint_{index}",
            "",
            "\N{SNOWMAN}",
        ]


@pytest.mark.parametrize(
    ("build", "path", "cure"),
    [
        (lambda path: dict_decoder(Odometry, [path]), "pose.pose.positon", "pose.pose.position"),
        (lambda path: dict_decoder(Odometry, [path]), "pose.pose.position.x.y", "pose.pose.position.x"),
        (lambda path: dict_decoder(Empty, [path]), "data", "no fields"),
        (lambda path: dict_decoder(Odometry, [path]), "", "nearest"),
        (lambda path: number_reader(Odometry, [path]), "child_frame", "child_frame_id"),
        (lambda path: number_reader(Odometry, [path]), "child_frame_id", "pose"),
        (lambda path: number_reader(PoseArray, [path]), "poses.position.x", "no field"),
        (lambda path: number_reader(JointState, [path]), "name", "effort"),
        (lambda path: string_list_reader(JointState, path), "effort", "name"),
        (lambda path: numeric_paths(JointState, [path]), "positions", "position"),
    ],
)
def test_a_wrong_path_is_refused_with_the_nearest_one(build: Callable[[str], object], path: str, cure: str) -> None:
    """When the decoder is built, not when the first message comes."""
    with pytest.raises(FieldPathError) as caught:
        build(path)

    assert caught.value.path == path
    assert cure in caught.value.cure


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0",
        b"\0\1\0\0",
        b"\0\1\0\0" + bytes(7),
        b"\0\3\0\0" + bytes(800),
        b"\0\6\0\0" + bytes(800),
        b"\1\0" * 400,
    ],
    ids=["empty", "one byte", "header alone", "short", "parameter list", "xcdr2", "nonsense"],
)
def test_bytes_that_are_no_message_are_refused(raw: bytes) -> None:
    """By every kind of reader, with one kind of error that names the type or its class."""
    stamp = stamp_reader(Odometry)
    assert stamp is not None
    for read in (dict_decoder(Odometry), stamp, number_reader(Odometry, ["pose.pose.position"])):
        with pytest.raises(MalformedMessageError, match="Odometry"):
            read(raw)


def test_a_claimed_length_is_not_believed() -> None:
    """Four thousand million doubles, strings or messages in 60 bytes: refused before anything is allocated."""
    claims = b"\0\1\0\0" + bytes(8) + struct.pack("<I", 1) + b"\0" + bytes(3) + b"\xff\xff\xff\xff" + bytes(40)
    layouts = [JointState, DiagnosticArray, PoseArray, Path]
    decoders = [dict_decoder(cls) for cls in layouts] + [dict_decoder(Path, ["header"])]
    numbers = b"\0\1\0\0" + bytes(8) + struct.pack("<I", 2**32 - 1) + bytes(16)
    tracemalloc.start()
    try:
        for decode in decoders[:4]:
            with pytest.raises(MalformedMessageError):
                decode(claims)
        with pytest.raises(MalformedMessageError):
            dict_decoder(Float64MultiArray)(numbers)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000
    assert decoders[4](claims)["header"]["frame_id"] == ""


def mutated(rng: random.Random, raw: bytes) -> bytes:
    """Return a message with one to four things wrong with it."""
    broken = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(broken)) if broken else 0
        match rng.randrange(5):
            case 0:
                del broken[place:]
            case 1:
                broken[place : place + 1] = rng.randbytes(1)
            case 2:
                broken[place - place % 4 : place - place % 4 + 4] = rng.choice(
                    (b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f")
                )
            case 3:
                del broken[place : place + rng.randint(1, 9)]
            case _:
                broken[place:place] = rng.randbytes(rng.randint(1, 9))
    return bytes(broken)


def test_no_mutation_gives_anything_but_a_value_or_a_refusal() -> None:
    """Sixteen thousand broken messages of eight types; what is accepted can be encoded."""
    rng = random.Random(5)
    status = DiagnosticStatus(name="motor", values=[KeyValue(key="amps", value="3")] * 3)
    messages = [
        stamped(Odometry(child_frame_id="base")),
        stamped(joints(["left", "right", "arm_1"])),
        LaserScan(ranges=[1.0] * 100),
        BatteryState(cell_voltage=[3.7] * 4, serial_number="x1"),
        DiagnosticArray(status=[status] * 3),
        PoseArray(poses=[Pose()] * 4),
        CameraInfo(d=[0.1] * 5, distortion_model="plumb_bob"),
        Float64MultiArray(data=[0.5] * 60),
    ]
    outcomes = {"accepted": 0, "refused": 0}

    for message in messages:
        cls, raw = type(message), serialize_message(message)
        readers = (dict_decoder(cls), number_reader(cls, numeric_paths(cls)))
        for _ in range(2000):
            broken = mutated(rng, raw)
            for read in readers:
                try:
                    value = read(broken)
                except MalformedMessageError:
                    outcomes["refused"] += 1
                else:
                    wire.encode(value)
                    outcomes["accepted"] += 1

    assert min(outcomes.values()) > 1000


def test_readers_are_made_once_and_can_be_printed() -> None:
    """The source is what a traceback shows, too."""
    decode = dict_decoder(Odometry, ["pose.pose"])
    source: str = vars(decode)["__source__"]

    assert decode is dict_decoder(Odometry, ("pose.pose",))
    assert source.startswith("def read(b):")
    assert "'position': {'x': v" in source


def test_what_stands_before_an_unreadable_type_is_still_read() -> None:
    """Nothing asks rclpy, which could not know this type."""
    fields = {"level": "double", "label": "wstring<8>", "after": "double"}
    cls = type("Labelled", (), {"get_fields_and_field_types": classmethod(lambda _: fields)})
    raw = b"\0\1\0\0" + struct.pack("<d", 2.5)

    assert dict_decoder(cls, ["level"])(raw) == {"level": 2.5}
    assert number_reader(cls, ["level"])(raw) == (2.5,)
    assert numeric_paths(cls) == ["level", "after"]
    with pytest.raises(MalformedMessageError, match="Labelled"):
        number_reader(cls, ["after"])(raw)


def test_wide_strings_go_through_rclpy() -> None:
    """Their form on the wire is the middleware's own business."""
    messages = pytest.importorskip("test_msgs.msg", reason="the package test_msgs is not installed")
    message = messages.WStrings(wstring_value="größe \N{ROBOT FACE}", array_of_wstrings=["a", "", "c"])
    decoded = as_json(messages.WStrings, serialize_message(message))

    assert decoded["wstring_value"] == "größe \N{ROBOT FACE}"
    assert decoded["array_of_wstrings"] == ["a", "", "c"]


def test_importing_the_decoder_does_not_load_rclpy() -> None:
    """A machine without ROS can still check a configuration."""
    code = "import sys, edgetwin.ros.cdr; sys.exit('rclpy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
