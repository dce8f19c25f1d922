"""Floor: the settings of `[gate]` about what the gate must know: battery, pose, fence, e-stop, override, scan, graph.

In: plain values     Out: GateInputs, a part of GateSettings, or pydantic's ValidationError.
Pure. A field that is judged by another one is declared after it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from edgetwin.settings.values import ChannelName, NodeName, Section, TopicName, refusal

POINTS_MAX = 1000
POLYGONS_MAX = 100
_CORNERS_MIN = 3
_COORDINATE_MAX_M = 1e6


def _check_point(value: object) -> object:
    if not isinstance(value, (list, tuple)) or len(value) != len(("x", "y")):
        what = "is not a point"
        raise refusal(what, "write two numbers, [x, y] in metres")
    return value


def _check_polygon(polygon: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    if len(polygon) < _CORNERS_MIN:
        what = f"has {len(polygon)} corners, and encloses nothing"
        raise refusal(what, "give at least three points")
    from shapely import Polygon, is_valid_reason  # noqa: PLC0415  # a third of a second, for those who have a fence

    shape = Polygon(polygon)
    if not shape.is_valid or shape.area == 0.0:
        what = f"is not a simple polygon ({is_valid_reason(shape)})"
        raise refusal(what, "list the corners in order around it, so that no two edges cross")
    return polygon


Coordinate = Annotated[float, Field(ge=-_COORDINATE_MAX_M, le=_COORDINATE_MAX_M)]
Point = Annotated[tuple[Coordinate, Coordinate], Field(strict=False), BeforeValidator(_check_point)]
PolygonPoints = Annotated[tuple[Point, ...], Field(strict=False, max_length=POINTS_MAX), AfterValidator(_check_polygon)]


class GateInputs(Section):
    """What the gate must know of the robot before and while it moves."""

    battery_channel: ChannelName | None = Field(
        default="battery",
        description="Channel of the battery; absent, `battery` where there is one, else the charge does not count.",
    )
    battery_min: float = Field(
        default=0.1,
        ge=0.0,
        le=1.0,
        description="Charge, 0 to 1, below which moves are refused and a moving robot is braked.",
    )
    battery_low: float = Field(
        default=0.2,
        ge=0.0,
        le=1.0,
        validate_default=True,
        description="Charge, 0 to 1, below which speed is halved.",
    )
    battery_age_max_s: float = Field(
        default=10.0,
        gt=0.0,
        le=3600.0,
        description="A charge older than this is not believed; until a new one comes, battery_stale_max_mps holds.",
    )
    battery_stale_max_mps: float = Field(
        default=0.3,
        ge=0.0,
        le=50.0,
        description="Fastest speed while the charge is not known any more; 0 forbids motion.",
    )
    pose_channel: ChannelName | None = Field(
        default="odom",
        description="Channel of pose and speed; absent, `odom` where there is one, else there can be no fence.",
    )
    pose_age_max_s: float = Field(
        default=0.5,
        gt=0.0,
        le=10.0,
        description="A pose older than this is not believed, and with a fence nothing moves.",
    )
    pose_sigma_max_m: float = Field(
        default=0.5,
        gt=0.0,
        le=100.0,
        description="A pose whose standard deviation is larger is not believed, and with a fence nothing moves.",
    )
    fence: PolygonPoints | None = Field(
        default=None,
        description="Corners of the area that the robot may not leave, in the frame of the pose; absent, no fence.",
        examples=[[[-10.0, -10.0], [10.0, -10.0], [10.0, 10.0], [-10.0, 10.0]]],
    )
    fence_exclude: Annotated[tuple[PolygonPoints, ...], Field(strict=False, max_length=POLYGONS_MAX)] = Field(
        default=(),
        description="Areas that the robot may not enter, each a list of corners in the frame of the pose.",
        examples=[[[[2.0, 2.0], [3.0, 2.0], [3.0, 3.0], [2.0, 3.0]]]],
    )
    robot_radius_m: float = Field(
        default=0.3,
        ge=0.0,
        le=10.0,
        description="Radius of a circle around the whole robot, which stays inside the fence.",
    )
    fence_margin_m: float = Field(
        default=0.1,
        ge=0.0,
        le=10.0,
        description="Distance that is kept from the fence besides; less brings the robot closer to it.",
    )
    estop_topic: TopicName | None = Field(
        default=None,
        description="Topic of the e-stop input (std_msgs/msg/Bool, true is pressed); absent, there is none to watch.",
        examples=["/estop"],
    )
    estop_age_max_s: float = Field(
        default=0.5,
        gt=0.0,
        le=10.0,
        description="An e-stop input that is silent for longer counts as pressed.",
    )
    override_topic: TopicName | None = Field(
        default=None,
        description="Topic on which somebody beside the robot drives; absent, the gate does not look for them.",
        examples=["/joy"],
    )
    override_type: Literal["geometry_msgs/msg/Twist", "geometry_msgs/msg/TwistStamped", "sensor_msgs/msg/Joy"] = Field(
        default="geometry_msgs/msg/Twist",
        description="Message type of that topic; of another type, nobody beside the robot is noticed.",
    )
    override_quiet_s: float = Field(
        default=2.0,
        gt=0.0,
        le=60.0,
        description="Commands are heard again when that topic was quiet for this long.",
    )
    scan_topic: TopicName | None = Field(
        default=None,
        description="Topic of a scan (sensor_msgs/msg/LaserScan) that stops the robot; absent, nothing looks ahead.",
        examples=["/scan"],
    )
    scan_front_m: float = Field(
        default=0.5,
        gt=0.0,
        le=50.0,
        description="Length of the zone ahead, from the middle of the base, in which an obstacle stops the robot.",
    )
    scan_half_width_m: float = Field(
        default=0.35,
        gt=0.0,
        le=50.0,
        description="Half the width of that zone.",
    )
    scan_time_to_collision_s: float = Field(
        default=2.0,
        ge=0.0,
        le=60.0,
        description="Speed is lowered until an obstacle is at least this far away in time.",
    )
    scan_age_max_s: float = Field(
        default=0.3,
        gt=0.0,
        le=10.0,
        description="A scan older than this is not believed, and nothing moves.",
    )
    subscriber_required: bool = Field(
        default=True,
        description="Nothing moves unless somebody listens to cmd_vel_topic; false, a deaf base goes unnoticed.",
    )
    allowed_publishers: Annotated[tuple[NodeName, ...], Field(strict=False, max_length=POLYGONS_MAX)] = Field(
        default=(),
        description="Nodes that may publish on cmd_vel_topic beside edgetwin; while any other does, nothing moves.",
        examples=[["teleop"]],
    )

    @field_validator("battery_low", mode="after")
    @classmethod
    def _levels_in_order(cls, low: float, info: ValidationInfo) -> float:
        if low < info.data.get("battery_min", low):
            what = f"is below battery_min, {info.data['battery_min']:g}"
            raise refusal(what, "raise it, or lower battery_min")
        return low
