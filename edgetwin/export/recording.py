"""Export: the messages of a recording: rosbag1, rosbag2, MCAP, or CSV with a mapping.

In: a path     Out: entries. Pure reading, through the readers of `replay` (sim.recordings).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgetwin.errors import Fault, MalformedMessageError, RefusedError, RosTypeError
from edgetwin.export.entry import Chosen, Entry, Lost, Stream
from edgetwin.ros import cdr
from edgetwin.ros.types import message_class
from edgetwin.sim.recorded import Topic
from edgetwin.sim.recordings import open_recording

_NAME_CHARS = 64


class RecordedMessages:
    """An open recording.

    Attributes:
        seen: Names and topics of what is in it, wanted or not.
    """

    def __init__(self, path: Path, mapping: Path | None, chosen: Chosen) -> None:
        """Open it.

        Args:
            path: What `sim.recordings.open_recording` reads.
            mapping: What the columns of a CSV mean.
            chosen: Which channels are wanted, by channel name or by topic.

        Raises:
            RefusedError: It cannot be read, or holds none of them.
        """
        self._path = path
        self._recording = open_recording(path, mapping)
        self._remarks = [
            f"{path}: {topic.name} is left out: {topic.obstacle}." for topic in self._recording.topics if topic.obstacle
        ]
        self.seen = {name for topic in self._recording.topics for name in (topic.name, channel_name(topic.name))}
        wanted = [topic for topic in self._recording.topics if chosen(topic.name) or chosen(channel_name(topic.name))]
        self._streams = {topic.name: _stream(topic) for topic in wanted if not topic.obstacle}
        if not self._streams:
            self._recording.close()
            known = ", ".join(topic.name for topic in self._recording.topics[:20]) or "no topics"
            raise RefusedError([Fault(str(path), "holds nothing of what is wanted", f"it has {known}")])

    def entries(self) -> Iterator[Entry]:
        """Yield the messages, in the order in which they were recorded."""
        stamps = {name: _stamp_reader(stream.type_name) for name, stream in self._streams.items()}
        counts = dict.fromkeys(self._streams, 0)
        for message in self._recording.messages(self._streams.keys()):
            seq = counts[message.topic]
            counts[message.topic] = seq + 1
            stamp_ns = stamps[message.topic](message.cdr) or message.stamp_ns
            yield Entry(self._streams[message.topic], "", seq, stamp_ns, message.stamp_ns, message.cdr)

    def lost(self) -> Sequence[Lost]:
        """Return nothing: a recording does not say what it lacks."""
        return ()

    def damage(self) -> Sequence[str]:
        """Return nothing: a recording that is damaged ends with an error."""
        return ()

    def remarks(self) -> Sequence[str]:
        """Return which topics are left out, a sentence each."""
        return self._remarks

    def close(self) -> None:
        """Release the files."""
        self._recording.close()


def channel_name(topic: str) -> str:
    """Return what a topic is called where a name without slashes is needed, as `backtest` calls it."""
    return topic.strip("/").replace("/", "_")[:_NAME_CHARS]


def _stream(topic: Topic) -> Stream:
    return Stream(channel_name(topic.name), topic.name, topic.type_name)


def _stamp_reader(type_name: str) -> Callable[[bytes], int]:
    """Return a reader of the header's stamp [ns]; 0 where there is none, or nobody knows the type."""
    try:
        read = cdr.stamp_reader(message_class(type_name))
    except RosTypeError:
        read = None
    if read is None:
        return lambda _: 0

    def stamp_ns(raw: bytes) -> int:
        try:
            return max(0, read(raw))
        except MalformedMessageError:
            return 0

    return stamp_ns
