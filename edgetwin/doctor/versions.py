"""Roof, doctor: programs and libraries of versions with known faults.

In: versions     Out: findings that name the fault. Pure but for what is asked of this machine.

Sources: sqlite.org/wal.html ("The WAL-Reset Bug"), mosquitto.org/ChangeLog.txt and mosquitto.org/security, the
advisories of eProsima Fast DDS. Distributions mend old versions: Debian's own changelog is believed over a number.
"""

from __future__ import annotations

import gzip
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeAlias

from edgetwin.doctor.findings import Case, Finding, ok, warn

Version: TypeAlias = tuple[int, ...]

_RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
_NUMBER = re.compile(r"\d+(?:\.\d+)+")
_CHANGELOG = Path("/usr/share/doc/mosquitto/changelog.Debian.gz")
_CHANGELOG_BYTES_MAX = 1_000_000
_WAL_RESET_FIRST, _WAL_RESET_FIXED = (3, 7, 0), (3, 51, 3)
_WAL_RESET_BACKPORTS: dict[Version, Version] = {(3, 44): (3, 44, 6), (3, 50): (3, 50, 7)}
_FASTDDS_FIXED: dict[Version, Version] = {(2, 6): (2, 6, 11), (3, 3): (3, 3, 1)}
_FASTDDS_FIXED_FROM: Version = (3, 4, 1)


@dataclass(frozen=True, slots=True)
class KnownFault:
    """A fault of mosquitto.

    Attributes:
        fixed: The first version without it.
        ids: As advisories name it; all of them in Debian's changelog: it is mended there. Empty: ask no changelog.
        words: What it does.
    """

    fixed: Version
    ids: tuple[str, ...]
    words: str


MOSQUITTO = (
    KnownFault((2, 0, 8), ("CVE-2021-34432",), "a PUBLISH with an empty topic ends it"),
    KnownFault((2, 0, 12), ("CVE-2021-41039",), "many user properties keep it busy"),
    KnownFault((2, 0, 16), ("CVE-2023-0809", "CVE-2023-3592", "CVE-2023-28366"), "strangers can use up its memory"),
    KnownFault((2, 0, 19), ("CVE-2024-8376", "CVE-2024-3935"), "crafted packets, and bridges, end it"),
    KnownFault((2, 0, 22), (), "max_queued_messages 0 is not unlimited there: give it a number"),
)


def libraries(case: Case) -> Sequence[Finding]:
    """Look at the libraries that this process uses."""
    found = [sqlite(sqlite3.sqlite_version)]
    if (version := _fastdds()) is not None:
        found.append(fastdds(version, case.environ.get(_RANGE, "")))
    return found


def sqlite(text: str) -> Finding:
    """Judge a version of SQLite."""
    version = parsed(text)
    mended = _WAL_RESET_BACKPORTS.get(version[:2], _WAL_RESET_FIXED)
    if version < _WAL_RESET_FIRST or version >= mended:
        return ok("sqlite", f"SQLite {text} has no known fault that matters here")
    what = f"SQLite {text} has the WAL-reset bug (fixed in 3.51.3); it takes two connections, and the outbox has one"
    return ok("sqlite", what)


def fastdds(text: str, discovery_range: str) -> Finding:
    """Judge a version of Fast DDS, with a value of ROS_AUTOMATIC_DISCOVERY_RANGE."""
    version = parsed(text)
    if version >= _FASTDDS_FIXED.get(version[:2], _FASTDDS_FIXED_FROM):
        return ok("fast dds", f"Fast DDS {text} has no known fault that matters here")
    what = f"Fast DDS {text} can be ended by packets of strangers (CVE-2025-64438)"
    cure = f"keep DDS off shared networks: {_RANGE}=LOCALHOST, or a firewall for UDP 7400 and up"
    if discovery_range in {"LOCALHOST", "OFF"}:
        return ok("fast dds", f"{what}; {_RANGE}={discovery_range} keeps it to this machine")
    return warn("fast dds", what, cure)


def mosquitto(text: str, changelog: str | None) -> Finding:
    """Judge a version of mosquitto.

    Args:
        text: As the broker says it.
        changelog: Of Debian, where the broker is a package of this machine.
    """
    version = parsed(text)
    mended = changelog or ""
    open_faults = [
        fault
        for fault in MOSQUITTO
        if version < fault.fixed and not (fault.ids and all(one in mended for one in fault.ids))
    ]
    serious = [fault for fault in open_faults if fault.ids]
    if not open_faults:
        return ok("mosquitto", f"mosquitto {text} has no known fault that matters here")
    words = "; ".join(f"{fault.words} ({', '.join(fault.ids)})" if fault.ids else fault.words for fault in open_faults)
    if not serious:
        return ok("mosquitto", f"mosquitto {text}, mended by Debian; {words}")
    newest = ".".join(map(str, max(fault.fixed for fault in serious)))
    return warn(
        "mosquitto", f"mosquitto {text}: {words}", f"use {newest} or newer, or a distribution that has mended it"
    )


def debian_changelog() -> str | None:
    """Return Debian's changelog of the mosquitto of this machine, or None."""
    try:
        with gzip.open(_CHANGELOG, "rt", encoding="utf-8", errors="replace") as file:
            return file.read(_CHANGELOG_BYTES_MAX)
    except (OSError, EOFError):
        return None


def parsed(text: str) -> Version:
    """Return the first number with dots in a text; (0,) if there is none."""
    match = _NUMBER.search(text)
    return tuple(map(int, match[0].split("."))) if match else (0,)


def _fastdds() -> str | None:
    try:
        return metadata.version("ros-fastdds")
    except metadata.PackageNotFoundError:
        return _of_the_robot()


def _of_the_robot() -> str | None:
    for package in sorted(Path("/opt/ros").glob("*/share/fastrtps/package.xml")):
        match = re.search(r"<version>([\d.]+)</version>", package.read_text(encoding="utf-8", errors="replace"))
        if match:
            return match[1]
    return None
