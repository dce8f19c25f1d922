"""`edgetwin backtest DATA`: what detectors and failure models would have said of a recording, sample by sample.

In: arguments     Out: lines or one line of JSON on stdout, remarks on stderr, perhaps a picture
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from edgetwin import config
from edgetwin.analytics.methods import Method
from edgetwin.backtest.bags import judge_bag
from edgetwin.backtest.feeding import Feed, feeds
from edgetwin.backtest.findings import Findings
from edgetwin.backtest.plan import Panel, configured_panels, default_panels, nothing_fits
from edgetwin.backtest.plot import Trace, draw, require
from edgetwin.backtest.table import Block, Table
from edgetwin.errors import Fault, RefusedError
from edgetwin.settings import Settings

_PLOT_ROWS = 256  # between two looks at what is usual


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("data", type=Path, metavar="DATA", help="CSV with a time column, .mcap, .db3, .bag or rosbag2")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="judge by its [anomaly.*] and [prognosis.*] (default: by the columns)",
    )
    parser.add_argument("--method", type=Method, metavar="NAME", help=f"use this one: {', '.join(Method)}")
    parser.add_argument("--time", metavar="COLUMN", help="column of the time, ISO 8601 or seconds (default: the first)")
    parser.add_argument("--label", metavar="COLUMN", help="column that is not 0 where something was wrong: score by it")
    parser.add_argument(
        "--score-from",
        type=_row,
        default=0,
        metavar="ROW",
        help="rows before it teach, and are not scored (default: 0)",
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.add_argument("--rows", action="store_true", help="with --json: add row_alarm, 0 or 1 per row")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw signal, usual band, alerts and probability")


def main(arguments: argparse.Namespace) -> int:
    """Run the command; return its exit code.

    Raises:
        RefusedError: The recording, the settings, the method or a model cannot be used.
    """
    if arguments.plot is not None:
        require()
    settings = None
    if arguments.config is not None:
        settings = config.load(arguments.config, os.environ).settings
        if not settings.anomaly and not settings.prognosis:
            cure = "add one, or leave --config out"
            raise RefusedError([Fault(arguments.config.name, "has no [anomaly.NAME] and no [prognosis.NAME]", cure)])
    if arguments.data.suffix != ".csv":
        draw_too = arguments.plot is not None
        findings, traces = judge_bag(arguments.data, settings, arguments.method, draw_too=draw_too)
    else:
        findings, traces = _judge_csv(arguments, settings)
    if arguments.plot is not None:
        draw(arguments.plot, traces, findings.periods, findings.rehearsals)
    text = (
        findings.as_json(rows=arguments.rows, first_row=arguments.score_from) + "\n"
        if arguments.json
        else findings.as_text(arguments.score_from)
    )
    sys.stdout.write(text)
    return 0


def judge_table(
    table: Table, panels: Sequence[Panel], fed: Sequence[Feed] = (), *, draw_too: bool = False
) -> tuple[Findings, list[Trace]]:
    """Let detectors and models judge a table, in file order; return what was found, and what can be drawn."""
    findings = Findings(table.iso, rehearsals=[one.rehearsal for one in fed], watched=bool(panels))
    traces = [Trace(name) for name in table.channels] if draw_too else []
    heard = {place for one in fed for _, places, _ in one.columns for place in places}
    plain = heard - {column for panel in panels for column in panel.columns}
    for block in table.blocks():
        for part in _parts(block, _PLOT_ROWS) if draw_too else [block]:
            _judge(part, panels, findings, traces)
        for one in fed:
            one.take(block)
        for column in plain if draw_too else ():
            traces[column].add(block.times_s, block.values[:, column], None, 0)
    for panel in panels:
        for alert in panel.alerts.close():
            findings.hear(panel.name, panel.detector.name(alert.index, panel.labels), alert)
    findings.periods.sort(key=lambda one: one.start_s)
    return findings, traces


def _judge_csv(arguments: argparse.Namespace, settings: Settings | None) -> tuple[Findings, list[Trace]]:
    table = Table(arguments.data, time=arguments.time, label=arguments.label)
    fed: list[Feed] = []
    if settings is None:
        panels = default_panels(table.channels, arguments.method)
    else:
        panels = configured_panels(table.channels, settings.anomaly, arguments.method)
        fed = feeds(table.channels, settings)
        if not panels and not fed:
            raise nothing_fits(table.channels)
    for name in table.left_out:
        sys.stderr.write(f"Column {name} is a label by its name, and was not judged.\n")
    return judge_table(table, panels, fed, draw_too=arguments.plot is not None)


def _judge(block: Block, panels: Sequence[Panel], findings: Findings, traces: list[Trace]) -> None:
    verdicts = []
    for panel in panels:
        values = block.values[:, panel.columns]
        said = panel.detector.judge(values, block.times_s)
        verdicts.append(said)
        for alert in panel.alerts.follow(said, block.times_s, values):
            findings.hear(panel.name, panel.detector.name(alert.index, panel.labels), alert)
        if traces:
            for index, column in enumerate(panel.columns):
                traces[column].add(block.times_s, values[:, index], panel.detector, index)
    findings.add(verdicts, block.times_s, block.labels)


def _parts(block: Block, rows: int) -> list[Block]:
    return [
        Block(
            block.times_s[start : start + rows],
            block.values[start : start + rows],
            None if block.labels is None else block.labels[start : start + rows],
        )
        for start in range(0, len(block.times_s), rows)
    ]


def _row(text: str) -> int:
    value = int(text)
    if value < 0:
        msg = f"{text!r} is not the number of a row"
        raise argparse.ArgumentTypeError(msg)
    return value
