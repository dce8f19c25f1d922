"""Export: records as one MCAP file, through the format's own library.

In: entries     Out: bytes in a draft: what Foxglove, `mcap` and, for cdr channels, `ros2 bag` read.
A json channel becomes messages of the encoding `json`, which need no schema (and rosbags refuses a whole file for one
JSON schema in it); a cdr channel the ROS messages as they were, with their definition where the type is installed.
The log time is when a record was received, the publish time when it was measured. An MCAP channel is a channel of one
boot, which its metadata names; `sequence` is the record's `seq`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mcap.writer import Writer

from edgetwin import __version__, wire
from edgetwin.export.definition import definition
from edgetwin.export.entry import Entry, ExportError, Lost, Stream
from edgetwin.export.place import Draft, written

_SEQUENCES = 2**32
_TIMES = 2**64
_CHANNELS_MAX = 60_000  # the format numbers them with 16 bits
_CHUNK_BYTES = 1_048_576


class McapFile:
    """One MCAP file."""

    def __init__(self, target: Path, source: str, *, ros: bool) -> None:
        """Begin it.

        Args:
            target: What it will be called.
            source: What is exported, for the file's metadata.
            ros: There will be ROS messages in it: the file says so, or rosbags does not open it.

        Raises:
            RefusedError: Nothing can be written there.
        """
        self._undefined: dict[str, None] = {}
        self._target = target
        self._source = source
        self._draft = Draft(target.parent)
        self._channels: dict[tuple[str, str, bool], int] = {}
        self._schemas: dict[str, int] = {}
        self._out = Writer(self._draft.file, chunk_size=_CHUNK_BYTES)
        written(lambda: self._out.start("ros2" if ros else "", f"edgetwin {__version__}"), target)

    def add(self, entry: Entry) -> bool:
        """Add a record; return True: there is a place for every one.

        Raises:
            ExportError: The disk does not take it, or there are more boots and channels than the format has numbers.
        """
        as_cdr = isinstance(entry.content, bytes)
        key = entry.stream.name, entry.boot, as_cdr
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = self._channel(entry.stream, entry.boot, as_cdr=as_cdr)
        content = entry.content if as_cdr else wire.encode(entry.content)
        written(
            lambda: self._out.add_message(
                channel, _time(entry.recv_ns), content, _time(entry.stamp_ns), entry.seq % _SEQUENCES
            ),
            self._target,
        )
        return True

    def publish(self, lost: Sequence[Lost], *, force: bool) -> dict[str, Path]:
        """Finish it, with what is known to be lost, and give it its name; return channel -> file; none without records.

        Raises:
            RefusedError: There is something of that name already.
            ExportError: The disk does not take it.
        """
        if not self._channels:
            return {}
        written(lambda: self._finish(lost), self._target)
        self._draft.publish(self._target, force=force)
        return {name: self._target for name, _, _ in self._channels}

    def damage(self) -> Sequence[str]:
        """Return nothing: messages are not looked into."""
        return ()

    def remarks(self) -> Sequence[str]:
        """Return which messages stand there without a definition."""
        return [f"{name}: its definition is not installed; the messages are there without." for name in self._undefined]

    def close(self) -> None:
        """Let go of it; what was not published is gone."""
        self._draft.close()

    def _finish(self, lost: Sequence[Lost]) -> None:
        self._out.add_metadata("edgetwin", {"version": __version__, "source": self._source})
        if lost:
            named = {
                f"{number}": wire.encode(
                    {"channel": one.channel, "boot": one.boot, "from_seq": one.from_seq, "to_seq": one.to_seq,
                     "count": one.count, "cause": one.cause}
                ).decode()
                for number, one in enumerate(lost)
            }  # fmt: skip
            self._out.add_metadata("edgetwin.lost", named)
        self._out.finish()

    def _channel(self, stream: Stream, boot: str, *, as_cdr: bool) -> int:
        if len(self._channels) >= _CHANNELS_MAX:
            msg = f"{self._target}: more than {_CHANNELS_MAX} boots and channels; export less with --channel or --from"
            raise ExportError(msg)
        metadata = {"edgetwin_channel": stream.name, "edgetwin_boot": boot, "type": stream.type_name}
        schema = self._schema(stream.type_name) if as_cdr else 0
        if as_cdr and not schema:
            self._undefined[stream.type_name or stream.name] = None
        found: int = self._out.register_channel(stream.topic, "cdr" if as_cdr else "json", schema, metadata)
        return found

    def _schema(self, type_name: str) -> int:
        """Return the schema of a ROS type; 0 where its definition cannot be had."""
        if type_name not in self._schemas:
            text = definition(type_name) if type_name else ""
            found = self._out.register_schema(type_name, "ros2msg", text.encode()) if text else 0
            self._schemas[type_name] = found
        return self._schemas[type_name]


def _time(ns: int) -> int:
    return min(max(ns, 0), _TIMES - 1)
