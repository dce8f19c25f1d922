"""Twin wing: who looks at the reports: terminal, JSON lines, CSV, plot.

In: reports, one a second     Out: what was asked for
"""

from __future__ import annotations

import csv
from collections import deque
from pathlib import Path
from typing import IO, Any, TextIO

import orjson

from edgetwin.errors import Fault, RefusedError
from edgetwin.twin.mirror import Report
from edgetwin.twin.table import lines

_SAMPLES_MAX = 7200
_CLEAR = "\x1b[H\x1b[J"

Series = tuple[float, float | None, float | None, float | None]  # time [s], latency [ms], age [s], error [m]


class Looker:
    """Shows every report the ways that were asked for."""

    def __init__(self, out: TextIO, *, watch: bool, as_json: bool, csv_path: Path | None, plotted: bool) -> None:
        """Open what is written to; `plotted`: somebody wants the series at the end.

        Raises:
            RefusedError: The CSV cannot be written.
        """
        self._out = out
        self._watch = watch
        self._as_json = as_json
        self._plotted = plotted
        self._terminal = out.isatty()
        self._csv: IO[str] | None = None
        self._writer: Any = None
        self._began_us: int | None = None
        self.series: dict[str, deque[Series]] = {}
        if csv_path is not None:
            try:
                self._csv = csv_path.open("a", encoding="utf-8", newline="")
            except OSError as error:
                cure = "name a file that can be written"
                raise RefusedError([Fault("--csv", f"{csv_path}: {error.strerror}", cure)]) from error

    def look(self, report: Report) -> None:
        """Take one report."""
        if self._watch:
            text = "\n".join(lines(report))
            self._out.write(f"{_CLEAR}{text}\n" if self._terminal else f"{text}\n\n")
            self._out.flush()
        if self._as_json:
            self._out.write(orjson.dumps(report.as_json()).decode() + "\n")
            self._out.flush()
        if self._csv is not None:
            self._write_rows(report)
        if self._plotted:
            self._note(report)

    @property
    def wants_all(self) -> bool:
        """Whether every report is for somebody."""
        return self._watch or self._as_json or self._plotted or self._csv is not None

    def close(self) -> None:
        """Close the CSV."""
        if self._csv is not None:
            self._csv.close()

    def _write_rows(self, report: Report) -> None:
        rows = [{"linked": report.linked} | row for robot in report.robots for row in robot.rows()]
        if not rows or self._csv is None:
            return
        if self._writer is None:
            self._writer = csv.DictWriter(self._csv, list(rows[0]))
            if self._csv.tell() == 0:
                self._writer.writeheader()
        self._writer.writerows(rows)
        self._csv.flush()

    def _note(self, report: Report) -> None:
        if self._began_us is None:
            self._began_us = report.stamp_us
        at_s = (report.stamp_us - self._began_us) / 1e6
        for robot in report.robots:
            for channel in robot.channels:
                series = self.series.setdefault(f"{robot.robot_id}/{channel.channel}", deque(maxlen=_SAMPLES_MAX))
                series.append((at_s, channel.latency_p50_ms, channel.age_s, channel.position_error_m))
