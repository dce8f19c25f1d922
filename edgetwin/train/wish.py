"""Train: what the user asked for, checked.

In: the arguments of `edgetwin train`     Out: Wish, or every fault at once.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgetwin.analytics.features import Feature, parse, parse_all
from edgetwin.analytics.model_card import Running
from edgetwin.errors import Fault, RefusedError
from edgetwin.settings import Combine

ESTIMATORS = ("forest", "boosting", "logistic")
_S_PER_HOUR = 3600.0
_SOURCE = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True)
class Wish:
    """One training.

    Attributes:
        data: CSV files or folders of them; a .mcap, .db3 or rosbag2 with `config`.
        out: ONNX file to write.
        time: Column of the time; None: the usual names, else the first column.
        machine: Column that names the machine; None: the usual names, else each file is one.
        label: Column with 1 where the machine fails within the horizon.
        failure: Column with 1 in the row where the machine fails.
        failures: CSV that lists them: machine, time.
        run_to_failure: The last running row of each machine is its failure.
        sources: Source -> patterns of its columns; empty: every column of numbers is a source of its own name.
        combine: How several columns become one.
        features: To be used, all of them; empty: chosen by cross-validation.
        window_s, every_s, healthy_s: None: as the history suggests (see `settled`).
        estimators: To choose from.
    """

    data: tuple[Path, ...]
    out: Path
    time: str | None = None
    machine: str | None = None
    label: str | None = None
    failure: str | None = None
    failures: Path | None = None
    run_to_failure: bool = False
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    combine: Mapping[str, Combine] = field(default_factory=dict)
    features: tuple[Feature, ...] = ()
    estimators: tuple[str, ...] = ESTIMATORS
    horizon_s: float = 86_400.0
    window_s: float | None = None
    every_s: float | None = None
    healthy_s: float | None = None
    running: Running | None = None
    random_split: bool = False
    plot: Path | None = None
    as_json: bool = False
    config: Path | None = None
    prognosis: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `edgetwin train`."""
    add = parser.add_argument
    add("data", nargs="+", type=Path, metavar="DATA", help="CSV files or folders of them; or a bag, with --config")
    add("--out", required=True, type=Path, metavar="MODEL.onnx", help="where the model goes")
    add("--time", metavar="COLUMN", help="time: ISO 8601 or seconds (default: time, timestamp, ..., else the first)")
    add("--machine", metavar="COLUMN", help="names the machine (default: machine, robot_id, ..., else one per file)")
    add("--label", metavar="COLUMN", help="1 where the machine fails within the horizon (default: label or failure)")
    add("--failure", metavar="COLUMN", help="1 in the row in which the machine fails; the horizon before it is 1")
    add("--failures", type=Path, metavar="FILE.csv", help="list of failures, MACHINE,TIME in each line")
    add("--run-to-failure", action="store_true", help="the last running row of each machine is its failure")
    add("--source", action="append", default=[], metavar="NAME=COLUMN,...", help="columns of a source; * and ? match")
    add("--combine", action="append", default=[], metavar="NAME=HOW", help="several columns: mean (default), max, norm")
    add("--features", default="", metavar="A,B,...", help="exactly these, such as current.mean,ratio:vibration.rms")
    add("--estimator", choices=("auto", *ESTIMATORS), default="auto", help="default: chosen by cross-validation")
    add("--horizon-h", type=float, default=24.0, metavar="H", help="how far ahead (default: 24)")
    add("--window-s", type=float, default=None, metavar="S", help="length of a window (default: 60, at least 6 rows)")
    add("--every-s", type=float, default=None, metavar="S", help="from window to window (default: the window)")
    add(
        "--healthy-h",
        type=float,
        metavar="H",
        help="running time that is normal (default: 24, at most a tenth of a life)",
    )
    add("--running", default="", metavar="FEATURE>NUMBER", help="the machine runs where this holds; else no window")
    add("--random-split", action="store_true", help="score on rows drawn at random: it leaks, and the model says so")
    add("--plot", type=Path, metavar="FILE.png", help="draw the score over time")
    add("--json", action="store_true", help="print the report as JSON")
    add("--config", type=Path, metavar="FILE", help="settings with [prognosis.*]: what a bag's topics mean")
    add("--prognosis", metavar="NAME", help="which of them (default: the only one)")


def from_arguments(arguments: argparse.Namespace) -> Wish:
    """Return the wish.

    Raises:
        RefusedError: Every fault.
    """
    faults: list[Fault] = []
    numbers = {
        "horizon_s": ("--horizon-h", arguments.horizon_h * _S_PER_HOUR),
        "window_s": ("--window-s", arguments.window_s),
        "every_s": ("--every-s", arguments.every_s),
        "healthy_s": ("--healthy-h", None if arguments.healthy_h is None else arguments.healthy_h * _S_PER_HOUR),
    }
    for flag, value in numbers.values():
        if value is not None and not 0.0 < value < float("inf"):
            faults.append(Fault(flag, f"{value:g} is not above 0", "give a positive number"))
    told = [bool(arguments.label), bool(arguments.failure), bool(arguments.failures), arguments.run_to_failure]
    if sum(told) > 1:
        faults.append(
            Fault("train", "several of --label, --failure, --failures, --run-to-failure are given", "keep one")
        )
    features = _features(arguments.features, faults)
    combine = _combine(arguments.combine, faults)
    wish = Wish(
        data=tuple(arguments.data),
        out=arguments.out,
        time=arguments.time,
        machine=arguments.machine,
        label=arguments.label,
        failure=arguments.failure,
        failures=arguments.failures,
        run_to_failure=arguments.run_to_failure,
        sources=_sources(arguments.source, faults),
        combine=combine,
        features=features,
        estimators=ESTIMATORS if arguments.estimator == "auto" else (arguments.estimator,),
        horizon_s=arguments.horizon_h * _S_PER_HOUR,
        window_s=numbers["window_s"][1],
        every_s=numbers["every_s"][1],
        healthy_s=numbers["healthy_s"][1],
        running=_running(arguments.running, faults),
        random_split=arguments.random_split,
        plot=arguments.plot,
        as_json=arguments.json,
        config=arguments.config,
        prognosis=arguments.prognosis,
    )
    if faults:
        raise RefusedError(faults)
    return wish


def _features(text: str, faults: list[Fault]) -> tuple[Feature, ...]:
    if not text:
        return ()
    try:
        return parse_all([name.strip() for name in text.split(",")])
    except ValueError as error:
        faults.append(Fault("--features", str(error), "docs/model.md lists what there is"))
        return ()


def _sources(texts: Sequence[str], faults: list[Fault]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, _, columns = text.partition("=")
        if _SOURCE.fullmatch(name) is None or not columns or name == "runtime":
            cure = "write NAME=COLUMN, such as current=motor_current; NAME in small letters, and not runtime"
            faults.append(Fault("--source", f"{text!r} does not name a source and its columns", cure))
        found[name] = tuple(columns.split(","))
    return found


def _combine(texts: Sequence[str], faults: list[Fault]) -> dict[str, Combine]:
    found = {}
    for text in texts:
        name, _, how = text.partition("=")
        if how not in set(Combine):
            faults.append(Fault("--combine", f"{text!r} is not NAME=HOW", f"HOW is one of {', '.join(Combine)}"))
        else:
            found[name] = Combine(how)
    return found


def _running(text: str, faults: list[Fault]) -> Running | None:
    if not text:
        return None
    name, _, number = text.partition(">")
    try:
        feature, above = parse(name.strip()), float(number)
    except ValueError as error:
        faults.append(Fault("--running", f"{text!r}: {error}", "write it as FEATURE>NUMBER, such as current.mean>0.2"))
        return None
    if feature.is_ratio or above != above:  # noqa: PLR0124  # NaN
        faults.append(Fault("--running", f"{text!r} is a ratio or no number", "compare a level with a number"))
        return None
    return Running(feature, above)
