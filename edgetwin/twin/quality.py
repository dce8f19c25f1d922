"""Twin wing: how well a robot is mirrored, in numbers.

In: a RobotTwin, the time     Out: plain values for ROS, the terminal, JSON and CSV
Pure. None stands for what nobody knows yet, never for zero.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from edgetwin.twin.age import Age
from edgetwin.twin.channel import ChannelTwin
from edgetwin.twin.seen import Moment
from edgetwin.twin.state import RobotTwin


@dataclass(frozen=True, slots=True)
class ChannelQuality:
    """One channel. Latencies are of the newest thousand live records."""

    channel: str
    type: str | None
    age: Age
    age_s: float | None
    seq: int | None
    stamp_us: int | None
    latency_min_ms: float | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    transport_p50_ms: float | None
    jitter_ms: float | None
    rate_hz: float
    bytes_per_s: float
    live: int
    backlog: int
    lost: int
    loss: float | None
    explained: int
    duplicates: int
    reordered: int
    held_back: float | None
    position_error_m: float | None
    position_error_p95_m: float | None
    position_error_max_m: float | None


@dataclass(frozen=True, slots=True)
class RobotQuality:
    """One robot at the moment `at_us`, by our wall clock.

    `clock_*`: its wall clock against ours; `uncertainty` bounds the error of the offset.
    """

    at_us: int
    robot_id: str
    boot: str
    age: Age
    state: str
    round_trip_ms: float | None
    clock_offset_ms: float | None
    clock_uncertainty_ms: float | None
    clock_drift_ppm: float | None
    clock_synced: bool | None
    clock_steps: int
    rebased: int
    channels: tuple[ChannelQuality, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    def rows(self) -> list[dict[str, Any]]:
        """Return one flat row per channel, for CSV."""
        shared = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "channels"}
        shared = {f"robot_{name}" if name == "age" else name: value for name, value in shared.items()}
        return [shared | asdict(channel) for channel in self.channels]


def quality(twin: RobotTwin, moment: Moment, *, linked: bool) -> RobotQuality:
    """Return the figures of one robot at this moment.

    Args:
        twin: The robot.
        moment: Now.
        linked: We are connected to the broker.
    """
    estimate, drift = twin.time.at(moment.now_ns), twin.time.drift_ppm()
    round_trip_ns = twin.time.round_trip_ns
    offset_ns = None if estimate is None else estimate.offset_ns + moment.now_ns - moment.wall_us * 1000
    return RobotQuality(
        moment.wall_us,
        twin.robot_id,
        twin.boot,
        twin.age(moment, linked=linked),
        twin.word.state,
        _ms(round_trip_ns),
        _ms(offset_ns),
        None if estimate is None else _ms(estimate.bound_ns),
        None if drift is None else round(drift[0], 3),
        twin.word.clock_synced,
        twin.time.steps,
        twin.rebased,
        tuple(_channel(twin, name, channel, moment, linked=linked) for name, channel in sorted(twin.channels.items())),
    )


def _channel(twin: RobotTwin, name: str, channel: ChannelTwin, moment: Moment, *, linked: bool) -> ChannelQuality:
    age, age_s = twin.channel_age(name, moment, linked=linked)
    least, p50, p95, p99 = channel.latency_ms.percentiles(0, 50, 95, 99) or (None,) * 4
    transport = channel.transport_ms.percentiles(50)
    position = channel.position.errors_m
    error_p95 = position.percentiles(95)
    came, lost = channel.live + channel.backlog, channel.lost
    return ChannelQuality(
        channel=name,
        type=channel.announced.type if channel.announced else None,
        age=age,
        age_s=_round(age_s),
        seq=channel.state.seen.seq if channel.state else None,
        stamp_us=channel.state.seen.stamp_us if channel.state else None,
        latency_min_ms=_round(least),
        latency_p50_ms=_round(p50),
        latency_p95_ms=_round(p95),
        latency_p99_ms=_round(p99),
        transport_p50_ms=_round(transport[0] if transport else None),
        jitter_ms=_round(channel.jitter_ms.value),
        rate_hz=round(channel.rate_hz.at(moment.now_ns), 3),
        bytes_per_s=round(channel.bytes_per_s.at(moment.now_ns), 1),
        live=channel.live,
        backlog=channel.backlog,
        lost=lost,
        loss=round(lost / (came + lost), 6) if came + lost else None,
        explained=channel.explained,
        duplicates=channel.duplicates,
        reordered=channel.reordered,
        held_back=_held_back(twin, name),
        position_error_m=_round(channel.position.newest_m, 4),
        position_error_p95_m=_round(error_p95[0] if error_p95 else None, 4),
        position_error_max_m=_round(position.largest if position.count else None, 4),
    )


def _held_back(twin: RobotTwin, name: str) -> float | None:
    """Return the share of a channel's messages that its robot held back, by its status."""
    flows = (twin.word.figures or {}).get("flows")
    flow = flows.get(name) if isinstance(flows, dict) else None
    if not isinstance(flow, dict):
        return None
    received, published = flow.get("received"), flow.get("published")
    if not isinstance(received, int) or not isinstance(published, int) or received <= 0:
        return None
    return round(1.0 - min(published, received) / received, 4)


def _ms(value_ns: int | None) -> float | None:
    return None if value_ns is None else round(value_ns / 1e6, 3)


def _round(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)
