"""Waits between dials: jittered, capped, longer the longer the outage."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.uplink.backoff import REFUSED_CAP_S, REFUSED_FLOOR_S, SHORT_OUTAGE_CAP_S, Backoff

_outages = st.lists(st.floats(0, 1e7), min_size=1, max_size=60)


class _Highest(Random):
    """A random source that always draws the upper end."""

    def uniform(self, a: float, b: float) -> float:
        """Return the larger bound."""
        return max(a, b)


@given(_outages, st.floats(0.1, 600.0), st.integers(), st.sampled_from([None, 0x80, 0x86, 0x97]))
def test_no_wait_is_negative_or_longer_than_the_cap(
    outages_s: list[float], cap_s: float, seed: int, reason_code: int | None
) -> None:
    """Any outage, any number of tries, refused or not."""
    backoff = Backoff(cap_s, Random(seed))

    assert all(0.0 <= backoff.next_s(outage_s, reason_code) <= cap_s for outage_s in outages_s)


@given(st.integers(), st.integers(1, 10_000))
def test_a_short_outage_never_waits_longer_than_two_seconds(seed: int, tries: int) -> None:
    """So that a broker that was away for twenty seconds has us back within three."""
    backoff = Backoff(60.0, Random(seed))

    assert max(backoff.next_s(20.0) for _ in range(min(tries, 200))) <= SHORT_OUTAGE_CAP_S


def test_the_ceiling_doubles_from_half_a_second() -> None:
    """Until the outage's own cap."""
    backoff = Backoff(60.0, _Highest())

    assert [backoff.next_s(600.0) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize(("outage_s", "ceiling_s"), [(0, 2), (20, 2), (60, 6), (300, 30), (1e6, 60)])
def test_the_cap_grows_with_the_outage(outage_s: float, ceiling_s: float) -> None:
    """A tenth of it."""
    backoff = Backoff(60.0, _Highest())

    assert max(backoff.next_s(outage_s) for _ in range(20)) == ceiling_s


def test_a_thousand_robots_do_not_dial_together() -> None:
    """Full jitter: a tenth of the time sees about a tenth of the fleet."""
    waits = [Backoff(60.0, Random(seed)).next_s(0.0) for seed in range(1000)]

    assert all(60 <= sum(low <= 20 * wait < low + 1 for wait in waits) <= 140 for low in range(10))


@pytest.mark.parametrize("reason_code", [0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x8E, 0x9C, 0x9D])
def test_a_lasting_refusal_is_asked_about_seldom(reason_code: int) -> None:
    """A wrong password is not mended within seconds."""
    backoff = Backoff(60.0, Random(1))

    waits = [backoff.next_s(0.0, reason_code) for _ in range(100)]

    assert min(waits) >= REFUSED_FLOOR_S
    assert max(waits) <= REFUSED_CAP_S


def test_a_refusal_that_passes_is_like_an_outage() -> None:
    """Server busy (0x89) and quota exceeded (0x97)."""
    for reason_code in (0x89, 0x97):
        assert Backoff(60.0, _Highest()).next_s(0.0, reason_code) == 0.5


def test_after_a_reset_the_waits_begin_anew() -> None:
    """The link was up."""
    backoff = Backoff(60.0, _Highest())
    for _ in range(50):
        backoff.next_s(1e6)
    backoff.reset()

    assert backoff.next_s(1e6) == 0.5


def test_a_million_tries_do_not_overflow() -> None:
    """A robot in a drawer dials for months."""
    backoff = Backoff(60.0, _Highest())
    backoff._tries = 10**6

    assert backoff.next_s(1e9) == 60.0
