"""Replay: rosbag1 files, rosbag2 folders, single .mcap and .db3 files, through PyPI `rosbags`.

In: a path     Out: Topic, Recorded.
Pure reading. ROS 1 messages become ROS 2 CDR (Header.seq is dropped), big endian becomes little
endian; everything else leaves as the bytes that were recorded, header stamps included.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rosbags.rosbag1
import rosbags.rosbag2
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from edgetwin.clock import seconds_to_ns
from edgetwin.errors import Fault, RefusedError
from edgetwin.sim.layouts import recorded_layout
from edgetwin.sim.recorded import CDR_HEADER, Layout, Recorded, RecordingError, Topic

_HEADER = "std_msgs/msg/Header"
_RENAMED = {"tf/msg/tfMessage": "tf2_msgs/msg/TFMessage"}  # ROS 1 name -> ROS 2 name, same fields
_IDL_RULE = "=" * 80 + "\n"


@dataclass(frozen=True, slots=True)
class _Stream:
    """One connection of the bag, ready to be read."""

    topic: Topic
    to_cdr: Callable[[bytes], bytes]


class BagRecording:
    """An open bag, as `sim.recorded.Recording` describes it."""

    def __init__(self, path: Path) -> None:
        """Open the bag.

        Raises:
            RefusedError: It is not there, damaged, or of a kind that rosbags does not read.
        """
        self._path = path
        self._ros1 = path.suffix == ".bag"
        try:
            self._reader: Any = rosbags.rosbag1.Reader(path) if self._ros1 else rosbags.rosbag2.Reader(path)
            self._reader.open()
        except Exception as error:  # rosbags lets every kind through when a file is damaged
            raise RefusedError([_unreadable(path, error)]) from error
        self._streams = {link.id: self._stream(link) for link in self._reader.connections if link.msgcount}

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The streams that hold messages, sorted by name; several publishers of one topic are one stream."""
        found = {(stream.topic.name, stream.topic.type_name): stream.topic for stream in self._streams.values()}
        return tuple(found[key] for key in sorted(found))

    def messages(
        self, topics: Collection[str], *, start_s: float = 0.0, duration_s: float | None = None
    ) -> Iterator[Recorded]:
        """Yield the messages of `topics` by log time (see `sim.recorded.Recording`)."""
        streams = {
            key: stream
            for key, stream in self._streams.items()
            if stream.topic.name in topics and not stream.topic.obstacle
        }
        links = [link for link in self._reader.connections if link.id in streams]
        if not links:  # to rosbags an empty choice means everything
            return
        start_ns = self._reader.start_time + seconds_to_ns(start_s)
        stop_ns = None if duration_s is None else start_ns + seconds_to_ns(duration_s)
        try:
            for link, stamp_ns, raw in self._reader.messages(links, start_ns, stop_ns):
                stream = streams[link.id]
                yield Recorded(stream.topic.name, stream.topic.type_name, stream.to_cdr(raw), stamp_ns)
        except RecordingError:
            raise
        except Exception as error:
            msg = f"{self._path}: damaged: {_words(error)}; play it up to here with --duration, or repair the file"
            raise RecordingError(msg) from error

    def close(self) -> None:
        """Release the files."""
        self._reader.close()

    def _stream(self, link: Any) -> _Stream:
        name = "/" + link.topic.lstrip("/")  # ROS 1 recorded relative names too
        type_name = _RENAMED.get(link.msgtype, link.msgtype)
        if self._ros1:
            try:
                store, layout = _types(link, drop_seq=True)
            except Exception as error:  # noqa: BLE001  # a definition that rosbags cannot parse: any kind
                return _Stream(Topic(name, type_name, obstacle=f"its ROS 1 type is broken: {_words(error)}"), bytes)
            topic = Topic(name, type_name, layout, 1 if link.ext.latching else 0)
            return _Stream(topic, lambda raw: bytes(store.ros1_to_cdr(raw, link.msgtype)))
        encoding = link.ext.serialization_format
        if encoding != "cdr":
            return _Stream(Topic(name, type_name, obstacle=f"its messages are {encoding}, not CDR"), bytes)
        try:
            store, layout = _types(link, drop_seq=False)
        except Exception:  # noqa: BLE001  # the bytes can be played without knowing their fields
            store, layout = None, None
        latched = [qos.depth for qos in link.ext.offered_qos_profiles if qos.durability.value == 1]
        topic = Topic(name, type_name, layout, max(1, *latched) if latched else 0)
        return _Stream(topic, lambda raw: _little_endian(raw, topic, store))


def _types(link: Any, *, drop_seq: bool) -> tuple[Any, Layout | None]:
    """Return a type store for one connection, and its layout; two topics may define one name differently."""
    store = get_typestore(Stores.EMPTY)
    definition = link.msgdef
    if definition.format == MessageDefinitionFormat.NONE:  # rosbag2 before Iron
        known = get_typestore(Stores.ROS2_HUMBLE)
        return (known, recorded_layout(known.fielddefs, link.msgtype)) if link.msgtype in known.types else (None, None)
    if definition.format == MessageDefinitionFormat.MSG:
        found = get_types_from_msg(definition.data, link.msgtype)
    else:
        parts = [part.partition("\n")[2] for part in definition.data.split(_IDL_RULE)[1:]] or [definition.data]
        found = {name: fields for part in parts for name, fields in get_types_from_idl(part).items()}
    if drop_seq and _HEADER in found:
        found[_HEADER] = get_typestore(Stores.ROS2_HUMBLE).fielddefs[_HEADER]
    store.register(found)
    return store, recorded_layout(store.fielddefs, link.msgtype)


def _little_endian(raw: bytes, topic: Topic, store: Any) -> bytes:
    """Return `raw` as little endian CDR with a plain header; the very same bytes where it is that already."""
    if raw[:4] == CDR_HEADER:
        return raw
    if raw[:2] == CDR_HEADER[:2]:
        return CDR_HEADER + raw[4:]  # options that nobody reads
    if raw[:2] == b"\x00\x00" and store is not None:
        message = store.deserialize_cdr(raw, topic.type_name)
        return bytes(store.serialize_cdr(message, topic.type_name, little_endian=True))
    why = (
        "is big endian and its fields are unknown" if raw[:2] == b"\x00\x00" else f"is not plain CDR ({raw[:4].hex()})"
    )
    msg = f"{topic.name}: a message {why}; leave the topic out with --topic"
    raise RecordingError(msg)


def _unreadable(path: Path, error: Exception) -> Fault:
    others = sorted(found.parent.name for found in path.parent.glob("*/metadata.yaml") if found.parent != path)
    if path.is_dir() and not (path / "metadata.yaml").exists():
        return Fault(
            str(path), "is a folder without metadata.yaml", "name the .mcap or .db3 in it, or give --mapping for CSV"
        )
    cure = (
        f"play the rosbag2 folder next to it ({', '.join(others)})"
        if others
        else "repair it (rosbag reindex, mcap recover) or convert it to rosbag2"
    )
    return Fault(str(path), f"rosbags cannot read it ({_words(error)})", cure)


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
