"""Floor: the wire format. The only place that knows topic names, envelopes and encodings.

In: plain values, records     Out: topic names, payload bytes, and the way back.
Pure: no I/O, no clock. The twin side imports this too.

A record of a `json` channel is encoded once, when it is numbered; everything after that (live,
batch, disk, backlog) joins those same bytes. A record of a `cdr` channel travels alone with its
envelope in MQTT user properties; in a batch its CDR is base64 in `data` and `encoding` says so.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import zstandard

from edgetwin.motion import Answer, Reason, State, Verb, Verdict
from edgetwin.records import ChannelClass, Encoding, EventKind, Gap, Lane, LinkState, Record

VERSION = 1
CONTENT_ENCODING = "content-encoding"
IDENTITY = "identity"
ZSTD = "zstd"
JSON_CONTENT_TYPE = "application/json"
CDR_CONTENT_TYPE = "application/cdr"
DEFAULT_PREFIX = "robot"

_ENCODE_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
_ZSTD_LEVEL = 1
_NUMBERS_BYTES = 96  # seq, stamps and keys of a standalone cdr record
_TOPIC_MAX = 512  # characters of a Response Topic
_DECOMPRESSED_MAX_BYTES = 64 * 1024 * 1024  # a hostile frame may claim terabytes


def encode(value: Any) -> bytes:  # any JSON value
    """Return `value` as UTF-8 JSON; NaN and infinities become null, floats keep every bit."""
    return orjson.dumps(value, option=_ENCODE_OPTIONS)


def command_topic(root: str, verb: Verb) -> str:
    """Return the topic of one command below a robot's root."""
    return f"{root}/commands/{verb}"


class Topics:
    """Topic names of one robot: `<prefix>/<robot_id>/...`."""

    def __init__(self, robot_id: str, prefix: str = DEFAULT_PREFIX) -> None:
        self.root = f"{prefix}/{robot_id}"
        self.status = f"{self.root}/status"
        self.acks = f"{self.root}/acks"
        self.channels = f"{self.root}/channels"
        self.responses_root = f"{self.root}/responses"

    def command(self, verb: Verb) -> str:
        """Topic of one command: exact, there is nothing above it nor below it."""
        return command_topic(self.root, verb)

    def may_respond_to(self, topic: str) -> bool:
        """Whether a Response Topic lies where the robot answers; elsewhere, a sender could make it publish anything."""
        below = topic.removeprefix(f"{self.responses_root}/")
        return (
            below not in {"", topic} and len(topic) <= _TOPIC_MAX and below.isprintable() and not set(below) & set("+#")
        )

    def telemetry(self, channel: str) -> str:
        """Topic of a channel's live lane."""
        return f"{self.root}/telemetry/{channel}"

    def backlog(self, channel: str) -> str:
        """Topic of a channel's backlog lane."""
        return f"{self.root}/backlog/{channel}"

    def events(self, kind: str) -> str:
        """Topic of one kind of event (an EventKind, or what a newer version kept)."""
        return f"{self.root}/events/{kind}"

    def channel_lane(self, name: str, channel_class: ChannelClass, encoding: Encoding, qos: int) -> Lane:
        """Return the lane of a telemetry channel."""
        return Lane(name, self.telemetry(name), self.backlog(name), channel_class, encoding, qos)

    def event_lane(self, kind: EventKind) -> Lane:
        """Return the lane of one kind of event: live and late records share its topic."""
        topic = self.events(kind)
        return Lane(str(kind), topic, topic, ChannelClass.EVENT)


class Numbering:
    """Numbers the records of one (boot, lane) from 0 without holes, and writes their envelope."""

    def __init__(self, robot_id: str, boot: str, lane: Lane) -> None:
        self.lane = lane
        self.next_seq = 0
        head = {"v": VERSION, "robot_id": robot_id, "boot": boot, "channel": lane.name}
        self._head = encode(head)[:-1] + b',"seq":'
        self._fixed_properties = (("v", str(VERSION)), ("robot_id", robot_id), ("boot", boot), ("channel", lane.name))

    def number(self, data: bytes, *, stamp_us: int, recv_us: int, now_ns: int) -> Record:
        """Return the next record; `data` is the JSON of the data field, or raw CDR on a cdr lane."""
        seq = self.next_seq
        self.next_seq = seq + 1
        if self.lane.encoding is Encoding.JSON:
            data = b'%b%d,"stamp_us":%d,"recv_us":%d,"data":%b}' % (self._head, seq, stamp_us, recv_us, data)
            return Record(self.lane, seq, stamp_us, recv_us, data, len(data), now_ns)
        size = len(self._head) + _NUMBERS_BYTES + len(data) * 4 // 3  # as it is kept, and batched
        return Record(self.lane, seq, stamp_us, recv_us, data, size, now_ns)

    def properties(self, record: Record) -> tuple[tuple[str, str], ...]:
        """Return the envelope of a cdr record as MQTT user properties."""
        return (
            *self._fixed_properties,
            ("seq", str(record.seq)),
            ("stamp_us", str(record.stamp_us)),
            ("recv_us", str(record.recv_us)),
        )

    def standalone(self, record: Record) -> bytes:
        """Return the record as one JSON value, fit for a batch or a file: what an outbox keeps."""
        if self.lane.encoding is Encoding.JSON:
            return record.body
        data = base64.b64encode(record.body)
        return b'%b%d,"stamp_us":%d,"recv_us":%d,"encoding":"cdr","data":"%b"}' % (
            self._head, record.seq, record.stamp_us, record.recv_us, data,
        )  # fmt: skip


def batch(robot_id: str, records: Iterable[bytes]) -> bytes:
    """Return the payload that carries several standalone records."""
    head = encode({"v": VERSION, "robot_id": robot_id})[:-1]
    return head + b',"records":[' + b",".join(records) + b"]}"


def seq_of(record: bytes) -> int:
    """Return the number of a standalone record of ours, without decoding it.

    Raises:
        ValueError: Not a record of ours.
    """
    start = record.index(b',"seq":') + 7
    return int(record[start : record.index(b",", start)])


def gap(gap: Gap) -> bytes:
    """Return the data of a gap event."""
    return encode(
        {
            "channel": gap.lane,
            "boot": gap.boot,
            "from_seq": gap.from_seq,
            "to_seq": gap.to_seq,
            "count": gap.count,
            "cause": str(gap.cause),
        }
    )


def mark_late(event: bytes) -> bytes:
    """Return an event record with `"late": true`: it waited for a link."""
    return event[:-1] + b',"late":true}'


def compress(payload: bytes) -> tuple[bytes, str]:
    """Return (payload, content encoding): zstd where it makes a batch smaller, else untouched."""
    packed = zstandard.compress(payload, _ZSTD_LEVEL)
    return (packed, ZSTD) if len(packed) < len(payload) else (payload, IDENTITY)


def seal(payload: bytes) -> bytes:
    """Return `payload` as a zstd frame with a checksum: damage shows when it is opened."""
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compress(payload)


def decompress(payload: bytes, content_encoding: str = ZSTD) -> bytes:
    """Undo `compress`.

    Raises:
        ValueError: Unknown encoding, a broken frame, or one that claims more than 64 MiB.
    """
    if content_encoding == IDENTITY:
        return payload
    if content_encoding != ZSTD:
        msg = f"content-encoding {content_encoding!r} is neither {IDENTITY!r} nor {ZSTD!r}"
        raise ValueError(msg)
    try:
        size = zstandard.frame_content_size(payload)
        if not 0 <= size <= _DECOMPRESSED_MAX_BYTES:
            msg = f"zstd frame declares {size} bytes, {_DECOMPRESSED_MAX_BYTES} are allowed"
            raise ValueError(msg)
        return zstandard.decompress(payload)
    except zstandard.ZstdError as error:
        msg = f"broken zstd frame: {error}"
        raise ValueError(msg) from error


def decode(payload: bytes, properties: Sequence[tuple[str, str]] = ()) -> list[dict[str, Any]]:
    """Return the records of one telemetry, backlog or event message, as dicts.

    A cdr record comes back with `data` as bytes, alone or out of a batch.

    Args:
        payload: As received.
        properties: MQTT user properties of the message.

    Raises:
        ValueError: Not a message of this format.
    """
    try:
        envelope = dict(properties)
        return _decode_cdr(payload, envelope) if "seq" in envelope else _decode_json(payload, envelope)
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"not a message of this format: {error!r}"
        raise ValueError(msg) from error


def _decode_cdr(payload: bytes, envelope: dict[str, str]) -> list[dict[str, Any]]:
    record: dict[str, Any] = {key: envelope[key] for key in ("robot_id", "boot", "channel")}
    numbers = {key: int(envelope[key]) for key in ("v", "seq", "stamp_us", "recv_us")}
    if numbers["v"] != VERSION:
        msg = f"an envelope of version {numbers['v']}, not {VERSION}"
        raise ValueError(msg)
    return [record | numbers | {"encoding": Encoding.CDR.value, "data": payload}]


def _decode_json(payload: bytes, envelope: dict[str, str]) -> list[dict[str, Any]]:
    value = orjson.loads(decompress(payload, envelope.get(CONTENT_ENCODING, IDENTITY)))
    if not isinstance(value, dict) or value.get("v") != VERSION:
        msg = f"not a version {VERSION} envelope"
        raise ValueError(msg)
    records: list[dict[str, Any]] = value.get("records", [value])
    for record in records:
        if record.get("encoding") == Encoding.CDR:
            record["data"] = base64.b64decode(record["data"], validate=True)
    return records


def status(robot_id: str, boot: str, state: LinkState, *, version: str, stamp_us: int, **figures: object) -> bytes:
    """Return the payload of the retained status topic (birth, heartbeat, will, farewell)."""
    head = {"v": VERSION, "robot_id": robot_id, "boot": boot, "state": str(state), "version": version}
    return encode(head | {"stamp_us": stamp_us} | figures)


def ack(
    robot_id: str,
    id: str,  # noqa: A002  # the word of the wire
    command: Verb | None,
    answer: Answer,
    state: State,
    stamp_us: int,
    extra: Mapping[str, object] | None = None,
) -> bytes:
    """Return the final ack of one command.

    Args:
        robot_id: Ours.
        id: The sender's; empty where none could be read.
        command: Its verb; None for a topic that is not ours.
        answer: What became of it.
        state: Of the gate, now.
        stamp_us: Now, wall clock UTC [us].
        extra: Keys of this command alone (epoch, robot_ms, ...); they replace none of the others.
    """
    applied = answer.applied
    keys: dict[str, object] = {
        "v": VERSION,
        "robot_id": robot_id,
        "id": id,
        "command": "" if command is None else str(command),
        "verdict": str(answer.verdict),
        "code": str(answer.code),
        "detail": answer.detail,
        "linear": None if applied is None else applied.linear_mps,
        "angular": None if applied is None else applied.angular_radps,
        "state": str(state),
        "stop_id": answer.stop_id,
        "stamp_us": stamp_us,
        "reasons": [str(reason) for reason in answer.reasons],
    }
    if answer.nonce:
        keys["nonce"] = answer.nonce
    return encode({**(extra or {}), **keys})


def repeated_ack(ack: bytes) -> bytes:
    """Return the ack of a command that came again: the first one, re-worded as DUPLICATE, with its first words beside.

    Raises:
        ValueError: `ack` is none of ours.
    """
    keys = orjson.loads(ack)
    if not isinstance(keys, dict) or not {"verdict", "code"} <= keys.keys():
        msg = "not an ack"
        raise ValueError(msg)
    first = {"first_verdict": keys["verdict"], "first_code": keys["code"]}
    return encode(keys | {"verdict": str(Verdict.DUPLICATE), "code": str(Reason.DUPLICATE)} | first)
