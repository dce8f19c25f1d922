"""Floor: what a robot says of its channels, once per boot: retained on `robot/<id>/channels`.

In: the channels of one boot     Out: a payload, and the way back
Pure. Whoever mirrors a robot needs the message types, and how often to expect something; a record says neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from edgetwin import wire
from edgetwin.records import ChannelClass, Encoding

_CHANNELS_MAX = 256
_TEXT_MAX = 256
_RATE_HZ = (1e-6, 1e6)  # wider than any setting; ages are reckoned with these
_HEARTBEAT_S = (1e-6, 1e6)


@dataclass(frozen=True, slots=True)
class Announced:
    """One channel, as its robot declares it.

    Attributes:
        topic: Where it comes from, on the robot.
        type: Message type, `package/msg/Name`.
        channel_class: How it is paced.
        rate_hz_max: Most records per second; nothing to an event channel.
        heartbeat_s: While messages arrive there, a record leaves at least this often; nothing to an event channel.
        encoding: Of its records.
        fields: Paths that are sent; None: the whole message.
    """

    topic: str
    type: str
    channel_class: ChannelClass
    rate_hz_max: float
    heartbeat_s: float
    encoding: Encoding = Encoding.JSON
    fields: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Announcement:
    """The channels of one boot of one robot."""

    robot_id: str
    boot: str
    channels: Mapping[str, Announced]


def encode(announcement: Announcement) -> bytes:
    """Return the payload."""
    channels = {
        name: {
            "topic": channel.topic,
            "type": channel.type,
            "class": str(channel.channel_class),
            "rate_hz_max": channel.rate_hz_max,
            "heartbeat_s": channel.heartbeat_s,
            "encoding": str(channel.encoding),
            "fields": channel.fields,
        }
        for name, channel in announcement.channels.items()
    }
    head = {"v": wire.VERSION, "robot_id": announcement.robot_id, "boot": announcement.boot}
    return wire.encode(head | {"channels": channels})


def decode(payload: bytes) -> Announcement:
    """Return what a payload announces.

    Raises:
        ValueError: It is no announcement of this version, or promises what nobody can keep.
    """
    try:
        value = orjson.loads(payload)
        if value["v"] != wire.VERSION or len(value["channels"]) > _CHANNELS_MAX:
            msg = f"version {value['v']!r} with {len(value['channels'])} channels cannot be used"
            raise ValueError(msg)
        channels = {_text(name): _channel(said) for name, said in value["channels"].items()}
        return Announcement(_text(value["robot_id"]), _text(value["boot"]), channels)
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"not an announcement of channels: {error!r}"
        raise ValueError(msg) from error


def _channel(said: Mapping[str, Any]) -> Announced:
    fields = said.get("fields")
    return Announced(
        _text(said["topic"]),
        _text(said["type"]),
        ChannelClass(said["class"]),
        _within(said["rate_hz_max"], *_RATE_HZ),
        _within(said["heartbeat_s"], *_HEARTBEAT_S),
        Encoding(said["encoding"]),
        None if fields is None else tuple(_text(path) for path in fields),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _TEXT_MAX:
        msg = f"{value!r} is no text of 1 to {_TEXT_MAX} letters"
        raise ValueError(msg)
    return value


def _within(value: object, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        msg = f"{value!r} is no number from {least:g} to {most:g}"
        raise ValueError(msg)
    return float(value)
