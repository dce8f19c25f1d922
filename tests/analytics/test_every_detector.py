"""What every detector must do, whatever its method."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetwin.analytics.frozen import DetectorStateError
from edgetwin.analytics.methods import Method
from tests.analytics.signals import ELEMENTS, ODD, PERIOD_S, Odd, detector, faulty, in_blocks, same, times, usual

methods = pytest.mark.parametrize("method", list(Method))
oddities = pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)


@methods
@oddities
def test_one_row_at_a_time_or_many_the_answers_are_the_same(method: Method, odd: Odd) -> None:
    """A recording judged in blocks says exactly what the robot would have said."""
    values, at = odd.make()

    whole = detector(method).judge(values, at)

    assert same(in_blocks(detector(method), values, at, [1]), whole)
    assert same(in_blocks(detector(method), values, at, [5, 1, 33, 16]), whole)


@methods
@oddities
def test_the_same_input_gives_the_same_output(method: Method, odd: Odd) -> None:
    """Nothing is drawn by lot, nothing is shared between two detectors."""
    values, at = odd.make()

    first = detector(method).judge(values, at)

    assert same(first, detector(method).judge(values, at))


@methods
@oddities
@pytest.mark.parametrize("cut", [1, 37, 300, 595])
def test_a_restart_from_the_saved_state_changes_nothing(method: Method, odd: Odd, cut: int) -> None:
    """State goes through JSON and another process; not a bit is lost."""
    values, at = odd.make()
    whole = detector(method).judge(values, at)
    before, after = detector(method), detector(method)
    before.judge(values[:cut], at[:cut])

    after.load(json.loads(json.dumps(before.save(), allow_nan=False)))

    assert np.array_equal(after.not_finite, before.not_finite)
    assert (after.late, after.pauses) == (before.late, before.pauses)
    later = after.judge(values[cut:], at[cut:])
    assert np.array_equal(later.scores, whole.scores[cut:], equal_nan=True)
    assert np.array_equal(later.alarms, whole.alarms[cut:])


@methods
@oddities
def test_inputs_are_left_alone(method: Method, odd: Odd) -> None:
    """The same array goes to other detectors, and to the cloud."""
    values, at = odd.make()
    copies = values.copy(), at.copy()
    values.flags.writeable = at.flags.writeable = False

    detector(method).judge(values, at)

    assert np.array_equal(values, copies[0], equal_nan=True)
    assert np.array_equal(at, copies[1], equal_nan=True)


@methods
@oddities
def test_scores_are_numbers_or_no_judgement(method: Method, odd: Odd) -> None:
    """Never infinite; and no alarm begins where there is no judgement."""
    values, at = odd.make()

    verdicts = detector(method).judge(values, at)

    begins = np.diff(verdicts.alarms.astype(int), axis=0, prepend=0) == 1
    assert verdicts.scores.shape == verdicts.alarms.shape == (len(values), detector(method).judged)
    assert not np.isinf(verdicts.scores).any()
    assert np.isfinite(verdicts.scores[begins]).all()


@methods
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf"), 1e200])
def test_what_is_no_number_is_counted_and_never_learned(method: Method, bad: float) -> None:
    """The mean of one element does not become NaN, and its neighbours do not notice."""
    values = usual(3000)
    values[300:340, 0] = bad
    one = detector(method)

    verdicts = one.judge(values, times(3000))

    assert one.not_finite.tolist() == [40, 0, 0, 0]
    assert np.isfinite(verdicts.scores[-1]).all()
    assert not verdicts.alarms.any()


@methods
def test_warming_up_is_a_state_and_not_a_zero(method: Method) -> None:
    """Until then there is no judgement; afterwards there always is one."""
    one = detector(method)
    warming = one.warming.copy()

    verdicts = one.judge(usual(1500), times(1500))

    judged = np.array([np.isfinite(row).all() for row in verdicts.scores])
    begins = int(np.argmax(judged))
    assert warming.all()
    assert not one.warming.any()
    assert np.isnan(verdicts.scores[:5]).all()
    assert begins * PERIOD_S >= (1.0 if method is Method.LIMITS else 10.0)
    assert judged[begins:].all()


@methods
def test_no_warm_up_goes_by_while_nothing_is_measured(method: Method) -> None:
    """A minute of silence teaches nothing."""
    at = times(60)
    at[5:] += 60.0
    short = detector(method)

    verdicts = short.judge(usual(60), at)

    if method is not Method.LIMITS:
        assert np.isnan(verdicts.scores).all()


@methods
def test_a_usual_robot_raises_no_alarm(method: Method) -> None:
    """Twenty minutes of it, and of another one; `residual` is for slow series, and touchier per sample."""
    alarms = [detector(method).judge(usual(12_000, seed), times(12_000)).alarms for seed in (1, 2)]

    begun = sum(int((np.diff(one.astype(int), axis=0) == 1).sum()) for one in alarms)
    assert begun <= (1e-4 * sum(one.size for one in alarms) if method is Method.RESIDUAL else 0)


@methods
def test_a_gross_fault_is_seen_within_seconds(method: Method) -> None:
    """The alarm begins after it, and in the element that has it."""
    values = faulty(1600, 1200)
    one = detector(method)

    alarms = one.judge(values, times(1600)).alarms

    began = int(np.argmax(alarms.any(axis=1)))
    labels = ("left", "right", "speed_left", "speed_right")
    assert 1200 <= began <= 1200 + 15.0 / PERIOD_S
    assert "left" in one.name(int(np.argmax(alarms[began])), labels)


@methods
def test_learning_comes_after_scoring(method: Method) -> None:
    """A value does not make itself usual: the score of a row does not depend on the rows after it."""
    values = faulty(1300, 1200)

    early = detector(method).judge(values[:1201], times(1201))

    assert np.array_equal(
        early.scores, detector(method).judge(values, times(1300)).scores[:1201], equal_nan=True
    )  # fmt: skip


@methods
def test_an_alarm_ends_when_its_cause_does(method: Method) -> None:
    """The fault lasts a minute; a minute later all is quiet, and stays so."""
    values = usual(4000)
    values[1200:1800] = faulty(1800, 1200)[1200:1800]

    alarms = detector(method).judge(values, times(4000)).alarms

    assert alarms[1300:1700].any()
    assert not alarms[2400:].any()


@methods
def test_a_state_that_does_not_fit_is_refused(method: Method) -> None:
    """Of another method, version or width, or with a hole: never half taken over in silence."""
    one = detector(method)
    one.judge(usual(50), times(50))
    state = one.save()
    broken: list[object] = [None, [], {}, state | {"v": 0}, state | {"method": "other"}, state | {"elements": 9}]
    broken += [{key: value for key, value in state.items() if key != left_out} for left_out in state]
    broken += [state | {"known": {}}, state | {"not_finite": ["<f8", [ELEMENTS], "!"]}]

    for other in broken:
        with pytest.raises(DetectorStateError):
            detector(method).load(other)


@methods
@settings(max_examples=40)
@given(data=st.data())
def test_anything_may_come(method: Method, data: st.DataObject) -> None:
    """Any values, any times, any blocks: nothing is raised, and blocks change nothing."""
    rows = data.draw(st.integers(1, 80))
    number = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-10, 10)
    values = np.array(data.draw(st.lists(st.lists(number, min_size=4, max_size=4), min_size=rows, max_size=rows)))
    steps = data.draw(st.lists(st.sampled_from([0.0, 0.1, 0.1, 0.1, 5.0, -0.05, -90.0]), min_size=rows, max_size=rows))
    at = np.cumsum(np.array(steps))
    lengths = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))

    whole = detector(method).judge(values, at)

    assert same(in_blocks(detector(method), values, at, lengths), whole)
    assert not np.isinf(whole.scores).any()
