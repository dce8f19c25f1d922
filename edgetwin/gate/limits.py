"""Gate room: everything that can be set about the gate, as plain numbers.

The gate does not read settings: `lane` makes these from `[gate]`, where each is explained and bounded. The
defaults here are those of the settings, so that a test reads like the robot. SI units; `_ns` are durations.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MS = 1_000_000  # ns

Polygon = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Fence:
    """Where the robot may be: inside any of `inside` (none: anywhere), and outside all of `outside`. Metres."""

    inside: tuple[Polygon, ...] = ()
    outside: tuple[Polygon, ...] = ()
    robot_radius_m: float = 0.3
    margin_m: float = 0.1

    def __bool__(self) -> bool:
        """Whether there is a fence at all."""
        return bool(self.inside or self.outside)


@dataclass(frozen=True, slots=True)
class StopZone:
    """The part of a scan that stops the robot: a rectangle ahead of the base, and time to collision beyond it."""

    front_m: float = 0.5
    half_width_m: float = 0.35
    points_min: int = 4
    time_to_collision_ns: int = 2_000 * MS
    age_max_ns: int = 300 * MS


@dataclass(frozen=True, slots=True)
class GateLimits:
    """Limits of one robot. Rows are those of the gate's table of checks (docs/gate.md)."""

    remote_motion: bool = False
    linear_max_mps: float = 0.5  # soft envelope, row 25
    angular_max_radps: float = 1.0
    linear_rating_mps: float = 5.0  # hard envelope, row 24
    angular_rating_radps: float = 10.0
    linear_accel_max_mps2: float = 0.5  # slew, row 26
    linear_decel_max_mps2: float = 1.0
    linear_jerk_max_mps3: float = 5.0
    angular_accel_max_radps2: float = 1.0
    angular_decel_max_radps2: float = 2.0
    angular_jerk_max_radps3: float = 10.0
    deadman_ns: int = 500 * MS  # row 30
    duration_default_ns: int = 300 * MS  # row 29
    duration_max_ns: int = 1_000 * MS
    tick_ns: int = 50 * MS
    tick_fault_ns: int = 500 * MS  # row 32
    burst_ns: int = 1_000 * MS
    hold_period_ns: int = 100 * MS
    hold_zeros: bool = True  # while latched; False: silence after the burst
    exit_burst_ns: int = 300 * MS
    nonce_ns: int = 10_000 * MS
    still_required: bool = False  # before a reset the robot must be seen standing; needs a measured speed
    still_mps: float = 0.02
    still_radps: float = 0.02
    still_ns: int = 1_000 * MS
    quiet_ns: int = 1_000 * MS  # without an admitted move before a reset is confirmed
    estop_age_max_ns: int | None = None  # row 17; None: there is no e-stop input
    override_quiet_ns: int | None = None  # row 19; None: there is no local override
    battery_required: bool = False  # row 22
    battery_low: float = 0.2
    battery_min: float = 0.1
    battery_age_max_ns: int = 10_000 * MS
    battery_stale_max_mps: float = 0.3
    pose_required: bool = False  # row 23
    pose_age_max_ns: int = 500 * MS
    pose_sigma_max_m: float = 0.5
    reaction_ns: int = 150 * MS  # row 27: tick, DDS and base
    brake_margin: float = 0.8
    outside_max_mps: float = 0.2
    fence: Fence = field(default_factory=Fence)
    scan: StopZone | None = None  # row 28; None: off
    subscriber_required: bool = True  # row 21
    foreign_publisher_allowed: bool = False
