"""Backtest: signal, usual band and alerts, and the probability of models, as a picture.

In: what detectors and models said, row by row     Out: a PNG file
matplotlib comes with edgetwin[train]. A recording of any length becomes at most 4,000 points per line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edgetwin.analytics.detector import Detector
from edgetwin.analytics.frozen import Array
from edgetwin.analytics.levels import RobustZ
from edgetwin.backtest.findings import Period
from edgetwin.backtest.rehearsal import Foretold, Rehearsal
from edgetwin.errors import Fault, RefusedError

_POINTS_MAX = 4000
_PANES_MAX = 16
_BAND_SIGMAS = 3.0


def require() -> None:
    """Make sure that a picture can be drawn.

    Raises:
        RefusedError: matplotlib is missing.
    """
    if find_spec("matplotlib") is None:
        cure = "install it with: pip install 'edgetwin[train]'"
        raise RefusedError([Fault("--plot", "the Python package matplotlib is not installed", cure)])


@dataclass(slots=True)
class Trace:
    """One channel, as it will be drawn.

    Attributes:
        name: Of the channel.
        times: Blocks of times [s].
        values: Blocks of values.
        bands: Per block (time [s], mean, standard deviation) of what was usual; NaN where nothing was.
    """

    name: str
    times: list[Array] = field(default_factory=list)
    values: list[Array] = field(default_factory=list)
    bands: list[tuple[float, float, float]] = field(default_factory=list)

    def add(self, times_s: Array, values: Array, detector: Detector | None, index: int) -> None:
        """Take some rows in, after they were judged as element `index`; None: no detector judges them."""
        self.times.append(times_s)
        self.values.append(values)
        band = (np.nan, np.nan)
        if isinstance(detector, RobustZ) and detector.shift.judged[index]:
            band = detector.shift.usual(index)
        self.bands.append((float(times_s[-1]), *band))


def draw(path: Path, traces: Sequence[Trace], periods: Sequence[Period], models: Sequence[Rehearsal]) -> None:
    """Write the picture: a pane per channel, then one per model.

    Raises:
        RefusedError: The file cannot be written.
    """
    import matplotlib as mpl  # noqa: PLC0415  # an extra

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415  # after the choice of a backend without a screen

    models = models[:_PANES_MAX]
    shown = [one for one in traces if one.times][: _PANES_MAX - len(models)]
    count = len(shown) + len(models)
    origin = _origin(shown, models)
    figure, axes = plt.subplots(count, 1, sharex=True, squeeze=False, figsize=(12, 1.2 + 1.8 * count))
    for trace, pane in zip(shown, axes[: len(shown), 0], strict=True):
        _draw_trace(pane, trace, [one for one in periods if trace.name in _things(one)], origin)
    for model, pane in zip(models, axes[len(shown) :, 0], strict=True):
        _draw_model(pane, model, origin)
    axes[-1, 0].set_xlabel("time [s]")
    figure.tight_layout()
    try:
        figure.savefig(path, dpi=100)
    except (OSError, ValueError) as error:
        raise RefusedError([Fault("--plot", f"{path} cannot be written: {error}", "choose another path")]) from error
    finally:
        plt.close(figure)


def _origin(traces: Sequence[Trace], models: Sequence[Rehearsal]) -> float:
    """Return the time that all panes call 0."""
    firsts = [float(times[0]) for one in traces for times in one.times[:1]] + [
        one.times_s[0] for one in models if one.times_s
    ]
    return min((one for one in firsts if np.isfinite(one)), default=0.0)


def _things(period: Period) -> set[str]:
    """Return the traces that an alert is about: "wheels left/right" is about "wheels left" and "wheels right"."""
    head, blank, rest = period.channel.rpartition(" ")
    return {period.channel, *(head + blank + one for one in rest.split("/"))}


def _draw_trace(pane: Any, trace: Trace, periods: Sequence[Period], origin: float) -> None:
    times, values = np.concatenate(trace.times), np.concatenate(trace.values)
    step = max(1, len(times) // _POINTS_MAX)
    pane.plot(times[::step] - origin, values[::step], linewidth=0.7, color="tab:blue")
    at, mean, scale = np.array(trace.bands).T
    pane.fill_between(at - origin, mean - _BAND_SIGMAS * scale, mean + _BAND_SIGMAS * scale, color="0.85", linewidth=0)
    _shade(pane, periods, origin)
    pane.set_ylabel(trace.name, fontsize=8)


def _draw_model(pane: Any, model: Rehearsal, origin: float) -> None:
    step = max(1, len(model.times_s) // _POINTS_MAX)
    pane.plot(np.array(model.times_s)[::step] - origin, model.probabilities[::step], linewidth=0.9, color="tab:purple")
    pane.axhline(model.threshold, linewidth=0.7, linestyle="--", color="0.5")
    _shade(pane, model.failures, origin)
    pane.set_ylim(-0.02, 1.02)
    pane.set_ylabel(f"{model.name}\nprobability", fontsize=8)


def _shade(pane: Any, periods: Sequence[Period | Foretold], origin: float) -> None:
    for one in periods:
        pane.axvspan(one.start_s - origin, max(one.end_s, one.start_s + 1e-9) - origin, color="tab:red", alpha=0.3)
