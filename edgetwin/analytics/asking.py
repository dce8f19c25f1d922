"""Judge room: what a model is asked, what it answers, and which features speak for the answer.

In: a row of features; a function that gives probabilities     Out: Answer.
Pure; `ask` may be called in any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

SPEAKING_MAX = 5
_SPEAKS_FROM = 0.005

Predict: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Question:
    """One row for the model.

    Attributes:
        at_ns: End of its window, in the time of the samples [ns].
        row: float32 (1, features).
        healthy: float32 (features,): the same for a healthy machine; NaN where that is not known.
        explain_from: Probability from which on the features are asked for theirs, too.
    """

    at_ns: int
    row: NDArray[np.float32]
    healthy: NDArray[np.float32]
    explain_from: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says. `shares`: feature by feature, how much lower the probability is where it is healthy."""

    question: Question
    probability: float
    shares: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Speaking:
    """One feature that speaks for a failure."""

    feature: str
    value: float
    healthy: float
    share: float


def ask(question: Question, predict: Predict) -> Answer:
    """Return what the model says; where that may raise a failure, also what each feature adds to it.

    The share of a feature is the probability less the one that remains when this feature alone is healthy.
    """
    probability = float(predict(question.row)[0])
    if not probability >= question.explain_from:
        return Answer(question, probability)
    known = np.isfinite(question.healthy)
    rows = np.repeat(question.row, len(known), axis=0)
    np.fill_diagonal(rows, np.where(known, question.healthy, question.row[0]))
    return Answer(question, probability, probability - predict(rows))


def speaking(answer: Answer, names: Sequence[str]) -> tuple[Speaking, ...]:
    """Return the features that speak for a failure, the strongest first; none where the model was not asked."""
    if answer.shares is None:
        return ()
    question, shares = answer.question, answer.shares
    order = [int(index) for index in np.argsort(-shares, kind="stable")[:SPEAKING_MAX]]
    return tuple(
        Speaking(names[at], float(question.row[0, at]), float(question.healthy[at]), float(shares[at]))
        for at in order
        if shares[at] >= _SPEAKS_FROM
    )
