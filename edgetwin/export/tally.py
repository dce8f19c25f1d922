"""Export: what was exported, counted channel by channel and boot by boot.

In: entries as they go by, what is known to be lost     Out: figures; lines for a person, one line of JSON. Pure.
Numbers that are neither here nor known to be lost are usual: the cloud has them. They are counted all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgetwin import wire
from edgetwin.export.entry import Entry, Lost
from edgetwin.export.times import iso

_LOST_SHOWN_MAX = 20


@dataclass(slots=True)
class _Boot:
    records: int = 0
    first_seq: int = 0
    last_seq: int = 0


@dataclass(slots=True)
class ChannelTally:
    """One channel.

    Attributes:
        records: Exported.
        first_ns, last_ns: Earliest and latest stamp among them [ns].
        boots: Boot -> numbers.
    """

    topic: str
    records: int = 0
    first_ns: int = 0
    last_ns: int = 0
    boots: dict[str, _Boot] = field(default_factory=dict)

    def note(self, entry: Entry) -> None:
        """Count a record."""
        stamp_ns, seq = entry.stamp_ns, entry.seq
        if not self.records:
            self.first_ns = self.last_ns = stamp_ns
        elif stamp_ns < self.first_ns:
            self.first_ns = stamp_ns
        elif stamp_ns > self.last_ns:
            self.last_ns = stamp_ns
        self.records += 1
        boot = self.boots.get(entry.boot)
        if boot is None:
            boot = self.boots[entry.boot] = _Boot(0, seq, seq)
        boot.records += 1
        boot.first_seq, boot.last_seq = min(boot.first_seq, seq), max(boot.last_seq, seq)

    @property
    def absent(self) -> int:
        """Numbers between the first and the last of a boot that are not here."""
        return sum(max(0, boot.last_seq - boot.first_seq + 1 - boot.records) for boot in self.boots.values())


@dataclass(slots=True)
class Tally:
    """One export."""

    source: str
    channels: dict[str, ChannelTally] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    lost: Sequence[Lost] = ()
    damage: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def records(self) -> int:
        """Of all channels."""
        return sum(channel.records for channel in self.channels.values())

    def note(self, entry: Entry) -> None:
        """Count a record."""
        name = entry.stream.name
        channel = self.channels.get(name)
        if channel is None:
            channel = self.channels[name] = ChannelTally(entry.stream.topic)
        channel.note(entry)

    def as_json(self) -> str:
        """Return one line."""
        channels = {
            name: {
                "topic": one.topic, "records": one.records, "boots": len(one.boots), "absent": one.absent,
                "from": iso(one.first_ns), "to": iso(one.last_ns),
            }
            for name, one in self.channels.items()
        }  # fmt: skip
        line: dict[str, Any] = {
            "source": self.source,
            "files": list(dict.fromkeys(map(str, self.files.values()))),
            "records": self.records,
            "channels": channels,
            "lost": [
                {"channel": one.channel, "boot": one.boot, "from_seq": one.from_seq, "to_seq": one.to_seq,
                 "count": one.count, "cause": str(one.cause)}
                for one in self.lost
            ],
            "damage": self.damage,
            "remarks": self.remarks,
        }  # fmt: skip
        return wire.encode(line).decode()

    def as_text(self) -> str:
        """Return a line per channel and per gap, and the sum."""
        width = max(map(len, self.channels), default=0)
        lines = [
            f"{_shown(name):<{width}}  {one.records:>9,} records  {iso(one.first_ns)} to {iso(one.last_ns)}"
            f"{_absent(one)}  {self.files.get(name, '')}"
            for name, one in self.channels.items()
        ]
        lines += [_words(one) for one in self.lost[:_LOST_SHOWN_MAX]]
        if len(self.lost) > _LOST_SHOWN_MAX:
            lines.append(f"and {len(self.lost) - _LOST_SHOWN_MAX} more gaps; --json lists them all")
        end = f"{self.records:,} records of {self.source}"
        return "\n".join([*lines, end if self.files else f"{end}: nothing was written"]) + "\n"


def _absent(channel: ChannelTally) -> str:
    return f"  ({channel.absent:,} numbers between are not here: delivered, or lost)" if channel.absent else ""


def _words(lost: Lost) -> str:
    how_many = "some" if lost.count is None else f"{lost.count:,}"
    numbers = f"from {lost.from_seq}" + ("" if lost.to_seq is None else f" to {lost.to_seq}")
    where = f", boot {_shown(lost.boot)}, {numbers}" if lost.boot else ""
    return f"lost: {how_many} of {_shown(lost.channel) or 'an unknown channel'} ({lost.cause}{where})"


def _shown(text: str) -> str:
    """Return a name out of a file that anything may have been done to, fit for a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)
