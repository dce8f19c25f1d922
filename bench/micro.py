"""Bench: the pieces, without processes or sockets.

In: messages, records     Out: CPU time per message of each piece, beside what the tutorial spends there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from rclpy.serialization import deserialize_message

from bench.report import Rounds, Row, Section, medians, ratios
from bench.site import Site
from bench.streams import REFERENCE, Stream, serialised, set_stamp
from bench.timing import cpu_us_per_call
from bench.tutorial import to_dict
from edgetwin import wire
from edgetwin.clock import SystemClock
from edgetwin.pipeline import Pipeline
from edgetwin.records import ChannelClass, Lane
from edgetwin.ros import cdr
from edgetwin.ros.types import message_class
from edgetwin.settings import Channel
from edgetwin.uplink import packets

TUTORIAL, EDGETWIN = "tutorial", "edgetwin"
_METHOD = """\
Each piece runs in this process over the same serialised messages, the two ways in turn; CPU time of the thread.
Serialised messages differ from one another as a real robot's do, so that no cache and no compression is flattered.
"""
_MESSAGES = 256


@dataclass(frozen=True, slots=True)
class _Piece:
    """One piece of work, by either way; None where a way has no such thing. Each runs over all messages."""

    figure: str
    edgetwin: Callable[[], float]
    tutorial: Callable[[], float] | None = None


def measure(site: Site) -> Section:
    """Measure every piece, the two ways in turn."""
    pieces = [_encoding(stream) for stream in REFERENCE]
    pieces += [_held_back(REFERENCE[0]), _publishing(REFERENCE[2])]
    rows: list[Row] = []
    kept: dict[str, Sequence[object]] = {}
    for piece in pieces:
        rounds: dict[str, list[float]] = {}
        for _ in range(site.effort.repeats):
            if piece.tutorial is not None:
                rounds.setdefault(TUTORIAL, []).append(piece.tutorial())
            rounds.setdefault(EDGETWIN, []).append(piece.edgetwin())
        rows += _rows(piece.figure, rounds)
        kept[piece.figure] = [rounds]
    return Section("micro", "Pieces: CPU per message", rows, kept, _METHOD)


def _rows(figure: str, rounds: Rounds[float]) -> list[Row]:
    rows = [medians(figure, "us", rounds, float)]
    if TUTORIAL in rounds:
        rows.append(ratios("  tutorial / edgetwin", rounds, TUTORIAL, float))
    return rows


def _messages(stream: Stream) -> list[bytes]:
    messages = serialised(stream.type_name, _MESSAGES)
    for turn, message in enumerate(messages):
        set_stamp(message, 1_700_000_000_000_000 + turn * stream.period_us)
    return [bytes(message) for message in messages]


def _encoding(stream: Stream) -> _Piece:
    """CDR to JSON, the whole message."""
    cls, messages = message_class(stream.type_name), _messages(stream)
    decode = cdr.dict_decoder(cls)
    name = stream.type_name.rsplit("/", 1)[-1]
    return _Piece(
        f"{name}: CDR to JSON",
        partial(cpu_us_per_call, lambda raw: wire.encode(decode(raw)), messages),
        partial(cpu_us_per_call, lambda raw: json.dumps(to_dict(deserialize_message(raw, cls))), messages),
    )


def _held_back(stream: Stream) -> _Piece:
    """A message that the deadband holds back; a tutorial's callback has a whole message before it can decide."""
    settings = Channel.model_validate(
        {
            "topic": stream.topic,
            "type": stream.type_name,
            "class": "critical",
            "rate_hz_max": 1000.0,
            "heartbeat_s": 3600.0,
            "deadband": {"position_m": 1000.0, "angle_rad": 7.0},
        }
    )
    lane = Lane("odom", "live", "backlog", ChannelClass.CRITICAL)
    left: list[object] = []
    pipeline = Pipeline(settings, wire.Numbering("bench", "boot", lane), left.append, SystemClock())
    cls, messages = message_class(stream.type_name), _messages(stream)
    now_ns = iter(range(0, 1 << 62, stream.period_us * 1000))
    return _Piece(
        "Odometry held back by a deadband",
        partial(cpu_us_per_call, lambda raw: pipeline.take(raw, 1, next(now_ns)), messages),
        partial(cpu_us_per_call, lambda raw: deserialize_message(raw, cls), messages),
    )


def _publishing(stream: Stream) -> _Piece:
    """A record into a PUBLISH packet, and its PUBACK out of the stream."""
    cls = message_class(stream.type_name)
    decode = cdr.dict_decoder(cls)
    payloads = [wire.encode(decode(raw)) for raw in _messages(stream)]
    topic, properties = (
        packets.utf8_string("robot/bench/telemetry/imu"),
        packets.publish_properties(wire.JSON_CONTENT_TYPE),
    )
    deframer = packets.Deframer()

    def there_and_back(payload: bytes) -> None:
        packets.publish(topic, payload, 7, qos=1, retain=False, properties=properties)
        deframer.feed(b"\x40\x02\x00\x07")

    return _Piece("PUBLISH and PUBACK of a record", partial(cpu_us_per_call, there_and_back, payloads))
