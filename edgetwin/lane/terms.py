"""Command lane: the settings as what the rooms take: plain numbers, rules, topics.

In: Settings     Out: GateLimits, AdmissionRules, Sources; or what does not fit, as faults
Gate and admission never see settings; this is the one place that knows both.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from edgetwin import wire
from edgetwin.clock import seconds_to_ns
from edgetwin.command.rules import AdmissionRules, Level, OperatorKey, Role
from edgetwin.errors import Fault, FieldPathError, RefusedError, RosTypeError
from edgetwin.gate.fence import faults as fence_faults
from edgetwin.gate.limits import Fence, GateLimits, StopZone
from edgetwin.motion import Reason
from edgetwin.ros.robot_inputs import Source, Sources
from edgetwin.ros.robot_messages import (
    charge_reader,
    drive_reader,
    pose_reader,
    pressed_reader,
    scan_reader,
    speed_reader,
)
from edgetwin.ros.types import message_class
from edgetwin.settings import Settings
from edgetwin.settings.operators import public_keys

_BOOL = "std_msgs/msg/Bool"
_SCAN = "sensor_msgs/msg/LaserScan"
_SCAN_SPARE_M = 0.5


def limits_of(settings: Settings, sources: Sources) -> GateLimits:
    """Return the gate's limits."""
    gate = settings.gate
    fence = Fence(
        inside=(gate.fence,) if gate.fence is not None else (),
        outside=gate.fence_exclude,
        robot_radius_m=gate.robot_radius_m,
        margin_m=gate.fence_margin_m,
    )
    zone = StopZone(
        front_m=gate.scan_front_m,
        half_width_m=gate.scan_half_width_m,
        time_to_collision_ns=seconds_to_ns(gate.scan_time_to_collision_s),
        age_max_ns=seconds_to_ns(gate.scan_age_max_s),
    )
    return GateLimits(
        remote_motion=gate.remote_motion,
        linear_max_mps=gate.linear_max_mps,
        angular_max_radps=gate.angular_max_radps,
        linear_rating_mps=gate.linear_rating_mps,
        angular_rating_radps=gate.angular_rating_radps,
        linear_accel_max_mps2=gate.linear_accel_max_mps2,
        linear_decel_max_mps2=gate.linear_decel_max_mps2,
        linear_jerk_max_mps3=gate.linear_jerk_max_mps3,
        angular_accel_max_radps2=gate.angular_accel_max_radps2,
        angular_decel_max_radps2=gate.angular_decel_max_radps2,
        angular_jerk_max_radps3=gate.angular_jerk_max_radps3,
        deadman_ns=seconds_to_ns(gate.deadman_s),
        duration_default_ns=seconds_to_ns(gate.duration_default_s),
        duration_max_ns=seconds_to_ns(gate.duration_max_s),
        tick_ns=seconds_to_ns(1.0 / gate.tick_hz),
        burst_ns=seconds_to_ns(gate.burst_s),
        hold_zeros=gate.hold == "zeros",
        still_required=_has_speed(sources.pose),
        estop_age_max_ns=seconds_to_ns(gate.estop_age_max_s) if sources.estop else None,
        override_quiet_ns=seconds_to_ns(gate.override_quiet_s) if sources.override else None,
        battery_required=sources.battery is not None,
        battery_low=gate.battery_low,
        battery_min=gate.battery_min,
        battery_age_max_ns=seconds_to_ns(gate.battery_age_max_s),
        battery_stale_max_mps=gate.battery_stale_max_mps,
        pose_required=bool(fence),
        pose_age_max_ns=seconds_to_ns(gate.pose_age_max_s),
        pose_sigma_max_m=gate.pose_sigma_max_m,
        reaction_ns=seconds_to_ns(gate.reaction_s),
        fence=fence,
        scan=zone if sources.scan else None,
        subscriber_required=gate.subscriber_required,
    )


def rules_of(settings: Settings, topics: wire.Topics) -> AdmissionRules:
    """Return the rules of admission.

    Raises:
        RefusedError: A key of an operator cannot be read: without any key left, everybody would be believed.
    """
    gate = settings.gate
    keys, wrong = public_keys(gate.operators)
    if wrong:
        raise RefusedError(wrong)
    return AdmissionRules(
        level=Level(gate.admission),
        robot_id=settings.robot.id,
        root=topics.root,
        payload_max_bytes=gate.payload_max_bytes,
        ttl_max_ns=seconds_to_ns(gate.ttl_max_s),
        rate_hz=gate.rate_hz_max,
        rate_burst=gate.rate_burst,
        lease_ns=seconds_to_ns(gate.lease_s),
        keys={name: OperatorKey(key, name, Role(gate.operators[name].role)) for name, key in keys.items()},
        checks_off=frozenset(map(Reason, gate.checks_off)),
        trust_clock=gate.trust_clock,
        remote_motion=gate.remote_motion,
    )


def sources_of(settings: Settings) -> Sources:
    """Return what the lane hears; a channel that only the defaults name and that does not fit is left out."""
    gate = settings.gate
    return Sources(
        pose=_channel(settings, "pose_channel", pose_reader),
        battery=_channel(settings, "battery_channel", charge_reader),
        estop=Source(gate.estop_topic, _BOOL) if gate.estop_topic else None,
        override=Source(gate.override_topic, gate.override_type) if gate.override_topic else None,
        scan=Source(gate.scan_topic, _SCAN) if gate.scan_topic else None,
        scan_reach_m=gate.scan_front_m + gate.linear_max_mps * gate.scan_time_to_collision_s + _SCAN_SPARE_M,
    )


def faults(settings: Settings) -> list[Fault]:
    """Return what of [gate] does not fit this machine: keys, types, fields."""
    gate = settings.gate
    found = public_keys(gate.operators)[1]
    sources = sources_of(settings)
    for text in fence_faults(limits_of(settings, sources).fence):
        where, _, rest = text.partition(": ")
        what, _, cure = rest.rpartition("; ")
        found.append(Fault(f"gate.{where}", what, cure))
    for key, source, needed in (
        ("pose_channel", sources.pose, bool(gate.fence or gate.fence_exclude)),
        ("battery_channel", sources.battery, False),
    ):
        name = getattr(gate, key)
        if source is None and name is not None and (needed or key in gate.model_fields_set):
            cure = "name the channel of another type, or give the channel one"
            found.append(Fault(f"gate.{key}", f"the messages of channel {name} do not say it", cure))
    readers: tuple[tuple[str, Source | None, Callable[[Any], Any]], ...] = (
        ("estop_topic", sources.estop, pressed_reader),
        ("override_topic", sources.override, drive_reader),
        ("scan_topic", sources.scan, lambda message: scan_reader(message, 1.0)),
        ("remote_motion", Source("", settings.ros.cmd_vel_type), lambda _message: None),
    )
    for key, known, reader in readers:
        if known is not None and (error := _unfit(known, reader)):
            what, _, cure = str(error).partition("; ")
            found.append(Fault(f"gate.{key}", what, cure))
    if gate.cancel_goals and find_spec("action_msgs") is None:
        found.append(Fault("gate.cancel_goals", "action_msgs is not installed", "install it, or leave the key out"))
    return found


def _channel(settings: Settings, key: str, reader: Callable[[Any], Any]) -> Source | None:
    channel = settings.channels.get(getattr(settings.gate, key) or "")
    if channel is None:
        return None
    source = Source(channel.topic, channel.type)
    return None if _unfit(source, reader) else source


def _unfit(source: Source, reader: Callable[[Any], Any]) -> Exception | None:
    try:
        reader(message_class(source.type_name))
    except (FieldPathError, RosTypeError) as error:
        return error
    return None


def _has_speed(source: Source | None) -> bool:
    return source is not None and speed_reader(message_class(source.type_name)) is not None
