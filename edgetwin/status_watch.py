"""Roof: `edgetwin status --watch`: what the running daemon says, again and again, until Ctrl-C.

In: status.json, once a second     Out: a page redrawn in place on a terminal; else page after page, or lines of JSON.
A daemon that is not there may come: it waits.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from typing import TextIO

import orjson

from edgetwin import status
from edgetwin.clock import Clock
from edgetwin.status_table import table

PERIOD_S = 1.0
_CLEAR = "\x1b[2J"
_HOME = "\x1b[H"
_END_OF_LINE = "\x1b[K\n"
_END_OF_PAGE = "\x1b[J"


def watch(environ: Mapping[str, str], out: TextIO, clock: Clock, *, as_json: bool) -> None:
    """Show until Ctrl-C.

    Raises:
        KeyboardInterrupt: That.
    """
    in_place = out.isatty() and not as_json
    if in_place:
        out.write(_CLEAR)
    while True:
        page = _json(environ) if as_json else _page(environ, clock)
        out.write(_drawn(page) if in_place else page)
        out.flush()
        time.sleep(PERIOD_S)


def _json(environ: Mapping[str, str]) -> str:
    """Return the newest figures on a line; nothing where no daemon is seen."""
    try:
        return orjson.dumps(status.read(status.find(environ))).decode() + "\n"
    except (OSError, ValueError):
        return ""


def _page(environ: Mapping[str, str], clock: Clock) -> str:
    directory = status.find(environ)
    try:
        figures = status.read(directory)
    except (OSError, ValueError) as error:
        return f"{status.unseen(directory, error)}; waiting for it\n\n"
    stamp_ns = clock.stamp_ns()
    silent_s = status.silence_s(figures, stamp_ns)
    note = f"{status.silent(silent_s)}\n" if silent_s > status.SILENT_S else ""
    return f"{note}{table(figures, stamp_ns)}\n"


def _drawn(page: str) -> str:
    """Return a page that covers the one before, cut to the terminal."""
    size = shutil.get_terminal_size()
    lines = [line[: size.columns] for line in page.splitlines()[: size.lines - 1]]
    return _HOME + "".join(line + _END_OF_LINE for line in lines) + _END_OF_PAGE
