"""Floor: the settings of `[gate]` that bound motion itself.

In: plain values     Out: MotionLimits, a part of GateSettings, or pydantic's ValidationError.
Pure. A field that is judged by another one is declared after it. No limit can be left out: each has a default.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from edgetwin.settings.values import Section, TopicName, refusal

STOP_SLACK_S = 0.05  # DDS and base, beside deadman and tick


class MotionLimits(Section):
    """How fast, how abruptly and for how long the robot may move on a word from afar."""

    remote_motion: bool = Field(
        default=False,
        description="Whether commands may move the robot; false, every move is refused and all else works.",
    )
    linear_rating_mps: float = Field(
        default=5.0,
        gt=0.0,
        le=50.0,
        description="Fastest speed that can be meant seriously; a move beyond it, either way, is refused as a mistake.",
    )
    angular_rating_radps: float = Field(
        default=10.0,
        gt=0.0,
        le=100.0,
        description="Fastest turn that can be meant seriously; a move beyond it, either way, is refused as a mistake.",
    )
    linear_max_mps: float = Field(
        default=0.5,
        gt=0.0,
        le=50.0,
        description="Fastest speed; faster moves are slowed down on their own curve.",
    )
    angular_max_radps: float = Field(
        default=1.0,
        gt=0.0,
        le=100.0,
        description="Fastest turn; faster ones are slowed down on their own curve.",
    )
    linear_accel_max_mps2: float = Field(
        default=0.5,
        gt=0.0,
        le=100.0,
        description="Speed rises at most this fast; less is gentler and slower to start.",
    )
    linear_decel_max_mps2: float = Field(
        default=1.0,
        gt=0.0,
        le=100.0,
        description="Speed falls at most this fast, a stop excepted; less is gentler and needs a longer way.",
    )
    linear_jerk_max_mps3: float = Field(
        default=5.0,
        gt=0.0,
        le=1000.0,
        description="Acceleration changes at most this fast, a stop excepted; less sways a load less.",
    )
    angular_accel_max_radps2: float = Field(
        default=1.0,
        gt=0.0,
        le=100.0,
        description="A turn quickens at most this fast; less is gentler and slower to start.",
    )
    angular_decel_max_radps2: float = Field(
        default=2.0,
        gt=0.0,
        le=100.0,
        description="A turn slows down at most this fast, a stop excepted; less turns further before it ends.",
    )
    angular_jerk_max_radps3: float = Field(
        default=10.0,
        gt=0.0,
        le=1000.0,
        description="Angular acceleration changes at most this fast, a stop excepted; less sways a load less.",
    )
    tick_hz: float = Field(
        default=20.0,
        ge=20.0,
        le=50.0,
        description="Motion is published this often; more is smoother and costs more of the processor.",
    )
    deadman_s: float = Field(
        default=0.5,
        ge=0.1,
        le=2.0,
        description="Without a new accepted move for this long the robot brakes; longer forgives a worse link.",
    )
    duration_max_s: float = Field(
        default=1.0,
        ge=0.05,
        le=10.0,
        description="Longest duration_ms that a move may ask for; longer ones are cut to it.",
    )
    duration_default_s: float = Field(
        default=0.3,
        ge=0.05,
        le=10.0,
        validate_default=True,
        description="A move without duration_ms ends by itself after this long; send the next one earlier.",
    )
    burst_s: float = Field(
        default=1.0,
        ge=0.3,
        le=10.0,
        description="After braking, zeros follow for this long before the local stack may drive again.",
    )
    hold: Literal["zeros", "silent"] = Field(
        default="zeros",
        description="While a stop is latched: zeros keeps everybody else off the wheels, silent lets others drive.",
    )
    on_exit: Literal["release", "hold"] = Field(
        default="release",
        description="When the daemon ends on request: release lets others drive, hold begins latched next time.",
    )
    cancel_goals: Annotated[tuple[TopicName, ...], Field(strict=False, max_length=20)] = Field(
        default=(),
        description="Actions whose goals a stop cancels too; without it they go on when the latch is released.",
        examples=[["/navigate_to_pose", "/follow_path"]],
    )
    reaction_s: float = Field(
        default=0.15,
        ge=0.0,
        le=2.0,
        description="From a published twist to wheels that obey; the fence keeps the way of this time free too.",
    )
    stop_distance_max_m: float = Field(
        default=1.5,
        gt=0.0,
        le=100.0,
        validate_default=True,
        description="Longest way to a standstill after the link breaks; limits that need more are refused at start.",
    )

    @field_validator("linear_max_mps", "angular_max_radps", mode="after")
    @classmethod
    def _within_the_rating(cls, value: float, info: ValidationInfo) -> float:
        rating = {"linear_max_mps": "linear_rating_mps", "angular_max_radps": "angular_rating_radps"}[
            str(info.field_name)
        ]
        if value > info.data.get(rating, value):
            what = f"is above {rating}, {info.data[rating]:g}"
            raise refusal(what, f"lower it, or raise {rating}")
        return value

    @field_validator("duration_default_s", mode="after")
    @classmethod
    def _within_the_longest(cls, value: float, info: ValidationInfo) -> float:
        if value > info.data.get("duration_max_s", value):
            what = f"is above duration_max_s, {info.data['duration_max_s']:g}"
            raise refusal(what, "lower it, or raise duration_max_s")
        return value

    @field_validator("stop_distance_max_m", mode="after")
    @classmethod
    def _stops_within_it(cls, value: float, info: ValidationInfo) -> float:
        limits = info.data
        if {"linear_max_mps", "linear_decel_max_mps2", "tick_hz", "deadman_s"} <= limits.keys():
            waiting_s = limits["deadman_s"] + 1.0 / limits["tick_hz"] + STOP_SLACK_S
            speed = limits["linear_max_mps"]
            needed_m = speed * waiting_s + speed * speed / (2.0 * limits["linear_decel_max_mps2"])
            if needed_m > value:
                what = f"is less than the {needed_m:.2f} m that linear_max_mps = {speed:g} needs to a standstill"
                raise refusal(what, "lower linear_max_mps or deadman_s, raise linear_decel_max_mps2, or allow more")
        return value
