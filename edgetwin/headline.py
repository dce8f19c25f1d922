"""Roof: the daemon in one line, for `systemctl status`.

In: figures     Out: a sentence that changes when something changes, not with every message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def headline(figures: Mapping[str, Any]) -> str:
    """Return how it goes: the link, what waits on disk, and what is wrong with which channels."""
    link, channels = figures["link"], figures["channels"]
    broker = "connected to the broker" if link["state"] == "up" else f"no broker ({link['last_error'] or 'trying'})"
    parts = [broker, _channels(channels)]
    if backlog := figures["outbox"]["backlog"]:
        parts.append("1 record waits on disk" if backlog == 1 else f"{backlog:,} records wait on disk")
    parts += [f"{name}: {channel['problem']}" for name, channel in channels.items() if channel["problem"]]
    return f"{figures['robot_id']} {figures['state']}: {'; '.join(parts)}"


def _channels(channels: Mapping[str, Any]) -> str:
    silent = [name for name, channel in channels.items() if not channel["publishers"]]
    total = f"{len(channels)} channel{'s' if len(channels) != 1 else ''}"
    return f"{total}, no publisher for {', '.join(silent)}" if silent else total
