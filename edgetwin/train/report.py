"""Train: what came of it, for people, for programs, and as a picture.

In: Outcome and what it was made of     Out: text, plain values, a PNG.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgetwin.errors import Fault, RefusedError
from edgetwin.train.export import Exported, scores
from edgetwin.train.fit import Outcome, Score
from edgetwin.train.folds import Folds
from edgetwin.train.table import Table
from edgetwin.train.wish import Wish

_WAYS = {
    "machine": "each machine judged by a model that never saw it",
    "time": "each life judged by a model that saw only what was before it",
    "random": "ROWS AT RANDOM: neighbours leak, a new machine will score far lower",
}
_FEW_FAILURES = 5
_HOUR_NS = 3.6e12
_GAP_WINDOWS = 10


def as_values(outcome: Outcome, table: Table, folds: Folds, exported: Exported, wish: Wish) -> dict[str, Any]:
    """Return the report as plain values."""
    return {
        "out": str(wish.out),
        "sha256": exported.sha256,
        "bytes": exported.size,
        "run_us": round(exported.run_us, 2),
        "parity": exported.parity,
        "split": folds.way,
        "machines": list(table.names),
        "window_s": table.pace.window_s,
        "every_s": table.pace.every_s,
        "healthy_s": table.pace.healthy_s,
        "horizon_s": wish.horizon_s,
        "rows": len(table.rows),
        "positive": int(table.positive.sum()),
        "estimator": outcome.chosen.estimator,
        "features": list(outcome.chosen.features),
        "left_out": list(table.left_out),
        "threshold": outcome.threshold,
        "threshold_holds": outcome.threshold_holds,
        **scores(outcome),
        "candidates": [
            {
                "name": one.name,
                "pr_auc": score.pr_auc,
                "recall": score.recall,
                "pooled": score.pooled,
                "folds": score.folds,
            }
            for one, score in outcome.candidates
        ],
        "warnings": warnings(outcome, table, folds),
    }


def as_text(outcome: Outcome, table: Table, folds: Folds, exported: Exported, wish: Wish) -> str:
    """Return the report for people."""
    alone = outcome.baseline
    rows: list[tuple[str, Score | None]] = [(one.name, score) for one, score in outcome.candidates]
    rows.append(("no model: the best ratio alone", alone))
    width = max(len(name) for name, _ in rows) + 2
    lines = [
        (
            f"{len(table.rows)} windows of {table.pace.window_s:g} s from {len(table.names)} machines, after the "
            f"{table.pace.healthy_s / 3600:.3g} h that are each one's normal; "
            f"{int(table.positive.sum())} within {wish.horizon_s / 3600:g} h before a failure"
        ),
        f"Scored with {_WAYS[folds.way]}.",
        "",
        f"{'':<{width}}  PR-AUC  recall  pooled",
    ]
    for name, score in rows:
        figures = "       -" * 3 if score is None else f"{score.pr_auc:8.3f}{score.recall:8.3f}{score.pooled:8.3f}"
        mark = "   <- chosen" if name == outcome.chosen.name else ""
        lines.append(f"{name:<{width}}{figures}{mark}")
    lines.append(f"{'always alarming':<{width}}{outcome.prevalence:8.3f}{0.0:8.3f}{outcome.prevalence:8.3f}")
    lines.append("Recall: at precision 0.9. Pooled: PR-AUC over all machines at once, with one threshold for all.")
    lines += ["", *(f"{name}: PR-AUC {one[0]:.3f}" for name, one in outcome.score.folds.items()), ""]
    lines += [f"Note: {one}." for one in warnings(outcome, table, folds)]
    lines += [
        (
            f"{wish.out}: {exported.size} bytes, {exported.run_us:.1f} us a row, threshold {outcome.threshold:.3f}, "
            f"off by at most {exported.parity:.1e} on all rows"
        ),
        f'sha256 = "{exported.sha256}"',
    ]
    return "\n".join(lines) + "\n"


def warnings(outcome: Outcome, table: Table, folds: Folds) -> list[str]:
    """Return what a reader of the scores must know."""
    found = []
    if folds.way == "random":
        found.append("the rows were split at random, so the scores say nothing about another machine or tomorrow")
    failures = len(
        {(int(m), int(life)) for m, life in zip(table.machine[table.positive], table.life[table.positive], strict=True)}
    )
    if failures < _FEW_FAILURES:
        found.append(f"there are only {failures} failures; the scores could as well be luck")
    if outcome.baseline is not None and outcome.baseline.pr_auc >= outcome.score.pr_auc:
        found.append("the ratio alone is as good as the model: a threshold on it does the same without training")
    if len(outcome.candidates) > 1:
        found.append(
            f"the best of {len(outcome.candidates)} was chosen on these very scores; a new machine may score lower"
        )
    if not outcome.threshold_holds:
        found.append("at no threshold were 9 of 10 alarms right; the one of the best F1 was taken")
    if table.left_out:
        found.append(f"this history cannot give {', '.join(table.left_out)}")
    return found


def plot(outcome: Outcome, table: Table, path: Path) -> None:
    """Draw the probability of each machine over time, by models that had not seen it, and what was true.

    Raises:
        RefusedError: The file cannot be written.
    """
    import matplotlib as mpl  # noqa: PLC0415  # only where a picture is wanted

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    shown = [index for index in np.unique(table.machine) if np.isfinite(outcome.unseen[table.machine == index]).any()]
    figure, axes = plt.subplots(len(shown), 1, figsize=(10, 2.6 * len(shown)), squeeze=False, layout="constrained")
    name = outcome.chosen.name
    for index, axis in zip(shown, axes[:, 0], strict=True):
        mine = table.machine == index
        hours = (table.at_ns[mine] - table.at_ns[mine].min()) / _HOUR_NS
        gaps = np.flatnonzero(np.diff(hours) > _GAP_WINDOWS * np.median(np.diff(hours))) + 1
        axis.fill_between(
            hours, 0, 1, where=table.positive[mine], color="tab:red", alpha=0.15, lw=0, label="fails within the horizon"
        )
        axis.plot(np.insert(hours, gaps, np.nan), np.insert(outcome.unseen[mine], gaps, np.nan), lw=1, label=name)
        axis.axhline(outcome.threshold, color="black", lw=0.8, ls="--", label="threshold")
        axis.set(title=table.names[index], ylim=(-0.02, 1.02), ylabel="probability", xlabel="hours")
        alone = outcome.baseline_scores[mine]
        if np.isfinite(alone).any():
            other = axis.twinx()
            other.plot(
                np.insert(hours, gaps, np.nan), np.insert(alone, gaps, np.nan), color="tab:gray", lw=0.6, alpha=0.7
            )
            other.set_ylabel("ratio alone", color="tab:gray")
    axes[0, 0].legend(loc="upper left", fontsize="small")
    try:
        figure.savefig(path, dpi=110)
    except (OSError, ValueError) as error:
        cure = "name a .png in a folder that you may write to"
        raise RefusedError([Fault("--plot", f"{path} cannot be written ({error})", cure)]) from error
    finally:
        plt.close(figure)
