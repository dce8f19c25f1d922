"""Replay: the words its modules share.

In: nothing     Out: Recorded (one message), Topic (one stream), Recording (what a reader offers).
Pure: knows neither ROS nor any file format.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from edgetwin.errors import EdgeTwinError

CDR_HEADER = b"\x00\x01\x00\x00"  # plain CDR, little endian: what every ROS 2 publisher sends
TOPIC_NAME = re.compile(r"(/(?![0-9])(?!\w*__)\w+)+", re.ASCII)  # ROS 1 allowed more
Layout: TypeAlias = tuple[tuple[str, str], ...]  # (lower-case field path, primitive type), in wire order


class RecordingError(EdgeTwinError):
    """A recording turned out to be damaged while it was played. Recovery: repair it, or play another."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message as it is published.

    Attributes:
        topic: Absolute name, as recorded.
        type_name: `package/msg/Name`.
        cdr: Serialised message, begins with `CDR_HEADER`.
        stamp_ns: When it was recorded (log time, not the header's stamp) [ns].
    """

    topic: str
    type_name: str
    cdr: bytes
    stamp_ns: int


@dataclass(frozen=True, slots=True)
class Topic:
    """One stream of a recording.

    Attributes:
        name: Absolute topic name.
        type_name: `package/msg/Name`.
        layout: The fields it was recorded with; None when the recording does not say.
        latched_depth: Messages kept for late subscribers (transient local); 0 = none.
        obstacle: Why it cannot be played; empty when it can.
    """

    name: str
    type_name: str
    layout: Layout | None = None
    latched_depth: int = 0
    obstacle: str = ""


class Recording(Protocol):
    """An open recording; close it after use."""

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The streams that hold messages, sorted by name."""
        ...

    def messages(
        self, topics: Collection[str], *, start_s: float = 0.0, duration_s: float | None = None
    ) -> Iterator[Recorded]:
        """Yield the messages of `topics` by log time; memory does not grow with the recording.

        Args:
            topics: Names out of `topics`, without obstacles.
            start_s: Skip this much of the recording [s].
            duration_s: Stop this long after `start_s` [s]; None = at the end.

        Raises:
            RecordingError: The file is damaged.
        """
        ...

    def close(self) -> None:
        """Release the files."""
        ...
