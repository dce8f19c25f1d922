"""What is particular to a method."""

from __future__ import annotations

import numpy as np
import pytest

from edgetwin.analytics.frozen import Array
from edgetwin.analytics.methods import Method, Wish, build
from tests.analytics.signals import times, usual


def noise(rows: int, seed: int = 5) -> Array:
    """Return white noise."""
    return np.random.default_rng(seed).normal(size=rows)


def test_a_ratio_of_twins_does_not_see_the_ground_but_the_motor() -> None:
    """Both draw three times more in sand; one draws 1.6 times more when its gear fails."""
    values = usual(4000)
    values[2000:, :2] *= 3.0
    faulty = values.copy()
    faulty[3000:, 0] *= 1.6
    wish = Wish(Method.TWIN_RATIO, pairs=((0, 1),), speeds=((2, 3),))

    assert not build(wish, 4).judge(values, times(4000)).alarms.any()
    assert build(wish, 4).judge(faulty, times(4000)).alarms[3000:].any()


def test_a_turn_is_no_fault_of_a_twin() -> None:
    """The outer wheel works harder; where speeds are given it is not looked at meanwhile."""
    values = usual(3000)
    turns = np.arange(3000) % 700 > 500
    values[turns, 0] *= 4.0
    values[turns, 2] *= 1.5
    wish = Wish(Method.TWIN_RATIO, pairs=((0, 1),), speeds=((2, 3),))

    verdicts = build(wish, 4).judge(values, times(3000))

    assert not verdicts.alarms.any()
    assert np.isnan(verdicts.scores[turns]).all()


def test_a_load_is_judged_by_what_its_motion_usually_costs() -> None:
    """High current while climbing is usual; high current while standing is not, though it was higher before."""
    speed = np.abs(np.sin(np.arange(6000) / 60.0))
    load = 2.0 + 8.0 * speed + 0.2 * noise(6000)
    stalled = load.copy()
    stalled[5000:] = np.where(speed[5000:] < 0.3, 9.0, load[5000:])
    wish = Wish(Method.CONDITIONED, motion=1)

    usual_alarms = build(wish, 2).judge(np.stack([load, speed], axis=1), times(6000)).alarms
    alarms = build(wish, 2).judge(np.stack([stalled, speed], axis=1), times(6000)).alarms

    assert stalled[5000:].max() <= load.max() + 0.5
    assert not usual_alarms.any()
    assert alarms[5000:].any()


def test_a_small_shift_of_all_at_once_is_seen_where_hardly_one_alone_tells() -> None:
    """Half a sigma in 32 signals: a supply voltage sags, a base tilts."""
    values = np.random.default_rng(4).normal(size=(4000, 32))
    values[3000:] += 0.5

    joint = build(Wish(Method.T_SQUARED), 32).judge(values, times(4000)).alarms
    alone = build(Wish(Method.ROBUST_Z), 32).judge(values, times(4000)).alarms

    assert not joint[:3000].any()
    assert joint[3000:3100].any()
    assert alone[3000:3100].any(axis=0).mean() < 0.2


def test_a_vibration_in_one_band_is_seen_and_named_in_decibels() -> None:
    """The level rises by 20 dB in a band; the mean of the signal does not move."""
    at = np.arange(20_000) / 200.0
    values = noise(20_000)
    values[15_000:] += 3.0 * np.sin(2 * np.pi * 30.0 * at[15_000:])
    wish = Wish(Method.SPECTRAL, window_samples=128, bands_hz=((5.0, 20.0), (20.0, 40.0), (40.0, 90.0)))
    one = build(wish, 1)

    alarms = one.judge(values[:, np.newaxis], at).alarms[:, 0]

    assert not alarms[:15_000].any()
    assert alarms[15_000:17_000].any()
    rise = one.usual(0, values[-1:]).value - one.usual(0, values[-1:]).mean
    assert rise > 10.0


def test_scipy_signal_is_never_imported() -> None:
    """It costs 0.7 s of a robot's start and 72 MB; neither vibrations nor the bands of a model need it."""
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    code = (
        "import sys; from edgetwin.analytics.methods import *; import edgetwin.analytics.window;"
        "build(Wish(Method.SPECTRAL), 3); assert 'scipy.signal' not in sys.modules"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_limits_alarm_at_once_and_end_with_hysteresis() -> None:
    """On the row, both ways, and not on the limit itself."""
    one = build(Wish(Method.LIMITS, low=-1.0, high=10.0, hysteresis=2.0), 1)
    values = np.array([[10.0], [10.1], [9.0], [8.1], [7.9], [-1.0], [-1.1], [0.5], [1.5]])

    alarms = one.judge(values, times(9)).alarms[:, 0]

    assert alarms.tolist() == [False, True, True, True, False, False, True, True, False]
    assert one.usual(0, np.array([11.0])).mean == 10.0
    assert one.usual(0, np.array([-5.0])).mean == -1.0


@pytest.mark.parametrize(
    ("wish", "elements", "words"),
    [
        (Wish(Method.TWIN_RATIO), 4, "needs at least one pair"),
        (Wish(Method.CONDITIONED), 4, "needs at least one column of motion"),
        (Wish(Method.CONDITIONED, motion=2), 2, "one that is none"),
        (Wish(Method.T_SQUARED), 65, "64 elements at most, not 65"),
    ],
)
def test_what_a_method_cannot_do_is_said(wish: Wish, elements: int, words: str) -> None:
    """Not a crash later on."""
    with pytest.raises(ValueError, match=words):
        build(wish, elements)


@pytest.mark.parametrize("method", [method for method in Method if method is not Method.LIMITS])
def test_a_higher_threshold_never_alarms_more(method: Method) -> None:
    """The one number that a user turns."""
    values = usual(3000)
    values[2000:, 0] *= 1.5
    wish = {Method.TWIN_RATIO: {"pairs": ((0, 1),)}, Method.CONDITIONED: {"motion": 2}}.get(method, {})
    extra = {"window_samples": 32} if method is Method.SPECTRAL else {}
    alarms = [
        int(build(Wish(method, threshold=threshold, **wish, **extra), 4).judge(values, times(3000)).alarms.sum())  # type: ignore[arg-type]
        for threshold in (3.0, 6.0, 12.0, 1e6)
    ]

    assert alarms[0] >= alarms[1] >= alarms[2] >= alarms[3] == 0
    assert alarms[0] > 0
