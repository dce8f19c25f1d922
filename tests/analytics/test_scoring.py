"""How good alarms were: figures by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from edgetwin.analytics.scoring import per_hour, pr_auc, recall_at, score, stretches


def _flags(text: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([mark == "#" for mark in text])


def test_shares_and_delay_are_those_of_the_rows() -> None:
    """Two anomalies, one seen late, one not; one false row."""
    truth = _flags("..####...##....")
    alarms = _flags("#...##.........")

    found = score(alarms, truth, 10.0 * np.arange(15.0, dtype=np.float64))

    assert found.f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 4))
    assert found.far == pytest.approx(1 / 9)
    assert found.mar == pytest.approx(4 / 6)
    assert found.delay_s == 20.0


def test_what_the_rows_do_not_say_is_none() -> None:
    """No anomaly, no usual row, nothing seen, no time."""
    nothing, everything = _flags("...."), _flags("####")

    assert score(nothing, nothing, np.arange(4.0)) == score(nothing, nothing, np.arange(4.0))
    assert score(nothing, nothing, np.arange(4.0)).f1 is None
    assert score(nothing, nothing, np.arange(4.0)).mar is None
    assert score(everything, everything, np.arange(4.0)).far is None
    assert score(nothing, everything, np.arange(4.0)).delay_s is None
    assert per_hour(3, np.zeros(0)) is None
    assert per_hour(3, np.full(4, np.nan)) is None


def test_alarming_always_scores_well_by_f1_alone() -> None:
    """Why FAR stands beside it."""
    truth = _flags("##..")

    found = score(_flags("####"), truth, np.arange(4.0))

    assert found.f1 == pytest.approx(2 / 3)
    assert found.far == 1.0


def test_stretches_are_runs_of_true_rows() -> None:
    """At both ends too."""
    assert stretches(_flags("##.#..###")) == [(0, 2), (3, 4), (6, 9)]
    assert stretches(_flags("")) == []


def test_events_per_hour_do_not_mind_times_out_of_order() -> None:
    """From the earliest to the latest."""
    assert per_hour(2, np.array([3600.0, 0.0, np.nan, 7200.0])) == 1.0


@pytest.mark.parametrize("digits", [1, 6])
def test_the_area_under_precision_and_recall_is_that_of_the_training_library(digits: int) -> None:
    """With many equal scores and with hardly any."""
    noise = np.random.default_rng(4)
    truth = noise.random(500) < 0.1
    scores = np.asarray(np.round(noise.random(500) + 0.3 * truth, digits), np.float64)
    precision, recall, _ = precision_recall_curve(truth, scores)

    assert pr_auc(scores, truth) == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    for wanted in (0.2, 0.5, 0.9):
        assert recall_at(scores, truth, wanted) == pytest.approx(recall[precision >= wanted].max())


def test_where_nothing_was_wrong_there_is_no_area() -> None:
    """None, and not a number that looks like a result; nothing at all is no fault either."""
    nothing = np.zeros(3, np.bool_)

    assert pr_auc(np.arange(3.0), nothing) is None
    assert recall_at(np.arange(3.0), nothing, 0.9) is None
    assert pr_auc(np.zeros(0), np.zeros(0, np.bool_)) is None
