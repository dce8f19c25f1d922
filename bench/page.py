"""Bench: the tables as a Markdown page.

In: sections     Out: a page that says on which machine, how it was measured, and the goals beside the figures.
"""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Sequence

from bench.report import Section, cells
from edgetwin import __version__

_HEAD = """\
# Bench

Written by `python -m bench --markdown FILE`.

edgetwin {version} on {cores} cores ({machine}), {system}, {python} {python_version}, SQLite {sqlite}.
The machine is a virtual one and shared: ratios between columns, which are measured in turn in one run, mean more than
absolute times. A figure is the median of its rounds; outages, kills and the drain have one round each. "-": does not
exist for this column. "inf": this column used nothing at all. A figure that misses its goal stays here all the same.
"""


def page(sections: Sequence[Section]) -> str:
    """Return the page."""
    head = _HEAD.format(
        version=__version__,
        cores=os.cpu_count(),
        machine=platform.machine(),
        system=platform.freedesktop_os_release()["PRETTY_NAME"],
        python=platform.python_implementation(),
        python_version=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
    )
    return "\n".join([head, *map(_section, sections)])


def _section(section: Section) -> str:
    header, *rows = cells(section)
    numbers = len(header) - 3
    table = [header, ["---", "---", *(["---:"] * numbers), "---"], *rows]
    lines = [f"| {' | '.join(cell.strip() for cell in row)} |" for row in table]
    return f"## {section.title}\n\n{section.method.strip()}\n\n" + "\n".join(lines) + "\n"
