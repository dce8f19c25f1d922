"""Roof: the settings of this robot's channels as what it announces.

In: Settings, boot     Out: the payload of `robot/<id>/channels`
"""

from __future__ import annotations

from edgetwin.announcement import Announced, Announcement, encode
from edgetwin.settings import Settings


def announced(settings: Settings, boot: str) -> bytes:
    """Return the announcement of one boot."""
    channels = {
        name: Announced(
            channel.topic,
            channel.type,
            channel.channel_class,
            channel.rate_hz_max,
            channel.heartbeat_s,
            channel.encoding,
            channel.fields,
        )
        for name, channel in settings.channels.items()
    }
    return encode(Announcement(settings.robot.id, boot, channels))
