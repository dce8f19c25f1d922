"""`edgetwin export`: what is stored or recorded, as CSV or MCAP.

In: arguments     Out: files, whole or none; a summary on stdout, remarks on stderr, an exit code.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

from edgetwin.clock import NS_PER_S, Clock, SystemClock
from edgetwin.errors import Fault, RefusedError
from edgetwin.export.csv_files import CsvFiles
from edgetwin.export.entry import Entry, Lost, Source
from edgetwin.export.options import Wish, add_arguments, from_arguments
from edgetwin.export.outbox import StoredRecords
from edgetwin.export.tally import Tally
from edgetwin.records import EventKind
from edgetwin.sim.recorded import RecordingError

__all__ = ["add_arguments", "main"]

_EXIT_INCOMPLETE = 1
_SHOW_EVERY_NS = NS_PER_S // 4
_LOOK_EVERY = 512  # records between two looks at the clock
_ERASE = "\r\x1b[K"


class _Sink(Protocol):
    """Where records go."""

    def add(self, entry: Entry) -> bool:
        """Add a record; return whether it has a place there."""
        ...

    def publish(self, lost: Sequence[Lost], *, force: bool) -> dict[str, Path]:
        """Finish the files and give them their names; return channel -> file."""
        ...

    def damage(self) -> Sequence[str]:
        """Return what could not be read."""
        ...

    def remarks(self) -> Sequence[str]:
        """Return what is not in the files."""
        ...

    def close(self) -> None:
        """Let go of what was not published."""
        ...


def main(arguments: argparse.Namespace, clock: Clock | None = None) -> int:
    """Export as the arguments say; return the exit code.

    0: all that was asked for; 1: all but what cannot be read, which is said.

    Raises:
        RefusedError: The arguments, the settings or the source cannot be used, or a file is there already.
        EdgeTwinError: The source cannot be read to its end, or the disk does not take the files: then there is none.
    """
    wish = from_arguments(arguments)
    if wish.audit:
        from edgetwin.export import decisions  # noqa: PLC0415  # nothing else needs it

        return decisions.run(wish)
    return run(wish, clock or SystemClock())


def run(wish: Wish, clock: Clock) -> int:
    """Export as wished, and say what came of it; return the exit code."""
    tally = Tally(str(wish.source))
    with closing(_source(wish)) as source, closing(_sink(wish)) as sink:
        screen = _Screen(clock)
        try:
            _copy(wish, source, sink, tally, screen)
        finally:
            screen.clear()
        tally.lost = source.lost()
        _refuse_unknown(wish, source)
        tally.damage += [*source.damage(), *sink.damage()]
        tally.remarks += [*source.remarks(), *sink.remarks()]
        tally.files = sink.publish(tally.lost, force=wish.force)
    for words in (*tally.damage, *tally.remarks):
        sys.stderr.write(f"{words}\n")
    sys.stdout.write(tally.as_json() + "\n" if wish.as_json else tally.as_text())
    return _EXIT_INCOMPLETE if tally.damage else 0


def _copy(wish: Wish, source: Source, sink: _Sink, tally: Tally, screen: _Screen) -> None:
    try:
        for entry in source.entries():
            if wish.since_ns <= entry.stamp_ns < wish.until_ns and sink.add(entry):
                tally.note(entry)
                screen.note()
    except RecordingError as error:
        tally.damage.append(str(error))  # what came before it is as it was recorded


def _refuse_unknown(wish: Wish, source: Source) -> None:
    """Refuse channels that are in no settings and in no record: a slip of the pen.

    Raises:
        RefusedError: One fault each.
    """
    seen = {*wish.known, *EventKind, *source.seen} - {""}
    cure = (
        f"there are {', '.join(sorted(source.seen | wish.known.keys() if source.seen else wish.known)) or 'no records'}"
    )
    faults = [Fault("--channel", f"there is no channel {name}", cure) for name in sorted(wish.channels - seen)]
    if faults:
        raise RefusedError(faults)


def _source(wish: Wish) -> Source:
    if wish.is_recording:
        from edgetwin.export.recording import RecordedMessages  # noqa: PLC0415  # needs ROS types and rosbags

        return RecordedMessages(wish.source, wish.mapping, wish.wants)
    return StoredRecords(wish.source, wish.known, wish.wants, dead_letters=wish.dead_letters)


def _sink(wish: Wish) -> _Sink:
    if wish.out.suffix == ".mcap" and not wish.out.is_dir():
        from edgetwin.export.mcap_file import McapFile  # noqa: PLC0415  # an extra

        return McapFile(wish.out, str(wish.source), ros=wish.holds_ros)
    return CsvFiles(wish.out, wish.array_max)


class _Screen:
    """One line on the terminal, four times a second; nothing where stderr is none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._show = sys.stderr.isatty()
        self._records = 0
        self._next_ns = clock.now_ns()

    def note(self) -> None:
        """Take notice of a record."""
        self._records += 1
        if not self._show or self._records % _LOOK_EVERY or self._clock.now_ns() < self._next_ns:
            return
        self._next_ns = self._clock.now_ns() + _SHOW_EVERY_NS
        sys.stderr.write(f"{_ERASE}{self._records:,} records")
        sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line."""
        if self._show:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
