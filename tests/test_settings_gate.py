"""The settings of the gate: safe defaults, bounds that refuse, what must fit what, and faults that say where."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, get_args

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from edgetwin import config
from edgetwin.command.rules import MAY_BE_OFF, AdmissionRules, Level, Role
from edgetwin.errors import RefusedError
from edgetwin.gate.limits import GateLimits
from edgetwin.motion import Reason
from edgetwin.settings import GateSettings, Operator, Settings, operators
from edgetwin.settings.faults import faults_of
from edgetwin.settings.gate import Check
from edgetwin.settings.keys import dotted
from edgetwin.settings.operators import public_keys, raw_key

SQUARE = [[-10.0, -10.0], [10.0, -10.0], [10.0, 10.0], [-10.0, 10.0]]
ODOM = {"topic": "/odom", "type": "nav_msgs/msg/Odometry", "class": "critical"}
BATTERY = {"topic": "/battery_state", "type": "sensor_msgs/msg/BatteryState", "class": "slow"}
KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32).public_key()
RAW = KEY.public_bytes_raw()
BASE64 = base64.b64encode(RAW).decode()
PEM = KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def gate(channels: Any = None, mqtt: Any = None, **keys: Any) -> GateSettings:
    """Return the gate's settings in a tree with channels odom and battery."""
    found = {"odom": ODOM, "battery": BATTERY} if channels is None else channels
    tree = {"robot": {"id": "r1"}, "channels": found, "gate": keys} | ({"mqtt": mqtt} if mqtt else {})
    return Settings.model_validate(tree).gate


def lines(channels: Any = None, mqtt: Any = None, **keys: Any) -> list[str]:
    """Return the lines that such settings are refused with."""
    with pytest.raises(ValidationError) as caught:
        gate(channels, mqtt, **keys)
    return [str(fault) for _, fault in faults_of(caught.value, dotted)]


def test_nothing_moves_until_somebody_sets_it() -> None:
    """The defaults of the contract."""
    plain = gate()

    assert plain.remote_motion is False
    assert plain.admission == "lease"
    assert (plain.linear_max_mps, plain.angular_max_radps) == (0.5, 1.0)
    assert (plain.linear_accel_max_mps2, plain.linear_decel_max_mps2) == (0.5, 1.0)
    assert (plain.deadman_s, plain.battery_min, plain.pose_age_max_s) == (0.5, 0.1, 0.5)
    assert (plain.battery_channel, plain.pose_channel, plain.fence) == ("battery", "odom", None)
    assert (plain.estop_topic, plain.override_topic, plain.scan_topic) == (None, None, None)
    assert (plain.checks_off, plain.allowed_publishers, dict(plain.operators)) == ((), (), {})
    assert (plain.trust_clock, plain.subscriber_required) == (False, True)


SAME: dict[str, tuple[str, float]] = {
    "linear_max_mps": ("linear_max_mps", 1),
    "angular_max_radps": ("angular_max_radps", 1),
    "linear_rating_mps": ("linear_rating_mps", 1),
    "angular_rating_radps": ("angular_rating_radps", 1),
    "linear_accel_max_mps2": ("linear_accel_max_mps2", 1),
    "linear_decel_max_mps2": ("linear_decel_max_mps2", 1),
    "linear_jerk_max_mps3": ("linear_jerk_max_mps3", 1),
    "angular_accel_max_radps2": ("angular_accel_max_radps2", 1),
    "angular_decel_max_radps2": ("angular_decel_max_radps2", 1),
    "angular_jerk_max_radps3": ("angular_jerk_max_radps3", 1),
    "deadman_s": ("deadman_ns", 1e9),
    "duration_default_s": ("duration_default_ns", 1e9),
    "duration_max_s": ("duration_max_ns", 1e9),
    "burst_s": ("burst_ns", 1e9),
    "battery_low": ("battery_low", 1),
    "battery_min": ("battery_min", 1),
    "battery_age_max_s": ("battery_age_max_ns", 1e9),
    "battery_stale_max_mps": ("battery_stale_max_mps", 1),
    "pose_age_max_s": ("pose_age_max_ns", 1e9),
    "pose_sigma_max_m": ("pose_sigma_max_m", 1),
    "reaction_s": ("reaction_ns", 1e9),
    "subscriber_required": ("subscriber_required", 1),
    "remote_motion": ("remote_motion", 1),
}


@pytest.mark.parametrize(("key", "limit", "scale"), [(key, *rest) for key, rest in SAME.items()])
def test_the_defaults_are_those_of_the_gate(key: str, limit: str, scale: float) -> None:
    """Else a test of the gate would not read like the robot."""
    assert getattr(gate(), key) * scale == getattr(GateLimits(), limit)


def test_the_defaults_are_those_of_admission() -> None:
    """In its units."""
    plain, rules = gate(), AdmissionRules(Level.LEASE, "r1", "robot/r1")

    assert Level(plain.admission) is Level.LEASE
    assert plain.lease_s * 1e9 == rules.lease_ns
    assert plain.ttl_max_s * 1e9 == rules.ttl_max_ns
    assert (plain.rate_hz_max, plain.rate_burst) == (rules.rate_hz, rules.rate_burst)
    assert plain.payload_max_bytes == rules.payload_max_bytes
    assert (plain.remote_motion, plain.trust_clock) == (rules.remote_motion, rules.trust_clock)
    assert 1e9 / plain.tick_hz == GateLimits().tick_ns


def test_the_checks_that_may_be_off_are_a_closed_list() -> None:
    """The same as in admission; no other code is taken."""
    assert {Reason(code) for code in get_args(Check)} == MAY_BE_OFF
    assert gate(checks_off=["NO_EXPIRY", "RATE_LIMIT"]).checks_off == ("NO_EXPIRY", "RATE_LIMIT")
    for code in ("RETAINED", "NOT_FINITE", "BAD_SIG", "HELD", "no_expiry", "", 5):
        (line,) = lines(checks_off=[code])

        assert line.startswith("gate.checks_off[0]: ")
        assert "write one of NO_EXPIRY, CLOCK_UNCERTAIN" in line


BOUNDS: dict[str, tuple[list[float], list[float]]] = {
    "linear_rating_mps": ([0.5, 50], [0, -1, 50.1]),
    "angular_rating_radps": ([1, 100], [0, -1, 100.1]),
    "linear_max_mps": ([0.001, 0.5], [0, -0.5, 50.1]),
    "angular_max_radps": ([0.001, 10], [0, -1, 100.1]),
    "linear_accel_max_mps2": ([0.001, 100], [0, -1, 101]),
    "linear_decel_max_mps2": ([0.2, 100], [0, -1, 101]),
    "linear_jerk_max_mps3": ([0.001, 1000], [0, -1, 1001]),
    "angular_accel_max_radps2": ([0.001, 100], [0, -1, 101]),
    "angular_decel_max_radps2": ([0.001, 100], [0, -1, 101]),
    "angular_jerk_max_radps3": ([0.001, 1000], [0, -1, 1001]),
    "tick_hz": ([20, 50], [19.9, 0, 50.1]),
    "deadman_s": ([0.1, 2], [0, 0.09, 2.1]),
    "duration_max_s": ([0.3, 10], [0, 0.04, 10.1]),
    "duration_default_s": ([0.05, 1], [0, 0.04, 10.1]),
    "burst_s": ([0.3, 10], [0, 0.29, 10.1]),
    "reaction_s": ([0, 2], [-0.1, 2.1]),
    "stop_distance_max_m": ([0.43, 100], [0, -1, 100.1]),
    "battery_min": ([0, 0.2], [-0.1, 1.1]),
    "battery_low": ([0.1, 1], [-0.1, 1.1]),
    "battery_age_max_s": ([0.1, 3600], [0, 3601]),
    "battery_stale_max_mps": ([0, 50], [-0.1, 50.1]),
    "pose_age_max_s": ([0.01, 10], [0, 10.1]),
    "pose_sigma_max_m": ([0.01, 100], [0, 101]),
    "robot_radius_m": ([0, 10], [-0.1, 10.1]),
    "fence_margin_m": ([0, 10], [-0.1, 10.1]),
    "estop_age_max_s": ([0.01, 10], [0, 10.1]),
    "override_quiet_s": ([0.01, 60], [0, 60.1]),
    "scan_front_m": ([0.01, 50], [0, 50.1]),
    "scan_half_width_m": ([0.01, 50], [0, 50.1]),
    "scan_time_to_collision_s": ([0, 60], [-0.1, 60.1]),
    "scan_age_max_s": ([0.01, 10], [0, 10.1]),
    "lease_s": ([0.5, 60], [0.4, 60.1]),
    "ttl_max_s": ([0.1, 2], [0.09, 2.1]),
    "rate_hz_max": ([1, 1000], [0, 0.9, 1001]),
    "rate_burst": ([1, 1000], [0, 1001]),
    "payload_max_bytes": ([512, 4096], [511, 4097]),
}


def test_every_number_of_the_gate_has_its_bounds_tested() -> None:
    """No key is forgotten below."""
    numbers = {key for key, field in GateSettings.model_fields.items() if field.annotation in {int, float}}

    assert numbers == set(BOUNDS)


@pytest.mark.parametrize(("key", "good", "bad"), [(key, *ends) for key, ends in BOUNDS.items()])
def test_bounds_refuse(key: str, good: list[float], bad: list[float]) -> None:
    """The ends are inside; beyond them, NaN, infinity, bools and texts are not."""
    for value in good:
        assert getattr(gate(**{key: value}), key) == value
    others: list[Any] = [*bad, float("nan"), float("inf"), True, "1"]
    for other in others:
        assert any(line.startswith(f"gate.{key}: ") for line in lines(**{key: other})), other


@pytest.mark.parametrize(
    ("key", "choices"),
    [
        ("admission", ["lease", "stamped", "open"]),
        ("hold", ["zeros", "silent"]),
        ("on_exit", ["release", "hold"]),
        ("override_type", ["geometry_msgs/msg/Twist", "geometry_msgs/msg/TwistStamped", "sensor_msgs/msg/Joy"]),
    ],
)
def test_choices_are_closed(key: str, choices: list[str]) -> None:
    """Spelt exactly; the first is the default."""
    assert getattr(gate(), key) == choices[0]
    for choice in choices:
        assert getattr(gate(**{key: choice}), key) == choice
    (line,) = lines(**{key: "Lease"})

    assert line == f'gate.{key}: "Lease" is not one of the choices; set it to one of {", ".join(choices)}'


def test_limits_that_need_too_long_a_way_to_stop_are_refused() -> None:
    """The table of the specification: 0.5 and 1.0 m/s fit into 1.5 m, 1.5 m/s does not."""
    assert gate(linear_max_mps=1.0).linear_max_mps == 1.0
    (line,) = lines(linear_max_mps=1.5)

    assert line == (
        "gate.stop_distance_max_m: 1.5 is less than the 2.03 m that linear_max_mps = 1.5 needs to a standstill; "
        "lower linear_max_mps or deadman_s, raise linear_decel_max_mps2, or allow more"
    )
    assert gate(linear_max_mps=1.5, stop_distance_max_m=2.1).stop_distance_max_m == 2.1


@pytest.mark.parametrize(
    ("keys", "needed_m"),
    [
        ({}, 0.5 * 0.6 + 0.125),
        ({"linear_max_mps": 1.0}, 1.1),
        ({"deadman_s": 1.0}, 0.5 * 1.1 + 0.125),
        ({"tick_hz": 50}, 0.5 * 0.57 + 0.125),
        ({"linear_decel_max_mps2": 0.25}, 0.5 * 0.6 + 0.5),
    ],
)
def test_the_way_to_a_standstill_counts_deadman_tick_slack_and_braking(keys: dict[str, Any], needed_m: float) -> None:
    """At exactly the limit."""
    assert gate(**keys, stop_distance_max_m=needed_m + 1e-9)
    assert len(lines(**keys, stop_distance_max_m=needed_m - 1e-9)) == 1


def test_a_faulty_limit_is_one_fault() -> None:
    """The distance that hangs on it is not judged."""
    for key in ("linear_max_mps", "linear_decel_max_mps2", "tick_hz", "deadman_s"):
        assert len(lines(**{key: -1})) == 1


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (
            {"linear_max_mps": 1.0, "linear_rating_mps": 0.9},
            "gate.linear_max_mps: 1.0 is above linear_rating_mps, 0.9; lower it, or raise linear_rating_mps",
        ),
        (
            {"angular_max_radps": 11},
            "gate.angular_max_radps: 11 is above angular_rating_radps, 10; lower it, or raise angular_rating_radps",
        ),
        (
            {"duration_max_s": 0.2},
            "gate.duration_default_s: 0.3 is above duration_max_s, 0.2; lower it, or raise duration_max_s",
        ),
        (
            {"battery_min": 0.3},
            "gate.battery_low: 0.2 is below battery_min, 0.3; raise it, or lower battery_min",
        ),
    ],
)
def test_limits_must_fit_each_other(keys: dict[str, Any], line: str) -> None:
    """Also where one of them is a default."""
    assert lines(**keys) == [line]


def test_equal_limits_fit() -> None:
    """At exactly the limit."""
    assert gate(linear_rating_mps=0.5, angular_rating_radps=1.0, duration_max_s=0.3)
    assert gate(battery_min=0.2, battery_low=0.2)


def test_a_channel_that_is_named_must_exist() -> None:
    """One that is not named counts where there is one."""
    assert gate(channels={}).battery_channel is None
    assert gate(channels={}).pose_channel is None
    assert gate(channels={"odom": ODOM}).pose_channel == "odom"
    assert gate(channels={"imu": ODOM}, pose_channel="imu").pose_channel == "imu"
    assert lines(channels={}, battery_channel="battery") == [
        'gate.battery_channel: "battery" is no channel; add [channels.battery], or name one that there is'
    ]
    assert lines(pose_channel="imu") == [
        'gate.pose_channel: "imu" is no channel; add [channels.imu], or name one that there is'
    ]


def test_channels_with_faults_of_their_own_are_not_missed() -> None:
    """One mistake, one line."""
    assert len(lines(channels={"odom": 5}, pose_channel="odom")) == 1
    assert len(lines(mqtt={"port": 0}, admission="open")) == 1


def test_open_admission_is_for_this_machine_alone() -> None:
    """Whatever else protects the broker."""
    assert gate(admission="open").admission == "open"
    assert gate(admission="open", mqtt={"host": "localhost"}).admission == "open"
    for mqtt in ({"host": "broker.example", "allow_plaintext": True}, {"host": "10.0.0.1", "tls": {}}):
        (line,) = lines(admission="open", mqtt=mqtt)

        assert line == (
            f'gate.admission: "open" is for brokers on this machine, and mqtt.host is {mqtt["host"]}; '
            'set it to "lease" or "stamped"'
        )
        assert gate(admission="stamped", mqtt=mqtt).admission == "stamped"


def test_a_fence_is_taken_as_it_is() -> None:
    """As TOML has it: whole numbers, closed or not, in either direction."""
    assert gate(fence=SQUARE).fence == tuple(map(tuple, SQUARE))
    assert gate(fence=[[0, 0], [1, 0], [0, 1]]).fence == ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    assert gate(fence=SQUARE[::-1])
    assert gate(fence=[*SQUARE, SQUARE[0]])
    assert gate(fence_exclude=[SQUARE, [[0, 0], [1, 0], [0, 1]]]).fence_exclude[1] == ((0, 0), (1, 0), (0, 1))
    assert gate(fence=[[1e6, 0], [-1e6, 0], [0, 1e6]])


def test_a_fence_needs_a_pose() -> None:
    """Of a channel that there is."""
    words = "it needs to know where the robot is, and there is no channel odom; "
    cure = "name the channel of its pose with gate.pose_channel"

    assert lines(channels={}, fence=SQUARE) == [f"gate.fence: {words}{cure}"]
    assert lines(channels={}, fence_exclude=[SQUARE]) == [f"gate.fence: {words}{cure}"]
    assert gate(channels={"imu": ODOM}, pose_channel="imu", fence=SQUARE).fence


FENCES: list[tuple[Any, str]] = [
    (5, "gate.fence: 5 is a whole number, not an array of points, [[x, y], ...]; set it to an array of points, [[x, y"),
    ("x", 'gate.fence: "x" is a text, not an array of points'),
    ([], "gate.fence: it has 0 corners, and encloses nothing; give at least three points"),
    ([[0, 0], [1, 1]], "gate.fence: it has 2 corners, and encloses nothing"),
    ([[0, 0], [1, 1], [2, 2]], "gate.fence: it is not a simple polygon"),
    ([[0, 0], [1, 1], [1, 0], [0, 1]], "gate.fence: it is not a simple polygon (Self-intersection[0.5 0.5]); list"),
    ([[0, 0], [0, 0], [0, 0]], "gate.fence: it is not a simple polygon"),
    ([[0, 0], [1, 0], 5], "gate.fence[2]: 5 is not a point; write two numbers, [x, y] in metres"),
    ([[0, 0], [1, 0], [1]], "gate.fence[2]: it is not a point; write two numbers"),
    ([[0, 0], [1, 0], [1, 2, 3]], "gate.fence[2]: it is not a point; write two numbers"),
    ([[0, 0], [1, 0], "ab"], 'gate.fence[2]: "ab" is not a point; write two numbers'),
    ([[0, 0], [1, 0], {"x": 1, "y": 2}], "gate.fence[2]: it is not a point; write two numbers"),
    ([[0, 0], [1, 0], [1, "2"]], 'gate.fence[2][1]: "2" is a text, not a number; write a number'),
    ([[0, 0], [1, 0], [True, 2]], "gate.fence[2][0]: true is a boolean, not a number; write a number"),
    ([[0, 0], [1, 0], [float("nan"), 2]], "gate.fence[2][0]: nan is not a finite number; write a number"),
    ([[0, 0], [1, 0], [0, 1.1e6]], "gate.fence[2][1]: 1100000.0 is out of range; write a number"),
    ([[0, 0], [1, 0], [0, -1.1e6]], "gate.fence[2][1]: -1100000.0 is out of range; write a number"),
    ([[float(n), float(n * n)] for n in range(1001)], "gate.fence: it is too long"),
]


@pytest.mark.parametrize(("fence", "start"), FENCES)
def test_what_is_no_fence_says_where(fence: Any, start: str) -> None:
    """Down to the coordinate."""
    (line,) = lines(fence=fence)

    assert line.startswith(start)


def test_what_is_no_list_of_fences_says_where() -> None:
    """The common slip: one polygon instead of a list of them."""
    assert lines(fence_exclude=SQUARE)[0].startswith(
        "gate.fence_exclude[0][0]: -10.0 is not a point; write two numbers"
    )
    (line,) = lines(fence_exclude=[SQUARE, 5])
    assert line == (
        "gate.fence_exclude[1]: 5 is a whole number, not an array of points, [[x, y], ...]; "
        "write an array of points, [[x, y], ...]"
    )
    assert lines(fence_exclude=5)[0] == (
        "gate.fence_exclude: 5 is a whole number, not an array of polygons, [[[x, y], ...], ...]; "
        "set it to an array of polygons, [[[x, y], ...], ...]"
    )


def test_names_of_nodes_are_names() -> None:
    """Without a slash."""
    assert gate(allowed_publishers=["teleop", "nav2"]).allowed_publishers == ("teleop", "nav2")
    assert lines(allowed_publishers=["/teleop"])[0].startswith("gate.allowed_publishers[0]: ")
    assert lines(allowed_publishers=[5]) == [
        "gate.allowed_publishers[0]: 5 is a whole number, not a text; write a text"
    ]


# --- operators -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [BASE64, PEM, PEM.strip(), PEM.replace("\n", "\r\n"), "".join(PEM.splitlines()[1:-1]), f"  {BASE64}\n"]
)
def test_a_public_key_is_base64_or_pem(text: str) -> None:
    """What openssl prints, with and without its first and last line."""
    assert raw_key(text) == RAW


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has 0 bytes, an Ed25519 public key has 32"),
        ("!", "is not base64"),
        ("é", "is not base64"),
        (BASE64[:-4], "has 30 bytes"),
        (base64.b64encode(RAW + b"\0").decode(), "has 33 bytes"),
        (base64.b64encode(b"\0" * 64).decode(), "has 64 bytes"),
        (base64.b64encode(b"\0" * 12 + RAW).decode(), "has 44 bytes"),
        (PEM.replace("PUBLIC", "PRIVATE"), "is not base64"),
        (PEM.replace("-----END PUBLIC KEY-----", ""), "is not base64"),
        ("ssh-ed25519 AAAA", "is not base64"),
        ("A" * 43 + "=", "is a key for which anybody can sign"),
        (base64.b64encode(b"\1" + b"\0" * 30 + b"\x80").decode(), "is a key for which anybody can sign"),
    ],
)
def test_what_is_no_public_key_says_so(text: str, words: str) -> None:
    """And is never used as one."""
    with pytest.raises(ValueError, match=words):
        raw_key(text)


_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P


def _doubled(x: int, y: int) -> tuple[int, int]:
    k = _D * x * x * y * y % _P
    return 2 * x * y * pow(1 + k, -1, _P) % _P, (y * y + x * x) * pow(1 - k, -1, _P) % _P


def test_the_keys_for_which_anybody_can_sign_are_those_of_small_order() -> None:
    """Eight times each is nothing: computed on the curve, from its definition (RFC 8032)."""
    for point in operators._NO_KEYS:
        y = int.from_bytes(point, "little") % _P
        square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
        x = pow(square, (_P + 3) // 8, _P)
        x = x if (x * x - square) % _P == 0 else x * pow(2, (_P - 1) // 4, _P) % _P
        assert (x * x - square) % _P == 0

        for _ in range(3):
            x, y = _doubled(x, y)
        assert (x, y) == (0, 1)


def test_operators_have_names_keys_and_roles() -> None:
    """The default role may do everything."""
    found = gate(
        operators={"anna": {"public_key": BASE64}, "ben": {"public_key_file": "/k", "role": "driver"}}
    ).operators

    assert found["anna"] == Operator(public_key=BASE64)
    assert [Role(found[name].role) for name in ("anna", "ben")] == [Role.OPERATOR, Role.DRIVER]
    with pytest.raises(TypeError):
        found["eve"] = found["anna"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("operator", "line"),
    [
        (
            {},
            "public_key_file: it is missing, and so is public_key; give exactly one of public_key and public_key_file",
        ),
        (
            {"public_key": BASE64, "public_key_file": "/k"},
            'public_key_file: "/k" stands beside public_key; give exactly one of public_key and public_key_file',
        ),
        ({"public_key": "AAAA"}, 'public_key: "AAAA" has 3 bytes, an Ed25519 public key has 32; give the 32 raw bytes'),
        (
            {"public_key": BASE64, "role": "boss"},
            'role: "boss" is not one of the choices; set it to one of operator, d',
        ),
        ({"public_key": BASE64, "rôle": "x"}, '"r\\xf4le": is not a known key; write role if that was meant'),
        ({"public_key": 5}, "public_key: 5 is a whole number, not a text"),
    ],
)
def test_a_faulty_operator_says_where(operator: dict[str, Any], line: str) -> None:
    """By name."""
    found = lines(operators={"anna": operator})

    assert len(found) == 1
    assert found[0].replace("rôle", "r\\xf4le").startswith(f"gate.operators.anna.{line}")


def test_the_name_of_an_operator_is_a_name() -> None:
    """It stands in a user property and in every audit entry."""
    assert lines(operators={"an na": {"public_key": BASE64}}) == [
        'gate.operators."an na": "an na" is not the name of an operator; use 1 to 64 letters, digits, _ and -'
    ]
    assert lines(operators={"anna": 5}) == [
        "gate.operators.anna: 5 is a whole number, not a table; write it as a table, [gate.operators.anna]"
    ]
    assert lines(operators=5) == [
        "gate.operators: 5 is a whole number, not a table; write it as a table, [gate.operators.NAME]"
    ]


def test_public_keys_are_read_where_they_stand(tmp_path: Path) -> None:
    """In the settings, and in files."""
    (tmp_path / "ben.pub").write_text(PEM, encoding="ascii")
    known = {"anna": Operator(public_key=BASE64), "ben": Operator(public_key_file=tmp_path / "ben.pub")}

    assert public_keys(known) == ({"anna": RAW, "ben": RAW}, [])
    assert public_keys({}) == ({}, [])


def test_a_file_that_holds_no_key_is_a_fault(tmp_path: Path) -> None:
    """Each by the operator's name, and the others are read all the same."""
    contents = {"short": b"AAAA", "binary": b"\xff\xfe", "huge": b"A" * 10_000_000, "good": PEM.encode()}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    names = ["absent", "directory", *contents]
    (tmp_path / "directory").mkdir()
    keys, faults = public_keys({name: Operator(public_key_file=tmp_path / name) for name in names})

    assert keys == {"good": RAW}
    assert [fault.where for fault in faults] == [
        f"gate.operators.{name}.public_key_file" for name in names if name != "good"
    ]
    assert faults[0].what == f"{tmp_path / 'absent'} cannot be read (No such file or directory)"
    assert faults[2].what == f"{tmp_path / 'short'} has 3 bytes, an Ed25519 public key has 32"
    assert faults[3].what == f"{tmp_path / 'binary'} is not base64"
    assert faults[4].what == f"{tmp_path / 'huge'} has 3072 bytes, an Ed25519 public key has 32"


# --- through file and environment ------------------------------------------------------------------------------------

FILE = """
[robot]
id = "r1"
[channels.odom]
topic = "/odom"
type = "nav_msgs/msg/Odometry"
class = "critical"
[gate]
remote_motion = true
fence = [[-10.0, -10.0], [10, -10.0], [10.0, 10.0], [-10.0, 10.0]]
[gate.operators.Anna-1]
public_key = "KEY"
"""


def load(folder: Path, **environ: str) -> GateSettings:
    """Return the gate's settings of a file and an environment."""
    path = folder / "robot.toml"
    path.write_text(FILE.replace("KEY", BASE64), encoding="utf-8")
    return config.load(path, environ).settings.gate


def test_a_file_sets_the_gate(tmp_path: Path) -> None:
    """And the effective settings are what `check` prints: what there is, and no key as a secret."""
    found = load(tmp_path)
    path = tmp_path / "robot.toml"
    effective = config.effective(config.load(path, {}).settings)["gate"]

    assert (found.remote_motion, len(found.fence or ()), list(found.operators)) == (True, 4, ["Anna-1"])
    assert effective["fence"] == SQUARE
    assert effective["operators"] == {"Anna-1": {"public_key": BASE64, "role": "operator"}}
    assert "battery_channel" not in effective
    path.write_text(config.to_toml(config.load(path, {}).settings), encoding="utf-8")
    assert config.load(path, {}).settings.gate == found


def test_the_environment_sets_the_gate_too(tmp_path: Path) -> None:
    """Numbers, switches, arrays as JSON, operators by a name of their own."""
    found = load(
        tmp_path,
        EDGETWIN_GATE__REMOTE_MOTION="false",
        EDGETWIN_GATE__DEADMAN_S="0.3",
        EDGETWIN_GATE__FENCE="[[0,0],[1,0],[0,1]]",
        EDGETWIN_GATE__CHECKS_OFF='["NO_EXPIRY"]',
        EDGETWIN_GATE__OPERATORS__ODOM__PUBLIC_KEY=BASE64,
    )

    assert (found.remote_motion, found.deadman_s, found.checks_off) == (False, 0.3, ("NO_EXPIRY",))
    assert found.fence == ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    assert set(found.operators) == {"Anna-1", "odom"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "EDGETWIN_GATE__FENCE",
            "[[0,0]",
            "is not valid JSON for this key; write it as JSON, such as [[-10.0, -10.0], [",
        ),
        ("EDGETWIN_GATE__FENCE", "[[0,0],[1,0],[0]]", "[2]: it is not a point"),
        ("EDGETWIN_GATE__POSE_CHANNEL", "imu", '"imu" is no channel'),
        ("EDGETWIN_GATE__DEADMAN_S", "1e999", "inf is not a finite number"),
        ("EDGETWIN_GATE__DEADMAN", "1", "write EDGETWIN_GATE__DEADMAN_S if that was meant"),
    ],
)
def test_a_bad_variable_of_the_gate_is_blamed_by_its_name(tmp_path: Path, name: str, value: str, words: str) -> None:
    """Also where the fault is between two tables."""
    with pytest.raises(RefusedError) as caught:
        load(tmp_path, **{name: value})
    (line,) = map(str, caught.value.faults)

    assert line.startswith(f"environment: {name}")
    assert words in line
