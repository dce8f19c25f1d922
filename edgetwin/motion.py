"""Floor: the words of the command lane: who asks what, what the robot knows of itself, why it does not move.

The other words are in `records`; these are apart so that a safety reviewer finds all of them on one page.
SI units; times are monotonic nanoseconds (`_ns`) unless a name says otherwise; None means "never seen".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verb(StrEnum):
    """The last level of the command topics; nothing else is subscribed."""

    STOP = "stop"
    MOVE = "move"
    LEASE = "lease"
    RESET = "reset"
    PING = "ping"


class State(StrEnum):
    """Where the gate is. Motion leaves it in ACTIVE, and to come to rest in BRAKE; nowhere else."""

    INIT = "INIT"  # not everything that motion needs has been seen yet
    IDLE = "IDLE"  # silent: the local stack may drive
    ACTIVE = "ACTIVE"  # following the newest accepted move
    BRAKE = "BRAKE"  # to zero, a burst of zeros, then IDLE
    HELD = "HELD"  # latched stop; survives a restart; only a two-step reset leaves it
    ESTOP = "ESTOP"  # the e-stop input is pressed, or is not heard
    LOCAL = "LOCAL"  # somebody beside the robot drives
    FAULT = "FAULT"  # the gate does not trust itself
    DOWN = "DOWN"  # the process ends


class Verdict(StrEnum):
    """The one word of a final ack."""

    ACCEPTED = "ACCEPTED"
    CLAMPED = "CLAMPED"
    REJECTED = "REJECTED"
    DUPLICATE = "DUPLICATE"
    STOPPED = "STOPPED"
    CHALLENGE = "CHALLENGE"
    OK = "OK"


class Reason(StrEnum):
    """The code of an ack, and of every change of state. Declared worst first: the first that applies is the code."""

    SHUTTING_DOWN = "SHUTTING_DOWN"
    # admission: the message itself
    UNKNOWN_TOPIC = "UNKNOWN_TOPIC"
    TOO_LARGE = "TOO_LARGE"
    RETAINED = "RETAINED"
    NO_EXPIRY = "NO_EXPIRY"
    BAD_JSON = "BAD_JSON"
    BAD_VERSION = "BAD_VERSION"
    BAD_SCHEMA = "BAD_SCHEMA"
    NOT_FINITE = "NOT_FINITE"
    WRONG_ROBOT = "WRONG_ROBOT"
    BAD_SIG = "BAD_SIG"
    FORBIDDEN = "FORBIDDEN"
    CLOCK_UNCERTAIN = "CLOCK_UNCERTAIN"
    EXPIRED = "EXPIRED"
    FROM_FUTURE = "FROM_FUTURE"
    TTL_TOO_LONG = "TTL_TOO_LONG"
    REPLAY = "REPLAY"
    ID_REUSED = "ID_REUSED"
    DUPLICATE = "DUPLICATE"
    RATE_LIMIT = "RATE_LIMIT"
    # the gate: the robot as it is now
    NOT_READY = "NOT_READY"
    ESTOP = "ESTOP"
    ESTOP_STALE = "ESTOP_STALE"
    HELD = "HELD"
    FAULT = "FAULT"
    LOCAL_OVERRIDE = "LOCAL_OVERRIDE"
    NO_LEASE = "NO_LEASE"
    LEASE_STALE = "LEASE_STALE"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    NO_SUBSCRIBER = "NO_SUBSCRIBER"
    FOREIGN_PUBLISHER = "FOREIGN_PUBLISHER"
    BATTERY = "BATTERY"
    LOCALISATION = "LOCALISATION"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    GEOFENCE = "GEOFENCE"
    OBSTACLE = "OBSTACLE"
    SCAN_STALE = "SCAN_STALE"
    # clamps: it moves, but not as asked
    CLAMPED_SPEED = "CLAMPED_SPEED"
    CLAMPED_ACCEL = "CLAMPED_ACCEL"
    DURATION = "DURATION"
    ACCEPTED = "ACCEPTED"
    # stop, reset, lease, ping
    STOPPED = "STOPPED"
    CHALLENGE = "CHALLENGE"
    RESET_OK = "RESET_OK"
    RESET_DENIED = "RESET_DENIED"
    LEASE_OK = "LEASE_OK"
    LEASE_LOST = "LEASE_LOST"
    PONG = "PONG"
    # changes of state that no command asked for
    READY = "READY"
    BOOT_HELD = "BOOT_HELD"
    ESTOP_CLEARED = "ESTOP_CLEARED"
    DEADMAN = "DEADMAN"
    RELEASED = "RELEASED"
    LOCAL_END = "LOCAL_END"
    GUARD = "GUARD"
    STALLED = "STALLED"
    FAULT_CLEARED = "FAULT_CLEARED"
    CLOCK_STEP = "CLOCK_STEP"
    SHUTDOWN = "SHUTDOWN"


@dataclass(frozen=True, slots=True)
class Twist:
    """A planar velocity: forward [m/s], counter-clockwise [rad/s]."""

    linear_mps: float
    angular_radps: float


ZERO = Twist(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where the robot is, in the frame of the fence; sigma_m is the larger standard deviation of x and y."""

    x_m: float
    y_m: float
    yaw_rad: float
    sigma_m: float = 0.0


@dataclass(frozen=True, slots=True)
class Move:
    """An admitted move: everything about the message is proven, nothing about the robot yet.

    Attributes:
        id: The sender's, for the ack.
        client: Who asks; empty under `open` admission.
        twist: What is asked, finite, not yet limited.
        duration_ns: The move ends by itself this long after its acceptance; None: the gate's default.
    """

    id: str
    client: str
    twist: Twist
    duration_ns: int | None = None


@dataclass(frozen=True, slots=True)
class RobotState:
    """What the robot knows of itself; every fact with the time it was heard, so that old facts count as none.

    Attributes:
        pose: From the pose channel.
        speed: Measured, from the same channel where it has a twist.
        battery: Charge, 0 to 1; NaN where the battery does not know.
        estop: True while pressed.
        scan: Obstacle points in the base frame [m], finite ones only; None for a scan nobody can trust (all NaN,
            stamped in the future).
        override_ns: Last time somebody beside the robot drove.
        subscribers: Matched subscribers of the motion topic, of the same type.
        type_mismatch: Somebody listens there for the other type of twist, and nobody for ours.
        foreign_publisher: Somebody else, not allowed by the settings, publishes there.
        lease: Under `lease` admission: None while a fresh lease is held, else why not (NO_LEASE, LEASE_STALE); always
            None under the other levels.
    """

    pose: Pose | None = None
    pose_ns: int | None = None
    speed: Twist | None = None
    speed_ns: int | None = None
    battery: float | None = None
    battery_ns: int | None = None
    estop: bool | None = None
    estop_ns: int | None = None
    scan: tuple[tuple[float, float], ...] | None = None
    scan_ns: int | None = None
    override_ns: int | None = None
    subscribers: int = 0
    type_mismatch: bool = False
    foreign_publisher: bool = False
    lease: Reason | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the final ack of one command says.

    Attributes:
        verdict: The word.
        code: Worst reason.
        detail: For a person, one line.
        reasons: All reasons, worst first.
        applied: The twist that is published for it now; None where it moves nothing.
        stop_id: Of the latched stop; empty without one.
        nonce: Of a reset challenge; empty otherwise.
    """

    verdict: Verdict
    code: Reason
    detail: str = ""
    reasons: tuple[Reason, ...] = ()
    applied: Twist | None = None
    stop_id: str = ""
    nonce: str = ""
