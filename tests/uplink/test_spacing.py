"""How far apart live parcels leave: not at all on a short round trip, evenly on a long one."""

from __future__ import annotations

import pytest

from edgetwin.clock import NS_PER_S
from edgetwin.uplink.spacing import LONG_NS, Spacing

WINDOW = 20
SECOND_NS = NS_PER_S


def _knowing(round_trip_ns: int) -> Spacing:
    spacing = Spacing()
    spacing.acknowledged(round_trip_ns)
    return spacing


@pytest.mark.parametrize("round_trip_ns", [0, 1, 1_000_000, LONG_NS - 1])
def test_on_a_short_round_trip_nothing_waits(round_trip_ns: int) -> None:
    """Nor before the first PUBACK."""
    spacing = _knowing(round_trip_ns)

    assert not spacing.needed
    assert spacing.wait_ns(1, 0) == 0


def test_on_a_long_one_the_places_are_spread_evenly_over_it() -> None:
    """Ten places in a second: one every tenth, counted from the last; who comes later waits for nothing."""
    spacing = _knowing(SECOND_NS)

    assert spacing.needed
    assert spacing.wait_ns(10, 0) == SECOND_NS // 10
    assert spacing.wait_ns(10, SECOND_NS // 10 - 7) == 7
    assert spacing.wait_ns(10, SECOND_NS) == 0


def test_one_late_puback_changes_little_and_many_change_it_all() -> None:
    """As TCP smooths it: an eighth each time; a link that got better is believed within some twenty PUBACKs."""
    spacing = _knowing(SECOND_NS)
    spacing.acknowledged(9 * SECOND_NS)
    assert spacing.round_trip_ns == 2 * SECOND_NS

    for _ in range(40):
        spacing.acknowledged(1_000_000)
    assert not spacing.needed


def test_a_stream_of_records_never_waits_for_more_than_a_small_share_of_a_long_round_trip() -> None:
    """A record each 3 ms, one lane, a PUBACK a second after each parcel: after the first round trip, gaps are even."""
    spacing, now_ns, last_ns = _knowing(SECOND_NS), 0, -SECOND_NS
    in_flight: list[int] = []
    gaps_ns = []
    for _ in range(10_000):
        now_ns += 3_000_000
        while in_flight and in_flight[0] + SECOND_NS <= now_ns:
            spacing.acknowledged(now_ns - in_flight.pop(0))
        first = len(in_flight) < WINDOW // 4
        if first or (len(in_flight) < WINDOW and spacing.wait_ns(WINDOW * 3 // 4, now_ns - last_ns) == 0):
            gaps_ns.append(now_ns - last_ns)
            in_flight.append(now_ns)
            last_ns = now_ns

    settled = gaps_ns[2 * WINDOW :]
    assert len(settled) > 10 * WINDOW
    assert max(settled) <= SECOND_NS / 10
