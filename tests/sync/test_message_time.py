"""Message time: forward only, whatever the stamps do, and every oddity counted."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.sync.message_time import MessageTime, RateLimit

_MS = 1_000_000
_S = 1_000_000_000
_EPOCH = 1_795_327_201 * _S


def _advance(time: MessageTime, pairs: Iterable[tuple[int | None, int]]) -> list[int]:
    """Feed (stamp or None, reception) pairs in milliseconds of today; return message times in milliseconds."""
    return [
        time.advance(0 if stamp is None else _EPOCH + stamp * _MS, _EPOCH + received * _MS) // _MS
        for stamp, received in pairs
    ]


def _passed(rate_hz_max: float, times_ns: Iterable[int]) -> int:
    limit = RateLimit(rate_hz_max)
    count = 0
    for time_ns in times_ns:
        if limit.ready(time_ns):
            limit.take(time_ns)
            count += 1
    return count


@given(st.lists(st.tuples(st.just(0) | st.integers(-(2**62), 2**62), st.integers(-10 * _S, 10 * _S)), max_size=200))
def test_message_time_never_goes_back_and_every_oddity_is_counted(steps: list[tuple[int, int]]) -> None:
    """Any stamps at all, unset ones too, and a reception clock that is set in both directions."""
    time, received_ns, newest_ns = MessageTime(), _EPOCH, -1

    for stamp_ns, waited_ns in steps:
        received_ns += waited_ns
        now_ns = time.advance(stamp_ns, received_ns)
        assert now_ns >= newest_ns
        newest_ns = now_ns

    assert time.unstamped == sum(stamp_ns == 0 for stamp_ns, _ in steps)
    assert time.unstamped + time.backward + time.frozen <= len(steps)


@given(
    stamps=st.lists(st.integers(1, _S), min_size=1, max_size=100),
    waits=st.lists(st.integers(0, 10 * _S), min_size=101, max_size=101),
)
def test_good_stamps_alone_decide(stamps: list[int], waits: list[int]) -> None:
    """Reception may jitter as it likes: message time is the sum of the stamps' differences."""
    time, stamp_ns, received_ns = MessageTime(), _EPOCH, _EPOCH
    time.advance(stamp_ns, received_ns)

    for step_ns, waited_ns in zip(stamps, waits, strict=False):
        stamp_ns, received_ns = stamp_ns + step_ns, received_ns + waited_ns
        assert time.advance(stamp_ns, received_ns) == stamp_ns - _EPOCH

    assert (time.backward, time.frozen, time.gaps) == (0, 0, 0)


def test_frozen_stamps_are_counted_and_time_goes_by_reception() -> None:
    """A driver whose clock stands still."""
    time = MessageTime()

    assert _advance(time, [(5, 100), (5, 120), (5, 140), (5, 160)]) == [0, 20, 40, 60]
    assert time.frozen == 3


def test_stamps_that_nobody_set_are_counted_and_time_goes_by_reception() -> None:
    """A header of zeros is no clock, not even one that stands still."""
    time = MessageTime()

    assert _advance(time, [(None, 1000), (None, 1010), (None, 1030)]) == [0, 10, 30]
    assert (time.unstamped, time.frozen, time.backward) == (3, 0, 0)


def test_two_publishers_of_which_one_sets_no_stamp_share_one_time() -> None:
    """Every other message says nothing; what it borrows is paid back by the next."""
    time = MessageTime()

    assert _advance(time, [(tick if tick % 20 == 0 else None, tick) for tick in range(0, 200, 10)]) == [
        *range(0, 200, 10)
    ]
    assert (time.unstamped, time.backward, time.gaps) == (10, 0, 0)


def test_the_first_stamp_owes_nothing_to_what_came_before() -> None:
    """A driver that sets its stamps only once its clock is synchronised."""
    time = MessageTime()

    assert _advance(time, [(None, 0), (None, 20), (40, 40), (60, 60)]) == [0, 20, 40, 60]


def test_a_reception_clock_that_is_set_back_counts_as_no_time() -> None:
    """It is the robot's wall clock; the messages have no stamps of their own."""
    time = MessageTime()

    assert _advance(time, [(None, 0), (None, 20), (None, -3_600_000), (None, -3_599_980)]) == [0, 20, 20, 40]


def test_stamps_of_one_second_resolution_advance_as_the_clock_does() -> None:
    """What frozen stamps borrow is paid back when the stamp moves on: no second is counted twice."""
    time = MessageTime()

    times = _advance(time, [(20 * tick // 1000 * 1000, 20 * tick) for tick in range(151)])

    assert times == [20 * tick for tick in range(151)]
    assert time.gaps == 0


def test_one_late_message_advances_by_reception_and_the_next_pays_back() -> None:
    """Two messages that overtook each other do not stretch time."""
    time = MessageTime()

    assert _advance(time, [(0, 0), (20, 20), (10, 25), (40, 40)]) == [0, 20, 25, 40]
    assert time.backward == 1


def test_two_publishers_with_different_clocks_advance_by_the_later_one() -> None:
    """One is a thousand seconds behind: its messages count as backward, time goes at the right pace."""
    time = MessageTime()
    pairs = [(tick * 10 + (1_000_000 if tick % 2 else 0), tick * 10) for tick in range(1, 201)]

    times = _advance(time, pairs)

    assert times[-1] - times[0] == 1990
    assert (time.backward, time.gaps) == (100, 0)


def test_a_looped_recording_goes_on_by_reception_and_finds_its_new_time_line() -> None:
    """Five backward stamps in a row are a new beginning; after it the stamps rule again."""
    time = MessageTime()
    _advance(time, [(tick * 20, tick * 20) for tick in range(500)])

    again = _advance(time, [(tick * 20, 10_000 + tick * 25) for tick in range(500)])

    assert again[:5] == [10_000 - 20 + 20 + 25 * tick for tick in range(5)]
    assert again[-1] - again[4] == 495 * 20
    assert (time.backward, time.frozen, time.gaps) == (5, 0, 0)


def test_a_new_time_line_owes_nothing_to_the_old_one() -> None:
    """The sixth message of the loop is 20 ms after the fifth by its own stamps, so it is in message time."""
    time = MessageTime()
    _advance(time, [(tick * 20, tick * 20) for tick in range(500)])

    again = _advance(time, [(tick * 20, 10_000 + tick * 20) for tick in range(6)])

    assert again[5] - again[4] == 20


def test_a_leap_past_the_reception_clock_is_a_gap() -> None:
    """A clock that was set: more than a second ahead of what went by."""
    time = MessageTime()

    _advance(time, [(0, 0), (20, 20), (5000, 40), (5020, 60)])

    assert time.gaps == 1


def test_a_pause_of_the_source_is_no_gap() -> None:
    """The stamps and the reception agree that ten seconds went by."""
    time = MessageTime()

    assert _advance(time, [(0, 0), (10_000, 10_000)]) == [0, 10_000]
    assert time.gaps == 0


def test_one_wild_stamp_costs_five_messages_of_reception_time_and_no_more() -> None:
    """A stamp from the next century, then sane ones."""
    time = MessageTime()
    wild_ms = 3_000_000_000_000

    times = _advance(time, [(0, 0), (wild_ms, 20), *((tick * 20, tick * 20) for tick in range(2, 50))])

    assert times[-1] - times[1] == 48 * 20
    assert (time.backward, time.gaps) == (5, 1)


def test_ten_times_speed_keeps_the_recording_s_own_time() -> None:
    """A 50 Hz recording that arrives every 2 ms is still 50 Hz of message time."""
    time = MessageTime()

    assert _advance(time, [(tick * 20, tick * 2) for tick in range(500)])[-1] == 499 * 20
    assert time.gaps == 0


@pytest.mark.parametrize(("source_hz", "kept_hz"), [(10, 10), (49, 49), (50, 50), (75, 50), (100, 50), (400, 50)])
def test_a_steady_source_keeps_the_lesser_of_its_rate_and_the_limit(source_hz: int, kept_hz: int) -> None:
    """Over twenty seconds, to within the one message of the bucket."""
    times_ns = [tick * _S // source_hz for tick in range(20 * source_hz)]

    assert 20 * kept_hz <= _passed(50.0, times_ns) <= 20 * kept_hz + 1


@given(st.integers(0, 2**32), st.integers(0, 40))
def test_jitter_of_forty_percent_does_not_thin_a_source_at_the_limit(seed: int, jitter_percent: int) -> None:
    """Every message is up to that much of a period late: none is held back."""
    random, period_ns = Random(seed), 20 * _MS
    times_ns = [tick * period_ns + random.randrange(period_ns * jitter_percent // 100 + 1) for tick in range(300)]

    assert _passed(50.0, times_ns) == 300


@given(st.lists(st.integers(0, 60 * _MS), min_size=1, max_size=400))
def test_the_rate_is_never_exceeded_over_any_stretch(steps_ns: list[int]) -> None:
    """Any arrival pattern: n intervals of messages that left span n - 0.9 periods at least."""
    limit, left_ns, time_ns = RateLimit(50.0), [], 0
    for step_ns in steps_ns:
        time_ns += step_ns
        if limit.ready(time_ns):
            limit.take(time_ns)
            left_ns.append(time_ns)

    period_ns = limit.period_ns
    earliest_ns = [left - index * period_ns for index, left in enumerate(left_ns)]
    lag_ns = [max(earliest_ns[: index + 1]) - value for index, value in enumerate(earliest_ns)]

    assert max(lag_ns, default=0) <= round(0.9 * period_ns)
