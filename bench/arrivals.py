"""Bench: what the tap kept, held against what the robot sent.

In: both logs     Out: arrivals; per message sent how often and when it came.
A message is known by (channel, stamp): no peer has to number anything to be judged.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from bench.sent import read_sent
from bench.tap import HEAD
from edgetwin import wire
from edgetwin.clock import NS_PER_S, NS_PER_US

Identity: TypeAlias = tuple[str, int]  # channel, stamp [us, UTC]

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_QOS_BITS = 0x06
_DATA_LANES = ("telemetry", "backlog")
_EDGETWIN_STAMP: Final = re.compile(rb'"stamp_us":(\d+)')
_ROS_STAMP: Final = re.compile(rb'"sec": (\d+), "nanosec": (\d+)')


@dataclass(frozen=True, slots=True)
class Arrival:
    """One PUBLISH of a channel, decompressed. `lane` is telemetry or backlog."""

    arrival_us: int
    lane: str
    channel: str
    payload: bytes
    wire_bytes: int

    def stamps_us(self) -> list[int]:
        """Return the stamps of the messages in it, found without decoding."""
        stamps = [int(found) for found in _EDGETWIN_STAMP.findall(self.payload)]
        if stamps:
            return stamps
        return [(int(sec) * NS_PER_S + int(rest)) // NS_PER_US for sec, rest in _ROS_STAMP.findall(self.payload)]


@dataclass(frozen=True, slots=True)
class Journey:
    """What became of the messages sent.

    Attributes:
        sent_us: When each was published.
        arrived_us: When each came first; absent where it never did.
        repeats: Arrivals of messages that had already come.
    """

    sent_us: dict[Identity, int]
    arrived_us: dict[Identity, int] = field(default_factory=dict)
    repeats: int = 0

    def within(self, begin_us: int, end_us: int) -> list[Identity]:
        """Return the messages published in a window."""
        return [identity for identity, sent_us in self.sent_us.items() if begin_us <= sent_us < end_us]

    def since_heard(self) -> list[Identity]:
        """Return the messages since the first arrival of their channel: what nobody listened to is no loss."""
        heard_us: dict[str, int] = {}
        for channel, stamp_us in sorted(self.arrived_us, key=lambda identity: identity[1]):
            heard_us.setdefault(channel, stamp_us)
        return [(channel, stamp_us) for channel, stamp_us in self.sent_us if stamp_us >= heard_us.get(channel, 0)]

    def lost(self, chosen: Iterable[Identity]) -> int:
        """Return how many of them never came."""
        return sum(identity not in self.arrived_us for identity in chosen)

    def latencies_ms(self, chosen: Iterable[Identity]) -> list[float]:
        """Return how long those that came were under way."""
        arrived = self.arrived_us
        return [(arrived[each] - self.sent_us[each]) / 1000 for each in chosen if each in arrived]


def read_tap(path: Path, channels: Collection[str] | None = None) -> tuple[list[Arrival], int | None]:
    """Return the arrivals of channels (all, or those named) in order, and when the first status came [us, UTC]."""
    arrivals: list[Arrival] = []
    first_status_us: int | None = None
    for arrival_ns, body in _packets(path.read_bytes()):
        end = 3 + int.from_bytes(body[1:3], "big")
        levels = body[3:end].decode().split("/")
        if levels[-1] == "status" and first_status_us is None:
            first_status_us = arrival_ns // NS_PER_US
        if levels[-2] not in _DATA_LANES or (channels is not None and levels[-1] not in channels):
            continue
        place = end + (2 if body[0] & _QOS_BITS else 0)
        payload = body[_after_properties(body, place) :]
        plain = wire.decompress(payload) if payload.startswith(_ZSTD_MAGIC) else payload
        arrivals.append(Arrival(arrival_ns // NS_PER_US, levels[-2], levels[-1], plain, len(body)))
    return arrivals, first_status_us


def follow(sent_folder: Path, arrivals: Sequence[Arrival]) -> Journey:
    """Return what became of every message that the robot sent."""
    sent_us = read_sent(sent_folder)
    arrived_us: dict[Identity, int] = {}
    repeats = 0
    for arrival in arrivals:
        for stamp_us in arrival.stamps_us():
            identity = (arrival.channel, stamp_us)
            repeats += identity in arrived_us
            arrived_us.setdefault(identity, arrival.arrival_us)
    return Journey(sent_us, arrived_us, repeats)


def reordered(arrivals: Sequence[Arrival]) -> int:
    """Return how many messages came, for the first time, after a newer one of the same topic."""
    newest_us: dict[tuple[str, str], int] = {}
    seen: set[Identity] = set()
    late = 0
    for arrival in arrivals:
        topic = (arrival.lane, arrival.channel)
        for stamp_us in arrival.stamps_us():
            if (arrival.channel, stamp_us) in seen:
                continue
            seen.add((arrival.channel, stamp_us))
            late += stamp_us < newest_us.get(topic, 0)
            newest_us[topic] = max(stamp_us, newest_us.get(topic, 0))
    return late


def payload_bytes(arrivals: Sequence[Arrival], begin_us: int, end_us: int) -> float:
    """Return the bytes of the messages measured in a window, uncompressed."""
    total = 0.0
    for arrival in arrivals:
        stamps_us = arrival.stamps_us()
        inside = sum(begin_us <= stamp_us < end_us for stamp_us in stamps_us)
        total += len(arrival.payload) * inside / max(1, len(stamps_us))
    return total


def _packets(log: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(log):
        arrival_ns, length = HEAD.unpack_from(log, place)
        place += HEAD.size
        yield arrival_ns, log[place : place + length]
        place += length


def _after_properties(body: bytes, place: int) -> int:
    length = shift = 0
    while True:
        byte = body[place]
        length |= (byte & 127) << shift
        shift, place = shift + 7, place + 1
        if byte < 128:  # noqa: PLR2004  # the last byte of the length
            return place + length
