"""Judge room: one failure model at work: samples in, failures announced and taken back.

In: (source, value, time); a function that gives probabilities     Out: Question, Answer, Failure.
Pure: no clock, no thread, no model runtime. Whoever holds the model answers the question, where and when it
likes, and hands the answer to `judge`; `step` does both at once (a back-test, a small model).

A failure has a life: raised once when the probability reaches the threshold, cleared once when CLEAR_AFTER rows in
turn lie below CLEAR_SHARE of it. Silence clears nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from edgetwin.analytics.asking import Answer, Predict, Question, Speaking, ask, speaking
from edgetwin.analytics.features import RUNTIME, RUNTIME_HOURS, Feature, bases
from edgetwin.analytics.healthy import Healthy
from edgetwin.analytics.model_card import ModelCard
from edgetwin.analytics.window import Row, Value, Window

CLEAR_SHARE = 0.8
CLEAR_AFTER = 3
_HOUR_NS = 3_600_000_000_000


class Phase(StrEnum):
    """What a prognosis is at; being at the beginning is a state, and not a probability of 0."""

    WAITING = "waiting"  # for samples, or for the first whole window
    STANDING = "standing"  # the machine does not run
    LEARNING = "learning"  # what is normal for this machine
    INCOMPLETE = "incomplete"  # a feature cannot be built from what comes
    WATCHING = "watching"


@dataclass(frozen=True, slots=True)
class Rule:
    """How probabilities become failures.

    Attributes:
        threshold: Raised from this probability on.
        raises_per_hour_max: Beyond these, raised failures are counted and held back.
    """

    threshold: float
    raises_per_hour_max: int = 4


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure that is announced, or taken back.

    Attributes:
        raised: Announced; else cleared.
        at_ns: End of the window that decided [ns].
        since_ns: End of the window that raised it [ns].
        peak: Highest probability so far.
        speaking: What speaks for it, the strongest first; none where it is cleared.
        held_back: Failures raised and not announced since the last one.
    """

    raised: bool
    at_ns: int
    since_ns: int
    probability: float
    threshold: float
    peak: float
    speaking: tuple[Speaking, ...] = ()
    held_back: int = 0


class Prognosis:
    """One model's view of one machine.

    Attributes:
        phase: What it is at.
        missing: Features that cannot be built now, where the phase says so.
        probability: The newest; None before the first.
        judged: Rows that the model answered.
        raised_ns: Since when a failure stands [ns]; None: none does.
    """

    def __init__(
        self,
        card: ModelCard,
        rule: Rule,
        healthy: Healthy,
        every_s: float,
        *,
        healthy_s: float | None = None,
        rates_hz: Mapping[str, float] | None = None,
    ) -> None:
        """Begin with an empty window.

        Args:
            card: The model's.
            rule: How probabilities become failures.
            healthy: What is known of the machine; goes on being learned.
            every_s: How often the model is asked [s].
            healthy_s: Running time to learn over [s]; None: as the model says.
            rates_hz: Source -> rate of the samples in its arrays (see Window).
        """
        self.card = card
        self.rule = rule
        self.phase = Phase.WAITING
        self.missing: tuple[str, ...] = ()
        self.probability: float | None = None
        self.judged = 0
        self.raised_ns: int | None = None
        self._peak = 0.0
        self._below = 0
        self._quiet = False  # what stands was held back
        self._held_back = 0
        self._raises: deque[int] = deque(maxlen=rule.raises_per_hour_max)
        measured = bases(card.measured)
        self.window = Window(measured, card.window_s, every_s, rates_hz)
        learned = [one.base for one in bases(card.features) if one.source != RUNTIME]
        self.normals = healthy.normals(learned, card.window_s, healthy_s or card.healthy_s)

    def take(self, source: str, value: Value, at_ns: int) -> Question | None:
        """Take a sample; return what the model is to be asked now, if anything.

        Args:
            source: As the features call it.
            value: Number, or successive numbers of the source's rate.
            at_ns: Its time [ns]; the same time line for all sources.
        """
        row = self.window.take(source, value, at_ns)
        return None if row is None else self._question(row)

    def step(self, source: str, value: Value, at_ns: int, predict: Predict) -> tuple[Answer | None, Failure | None]:
        """Take a sample, ask the model and judge, all at once."""
        question = self.take(source, value, at_ns)
        if question is None:
            return None, None
        answer = ask(question, predict)
        return answer, self.judge(answer)

    def judge(self, answer: Answer) -> Failure | None:
        """Return what an answer changes: a failure raised or cleared, or nothing.

        Answers come in the order of their questions.
        """
        probability, at_ns = answer.probability, answer.question.at_ns
        if not 0.0 <= probability <= 1.0:  # NaN is none of both
            return None
        self.judged += 1
        self.probability = probability
        if self.raised_ns is None:
            return self._raise(answer) if probability >= self.rule.threshold else None
        self._peak = max(self._peak, probability)
        self._below = self._below + 1 if probability < CLEAR_SHARE * self.rule.threshold else 0
        if self._below < CLEAR_AFTER:
            return None
        since_ns, self.raised_ns = self.raised_ns, None
        if self._quiet:
            return None
        return Failure(
            raised=False, at_ns=at_ns, since_ns=since_ns, probability=probability,
            threshold=self.rule.threshold, peak=self._peak,
        )  # fmt: skip

    def inherit(self, before: Prognosis) -> None:
        """Go on where another model of the same machine stopped: what stands raised stays so."""
        self.raised_ns, self._peak, self._quiet = before.raised_ns, before._peak, before._quiet
        self._held_back = before._held_back
        self._raises.extend(before._raises)

    def _raise(self, answer: Answer) -> Failure | None:
        at_ns = answer.question.at_ns
        self.raised_ns, self._peak, self._below = at_ns, answer.probability, 0
        recent = [one for one in self._raises if 0 <= at_ns - one < _HOUR_NS]
        self._quiet = len(recent) >= self.rule.raises_per_hour_max
        if self._quiet:
            self._held_back += 1
            return None
        self._raises.append(at_ns)
        held_back, self._held_back = self._held_back, 0
        return Failure(
            raised=True, at_ns=at_ns, since_ns=at_ns, probability=answer.probability,
            threshold=self.rule.threshold, peak=answer.probability,
            speaking=speaking(answer, self.card.names), held_back=held_back,
        )  # fmt: skip

    def _question(self, row: Row) -> Question | None:
        running = self.card.running
        if running is not None and not row.values.get(running.feature.base, math.nan) > running.above:
            self.phase = Phase.STANDING
            return None
        self.normals.run(row.values, row.active_s)
        with np.errstate(over="ignore"):
            values = np.array([[self._value(one, row) for one in self.card.features]], np.float32)
        if np.isfinite(values).all():
            self.phase, self.missing = Phase.WATCHING, ()
            explain_from = self.rule.threshold if self.raised_ns is None else math.inf
            return Question(row.at_ns, values, self._normal(), explain_from)
        self.missing = tuple(
            one.name for one, value in zip(self.card.features, values[0], strict=True) if not np.isfinite(value)
        )
        ratios_alone = all(one.is_ratio for one in self.card.features if one.name in self.missing)
        self.phase = Phase.LEARNING if ratios_alone and not self.normals.learned else Phase.INCOMPLETE
        return None

    def _value(self, feature: Feature, row: Row) -> float:
        if feature.base == RUNTIME_HOURS:
            return self.normals.runtime_hours
        value = row.values[feature.base]
        return self.normals.ratio(feature.base, value) if feature.is_ratio else value

    def _normal(self) -> NDArray[np.float32]:
        """Return the row of a healthy machine: this one where it is known, else those of the training."""
        row = []
        for one in self.card.features:
            own = 1.0 if one.is_ratio else self.normals.normal(one.base)
            row.append(own if math.isfinite(own) else self.card.healthy.get(one.name, math.nan))
        with np.errstate(over="ignore"):
            return np.array(row, np.float32)
