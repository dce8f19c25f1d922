"""Bench: the IMS bearings: what a failure model is worth on machines it has not seen, beside none at all.

In: the folder of the data (default: ../shared/data/ims_bearings, seen from the checkout)     Out: the table of
docs/model.md. Run it with `python -m bench.bearings [FOLDER]`. Two tests, three bearings that failed, two machines:
nothing here is a promise for a third one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from edgetwin.analytics.features import parse
from edgetwin.analytics.model_card import Running
from edgetwin.train import fit, folds, history, table
from edgetwin.train.fit import Candidate, Score
from edgetwin.train.wish import Wish

DATA = Path(__file__).parents[2] / "shared" / "data" / "ims_bearings"
_HOUR_S = 3600.0
_LEVEL, _RATIO, _HOURS = "vibration.rms", "ratio:vibration.rms", "runtime.hours"
_MODELS = {
    "tutorial's forest (level, hours)": ("tutorial", (_LEVEL, _HOURS)),
    "the same with ratios": ("tutorial", (_LEVEL, _HOURS, _RATIO)),
    "forest, leaves of 10, with ratios": ("forest", (_LEVEL, _RATIO)),
    "logistic on ratios": ("logistic", (_RATIO,)),
}


def main(argv: Sequence[str]) -> int:
    """Print the table; return the exit code."""
    folder = Path(argv[0]) if argv else DATA
    if not folder.is_dir():
        print(f"bench: {folder} is not there; name the folder of the IMS data", file=sys.stderr)
        return 1
    print("| window | model | judged on | test 1 | test 2 | mean | recall | pooled |")
    print("|---|---|---|---|---|---|---|---|")
    for hours in (1, 6):
        _print_window(folder, hours)
    return 0


def _print_window(folder: Path, hours: int) -> None:
    wish = Wish(
        data=(folder,), out=Path(), time="Datetime", run_to_failure=True, sources={"vibration": ("Bearing*",)},
        window_s=hours * _HOUR_S, every_s=600.0, healthy_s=24 * _HOUR_S,
        running=Running(parse("vibration.mean"), 0.01), features=(parse(_LEVEL), parse(_RATIO), parse(_HOURS)),
    )  # fmt: skip
    rows = table.build(history.read(wish), wish)
    for random, where in ((False, "the other machine"), (True, "rows at random")):
        parts = folds.split(rows, random=random)
        for name, (kind, features) in _MODELS.items():
            _print_row(f"{hours} h", name, where, _score(rows, parts, kind, features))
        _print_row(
            f"{hours} h", "no model: the ratio alone", where, fit.score(rows, parts, fit.ratio_alone(rows, parts))
        )


def _score(rows: table.Table, parts: folds.Folds, kind: str, features: tuple[str, ...]) -> Score:
    if kind != "tutorial":
        return fit.score(rows, parts, fit.out_of_fold(rows, parts, Candidate(kind, "", features)))
    columns = rows.columns(features)
    found = np.full(len(columns), np.nan)
    for fold in parts.folds:
        forest = RandomForestClassifier(100, random_state=0).fit(columns[fold.fit], rows.positive[fold.fit])
        found[fold.judge] = forest.predict_proba(columns[fold.judge])[:, 1]
    return fit.score(rows, parts, found)


def _print_row(window: str, name: str, where: str, score: Score) -> None:
    singles = {key[:5]: f"{one[0]:.2f}" for key, one in score.folds.items()}
    cells = [singles.get("test1", "-"), singles.get("test2", "-")]
    figures = [f"{value:.2f}" for value in (score.pr_auc, score.recall, score.pooled)]
    print("| " + " | ".join([window, name, where, *cells, *figures]) + " |")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
