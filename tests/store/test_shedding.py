"""What is given up first: critical thinned evenly, then cut, then slow likewise, events last."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.records import ChannelClass
from edgetwin.store.shedding import LEVEL_MAX, Action, Shedding, Step, kept_at

_CRITICAL, _SLOW, _EVENT = ChannelClass.CRITICAL, ChannelClass.SLOW, ChannelClass.EVENT


class _File:
    """Rows of each class, two to a step, with the level that each was thinned to."""

    def __init__(self, **rows: int) -> None:
        self.rows = {ChannelClass(name): dict.fromkeys(range(1, count + 1), 0) for name, count in rows.items()}

    def take(self, step: Step) -> int | None:
        rows = self.rows.get(step.channel_class, {})
        chosen = [row for row in sorted(rows) if row > step.after_row][:2]
        for row in chosen:
            if step.action is Action.CUT:
                del rows[row]
            else:
                rows[row] = step.level
        return chosen[-1] if chosen else None


def _all_steps(file: _File, shedding: Shedding) -> Iterable[Step]:
    while (step := shedding.next_step()) is not None:
        shedding.done(step, file.take(step))
        yield step


def test_the_order_of_giving_up_is_that_of_the_classes() -> None:
    """Each is thinned to 1/64 before any of it is cut; events are never thinned; then nothing is left."""
    file, shedding = _File(critical=5, slow=3, event=3), Shedding()

    stages = [(step.channel_class, step.action, step.level) for step in _all_steps(file, shedding)]

    thinned = [(cls, Action.THIN, level) for cls in (_CRITICAL, _SLOW) for level in range(1, LEVEL_MAX + 1)]
    expected = [*thinned[:6], (_CRITICAL, Action.CUT, 0), *thinned[6:], (_SLOW, Action.CUT, 0), (_EVENT, Action.CUT, 0)]
    assert list(dict.fromkeys(stages)) == expected
    assert not any(file.rows.values())
    assert shedding.next_step() is None


def test_every_row_is_thinned_to_a_level_before_any_goes_further() -> None:
    """The picture stays even over the whole outage."""
    file, shedding = _File(critical=7, slow=1), Shedding()

    for step in _all_steps(file, shedding):
        if step.action is Action.CUT:
            break
        levels = file.rows[_CRITICAL].values()
        assert max(levels) - min(levels) <= 1
        assert shedding.level(_CRITICAL) <= min(levels, default=0)
    assert 2**LEVEL_MAX == 64


@pytest.mark.parametrize("absent", [_CRITICAL, _SLOW, _EVENT])
def test_a_class_that_is_not_there_is_passed_over(absent: ChannelClass) -> None:
    """Its rows may come later."""
    file, shedding = _File(**{cls: 2 for cls in ChannelClass if cls is not absent}), Shedding()
    list(_all_steps(file, shedding))
    file.rows[absent] = {9: 0}
    assert shedding.next_step() is None

    shedding.appended(absent)

    assert [step.channel_class for step in _all_steps(file, shedding)][-1] is absent
    assert not file.rows[absent]


def test_new_rows_are_thinned_as_far_as_the_last_whole_pass() -> None:
    """Not further: the pass under way will come to them."""
    file, shedding = _File(critical=4), Shedding()
    step = shedding.next_step()
    assert step is not None
    shedding.done(step, file.take(step))
    assert shedding.level(_CRITICAL) == 0

    for step in _all_steps(file, shedding):
        if step.level == 2:
            break
    assert shedding.level(_CRITICAL) == 1
    assert shedding.level(_EVENT) == 0


def test_with_room_again_new_samples_are_whole() -> None:
    """And shedding begins anew, from the oldest row."""
    file, shedding = _File(critical=4, slow=4), Shedding()
    list(_all_steps(file, shedding))

    shedding.relax()

    assert {shedding.level(cls) for cls in ChannelClass} == {0}
    assert shedding.next_step() == Step(Action.THIN, _CRITICAL, 1, 0)


@given(st.integers(0, LEVEL_MAX), st.integers(0, LEVEL_MAX), st.integers(0, 10**12))
def test_thinning_twice_is_thinning_once(first: int, second: int, seq: int) -> None:
    """A number is kept by a rule of its own, so a pass that is interrupted can begin again."""
    assert (kept_at(first, seq) and kept_at(second, seq)) is kept_at(max(first, second), seq)


@given(st.integers(0, LEVEL_MAX), st.integers(0, 10**6), st.integers(1, 500))
def test_what_is_kept_lies_evenly(level: int, first: int, count: int) -> None:
    """One in 2^level, at the same distance, wherever the blocks begin."""
    kept = [seq for seq in range(first, first + count) if kept_at(level, seq)]

    assert {later - earlier for earlier, later in pairwise(kept)} <= {1 << level}
    assert abs(len(kept) - count / (1 << level)) < 1
