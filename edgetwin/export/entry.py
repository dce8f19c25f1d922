"""Export: the words its modules share.

In: nothing     Out: Stream, Entry, Lost, Source.
Pure: knows no file format and no ROS.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from edgetwin.errors import EdgeTwinError

Chosen: TypeAlias = Callable[[str], bool]  # whether a channel of this name is wanted


class ExportError(EdgeTwinError):
    """What was to be exported cannot be read, or not be written. Recovery: see its text; nothing was left half done."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One channel, or kind of event.

    Attributes:
        name: Of the channel.
        topic: ROS topic.
        type_name: `package/msg/Name`; empty where nobody says.
    """

    name: str
    topic: str
    type_name: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record.

    Attributes:
        stream: Where it belongs.
        boot: Boot that numbered it; empty for a recording.
        seq: Its number in (boot, channel); for a recording, counted here from 0.
        stamp_ns: When it was measured [ns since 1970, UTC].
        recv_ns: When it was received, or recorded [ns since 1970, UTC].
        content: The values of a json record, or the serialised ROS message (plain CDR) as bytes.
    """

    stream: Stream
    boot: str
    seq: int
    stamp_ns: int
    recv_ns: int
    content: Any


@dataclass(frozen=True, slots=True)
class Lost:
    """Numbers that are known to be lost.

    Attributes:
        to_seq: The last; None: nobody knows how far.
        count: How many of them; None: nobody knows.
    """

    channel: str
    boot: str
    from_seq: int
    to_seq: int | None
    count: int | None
    cause: str


class Source(Protocol):
    """What is exported; close it after use."""

    def entries(self) -> Iterator[Entry]:
        """Yield the records, oldest first within a channel; memory does not grow with their number.

        Raises:
            ExportError: It cannot be read to its end.
        """
        ...

    @property
    def seen(self) -> Collection[str]:
        """Names of all channels in it, wanted or not; after `entries`."""
        ...

    def lost(self) -> Sequence[Lost]:
        """Return what is known to be lost; after `entries`."""
        ...

    def damage(self) -> Sequence[str]:
        """Return what could not be read, a sentence each; after `entries`."""
        ...

    def remarks(self) -> Sequence[str]:
        """Return what else is worth knowing, a sentence each."""
        ...

    def close(self) -> None:
        """Release the files."""
        ...
