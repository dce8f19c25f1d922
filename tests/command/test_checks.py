"""The decision, row by row: tripped, not tripped, and what a missing fact does; each limit at exactly the limit."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.command import checks
from edgetwin.command.body import Body
from edgetwin.command.checks import Age, tripped
from edgetwin.command.incoming import Incoming
from edgetwin.command.rules import AdmissionRules, Level
from edgetwin.motion import Reason, Verb
from tests.command.stage import MS, ROOT, S

RULES = AdmissionRules(Level.LEASE, "r1", ROOT)
OTHER_VERBS = [Verb.LEASE, Verb.RESET, Verb.PING]


def trips(table: checks.Table) -> list[Reason]:
    """Return the reasons of the rows that trip, in the order of the table."""
    return [reason for reason, tripped_ in table if tripped_]


def envelope(verb: Verb = Verb.MOVE, *, size: int = 10, retain: bool = False, expiry_s: int | None = 1) -> list[Reason]:
    """Return what trips of an envelope."""
    return trips(checks.of_envelope(Incoming("t", b"x" * size, retain, expiry_s, ()), verb, RULES))


def test_row_2_the_largest_payload_is_let_through() -> None:
    """One byte more is not."""
    assert envelope(size=0) == []
    assert envelope(size=4096) == []
    assert envelope(size=4097) == [Reason.TOO_LARGE]


@pytest.mark.parametrize("verb", [Verb.MOVE, *OTHER_VERBS])
def test_row_3_what_is_retained_trips(verb: Verb) -> None:
    """Of every verb: it would take a lease or answer a challenge each time somebody subscribes."""
    assert envelope(verb) == []
    assert envelope(verb, retain=True) == [Reason.RETAINED]


def test_row_4_a_move_expires_within_two_seconds() -> None:
    """Without an expiry it trips; zero is one."""
    for good in (0, 1, 2):
        assert envelope(expiry_s=good) == []
    for bad in (None, 3, 2**32 - 1):
        assert envelope(expiry_s=bad) == [Reason.NO_EXPIRY]


@pytest.mark.parametrize("verb", OTHER_VERBS)
def test_row_4_is_about_motion_alone(verb: Verb) -> None:
    """What moves nothing may wait."""
    assert envelope(verb, expiry_s=None) == []
    assert envelope(verb, expiry_s=1000) == []


def test_the_rows_of_the_envelope_trip_together() -> None:
    """In the order of the table."""
    assert envelope(size=5000, retain=True, expiry_s=None) == [Reason.TOO_LARGE, Reason.RETAINED, Reason.NO_EXPIRY]


BODY_ROWS = [Reason.BAD_JSON, Reason.BAD_VERSION, Reason.BAD_SCHEMA, Reason.NOT_FINITE, Reason.WRONG_ROBOT]


@pytest.mark.parametrize("row", BODY_ROWS)
def test_rows_5_to_8_trip_each_for_its_own_flaw(row: Reason) -> None:
    """And no other."""
    assert trips(checks.of_body(Body("", {}, {row: "words"}))) == [row]


def test_rows_5_to_8_trip_together_in_order() -> None:
    """A sound body trips none."""
    assert trips(checks.of_body(Body("", {}, dict.fromkeys(reversed(BODY_ROWS), "words")))) == BODY_ROWS
    assert trips(checks.of_body(Body("a", {"id": "a"}, {}))) == []


@pytest.mark.parametrize(
    ("proven", "permitted", "expected"),
    [
        (True, True, []),
        (True, False, [Reason.FORBIDDEN]),
        (False, True, [Reason.BAD_SIG]),
        (False, False, [Reason.BAD_SIG]),
    ],
)
def test_row_9_who_is_not_proven_is_told_nothing_else(
    proven: bool,
    permitted: bool,
    expected: list[Reason],
) -> None:
    """What they may do is nobody's business."""
    assert trips(checks.of_sender(proven=proven, permitted=permitted)) == expected


def age(age_ns: int = 0, error_ns: int | None = 0, ttl_ns: int = 500 * MS) -> list[Reason]:
    """Return what trips of the age of a move."""
    return trips(checks.of_age(Age(age_ns, error_ns, ttl_ns), RULES))


def test_row_10_a_clock_is_known_within_a_quarter_second() -> None:
    """A clock of which nobody knows trips, whatever it says."""
    assert age(error_ns=0) == []
    assert age(error_ns=250 * MS) == []
    assert age(error_ns=250 * MS + 1) == [Reason.CLOCK_UNCERTAIN]
    assert age(error_ns=None) == [Reason.CLOCK_UNCERTAIN]


def test_row_11_the_upper_bound_of_the_age_counts() -> None:
    """Age and error together, at exactly the limit."""
    assert age(500 * MS) == []
    assert age(500 * MS + 1) == [Reason.EXPIRED]
    assert age(400 * MS, 100 * MS) == []
    assert age(400 * MS, 100 * MS + 1) == [Reason.EXPIRED]
    assert age(400 * MS + 1, 100 * MS) == [Reason.EXPIRED]
    assert age(10**18, None) == [Reason.CLOCK_UNCERTAIN, Reason.EXPIRED]


def test_row_12_the_future_begins_where_the_error_ends() -> None:
    """At exactly the limit."""
    assert age(-1) == [Reason.FROM_FUTURE]
    assert age(-50 * MS, 50 * MS) == []
    assert age(-50 * MS - 1, 50 * MS) == [Reason.FROM_FUTURE]
    assert age(-1, None) == [Reason.CLOCK_UNCERTAIN, Reason.FROM_FUTURE]


def test_row_12_nobody_may_ask_for_more_than_two_seconds() -> None:
    """However young it is."""
    assert age(ttl_ns=2 * S) == []
    assert age(ttl_ns=2 * S + 1) == [Reason.TTL_TOO_LONG]


def test_rows_10_to_12_trip_together_in_order() -> None:
    """As far as they can at once."""
    assert age(3 * S, 1 * S, 3 * S) == [Reason.CLOCK_UNCERTAIN, Reason.EXPIRED, Reason.TTL_TOO_LONG]
    assert age(-3 * S, 1 * S, 3 * S) == [Reason.CLOCK_UNCERTAIN, Reason.FROM_FUTURE, Reason.TTL_TOO_LONG]


@pytest.mark.parametrize(("seen", "before_start"), list(product([False, True], repeat=2)))
def test_row_13_one_of_both_is_enough(seen: bool, before_start: bool) -> None:
    """A number that was there, or one that may have been there before this process."""
    expected = [Reason.REPLAY] if seen or before_start else []

    assert trips(checks.of_sequence(seen=seen, before_start=before_start)) == expected


@pytest.mark.parametrize(
    ("reused", "lease", "expected"),
    [
        (False, None, []),
        (True, None, [Reason.ID_REUSED]),
        (False, Reason.NO_LEASE, [Reason.NO_LEASE]),
        (False, Reason.LEASE_STALE, [Reason.LEASE_STALE]),
        (True, Reason.NO_LEASE, [Reason.ID_REUSED, Reason.NO_LEASE]),
        (True, Reason.LEASE_STALE, [Reason.ID_REUSED, Reason.LEASE_STALE]),
    ],
)
def test_rows_14_and_20_id_and_lease(reused: bool, lease: Reason | None, expected: list[Reason]) -> None:
    """Each on its own, and together."""
    assert trips(checks.of_command(reused=reused, lease=lease)) == expected


@given(st.lists(st.tuples(st.sampled_from(Reason), st.booleans()), unique_by=lambda row: row[0]))
def test_what_trips_is_told_worst_first_and_only_where_it_is_in_force(rows: list[tuple[Reason, bool]]) -> None:
    """In the order in which the reasons are declared."""
    found = tripped(tuple(rows), RULES)

    assert found == tuple(sorted(found, key=list(Reason).index))
    assert set(found) == {reason for reason, trips_ in rows if trips_} & RULES.checks


@given(
    st.integers(-(10**12), 10**12),
    st.none() | st.integers(0, 10**12),
    st.integers(1, 10**12),
    st.integers(0, 10**12),
    st.sampled_from(["older", "less certain", "shorter ttl"]),
)
def test_p10_a_worse_age_never_trips_less(
    age_ns: int, error_ns: int | None, ttl_ns: int, by_ns: int, worse: str
) -> None:
    """Of a move that is refused for its age, none is admitted by growing older, less certain or less patient."""
    before = age(age_ns, error_ns, ttl_ns)
    if worse == "older":
        after = age(age_ns + by_ns, error_ns, ttl_ns)
        kept = {Reason.CLOCK_UNCERTAIN, Reason.EXPIRED, Reason.TTL_TOO_LONG}
    elif worse == "less certain":
        after = age(age_ns, None if error_ns is None else error_ns + by_ns, ttl_ns)
        kept = {Reason.CLOCK_UNCERTAIN, Reason.EXPIRED, Reason.TTL_TOO_LONG}
    else:
        after = age(age_ns, error_ns, max(1, ttl_ns - by_ns))
        kept = {Reason.CLOCK_UNCERTAIN, Reason.EXPIRED, Reason.FROM_FUTURE}

    assert set(before) & kept <= set(after)
