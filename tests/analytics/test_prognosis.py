"""Prognosis as a timeline: samples in, failures with a life out; the model is a function here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgetwin.analytics.asking import Answer, Question, ask, speaking
from edgetwin.analytics.features import parse
from edgetwin.analytics.healthy import Healthy
from edgetwin.analytics.model_card import Running
from edgetwin.analytics.prognosis import CLEAR_AFTER, Failure, Phase, Prognosis, Rule
from tests.analytics.models import card

S = 1_000_000_000


def first_column(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """A model: the probability is the first feature."""
    return np.clip(rows[:, 0].astype(np.float64), 0.0, 1.0)


@dataclass(slots=True)
class Play:
    """A prognosis, what it was told, and what it said."""

    prognosis: Prognosis
    answers: list[Answer] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    second: int = 0

    def windows(self, values: Iterable[float], source: str = "current") -> Play:
        """Feed one window of one second for each value."""
        for value in values:
            for part in range(4):
                self._step(source, value, self.second * S + part * S // 4)
            self.second += 1
        return self

    def end(self, source: str = "current") -> Play:
        """Complete the last window."""
        self._step(source, 0.0, self.second * S)
        return self

    def _step(self, source: str, value: float, at_ns: int) -> None:
        answer, failure = self.prognosis.step(source, value, at_ns, first_column)
        self.answers += [answer] if answer else []
        self.failures += [failure] if failure else []


def play(*features: str, threshold: float = 0.7, per_hour: int = 4, **fields: Any) -> Play:
    """Return a prognosis of windows of one second."""
    told = card(features or ("current.mean",), **fields)
    return Play(Prognosis(told, Rule(threshold, per_hour), Healthy(), 1.0))


def states(failures: Sequence[Failure]) -> list[str]:
    """Return R for raised, C for cleared."""
    return ["R" if failure.raised else "C" for failure in failures]


def test_a_failure_is_raised_once_and_cleared_once() -> None:
    """It stays raised near the threshold, and is cleared after three rows well below it."""
    told = play().windows([0.1, 0.9, 0.95, 0.6, 0.9, 0.1, 0.1, 0.1, 0.1]).end()

    assert states(told.failures) == ["R", "C"]
    raised, cleared = told.failures
    assert (raised.at_ns, cleared.since_ns, cleared.at_ns) == (2 * S, 2 * S, 8 * S)
    assert (raised.probability, cleared.peak) == pytest.approx((0.9, 0.95))


def test_every_window_is_judged_and_none_twice() -> None:
    """Rows and windows agree; the newest probability is shown."""
    told = play().windows([0.1, 0.2, 0.3]).end()

    assert [answer.probability for answer in told.answers] == pytest.approx([0.1, 0.2, 0.3])
    assert told.prognosis.judged == 3
    assert told.prognosis.probability == pytest.approx(0.3)


def test_the_threshold_itself_raises() -> None:
    """From the threshold on, as the settings say."""
    assert states(play(threshold=0.5).windows([0.5]).end().failures) == ["R"]
    assert play(threshold=0.5).windows([0.4999]).end().failures == []


@given(st.lists(st.floats(0.0, 1.0), max_size=60))
def test_raised_and_cleared_take_turns_whatever_comes(values: list[float]) -> None:
    """Never two of a kind in turn, and never more raised than allowed in the hour."""
    found = states(play(per_hour=3).windows(values).end().failures)

    assert found == (["R", "C"] * len(found))[: len(found)]
    assert found.count("R") <= 3


def test_more_than_allowed_are_held_back_and_counted() -> None:
    """Two an hour: the third and fourth are not told, nor is their end; the next hour tells of them."""
    storm = [0.9, *([0.0] * CLEAR_AFTER)]
    told = play(per_hour=2).windows(storm * 4)
    quiet = len(told.failures)
    told.windows([0.0] * 3600).windows([0.9]).end()

    assert quiet == 4
    assert states(told.failures) == ["R", "C", "R", "C", "R"]
    assert told.failures[-1].held_back == 2


def test_silence_clears_nothing() -> None:
    """After an hour without samples the failure still stands; a whole window is needed to judge again."""
    told = play().windows([0.9])
    told.windows([0.0])
    told.second += 3600
    told.windows([0.9, 0.9]).end()

    assert states(told.failures) == ["R"]
    assert told.prognosis.raised_ns == S


def test_ratios_wait_until_the_machine_is_known() -> None:
    """Two healthy seconds, then ratios; learning is a phase and not a probability."""
    told = play("ratio:current.mean", healthy_s=2.0).windows([4.0, 4.0])
    learning = told.prognosis.phase
    told.windows([4.0, 2.0]).end()

    assert learning is Phase.LEARNING
    assert [answer.probability for answer in told.answers] == pytest.approx([1.0, 1.0, 0.5])
    assert told.prognosis.phase is Phase.WATCHING


def test_a_feature_that_cannot_be_built_keeps_the_model_from_being_asked() -> None:
    """A source that never comes: no row, and its name."""
    told = play("current.mean", "vibration.rms").windows([0.9, 0.9]).end()

    assert told.answers == []
    assert told.prognosis.phase is Phase.INCOMPLETE
    assert told.prognosis.missing == ("vibration.rms",)


def test_numbers_too_large_for_the_model_are_not_shown_to_it() -> None:
    """A double that no float32 holds would be an infinity."""
    told = play().windows([1e39]).end()

    assert told.answers == []
    assert told.prognosis.missing == ("current.mean",)


def test_a_machine_that_stands_is_neither_judged_nor_learned_from() -> None:
    """Its hours do not count either."""
    running = Running(parse("current.max"), 0.05)
    told = play("ratio:current.mean", healthy_s=1.0, running=running).windows([0.0] * 50)
    standing = told.prognosis.phase, told.prognosis.normals.runtime_hours
    told.windows([2.0, 1.0]).end()

    assert standing == (Phase.STANDING, 0.0)
    assert [answer.probability for answer in told.answers] == pytest.approx([1.0, 0.5])


def test_the_runtime_is_a_feature() -> None:
    """Hours of samples so far, of this run and of those before."""
    healthy = Healthy()
    healthy.runtime_hours = 0.5
    told = Play(Prognosis(card(["runtime.hours", "current.mean"]), Rule(0.99), healthy, 1.0))
    told.windows([1.0] * 36).end()

    assert told.answers[-1].question.row[0, 0] == pytest.approx(0.51, abs=1e-6)


def test_a_failure_says_which_features_speak_for_it() -> None:
    """The share of one is what goes away where that one is healthy; the strongest comes first."""

    def predict(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(np.clip(rows @ np.array([0.1, 0.3, 0.0]), 0.0, 1.0), np.float64)

    row = np.array([[2.0, 2.0, 9.0]], np.float32)
    question = Question(0, row, np.array([1.0, 1.0, 1.0], np.float32), explain_from=0.7)
    answer = ask(question, predict)
    found = speaking(answer, ["a.mean", "b.mean", "c.mean"])

    assert answer.probability == pytest.approx(0.8)
    assert [(one.feature, one.value, one.healthy) for one in found] == [("b.mean", 2.0, 1.0), ("a.mean", 2.0, 1.0)]
    assert [one.share for one in found] == pytest.approx([0.3, 0.1])


def test_a_feature_whose_healthy_value_is_unknown_has_no_share() -> None:
    """It is left as it is; no NaN reaches the model."""
    row = np.array([[0.9]], np.float32)

    def predict(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        assert np.isfinite(rows).all()
        return first_column(rows)

    answer = ask(Question(0, row, np.array([math.nan], np.float32), explain_from=0.5), predict)

    assert speaking(answer, ["a.mean"]) == ()


def test_the_model_is_asked_for_shares_only_where_a_failure_may_be_raised() -> None:
    """One run for a row below the threshold, and for one that is raised already."""
    calls: list[int] = []

    def counting(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        calls.append(len(rows))
        return first_column(rows)

    prognosis = Prognosis(card(["current.mean", "current.max"]), Rule(0.7), Healthy(), 1.0)
    for at, value in enumerate([0.1, 0.9, 0.9, 0.9]):
        prognosis.step("current", value, at * S, counting)

    assert calls == [1, 1, 2, 1]


@pytest.mark.parametrize("probability", [math.nan, math.inf, -0.1, 1.1])
def test_what_is_no_probability_changes_nothing(probability: float) -> None:
    """Neither raised nor cleared, nor shown."""
    prognosis = play().prognosis
    question = Question(0, np.zeros((1, 1), np.float32), np.zeros(1, np.float32), 0.7)

    assert prognosis.judge(Answer(question, probability)) is None
    assert prognosis.probability is None


def test_another_model_inherits_what_stands() -> None:
    """A failure raised by the model before is cleared by the one after it, not raised again."""
    before = play().windows([0.9]).end()
    after = play()
    after.prognosis.inherit(before.prognosis)
    after.second = 10
    after.windows([0.9, 0.0, 0.0, 0.0]).end()

    assert states(before.failures) == ["R"]
    assert states(after.failures) == ["C"]
    assert after.failures[0].since_ns == S
