"""Roof: the daemon in one line, for `systemctl status`; and what it found of itself at the start, for the journal.

In: figures     Out: a sentence that changes when something changes, not with every message; a finding for each part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_CLOCKS = {True: "clock synchronised", False: "clock not synchronised", None: "clock unknown"}


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What was found when everything was set up.

    Attributes:
        parts: Each part in words: BROKER, STORE, LATCH, COMMANDS, CLOCK, CHANNELS, DETECTORS, MODELS.
        troubles: Which of them need somebody; a broker that is away and a clock that nothing keeps right do not.
    """

    parts: Mapping[str, str]
    troubles: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(words for words in self.parts.values() if words)


def self_test(figures: Mapping[str, Any]) -> SelfTest:
    """Return what these figures say of each part."""
    link, outbox, gate = figures["link"], figures["outbox"], figures.get("gate", {})
    channels, models = figures["channels"], figures.get("prognosis", {})
    faults = {
        "STORE": outbox.get("problem"),
        "LATCH": gate.get("latch_problem"),
        "CHANNELS": _first(channels, "problem"),
        "DETECTORS": _first(figures.get("anomaly", {}), "problem"),
        "MODELS": _first(models, "refused"),
    }
    motion = "on" if gate.get("remote_motion") else "off"
    sound = {
        "BROKER": "broker connected" if link["state"] == "up" else f"no broker ({link['last_error'] or 'trying'})",
        "STORE": "outbox writes",
        "LATCH": "latch on disk",
        "COMMANDS": f"commands {gate.get('state', 'unknown')}, remote motion {motion}",
        "CLOCK": _CLOCKS[figures.get("clock", {}).get("synchronised")],
        "CHANNELS": _count(channels, "channel"),
        "DETECTORS": _count(figures.get("anomaly", {}), "detector"),
        "MODELS": _count(models, "model"),
    }
    names = {"STORE": "outbox", "LATCH": "latch", "CHANNELS": "channel", "DETECTORS": "detector", "MODELS": "model"}
    said = {part: f"{names[part]}: {fault}" for part, fault in faults.items() if fault}
    return SelfTest(sound | said, tuple(said))


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
    total = _count(channels, "channel")
    return f"{total}, no publisher for {', '.join(silent)}" if silent else total


def _count(things: Mapping[str, Any], word: str) -> str:
    return f"{len(things)} {word}{'s' if len(things) != 1 else ''}"


def _first(things: Mapping[str, Any], key: str) -> str | None:
    """Return the first of them that has a fault, and which."""
    return next((f"{name}: {one[key]}" for name, one in things.items() if one.get(key)), None)
