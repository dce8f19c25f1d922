"""Export: the audit: every decision of the gate, and whether the chain of their hashes is whole.

In: the path of an outbox; the audit stands beside it     Out: JSON lines or CSV; a verdict.
The daemon may go on writing. A line of JSON is the very bytes of the entry with `,"hash":"..."` put before its last
brace: without that, and after the hash of the line before, its SHA-256 is that hash (store.audit says more).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from edgetwin import wire
from edgetwin.errors import Fault, RefusedError
from edgetwin.export.columns import Flattener
from edgetwin.export.csv_file import CsvFile
from edgetwin.export.entry import Entry, ExportError, Stream
from edgetwin.export.options import Wish
from edgetwin.export.place import Draft, written
from edgetwin.export.times import iso
from edgetwin.store import audit
from edgetwin.store.audit import Break, Line
from edgetwin.store.examination import broken_audit

_HEAD = ("time", "n", "kind", "hash")
_NS_PER_US = 1_000
_EXIT_BROKEN = 1


def run(wish: Wish) -> int:
    """Write the audit and say whether it verifies; return the exit code: 1 where it does not.

    Raises:
        RefusedError: There is none, or it may not be read, or the file is there already.
        ExportError: The disk does not take it.
    """
    try:
        if not audit.segments(wish.source):
            cure = "name the outbox that it lies beside; nothing is decided before the first command"
            raise RefusedError([Fault(f"{wish.source}.audit-*", "there is no audit", cure)])
        write = _write_csv if wish.out.suffix == ".csv" else _write_lines
        count = write(wish, _lines(wish.source))
        broken = broken_audit(wish.source)
    except FileNotFoundError as error:
        msg = f"{error.filename}: the daemon has just let its oldest segment go; export again"
        raise ExportError(msg) from error
    except PermissionError as error:
        cure = "run it as root, or as the daemon's user: sudo -u edgetwin edgetwin export"
        raise RefusedError([Fault(str(error.filename), "may not be read", cure)]) from error
    _say(wish, count, broken)
    return 0 if broken is None else _EXIT_BROKEN


def _lines(path: Path) -> Iterator[Line]:
    """Yield the lines of the audit, oldest first; memory holds a segment."""
    for number, segment in sorted(audit.segments(path).items()):
        yield from audit.lines(number, segment.read_bytes())


def _write_lines(wish: Wish, lines: Iterator[Line]) -> int:
    count = 0
    with closing(Draft(wish.out.parent)) as draft:
        for line in lines:
            if _within(wish, line.body):
                # What is no JSON any more is text, so that the file is JSON all the same.
                raw = line.raw if line.body else wire.encode({"unreadable": line.raw.decode("utf-8", "replace")})
                text = raw[:-1] + b',"hash":' + wire.encode(line.hash) + b"}\n"
                written(lambda text=text: draft.file.write(text), wish.out)  # type: ignore[misc]
                count += 1
        draft.publish(wish.out, force=wish.force)
    return count


def _write_csv(wish: Wish, lines: Iterator[Line]) -> int:
    flattener = Flattener(Stream("entry", ""), wish.array_max)
    with closing(CsvFile(wish.out.parent, _HEAD, wish.out)) as file:
        for line in lines:
            body = line.body
            if not _within(wish, body):
                continue
            stamp_ns = _stamp_ns(body)
            inner = body.get("entry", {key: value for key, value in body.items() if key not in _HEAD})
            cells = flattener.row(Entry(flattener.stream, "", 0, 0, 0, inner)) or {}
            time = "" if stamp_ns is None else iso(stamp_ns)
            file.add((time, body.get("n"), body.get("kind"), line.hash), cells)
        file.publish(wish.out, force=wish.force)
        return file.rows


def _within(wish: Wish, entry: Mapping[str, Any]) -> bool:
    """Whether an entry is of the wanted time; one that does not say is."""
    stamp_ns = _stamp_ns(entry)
    return stamp_ns is None or wish.since_ns <= stamp_ns < wish.until_ns


def _stamp_ns(entry: Mapping[str, Any]) -> int | None:
    inner = entry.get("entry")
    stamp_us = (inner if isinstance(inner, dict) else entry).get("stamp_us")
    return stamp_us * _NS_PER_US if isinstance(stamp_us, int) else None


def _say(wish: Wish, count: int, broken: Break | None) -> None:
    words = (
        "" if broken is None else f"{broken.segment or wish.source.name}, byte {broken.offset}, entry {broken.number}"
    )
    if wish.as_json:
        line: dict[str, Any] = {
            "source": str(wish.source), "files": [str(wish.out)], "entries": count, "verified": broken is None,
            "broken": None if broken is None else {"where": words, "what": broken.what},
        }  # fmt: skip
        sys.stdout.write(wire.encode(line).decode() + "\n")
        return
    sys.stdout.write(f"{count:,} entries in {wish.out}\n")
    if broken is None:
        sys.stdout.write("the chain verifies: every entry is as it was written\n")
    else:
        sys.stderr.write(f"{words}: {broken.what}; keep the files, they are evidence\n")
