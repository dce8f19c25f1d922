"""Windows: samples as a timeline in, rows out; no clock, no sleep."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.analytics.features import Statistic, parse_all
from edgetwin.analytics.moments import Moments
from edgetwin.analytics.window import PANES_MAX, Row, Value, Window

S = 1_000_000_000
MS = 1_000_000
ALL = ("mean", "std", "rms", "abs_mean", "min", "max", "peak", "last")
numbers = st.floats(-1e6, 1e6)


def window(*names: str, window_s: float = 1.0, every_s: float = 1.0, **rates_hz: float) -> Window:
    """Return a window of the named features."""
    return Window(parse_all(names), window_s, every_s, rates_hz)


def play(it: Window, samples: Iterable[tuple[int, Value]], source: str = "a") -> list[Row]:
    """Feed (time [ns], value); return the rows."""
    return [row for at_ns, value in samples if (row := it.take(source, value, at_ns)) is not None]


def reference(values: Sequence[float]) -> dict[str, float]:
    """Return all statistics by numpy's own means."""
    x = np.asarray(values, np.float64)
    return {
        "mean": x.mean(), "std": x.std(), "rms": math.sqrt(np.square(x).mean()), "abs_mean": np.abs(x).mean(),
        "min": x.min(), "max": x.max(), "peak": np.abs(x).max(), "last": x[-1],
    }  # fmt: skip


@given(st.lists(numbers, min_size=2, max_size=80), st.data())
def test_moments_are_those_of_numpy_however_the_samples_are_parted(values: list[float], data: st.DataObject) -> None:
    """One by one, in arrays, merged from parts: the same numbers."""
    cut = data.draw(st.integers(1, len(values) - 1))
    first, second = Moments(), Moments()
    for value in values[:cut]:
        first.add(value)
    second.add_array(np.array(values[cut:]))
    merged = Moments.merged([Moments(), first, Moments(), second])

    for word, expected in reference(values).items():
        assert merged.statistic(Statistic(word)) == pytest.approx(expected, rel=1e-6, abs=1e-3)


def test_a_level_far_from_zero_costs_no_digits() -> None:
    """A sum of squares would lose a spread of 0.1 on 1e9; Welford does not."""
    moments = Moments()
    for turn in range(1000):
        moments.add(1e9 + (0.1 if turn % 2 else -0.1))

    assert moments.statistic(Statistic.STD) == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("word", ALL)
def test_no_samples_give_no_statistic(word: str) -> None:
    """NaN, and not a zero that looks measured; the spread of one sample is none either."""
    one = Moments()
    one.add(3.0)

    assert math.isnan(Moments().statistic(Statistic(word)))
    assert math.isnan(one.statistic(Statistic(word))) == (word == "std")


def test_a_window_holds_the_samples_of_its_time() -> None:
    """[0, 1) s and [1, 2) s; a row comes with the first sample after its end."""
    rows = play(window("a.mean", "a.max"), [(0, 1.0), (500 * MS, 3.0), (S, 10.0), (1500 * MS, 20.0), (2 * S, 0.0)])

    assert [(row.at_ns, dict(row.values)) for row in rows] == [
        (S, {"a.mean": 2.0, "a.max": 3.0}),
        (2 * S, {"a.mean": 15.0, "a.max": 20.0}),
    ]


def test_a_window_slides_in_panes() -> None:
    """A window of 4 s every second: each row sees the last four seconds."""
    rows = play(window("a.mean", window_s=4.0, every_s=1.0), [(at * S, float(at)) for at in range(8)])

    assert [(row.at_ns // S, row.values["a.mean"]) for row in rows] == [(4, 1.5), (5, 2.5), (6, 3.5), (7, 4.5)]


@given(st.lists(st.tuples(st.integers(0, 400 * MS), numbers), min_size=1, max_size=200))
def test_each_row_is_what_numpy_says_of_its_time(steps: list[tuple[int, float]]) -> None:
    """Any pace without gaps: mean and extremes of exactly the samples between the window's ends."""
    samples: list[tuple[int, float]] = []
    now_ns = 0
    for step_ns, value in steps:
        now_ns += step_ns
        samples.append((now_ns, value))
    begin_ns = samples[0][0]

    for row in play(window("a.mean", "a.min", "a.max"), samples):
        inside = [value for at_ns, value in samples if row.at_ns - S <= at_ns < row.at_ns]
        assert (row.at_ns - begin_ns) % S == 0
        assert row.values["a.mean"] == pytest.approx(np.mean(inside), rel=1e-9, abs=1e-6)
        assert (row.values["a.min"], row.values["a.max"]) == (min(inside), max(inside))


def test_what_is_not_finite_is_counted_and_in_no_window() -> None:
    """Single, and in an array."""
    it = window("a.mean")
    samples: list[tuple[int, Value]] = [(0, 1.0), (1, math.nan), (2, math.inf), (3, [2.0, -math.inf, math.nan, 3.0])]
    rows = play(it, [*samples, (S, 0.0)])

    assert rows[0].values["a.mean"] == 2.0
    assert it.not_finite == 4


def test_numbers_that_overflow_give_no_row_of_infinities() -> None:
    """1e308 twice: the mean is not told, and the next window is sound."""
    rows = play(window("a.rms"), [(0, 1e308), (1, -1e308), (S, 2.0), (2 * S, 0.0)])

    assert [math.isnan(row.values["a.rms"]) for row in rows] == [True, False]
    assert rows[1].values["a.rms"] == 2.0


def test_a_gap_of_more_than_a_window_begins_anew() -> None:
    """No row spans the gap, and the first one after it is of a whole window."""
    it = window("a.mean", window_s=2.0, every_s=1.0)
    rows = play(it, [(0, 1.0), (S, 1.0), (10 * S, 5.0), (11 * S, 7.0), (12 * S, 0.0)])

    assert [(row.at_ns // S, row.values["a.mean"]) for row in rows] == [(12, 6.0)]
    assert it.restarts == 1


def test_time_that_goes_back_a_little_stays_in_the_open_pane() -> None:
    """Out of order by less than a window: counted, not lost, never twice."""
    it = window("a.mean")
    rows = play(it, [(0, 1.0), (600 * MS, 2.0), (500 * MS, 6.0), (S, 0.0)])

    assert [row.values["a.mean"] for row in rows] == [3.0]
    assert (it.backward, it.restarts) == (1, 0)


def test_a_clock_set_back_by_hours_begins_anew() -> None:
    """Rows go on in the new time; none waits until the old one is reached again."""
    it = window("a.mean")
    late = 3600 * S
    rows = play(it, [(late, 1.0), (late + S, 1.0), (0, 5.0), (S // 2, 7.0), (S, 0.0)])

    assert [(row.at_ns, row.values["a.mean"]) for row in rows] == [(late + S, 1.0), (S, 6.0)]
    assert (it.backward, it.restarts) == (1, 1)


def test_a_silent_source_is_not_a_number() -> None:
    """The other source drives the window; what was not measured is not made up."""
    it = window("a.mean", "b.mean")
    it.take("b", 4.0, 0)
    rows = play(it, [(at * 100 * MS, 1.0) for at in range(25)])

    assert rows[0].values == {"a.mean": pytest.approx(1.0), "b.mean": 4.0}
    assert math.isnan(rows[1].values["b.mean"])


def test_active_time_is_that_between_samples() -> None:
    """It adds up over rows; a gap is no running time."""
    it = window("a.mean")
    steady = [(at * 100 * MS, 0.0) for at in range(31)]
    rows = play(it, [*steady, (20 * S, 0.0), *((20 * S + at * 100 * MS, 0.0) for at in range(1, 12))])

    assert sum(row.active_s for row in rows) == pytest.approx(4.0, abs=0.11)


def test_memory_depends_neither_on_the_rate_nor_on_the_window() -> None:
    """A window of a day every tenth of a second: sixty panes, and no sample kept."""
    it = window("a.mean", "a.std", window_s=86_400.0, every_s=0.1)
    for at in range(3000):
        it.take("a", float(at), at * 60 * S)

    assert len(it._panes) == PANES_MAX
    assert sum(sys.getsizeof(pane.moments["a"]) for pane in it._panes) < 20_000


def test_the_same_samples_give_the_same_rows_and_are_not_changed() -> None:
    """Arrays belong to whoever made them."""
    array = np.array([1.0, math.nan, 3.0])
    before = array.copy()
    samples: list[tuple[int, Value]] = [(0, array), (S, array), (2 * S, array)]

    assert play(window("a.mean"), samples) == play(window("a.mean"), samples)
    np.testing.assert_array_equal(array, before)


def sine(rate_hz: float, seconds: float, *parts: tuple[float, float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return a sum of sines, (frequency [Hz], amplitude) each."""
    time = np.arange(int(rate_hz * seconds)) / rate_hz
    total: np.ndarray[tuple[int], np.dtype[np.float64]] = sum(
        (amplitude * np.sin(2 * np.pi * frequency * time) for frequency, amplitude in parts), np.zeros(time.size)
    )
    return total


def test_a_band_is_the_rms_of_what_lies_in_it() -> None:
    """Two tones of 20 kHz arrays: each band hears its own, a constant is in none."""
    it = window("a.band_1000_2000", "a.band_3000_5000", a=20_000.0)
    signal = sine(20_000.0, 2.0, (1500.0, 2.0), (4000.0, 0.5)) + 9.81
    rows = play(it, [(at * 50 * MS, signal[at * 1000 : (at + 1) * 1000]) for at in range(40)])

    assert rows[0].values["a.band_1000_2000"] == pytest.approx(2.0 / math.sqrt(2), rel=0.02)
    assert rows[0].values["a.band_3000_5000"] == pytest.approx(0.5 / math.sqrt(2), rel=0.02)


def test_a_band_of_single_samples_is_timed_by_their_coming() -> None:
    """A message per sample at 1 kHz: 100 to 200 Hz can be heard, and the tone is found where it is."""
    it = window("a.band_100_200", "a.band_200_300", window_s=4.0, every_s=4.0)
    rows = play(it, [(at * MS, float(value)) for at, value in enumerate(sine(1000.0, 4.1, (150.0, 1.0)))])

    assert rows[0].values["a.band_100_200"] == pytest.approx(1 / math.sqrt(2), rel=0.03)
    assert rows[0].values["a.band_200_300"] < 0.01


def test_a_band_that_the_rate_does_not_carry_is_not_a_number() -> None:
    """1000 to 2000 Hz of a signal of 1 kHz: nobody can know, so nothing is said."""
    it = window("a.band_1000_2000", "a.mean", window_s=4.0, every_s=4.0)
    rows = play(it, [(at * MS, 1.0) for at in range(4100)])

    assert math.isnan(rows[0].values["a.band_1000_2000"])
    assert rows[0].values["a.mean"] == 1.0
