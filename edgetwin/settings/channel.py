"""Floor: the settings of one channel, `[channels.<name>]`.

In: plain values     Out: Channel, or pydantic's ValidationError.
Pure. Whether the message type and its fields exist is for the ros room to say. A field that is
judged by another one is declared after it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from edgetwin.records import ChannelClass, Encoding
from edgetwin.settings.values import FieldPath, Section, TopicName, TypeName, refusal

RATE_HZ_MAX = 50.0
RATE_HZ_MAX_SLOW = 1.0


class Deadband(Section):
    """How much a value must change before a record leaves; the heartbeat goes on."""

    position_m: float | None = Field(
        default=None,
        gt=0.0,
        description="Distance in 3-D [m]; smaller moves are held back.",
        examples=[0.05],
    )
    angle_rad: float | None = Field(
        default=None,
        gt=0.0,
        description="True angle of rotation [rad]; smaller turns are held back.",
        examples=[0.1],
    )
    value: float | None = Field(
        default=None,
        gt=0.0,
        description="Change of a number, or of any element of an array, in its own unit; smaller ones are held back.",
        examples=[0.5],
    )
    field: FieldPath | None = Field(
        default=None,
        description="Path of the field that `value` looks at; absent, at every number that leaves.",
        examples=["voltage"],
    )

    @field_validator("field", mode="after")
    @classmethod
    def _field_needs_value(cls, field: str | None, info: ValidationInfo) -> str | None:
        if field is not None and "value" in info.data and info.data["value"] is None:
            what = "has no threshold to go with it"
            raise refusal(what, "add value = ... to the deadband, or remove field")
        return field

    @model_validator(mode="after")
    def _sets_a_threshold(self) -> Deadband:
        if self.position_m is None and self.angle_rad is None and self.value is None:
            what = "sets no threshold"
            raise refusal(what, "give position_m, angle_rad or value, or remove the deadband")
        return self


def _default_rate_hz_max(validated: dict[str, Any]) -> float:
    return RATE_HZ_MAX_SLOW if validated.get("channel_class") is ChannelClass.SLOW else RATE_HZ_MAX


class Channel(Section):
    """One ROS topic on its way to the cloud."""

    topic: TopicName = Field(
        description="ROS topic to listen to, written from the root; on a wrong one the channel stays silent.",
        examples=["/odom"],
    )
    type: TypeName = Field(
        description="Message type of the topic; publishers of another type are not heard.",
        examples=["nav_msgs/msg/Odometry"],
    )
    channel_class: ChannelClass = Field(
        alias="class",
        strict=False,
        description="critical: paced, thinned first on a full disk; slow: paced, kept longer; event: all, at once.",
        examples=["critical"],
    )
    rate_hz_max: float = Field(
        default_factory=_default_rate_hz_max,
        gt=0.0,
        le=1000.0,
        description="Most records per second; absent, 50, or 1 for a slow channel; an event channel ignores it.",
    )
    deadband: Deadband | None = Field(
        default=None,
        description="Changes smaller than this are held back; absent, the rate alone decides.",
        examples=[{"position_m": 0.05, "angle_rad": 0.1}],
    )
    heartbeat_s: float = Field(
        default=1.0,
        gt=0.0,
        le=3600.0,
        description="A record leaves at least this often while messages arrive, even when nothing changes.",
    )
    settle_s: float = Field(
        default=1.0,
        gt=0.0,
        le=3600.0,
        description="When motion inside the deadband stops, the final state leaves this much later, not before.",
    )
    encoding: Encoding = Field(
        default=Encoding.JSON,
        strict=False,
        description="json, or cdr: the serialised ROS message untouched, cheaper when large, unreadable without ROS.",
    )
    fields: Annotated[tuple[FieldPath, ...], Field(strict=False)] | None = Field(
        default=None,
        description="Paths of the fields that leave; absent, the whole message does.",
        examples=[["pose.pose", "twist.twist"]],
    )
    qos: int = Field(
        default=1,
        ge=0,
        le=1,
        description="MQTT quality of service of the live lane; 0 costs less, and what the network drops is lost.",
    )
    queue_depth: int | None = Field(
        default=None,
        ge=1,
        le=5000,
        description="Messages ROS keeps while edgetwin is busy, newest win; absent, chosen by the size of the type.",
        examples=[10],
    )

    @field_validator("fields", mode="after")
    @classmethod
    def _fields_select_something(cls, fields: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        if fields is None:
            return None
        if info.data.get("encoding") is Encoding.CDR:
            what = 'cannot go with encoding = "cdr", which sends the message untouched'
            raise refusal(what, 'remove fields, or set encoding = "json"')
        if not fields:
            what = "selects nothing"
            raise refusal(what, "name at least one field, or remove fields to send the whole message")
        chosen: set[str] = set()
        for path in sorted(fields):  # a path sorts after those that contain it
            steps = path.split(".")
            for length in range(1, len(steps) + 1):
                outer = ".".join(steps[:length])
                if outer in chosen:
                    what = f"names {path} twice" if outer == path else f"names {path}, which is part of {outer}"
                    raise refusal(what, f"remove {path}")
            chosen.add(path)
        return fields
