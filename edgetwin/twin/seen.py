"""Twin wing: one record as it came, judged before anything is believed of it.

In: a decoded record, the topic it came by     Out: Seen, or ValueError
Pure. Anybody may publish on a broker: every number is checked, and a record that names another robot is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_NUMBER_MAX = 2**62
_BOOT_MAX = 64


class Way(StrEnum):
    """How a record came."""

    LIVE = "live"
    BACKLOG = "backlog"


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, here: monotonic [ns], and wall clock UTC [us]."""

    now_ns: int
    wall_us: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One record.

    Attributes:
        boot: Random id of its robot's start.
        seq: Its number, from 0 per (boot, channel).
        stamp_us: When it was measured, by its own stamp [us].
        recv_us: When its daemon received it, by the robot's wall clock [us].
        way: How it came.
        data: Nested as in the message, or raw CDR.
        size: Its share of the MQTT payload [bytes].
    """

    boot: str
    seq: int
    stamp_us: int
    recv_us: int
    way: Way
    data: Any
    size: int = 0


def seen(record: Mapping[str, Any], robot_id: str, channel: str, way: Way, size: int = 0) -> Seen:
    """Return a record that `wire.decode` gave.

    Raises:
        ValueError: It is not of this robot and channel, or a number is none.
    """
    try:
        if record["robot_id"] != robot_id or record["channel"] != channel:
            msg = f"a record of {record['robot_id']!r} {record['channel']!r} on a topic of {robot_id} {channel}"
            raise ValueError(msg)
        boot = record["boot"]
        if not isinstance(boot, str) or not 0 < len(boot) <= _BOOT_MAX:
            msg = f"boot {boot!r} is none"
            raise ValueError(msg)
        numbers = (_whole(record["seq"]), _whole(record["stamp_us"]), _whole(record["recv_us"]))
        return Seen(boot, *numbers, way, record["data"], size)
    except (KeyError, TypeError) as error:
        msg = f"not a record: {error!r}"
        raise ValueError(msg) from error


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _NUMBER_MAX:
        msg = f"{value!r} is no number of a record"
        raise ValueError(msg)
    return value
