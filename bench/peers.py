"""Bench: who is measured. A peer is a name and a command line; a new one is one more entry.

In: where it runs     Out: its command.
A peer forwards each stream of the load to `robot/<robot_id>/telemetry/<channel>` as JSON that holds the
header's stamp, or edgetwin's `stamp_us`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bench.streams import LOADS
from edgetwin.sim.broker import find_mosquitto
from edgetwin.sim.ports import HOST

_RATE_HZ_MAX = 1000
_OUTBOX = "outbox.db"
_BRIDGE_CONF = """\
listener {local} {host}
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 1
max_queued_messages 10000000
user root
log_type warning
log_type error
connection far
address {host}:{remote}
remote_clientid {robot}-bridge
topic robot/{robot}/telemetry/# out 1
cleansession false
notifications false
keepalive_interval 5
restart_timeout 1
"""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a peer runs: its own folder and robot id, the common broker and load.

    Attributes:
        folder: On a disk.
        port: Of the broker, or of the cable that leads to it.
        local_port: Free, for a broker of its own.
        robot_id: Who it is.
        load: What it forwards.
        sent: Where a peer that is its own source logs what it sent.
    """

    folder: Path
    port: int
    local_port: int
    robot_id: str
    load: str
    sent: Path


@dataclass(frozen=True, slots=True)
class Peer:
    """Something that forwards a load to the broker."""

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
        f'[store]\npath = "{place.folder / _OUTBOX}"',
    ]
    lines += [
        f'[channels.{stream.channel}]\ntopic = "{stream.topic}"\ntype = "{stream.type_name}"\nclass = "critical"\n'
        f"rate_hz_max = {min(_RATE_HZ_MAX, 2 * stream.rate_hz):.1f}"
        + (f"\nfields = {list(stream.fields)}" if stream.fields else "")
        for stream in LOADS[place.load]
    ]
    settings = place.folder / "edgetwin.toml"
    settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [sys.executable, "-m", "edgetwin", "run", "--config", str(settings)]


def with_outbox(outbox: Path) -> Peer:
    """Return edgetwin that finds this outbox, as an earlier run left it; what it takes from it is a copy."""

    def command(place: Placement) -> list[str]:
        shutil.copy(outbox, place.folder / _OUTBOX)
        return _edgetwin(place, 0.0)

    return Peer("edgetwin", command)


def _bridge(place: Placement) -> list[str]:
    """The settings that lose least: no message dropped for its number (0 would mean 100), saved each second."""
    conf = place.folder / "bridge.conf"
    conf.write_text(
        _BRIDGE_CONF.format(
            host=HOST, local=place.local_port, remote=place.port, folder=place.folder, robot=place.robot_id
        ),
        encoding="utf-8",
    )
    return [find_mosquitto() or "mosquitto", "-c", str(conf)]


def _paho(place: Placement) -> list[str]:
    return sensor(place, place.port)


def sensor(place: Placement, port: int) -> list[str]:
    """Return the command of the sensor that speaks MQTT itself, to this port."""
    return [sys.executable, "-m", "bench.sensor", str(port), place.robot_id, place.load, str(place.sent)]


TUTORIAL: Final = Peer("tutorial", _tutorial)
EDGETWIN: Final = Peer("edgetwin", partial(_edgetwin, coalesce_s=0.0))
COALESCED: Final = Peer("edgetwin 0.1 s", partial(_edgetwin, coalesce_s=0.1))
BRIDGE: Final = Peer("mosquitto bridge", _bridge)
PAHO: Final = Peer("paho's queue", _paho)
