"""Bench: who is measured. A peer is a name and a command line; a new one is one more entry.

In: where it runs     Out: its command.
A peer forwards each stream of the load to `robot/<robot_id>/telemetry/<channel>` as JSON that holds the
header's stamp, or edgetwin's `stamp_us`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bench.streams import LOADS

_RATE_HZ_MAX = 1000


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a peer runs: its own folder and robot id, the common broker and load."""

    folder: Path
    port: int
    robot_id: str
    load: str


@dataclass(frozen=True, slots=True)
class Peer:
    """Something that forwards ROS topics to MQTT."""

    name: str
    command: Callable[[Placement], list[str]]


def _tutorial(place: Placement) -> list[str]:
    database = str(place.folder / "messages.db")
    return [sys.executable, "-m", "bench.tutorial", str(place.port), place.robot_id, database, place.load]


def _edgetwin(place: Placement, coalesce_s: float) -> list[str]:
    """Every record leaves: twice the source's rate is allowed, and no deadband holds one back."""
    lines = [
        f'[robot]\nid = "{place.robot_id}"',
        f"[mqtt]\nport = {place.port}\ncoalesce_s = {coalesce_s}",
        f'[store]\npath = "{place.folder / "outbox.db"}"',
    ]
    lines += [
        f'[channels.{stream.channel}]\ntopic = "{stream.topic}"\ntype = "{stream.type_name}"\nclass = "critical"\n'
        f"rate_hz_max = {min(_RATE_HZ_MAX, 2 * stream.rate_hz):.1f}"
        for stream in LOADS[place.load]
    ]
    settings = place.folder / "edgetwin.toml"
    settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [sys.executable, "-m", "edgetwin", "run", "--config", str(settings)]


TUTORIAL: Final = Peer("tutorial", _tutorial)
EDGETWIN: Final = Peer("edgetwin", partial(_edgetwin, coalesce_s=0.0))
COALESCED: Final = Peer("edgetwin 0.1 s", partial(_edgetwin, coalesce_s=0.1))
