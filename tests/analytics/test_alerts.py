"""Alerts as timelines: alarms per row in, words out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.analytics.alerts import Alert, AlertRule, Alerts, AlertState, cause
from edgetwin.analytics.detector import Usual, Verdicts
from edgetwin.analytics.frozen import Array

RAISED, UPDATED, CLEARED = AlertState.RAISED, AlertState.UPDATED, AlertState.CLEARED


def play(alerts: Alerts, timeline: str, score: float = 7.0, start_s: float = 0.0, block: int = 1000) -> list[Alert]:
    """Return what is told of one element: one character per second, # is an alarm."""
    alarms = np.array([[mark == "#"] for mark in timeline])
    scores = np.where(alarms, score, 0.0)
    times_s = start_s + np.arange(len(timeline), dtype=np.float64)
    values = np.arange(len(timeline), dtype=np.float64)[:, np.newaxis]
    told: list[Alert] = []
    for first in range(0, len(timeline), block):
        part = slice(first, first + block)
        told += alerts.follow(Verdicts(scores[part], alarms[part]), times_s[part], values[part])
    return told


def look(index: int, values: Array) -> Usual:
    """Return what a detector would."""
    return Usual(float(values[index]), 0.5, 0.1)


def states(told: list[Alert]) -> list[tuple[AlertState, float]]:
    """Return (state, time) of each word."""
    return [(one.state, one.time_s) for one in told]


def test_an_alarm_is_raised_once_and_cleared_once() -> None:
    """A hundred rows in alarm are two words; the end is that of the last alarm, told when it is sure."""
    told = play(Alerts(AlertRule(clear_after_s=5.0), look), "...." + 100 * "#" + 20 * ".")

    assert states(told) == [(RAISED, 4.0), (CLEARED, 103.0)]
    assert told[0].since_s == told[1].since_s == 4.0
    assert told[0].usual == Usual(4.0, 0.5, 0.1)


def test_a_flicker_within_the_clearing_time_is_one_alert() -> None:
    """An alarm that comes and goes is one trouble."""
    told = play(Alerts(AlertRule(clear_after_s=5.0), look), "#..#...#....#" + 10 * ".")

    assert states(told) == [(RAISED, 0.0), (CLEARED, 12.0)]


def test_it_is_not_raised_again_within_the_cool_down_but_counted() -> None:
    """What was held back travels with the next word."""
    alerts = Alerts(AlertRule(clear_after_s=2.0, cooldown_s=60.0), look)

    told = play(alerts, "##" + 10 * "." + "##" + 60 * "." + "##" + 5 * ".")

    assert [(one.state, one.held_back) for one in told] == [(RAISED, 0), (CLEARED, 0), (RAISED, 1), (CLEARED, 0)]
    assert (alerts.raised, alerts.held_back) == (2, 1)


def test_what_outlasts_the_cool_down_is_raised_then() -> None:
    """A real trouble is told late rather than never, with its true beginning."""
    alerts = Alerts(AlertRule(clear_after_s=2.0, cooldown_s=60.0), look)

    told = play(alerts, "##" + 10 * "." + 100 * "#")

    assert states(told) == [(RAISED, 0.0), (CLEARED, 1.0), (RAISED, 60.0)]
    assert told[2].since_s == 12.0
    assert alerts.held_back == 0


def test_a_cool_down_may_be_given_in_samples() -> None:
    """For series of five minutes a step, a minute is nothing."""
    alerts = Alerts(AlertRule(clear_after_s=0.0, cooldown_s=0.0, cooldown_samples=50), look)

    assert len(play(alerts, "#." * 60)) == 2 * 3


@given(st.text("#.", max_size=400), st.integers(1, 5), st.floats(0, 30), st.floats(0, 200))
def test_never_more_per_hour_than_allowed_and_never_a_flood(
    timeline: str, per_hour_max: int, clear_after_s: float, cooldown_s: float
) -> None:
    """Whatever the alarms: raised and cleared alternate, and nothing is lost without being counted."""
    alerts = Alerts(AlertRule(clear_after_s, cooldown_s, 0, per_hour_max), look)

    told = play(alerts, timeline)

    words = [one.state for one in told if one.state is not UPDATED]
    assert words == ([RAISED, CLEARED] * len(words))[: len(words)]
    assert words.count(RAISED) == alerts.raised <= per_hour_max
    assert alerts.raised + alerts.held_back >= ("." + timeline).count(".#") * (clear_after_s == 0)


@given(st.text("#.", max_size=200), st.integers(1, 50))
def test_blocks_change_nothing(timeline: str, block: int) -> None:
    """The words do not depend on how many rows come at once."""
    rule = AlertRule(2.0, 10.0, 0, 3)

    assert play(Alerts(rule, look), timeline, block=block) == play(Alerts(rule, look), timeline)


def test_after_an_hour_it_may_be_told_again() -> None:
    """The limit is per hour, not for ever."""
    alerts = Alerts(AlertRule(clear_after_s=1.0, cooldown_s=0.0, per_hour_max=2), look)

    told = play(alerts, "#..." * 4 + 3600 * "." + "#...")

    assert [one.time_s for one in told if one.state is RAISED] == [0.0, 4.0, 3616.0]
    assert told[-2].held_back == 2


def test_it_is_updated_when_it_has_become_twice_as_bad() -> None:
    """And not oftener than once a minute."""
    alerts = Alerts(AlertRule(), look)

    told = play(alerts, 10 * "#", score=7.0)
    told += play(alerts, 100 * "#", score=20.0, start_s=10.0)
    told += play(alerts, 100 * "#", score=21.0, start_s=110.0)

    assert states(told) == [(RAISED, 0.0), (UPDATED, 60.0)]
    assert told[1].peak == 20.0


def test_each_element_has_its_own_life() -> None:
    """Two joints fail: two alerts, each with its name."""
    alerts = Alerts(AlertRule(clear_after_s=1.0), look)
    alarms = np.array([[True, False], [True, True], [False, True], [False, True], [False, True]])

    told = alerts.follow(Verdicts(np.where(alarms, 9.0, 0.0), alarms), np.arange(5.0), np.zeros((5, 2)))

    assert [(one.index, one.state) for one in told] == [(0, RAISED), (1, RAISED), (0, CLEARED)]
    assert alerts.open == [1]


def test_a_missing_score_does_not_end_an_alert() -> None:
    """The sensor says nothing; the trouble is not known to be over."""
    alerts = Alerts(AlertRule(clear_after_s=1.0), look)
    alarms = np.ones((5, 1), np.bool_)

    told = alerts.follow(
        Verdicts(np.array([[7.0], [np.nan], [np.nan], [8.0], [8.0]]), alarms), np.arange(5.0), np.ones((5, 1))
    )

    assert [one.state for one in told] == [RAISED]
    assert math.isclose(told[0].score, 7.0)


def test_a_clock_that_jumps_back_ends_nothing_and_holds_nothing_for_ever() -> None:
    """A cool-down of the future is over."""
    alerts = Alerts(AlertRule(clear_after_s=5.0, cooldown_s=60.0), look)

    told = play(alerts, "##........", start_s=1e9)
    told += play(alerts, "##........", start_s=0.0)

    assert [one.state for one in told] == [RAISED, CLEARED, RAISED, CLEARED]


def test_the_end_of_a_recording_ends_what_is_open() -> None:
    """Only what was told."""
    alerts = Alerts(AlertRule(), look)
    play(alerts, "...###")

    assert states(alerts.close()) == [(CLEARED, 5.0)]
    assert alerts.close() == []


@pytest.mark.parametrize(
    ("name", "usual", "words"),
    [
        ("joint_3", Usual(25.0, 0.1, 0.4), "joint_3 effort 25.0, usual 0.1 +- 0.4 since 12:03"),
        ("", Usual(11.3, 24.0, 0.0), "effort 11.3, usual 24.0 since 12:03"),
        ("a", Usual(1e9, -3.0, 1234567.0), "a effort 1e+09, usual -3.0 +- 1.235e+06 since 12:03"),
        ("a", Usual(math.inf, math.nan, 1.0), "a effort inf, usual nan +- 1.0 since 12:03"),
    ],
)
def test_a_cause_is_a_line_that_a_person_understands(name: str, usual: Usual, words: str) -> None:
    """What, how far, what was normal, since when."""
    assert cause(name, "effort", usual, "12:03") == words
