"""Twin wing: one run as a picture.

In: series of a Looker, a path     Out: a PNG
matplotlib is asked for when it is needed; whoever never plots needs none.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from edgetwin.errors import Fault, RefusedError
from edgetwin.twin.looking import Series

_ROWS = ("median latency [ms]", "age [s]", "position error [m]")
_LEGEND_MAX = 12


def require() -> None:
    """Pass where plots can be drawn.

    Raises:
        RefusedError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise RefusedError([Fault("--plot", "needs matplotlib", "install it: pip install 'edgetwin[train]'")])


def draw(series: Mapping[str, Iterable[Series]], path: Path) -> None:
    """Write the picture.

    Raises:
        RefusedError: The file cannot be written.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415  # an extra; `require` has made sure of it

    figure: Any = Figure(figsize=(10, 8), layout="constrained")
    axes = figure.subplots(len(_ROWS), 1, sharex=True)
    for name, samples in sorted(series.items()):
        columns = list(zip(*samples, strict=True))
        for row, axis in enumerate(axes):
            values = [float("nan") if value is None else value for value in columns[row + 1]]
            axis.plot(columns[0], values, label=name, linewidth=1)
    for label, axis in zip(_ROWS, axes, strict=True):
        axis.set_ylabel(label)
        axis.grid(visible=True, alpha=0.3)
    axes[-1].set_xlabel("time [s]")
    if 0 < len(series) <= _LEGEND_MAX:
        axes[0].legend(loc="upper right", fontsize="small")
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise RefusedError([Fault("--plot", f"{path}: {error.strerror}", "name a file that can be written")]) from error
