"""The level of a signal: what counts as a shift, and what does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgetwin.analytics.frozen import Array
from edgetwin.analytics.shift import Shift, ShiftRule
from edgetwin.analytics.tile import TILE


def noise(rows: int, elements: int = 1, seed: int = 3) -> Array:
    """Return white noise of standard deviation 1."""
    return np.random.default_rng(seed).normal(size=(rows, elements))


def alarms_of(values: Array, rule: ShiftRule | None = None) -> Array:
    """Return the alarms, one column after the other."""
    return Shift(values.shape[1], rule or ShiftRule()).advance(values)[1].astype(np.float64)


def test_a_shift_of_three_sigma_is_seen_within_a_few_lengths_of_the_fast_mean() -> None:
    """No single value would have told."""
    values = noise(1200)
    values[1000:] += 3.0

    alarms = alarms_of(values)

    assert not alarms[:1000].any()
    assert 1000 <= int(np.argmax(alarms)) <= 1000 + 3 * ShiftRule().fast_samples


def test_elements_are_judged_as_if_each_were_alone() -> None:
    """A column gives the same answers beside any others."""
    values = noise(900, 5)
    values[600:, 2] += 8.0

    together = Shift(5, ShiftRule()).advance(values)

    for column in range(5):
        alone = Shift(1, ShiftRule()).advance(values[:, column : column + 1])
        assert np.allclose(alone[0][:, 0], together[0][:, column], rtol=1e-9, equal_nan=True)
        assert np.array_equal(alone[1][:, 0], together[1][:, column])


def test_an_element_that_wanders_is_not_taken_for_one_that_jumps() -> None:
    """A random walk leaves every level it ever had; a signal that rests does so only when something is wrong."""
    walk = np.cumsum(noise(8000, 20), axis=0)
    rule = ShiftRule(threshold=3.0)

    plain = alarms_of(walk, replace(rule, looks=0.0))

    assert plain.sum() > 1000
    assert alarms_of(walk, rule).sum() < 0.2 * plain.sum()


def test_what_lasts_a_whole_memory_is_the_usual_state() -> None:
    """Nobody wants an alert for ever because a robot was given a new tool."""
    values = noise(3000)
    values[1000:] += 20.0

    alarms = alarms_of(values)

    assert alarms[1010:1400].all()
    assert not alarms[1700:].any()


def test_an_alarm_is_not_learned_away_within_the_memory() -> None:
    """Half a memory into a fault, the usual level is still the healthy one."""
    values = noise(1300)
    values[1000:] += 10.0
    shift = Shift(1, ShiftRule())

    shift.advance(values)

    assert shift.alarming.all()
    assert shift.usual(0)[0] == pytest.approx(0.0, abs=0.6)


def test_a_lone_outlier_is_one_short_alarm() -> None:
    """A thousand sigmas once: it alarms at once, and not for long."""
    values = noise(1200)
    values[900] = 1000.0

    alarms = alarms_of(values)

    assert alarms[900].all()
    assert alarms.sum() < 4 * TILE


def test_a_signal_that_never_moved_alarms_when_it_jumps_but_not_when_it_quivers() -> None:
    """A source without noise must still be watched; its last digit must not."""
    jump, quiver = np.full((600, 1), 0.1), np.full((600, 1), 0.1)
    jump[400:] = 25.0
    quiver[400:] = 0.100001

    assert alarms_of(jump)[400:].any()
    assert not alarms_of(quiver).any()


def test_a_spread_that_is_never_undercut_silences_small_changes() -> None:
    """The user knows what is small; the signal may not show it."""
    values = 0.001 * noise(1200)
    values[1000:] += 0.01

    assert alarms_of(values).any()
    assert not alarms_of(values, ShiftRule(scale_min=0.1)).any()


def test_usual_is_mean_and_standard_deviation() -> None:
    """What the alert tells a person."""
    shift = Shift(1, ShiftRule())

    shift.advance(7.0 + 2.0 * noise(3200))

    mean, scale = shift.usual(0)
    assert mean == pytest.approx(7.0, abs=0.3)
    assert scale == pytest.approx(2.0, rel=0.1)


def test_rises_only_lets_falls_pass() -> None:
    """A prediction error that shrinks is good news."""
    values = noise(1200, 2)
    values[1000:, 0] += 5.0
    values[1000:, 1] -= 5.0

    alarms = alarms_of(values, ShiftRule(rises_only=True))

    assert alarms[1000:, 0].any()
    assert not alarms[:, 1].any()


def test_a_pause_neither_ends_an_alarm_nor_begins_one() -> None:
    """What was short-lived is forgotten, what was wrong is not known to be right again."""
    values = noise(1200, 2)
    values[1100:, 0] += 10.0
    shift = Shift(2, ShiftRule())
    shift.advance(values)

    shift.forget(1e6)

    scores, alarms = shift.advance(noise(1, 2, seed=9) + np.array([10.0, 0.0]))
    assert alarms.tolist() == [[True, False]]
    assert scores[0, 1] < 1.5


def test_new_elements_begin_at_the_beginning_and_change_nothing_for_the_others() -> None:
    """A gripper that is plugged in warms up by itself."""
    values = noise(1000, 3)
    values[900:, :] += 8.0
    shift = Shift(2, ShiftRule())
    first = shift.advance(values[:405, :2])
    shift.grow(3)
    then = shift.advance(values[405:])

    whole = Shift(2, ShiftRule()).advance(values[:, :2])
    assert np.allclose(np.concatenate([first[0], then[0][:, :2]]), whole[0], rtol=1e-9, equal_nan=True)
    assert np.isnan(then[0][:240, 2]).all()
    assert then[1][-1].all()
