"""Train: candidates, their scores on machines they have not seen, and the choice.

In: Table, Folds     Out: Outcome: every candidate's score, the baseline without a model, the fitted winner.
Rows are float32 from the beginning, as the model will see them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, precision_recall_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from edgetwin.analytics.features import RUNTIME_HOURS
from edgetwin.train.folds import Folds
from edgetwin.train.table import Table, is_ratio

PRECISION = 0.9
_LEAF_ROWS = 10  # fewer, and trees learn single windows of the machines they saw
_THRESHOLD_MIN, _THRESHOLD_MAX = 0.01, 0.99


@dataclass(frozen=True, slots=True)
class Score:
    """How well failures are told from the rest, on average over the folds that have both.

    Attributes:
        pr_auc: Area under precision over recall (average precision); always alarming scores the share of positives.
        recall: Share of the positive windows found while 9 of 10 alarms are right.
        pooled: PR-AUC over all judged rows at once: low where each machine would need a threshold of its own.
        folds: The first two, fold by fold: name -> (pr_auc, recall).
    """

    pr_auc: float
    recall: float
    pooled: float
    folds: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to make a model."""

    estimator: str
    set_name: str
    features: tuple[str, ...]

    @property
    def name(self) -> str:
        """For the report."""
        return f"{self.estimator} on {self.set_name}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a training.

    Attributes:
        candidates: All that were tried, with their scores.
        chosen: The winner.
        model: The winner, fitted on all rows.
        unseen: Its probabilities for rows it was not fitted on; NaN where a row was in no fold.
        threshold: From which on 9 of 10 unseen alarms were right.
        threshold_holds: Whether there is such a threshold; else it is the one of the best F1.
        baseline: The best ratio alone, chosen where the models were fitted; None without ratios.
        baseline_scores: The ratio of each row, where it was judged.
        prevalence: Share of positive windows.
    """

    candidates: tuple[tuple[Candidate, Score], ...]
    chosen: Candidate
    model: Any
    unseen: NDArray[np.float64]
    threshold: float
    threshold_holds: bool
    baseline: Score | None
    baseline_scores: NDArray[np.float64]
    prevalence: float

    @property
    def score(self) -> Score:
        """The winner's."""
        return next(score for candidate, score in self.candidates if candidate is self.chosen)


def train(table: Table, folds: Folds, estimators: Sequence[str], *, given: bool) -> Outcome:
    """Return the best candidate, fitted on all rows.

    Args:
        table: Rows and labels.
        folds: What is judged by what.
        estimators: To choose from.
        given: The features are those the user wants; else sets of them are tried, too.
    """
    tried: list[tuple[Candidate, Score]] = []
    unseen: dict[Candidate, NDArray[np.float64]] = {}
    for candidate in _candidates(table, estimators, given=given):
        unseen[candidate] = out_of_fold(table, folds, candidate)
        tried.append((candidate, score(table, folds, unseen[candidate])))
    chosen = max(tried, key=lambda pair: pair[1].pooled)[0]  # the robot has one threshold for whatever machine
    threshold, holds = _threshold(table.positive, unseen[chosen])
    alone = ratio_alone(table, folds)
    model = estimator(chosen.estimator).fit(table.columns(chosen.features), table.positive)
    return Outcome(
        tuple(tried), chosen, model, unseen[chosen], threshold, holds,
        None if np.isnan(alone).all() else score(table, folds, alone), alone, float(table.positive.mean()),
    )  # fmt: skip


def estimator(name: str) -> Any:
    """Return a new, unfitted estimator; the same every time."""
    if name == "forest":
        return RandomForestClassifier(100, min_samples_leaf=_LEAF_ROWS, random_state=0)
    if name == "boosting":
        return GradientBoostingClassifier(min_samples_leaf=_LEAF_ROWS, subsample=0.5, random_state=0)
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def out_of_fold(table: Table, folds: Folds, candidate: Candidate) -> NDArray[np.float64]:
    """Return a probability for every row that some fold judges, by a model that has not seen it."""
    rows = table.columns(candidate.features)
    found = np.full(len(rows), np.nan)
    for fold in folds.folds:
        model = estimator(candidate.estimator).fit(rows[fold.fit], table.positive[fold.fit])
        found[fold.judge] = model.predict_proba(rows[fold.judge])[:, 1]
    return found


def ratio_alone(table: Table, folds: Folds) -> NDArray[np.float64]:
    """Return, for each judged row, the one ratio that tells failures best where the models are fitted."""
    names = [one.name for one in table.features if one.is_ratio]
    found = np.full(len(table.rows), np.nan)
    for fold in folds.folds if names else ():
        values = table.columns(names)
        truth = table.positive[fold.fit]
        best = max(range(len(names)), key=lambda at: average_precision_score(truth, values[fold.fit, at]))
        found[fold.judge] = values[fold.judge, best]
    return found


def score(table: Table, folds: Folds, scores: NDArray[np.float64]) -> Score:
    """Return how well `scores` tell positive rows from others, fold by fold."""
    single: dict[str, tuple[float, float]] = {}
    for fold in folds.folds:
        truth, values = table.positive[fold.judge], scores[fold.judge]
        if truth.any() and not truth.all():
            single[fold.name] = (float(average_precision_score(truth, values)), recall_at(truth, values, PRECISION))
    means = np.mean(list(single.values()), axis=0)
    judged = ~np.isnan(scores)
    pooled = float(average_precision_score(table.positive[judged], scores[judged]))
    return Score(float(means[0]), float(means[1]), pooled, single)


def recall_at(truth: NDArray[np.bool_], scores: NDArray[np.float64], precision: float) -> float:
    """Return the largest recall at which at least `precision` of the alarms are right; 0 where none is."""
    precisions, recalls, _ = precision_recall_curve(truth, scores)
    return float(recalls[precisions >= precision].max(initial=0.0))


def _threshold(truth: NDArray[np.bool_], unseen: NDArray[np.float64]) -> tuple[float, bool]:
    judged = ~np.isnan(unseen)
    precisions, recalls, thresholds = precision_recall_curve(truth[judged], unseen[judged])
    precisions, recalls = precisions[:-1], recalls[:-1]
    good = np.flatnonzero((precisions >= PRECISION) & (recalls > 0.0))
    f1 = 2 * precisions * recalls / np.maximum(precisions + recalls, 1e-12)
    at = good[0] if len(good) else int(np.argmax(f1))
    return float(np.clip(thresholds[at], _THRESHOLD_MIN, _THRESHOLD_MAX)), bool(len(good))


def _candidates(table: Table, estimators: Sequence[str], *, given: bool) -> list[Candidate]:
    names = tuple(one.name for one in table.features)
    levels = tuple(name for name in names if not is_ratio(name) and name != RUNTIME_HOURS)
    ratios = tuple(name for name in names if is_ratio(name))
    sets = {"ratios": ratios, "levels and ratios": (*levels, *ratios), "levels": levels}
    if RUNTIME_HOURS in names:
        sets["levels and hours"] = (*levels, RUNTIME_HOURS)
    if given:
        sets = {"the given features": names}
    distinct = {chosen: name for name, chosen in reversed(sets.items()) if chosen}
    return [Candidate(one, name, chosen) for chosen, name in reversed(distinct.items()) for one in estimators]
