"""Token buckets as timelines: a burst, then the rate; an overrun has a length; forgetting costs nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.command.rates import CALM_NS, Rates
from tests.command.stage import MS, S

PERIOD_NS = 50 * MS  # 20 Hz
T = 1000 * S


def rates(*, rate_hz: float = 20.0, burst: int = 10, clients_max: int = 4) -> Rates:
    """Return buckets of 20 Hz with a burst of 10."""
    return Rates(rate_hz, burst, clients_max)


def taken(made: Rates, times_ns: list[int], who: str = "bob") -> list[int]:
    """Return the times at which a request was within the rate."""
    return [now_ns for now_ns in times_ns if made.take(who, now_ns) is None]


def test_a_burst_passes_and_one_more_does_not() -> None:
    """All at one instant."""
    made = rates()

    assert [made.take("bob", T) for _ in range(12)] == [None] * 10 + [0, 0]


def test_a_burst_of_one_is_a_plain_rate() -> None:
    """One at a time, at exactly the period."""
    made = rates(burst=1)

    assert taken(made, [T, T + PERIOD_NS - 1, T + PERIOD_NS, T + 2 * PERIOD_NS - 1]) == [T, T + PERIOD_NS]


def test_after_the_burst_one_passes_each_period() -> None:
    """To the nanosecond."""
    made = rates()
    taken(made, [T] * 10)

    assert taken(made, [T + PERIOD_NS - 1, T + PERIOD_NS, T + PERIOD_NS, T + 2 * PERIOD_NS]) == [
        T + PERIOD_NS,
        T + 2 * PERIOD_NS,
    ]


def test_a_rest_fills_the_bucket_and_no_more_than_that() -> None:
    """A day of silence is worth one burst."""
    made = rates()
    taken(made, [T] * 10)

    later_ns = T + 86_400 * S
    assert len(taken(made, [later_ns] * 30)) == 10


def test_twenty_a_second_pass_for_ever() -> None:
    """The nominal rate is never too fast."""
    assert len(taken(rates(), [T + number * PERIOD_NS for number in range(2000)])) == 2000


@given(
    st.lists(st.integers(0, 200 * MS), min_size=1, max_size=200),
    st.integers(1, 20),
    st.sampled_from([1.0, 20.0, 333.0]),
)
def test_no_stretch_of_time_holds_more_than_rate_and_burst(pauses_ns: list[int], burst: int, rate_hz: float) -> None:
    """Whenever requests come: the definition of the limit."""
    times_ns = []
    now_ns = T
    for pause_ns in pauses_ns:
        now_ns += pause_ns
        times_ns.append(now_ns)
    passed = taken(rates(rate_hz=rate_hz, burst=burst), times_ns)

    period_ns = round(1e9 / rate_hz)
    assert all(
        later_ns - earlier_ns >= (apart - burst) * period_ns
        for place, earlier_ns in enumerate(passed)
        for apart, later_ns in enumerate(passed[place:], start=1)
    )


def test_clients_do_not_share_their_buckets() -> None:
    """A flood of one leaves the other alone."""
    made = rates()
    taken(made, [T] * 1000, "eve")

    assert len(taken(made, [T] * 10, "bob")) == 10


def test_an_overrun_is_as_long_as_refusals_follow_each_other() -> None:
    """At 100 a second: from the first refusal on, whatever passes in between."""
    made = rates()
    overruns = [made.take("bob", T + number * 10 * MS) for number in range(400)]
    refused = [(number, overrun_ns) for number, overrun_ns in enumerate(overruns) if overrun_ns is not None]

    first = refused[0][0]
    assert all(overrun_ns == (number - first) * 10 * MS for number, overrun_ns in refused)
    assert overruns[-1] == (399 - first) * 10 * MS


def test_a_second_without_refusal_ends_an_overrun() -> None:
    """To the nanosecond."""
    for pause_ns, expected in ((CALM_NS - 1, CALM_NS - 1), (CALM_NS, 0)):
        made = rates(rate_hz=0.001, burst=1)
        made.take("bob", T)

        assert made.take("bob", T + S) == 0
        assert made.take("bob", T + S + pause_ns) == expected
    assert CALM_NS == S


def test_the_first_refusal_begins_an_overrun_whenever_it_comes() -> None:
    """Also at the very beginning of time, and long after the bucket was made."""
    for start_ns in (0, 1, T):
        made = rates(burst=1)
        made.take("bob", start_ns)

        assert made.take("bob", start_ns) == 0


def test_a_client_that_is_quiet_is_forgotten_for_a_newcomer() -> None:
    """When its bucket is full and its overrun over: it would be the same as a new one."""
    made = rates(clients_max=2)
    made.take("a", T)
    made.take("b", T)
    taken(made, [T + PERIOD_NS] * 30, "c")

    assert len(made._buckets) == 1
    assert len(taken(made, [T + PERIOD_NS] * 30, "a")) == 10


def test_a_busy_client_is_not_forgotten() -> None:
    """Up to the nanosecond in which its bucket is full."""
    made = rates(clients_max=1)
    taken(made, [T] * 10, "a")
    full_ns = T + 10 * PERIOD_NS

    assert made.take("b", full_ns - 1) is None
    assert list(made._buckets) == ["a"]
    assert made.take("b", full_ns) is None
    assert list(made._buckets) == ["b"]


def test_an_overrun_that_lasts_is_not_forgotten() -> None:
    """Its bucket is full again after half a second, but a second has not passed."""
    made = rates(clients_max=1)
    taken(made, [T] * 11, "a")
    made.take("b", T + CALM_NS - 1)
    assert list(made._buckets) == ["a"]

    made.take("b", T + CALM_NS)
    assert list(made._buckets) == ["b"]


def test_newcomers_share_one_bucket_while_all_are_busy() -> None:
    """A thousand names are worth one burst, and the memory does not grow."""
    made = rates(clients_max=2)
    taken(made, [T] * 20, "a")
    taken(made, [T] * 20, "b")

    assert sum(made.take(f"name{number}", T) is None for number in range(1000)) == 10
    assert len(made._buckets) == 2


def test_who_shares_a_bucket_is_not_blamed_for_the_others() -> None:
    """Refused, but the overrun is nobody's."""
    made = rates(clients_max=0)
    overruns = [made.take(f"name{number}", T + number * 10 * MS) for number in range(400)]

    assert set(overruns) == {None, 0}


@pytest.mark.parametrize(("rate_hz", "period_ns"), [(20.0, 50 * MS), (1.0, S), (3.0, 333_333_333), (1000.0, MS)])
def test_the_period_is_that_of_the_rate(rate_hz: float, period_ns: int) -> None:
    """In whole nanoseconds."""
    made = rates(rate_hz=rate_hz, burst=1)
    made.take("bob", T)

    assert made.take("bob", T + period_ns - 1) is not None
    assert made.take("bob", T + period_ns) is None
