"""Backtest: what a failure model said of a recording, as lines for a person and as values for JSON.

In: Rehearsal, labels     Out: text, plain values
With labels: a window is anomalous where the newest row in it is, and alarmed while a failure stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgetwin.analytics.frozen import Array
from edgetwin.analytics.prognosis import Phase
from edgetwin.analytics.scoring import Scores, per_hour, pr_auc, recall_at, score
from edgetwin.backtest.rehearsal import Rehearsal
from edgetwin.prognosis.words import span

PRECISION = 0.9
_STRETCHES_MAX = 12  # lines of probability over time that a person still reads


@dataclass(frozen=True, slots=True)
class ModelScores:
    """How well a model told what was labelled; None where the windows do not say.

    Attributes:
        pr_auc: Area under precision over recall, over windows.
        recall: Share of the anomalous windows that are found while 9 of 10 alarms are right, at the best threshold.
        prevalence: Share of anomalous windows: the PR-AUC of alarming always.
        alarms: Of the failures as they were announced, at the model's own threshold.
    """

    pr_auc: float | None
    recall: float | None
    prevalence: float | None
    alarms: Scores


_UNKNOWN = ModelScores(None, None, None, Scores(None, None, None, None))


def scores_of(one: Rehearsal, labels: Array | None, first_row: int = 0) -> ModelScores:
    """Return the scores of a model over the windows that end in row `first_row` or later.

    Args:
        one: The model.
        labels: (rows,) not 0 where something was wrong; None: nobody knows.
        first_row: Rows before it teach, and are not scored.
    """
    newest = np.array(one.rows, np.int64) - 1
    judged = newest >= first_row
    if labels is None or not judged.any():
        return _UNKNOWN
    truth = labels[newest[judged]] != 0
    probabilities = np.array(one.probabilities)[judged]
    return ModelScores(
        pr_auc(probabilities, truth),
        recall_at(probabilities, truth, PRECISION),
        float(truth.mean()),
        score(np.array(one.standing)[judged] != 0, truth, np.array(one.times_s)[judged]),
    )


def as_values(one: Rehearsal, found: ModelScores, times_s: Array, stamp: Callable[[float], Any]) -> dict[str, Any]:
    """Return what the line of JSON tells of a model.

    Args:
        one: The model.
        found: Its scores.
        times_s: Of the rows of the recording [s].
        stamp: Makes a time [s] what the line shows.
    """
    return {
        "model": one.sha256,
        "horizon_s": one.card.horizon_s,
        "threshold": one.threshold,
        "phase": str(one.phase),
        "missing": list(one.missing),
        "learned": round(one.learned, 4),
        "judged": len(one.times_s),
        "failures": [{"start": stamp(f.start_s), "end": stamp(f.end_s), "peak": f.peak} for f in one.failures],
        "held_back": one.held_back,
        "failures_per_hour": per_hour(len(one.failures), times_s),
        "pr_auc": found.pr_auc,
        "recall": found.recall,
        "prevalence": found.prevalence,
        "f1": found.alarms.f1,
        "far": found.alarms.far,
        "mar": found.alarms.mar,
        "delay_s": found.alarms.delay_s,
        "probability": [[stamp(at), value] for at, value in zip(one.times_s, one.probabilities, strict=True)],
    }


def as_lines(one: Rehearsal, found: ModelScores, stamp: Callable[[float], str]) -> list[str]:
    """Return lines for a person."""
    head = (
        f"Model {one.name} ({one.sha256[:12]}, horizon {span(one.card.horizon_s)}, threshold {one.threshold:g}): "
        f"{len(one.times_s)} windows judged, {len(one.failures)} failures foretold"
    )
    lines = [head + (f", {one.held_back} held back" if one.held_back else "")]
    if not one.times_s:
        return [*lines, f"  {_why_none(one)}"]
    lines += [f"  {f.words}, from {stamp(f.start_s)} until {stamp(f.end_s)}, peak {f.peak:.2f}" for f in one.failures]
    for part in np.array_split(np.arange(len(one.times_s)), min(_STRETCHES_MAX, len(one.times_s))):
        said = [one.probabilities[at] for at in part.tolist()]
        begin, end = (stamp(one.times_s[at]) for at in (int(part[0]), int(part[-1])))
        lines.append(f"  {begin} to {end}: probability {min(said):.2f} to {max(said):.2f}")
    if found.prevalence is not None:
        lines.append(f"  {_scores(found)}")
    return lines


def _why_none(one: Rehearsal) -> str:
    whole = f"the recording may be shorter than a window of {span(one.card.window_s)}, or full of pauses"
    return {
        Phase.LEARNING: f"it still learned what is normal for this machine ({one.learned:.0%} of the time that takes)",
        Phase.STANDING: "the machine did not run, as far as the model can tell",
        Phase.INCOMPLETE: f"these features cannot be built from what came: {', '.join(one.missing)}",
    }.get(one.phase, whole)


def _scores(found: ModelScores) -> str:
    alarms = found.alarms
    delay = "-" if alarms.delay_s is None else f"{alarms.delay_s:.0f} s"
    return (
        f"PR-AUC {number(found.pr_auc)} (alarming always: {number(found.prevalence)}), recall {number(found.recall)} "
        f"at precision {PRECISION:g}; as announced: F1 {number(alarms.f1)}, false alarm rate {number(alarms.far)}, "
        f"missed {number(alarms.mar)}, delay {delay}"
    )


def number(value: float | None) -> str:
    """Return three digits behind the point; a dash for what is not known."""
    return "-" if value is None else f"{value:.3f}"
