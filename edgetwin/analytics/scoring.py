"""Judge room: how good alarms were, held against what was really wrong.

In: alarms and truth, row by row, with times     Out: Scores
An alarm all the time scores F1 0.69 where half of the rows are anomalous, so F1 never stands alone here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgetwin.analytics.frozen import Array, Flags

_S_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Scores:
    """What a person asks of a detector; None where the rows do not say.

    Attributes:
        f1: 2 TP / (2 TP + FP + FN), over rows.
        far: Share of usual rows that were alarmed, 0 to 1.
        mar: Share of anomalous rows that were not, 0 to 1.
        delay_s: From the beginning of an anomaly to its first alarm, mean over those that were seen [s].
    """

    f1: float | None
    far: float | None
    mar: float | None
    delay_s: float | None


def score(alarms: Flags, truth: Flags, times_s: Array) -> Scores:
    """Return the scores of rows that follow each other.

    Args:
        alarms: (rows,).
        truth: (rows,); true where something really was wrong.
        times_s: (rows,) [s].
    """
    hits = int((alarms & truth).sum())
    false = int((alarms & ~truth).sum())
    missed = int((~alarms & truth).sum())
    quiet = int((~alarms & ~truth).sum())
    delays = [
        float(times_s[first + int(np.argmax(alarms[first:last]))] - times_s[first])
        for first, last in stretches(truth)
        if alarms[first:last].any()
    ]
    return Scores(
        _share(2 * hits, 2 * hits + false + missed),
        _share(false, false + quiet),
        _share(missed, missed + hits),
        sum(delays) / len(delays) if delays else None,
    )


def pr_auc(scores: Array, truth: Flags) -> float | None:
    """Return the area under precision over recall (average precision); None where nothing is anomalous.

    Args:
        scores: (rows,), higher is more anomalous.
        truth: (rows,).
    """
    if not truth.any():
        return None
    precision, recall = _precision_recall(scores, truth)
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def recall_at(scores: Array, truth: Flags, precision: float) -> float | None:
    """Return the largest recall at which at least `precision` of the alarms are right; None: nothing is anomalous."""
    if not truth.any():
        return None
    precisions, recalls = _precision_recall(scores, truth)
    return float(recalls[precisions >= precision].max(initial=0.0))


def stretches(flags: Flags) -> list[tuple[int, int]]:
    """Return (first, behind the last) of every run of true rows."""
    padded = np.concatenate([[False], flags, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1]).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def per_hour(events: int, times_s: Array) -> float | None:
    """Return events per hour of these rows; None where no time has gone by."""
    sound = times_s[np.isfinite(times_s)]
    hours = float(sound.max() - sound.min()) / _S_PER_HOUR if len(sound) else 0.0
    return events / hours if hours > 0.0 else None


def _precision_recall(scores: Array, truth: Flags) -> tuple[Array, Array]:
    """Return precision and recall at every threshold that the scores know, from the highest on."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order], dtype=np.float64)
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0.0, True))  # equal scores fall together
    return hits[last] / (last + 1.0), hits[last] / hits[-1]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
