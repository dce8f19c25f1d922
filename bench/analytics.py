"""Bench: what judging one sample costs, beside the tutorial's way.

In: rows of 7, 50 and 500 elements     Out: CPU time per sample of all elements
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.report import Row, Section, medians, ratios
from bench.site import Site
from bench.timing import cpu_us_per_call
from edgetwin.analytics.alerts import AlertRule, Alerts
from edgetwin.analytics.frozen import Array
from edgetwin.analytics.methods import Method, Wish, build

TUTORIAL, ALONE, GATHERED = "tutorial", "row by row", "edgetwin"
GOALS = {7: ">= 50", 50: ">= 100", 500: ">= 1000"}
_METHOD = """\
The tutorial keeps a list of 100 values per element, appends, pops the first, and takes np.mean and np.std. edgetwin
gathers rows for half a second, 64 at most, and judges them together; the answers are those of row by row.
"""
_WINDOW, _SIGMAS = 100, 3.0
_GATHERED_ROWS = {7: 50, 50: 50, 500: 64}  # what half a second brings at 100 Hz, and 64 at 1 kHz
_ROWS = 12_800


def measure(site: Site) -> Section:
    """Measure the three ways in turn."""
    rows: list[Row] = []
    kept: dict[str, object] = {}
    for elements, goal in GOALS.items():
        values = np.random.default_rng(1).normal(size=(_ROWS, elements))
        rounds: dict[str, list[float]] = {TUTORIAL: [], ALONE: [], GATHERED: []}
        for _ in range(site.effort.repeats):
            rounds[TUTORIAL].append(_tutorial(values[: max(120, 20_000 // elements)]))
            rounds[ALONE].append(_edgetwin(values, 1))
            rounds[GATHERED].append(_edgetwin(values, _GATHERED_ROWS[elements]))
        title = f"robust_z, {elements} elements: CPU per sample"
        rows.append(medians(title, "us", rounds, lambda sample: sample))
        rows.append(ratios("tutorial / edgetwin", rounds, TUTORIAL, lambda sample: sample, goal))
        kept[title] = rounds
    return Section("analytics", "Anomaly detection: CPU per sample", rows, {k: [v] for k, v in kept.items()}, _METHOD)


def _edgetwin(values: Array, gathered: int) -> float:
    detector = build(Wish(Method.ROBUST_Z, warmup_s=1.0), values.shape[1])
    alerts = Alerts(AlertRule(), detector.usual)
    times_s = 0.005 * np.arange(len(values), dtype=np.float64)
    detector.judge(values[:6400], times_s[:6400])  # a minute of 100 Hz: past the warm-up, and known well
    blocks = [slice(start, start + gathered) for start in range(6400, len(values) - gathered, gathered)]

    def judge(block: slice) -> None:
        alerts.follow(detector.judge(values[block], times_s[block]), times_s[block], values[block])

    return cpu_us_per_call(judge, blocks[16:]) / gathered


def _tutorial(values: Array) -> float:
    windows: list[list[float]] = [list(values[:100, element]) for element in range(values.shape[1])]
    return cpu_us_per_call(_tutorial_step(windows), [list(row) for row in values])


def _tutorial_step(windows: list[list[float]]) -> Callable[[list[float]], list[bool]]:
    def step(sample: list[float]) -> list[bool]:
        found = []
        for window, value in zip(windows, sample, strict=True):
            window.append(value)
            if len(window) > _WINDOW:
                window.pop(0)
            found.append(bool(abs(value - np.mean(window)) > _SIGMAS * np.std(window)))
        return found

    return step
