"""Train: which rows are fitted on, and which are judged: whole machines, or what comes later; never rows at random.

In: Table     Out: Folds.
Neighbours of a row leak it: the same forest on the same data scores 0.999 on random rows and 0.3 on another
machine (docs/model.md). So a fold judges machines that no row was fitted on; where only one machine has failed,
it judges lives that came after all that was fitted on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, StratifiedKFold

from edgetwin.errors import Fault, RefusedError
from edgetwin.train.table import Table

_FOLDS_MAX = 10
_RANDOM_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Fold:
    """Rows to fit on and rows to judge, as indices; `name`: what is judged."""

    name: str
    fit: NDArray[np.int64]
    judge: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Folds:
    """All folds.

    Attributes:
        way: "machine", "time" or "random".
    """

    way: str
    folds: tuple[Fold, ...]


def split(table: Table, *, random: bool) -> Folds:
    """Return the folds of a table.

    Raises:
        RefusedError: Neither machines nor lives are enough for an honest score.
    """
    if random:
        shuffled = StratifiedKFold(_RANDOM_FOLDS, shuffle=True, random_state=0).split(table.rows, table.positive)
        return Folds("random", tuple(Fold(f"part {at + 1}", fit, judge) for at, (fit, judge) in enumerate(shuffled)))
    failed = [index for index in np.unique(table.machine) if _both(table, table.machine == index)]
    if len(failed) > 1:
        return Folds("machine", tuple(_by_machine(table)))
    folds = [fold for fold in _by_time(table) if _both(table, fold.fit) and _both(table, fold.judge)]
    if not folds:
        what = "one failure cannot be both learned from and judged"
        cure = (
            "add the history of another machine, or of another failure of this one; "
            "--random-split gives a score all the same, and a wrong one"
        )
        raise RefusedError([Fault("train", what, cure)])
    return Folds("time", tuple(folds))


def _by_machine(table: Table) -> list[Fold]:
    machines = np.unique(table.machine)
    groups = GroupKFold(min(_FOLDS_MAX, len(machines))).split(table.rows, table.positive, table.machine)
    folds = []
    for fit, judge in groups:
        if _both(table, fit):
            names = [table.names[index] for index in np.unique(table.machine[judge])]
            shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004
            folds.append(Fold(shown, fit, judge))
    return folds


def _by_time(table: Table) -> list[Fold]:
    """Each life, judged by what was fitted on all rows of any machine that ended before it began."""
    folds = []
    for machine, life in np.unique(np.column_stack([table.machine, table.life]), axis=0):
        inside = (table.machine == machine) & (table.life == life)
        begin_ns = table.at_ns[inside].min()
        name = f"{table.names[machine]}, life {life + 1}"
        folds.append(Fold(name, np.flatnonzero(table.at_ns < begin_ns), np.flatnonzero(inside)))
    return folds


def _both(table: Table, rows: NDArray[np.bool_] | NDArray[np.int64]) -> bool:
    chosen = table.positive[rows]
    return bool(chosen.any() and not chosen.all())
