"""High-water marks: what was there before stays refused, over restarts and over forgetting."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.command.body import SEQ_MAX
from edgetwin.command.high_water import HighWater


def marks(*seen: tuple[str, int, int], clients_max: int = 3, memory: Any = None) -> HighWater:
    """Return high-water marks after some messages."""
    made = HighWater(clients_max, memory)
    for client, seq, stamp_us in seen:
        made.rise(client, seq, stamp_us)
    return made


def test_a_number_must_be_above_all_before_it() -> None:
    """Gaps are fine; equal is not above."""
    made = marks(("bob", 5, 100))

    assert made.is_replay("bob", 4, 200)
    assert made.is_replay("bob", 5, 200)
    assert not made.is_replay("bob", 6, 50)
    assert not made.is_replay("bob", 1000, 200)


def test_nothing_ever_falls() -> None:
    """A late one with a lower number leaves the mark where it is, and the stamp too."""
    made = marks(("bob", 5, 100), ("bob", 3, 50), ("bob", 4, 90))

    assert made.is_replay("bob", 5, 0)
    assert made.snapshot()["clients"] == {"bob": [5, 100]}
    made.rise("bob", 2, 300)
    made.rise("bob", 9, 200)
    assert made.snapshot()["clients"] == {"bob": [9, 300]}


def test_clients_do_not_share_their_numbers() -> None:
    """A client that nobody knows may begin anywhere, zero included, stamped whenever."""
    made = marks(("bob", 5, 100))

    assert not made.is_replay("eve", 0, 1)
    assert not made.is_replay("eve", 0, -(2**62))


def test_beyond_the_most_clients_the_one_with_the_oldest_stamp_is_forgotten() -> None:
    """Whenever it was that it came first; the memory does not grow."""
    made = marks(("a", 1, 300), ("b", 1, 100), ("c", 1, 200))
    assert set(made.snapshot()["clients"]) == {"a", "b", "c"}

    made.rise("d", 1, 400)
    assert set(made.snapshot()["clients"]) == {"a", "c", "d"}
    made.rise("e", 1, 150)
    assert set(made.snapshot()["clients"]) == {"a", "c", "d"}


def test_what_was_forgotten_stays_refused() -> None:
    """Whoever sends it must stamp it later than all that was forgotten; then a new client may begin anywhere."""
    made = marks(("a", 7, 300), ("b", 7, 100), ("c", 7, 200), ("d", 7, 400))

    assert made.is_replay("b", 7, 100)
    assert made.is_replay("b", 8, 100)
    assert made.is_replay("b", 8, 99)
    assert not made.is_replay("b", 0, 101)
    assert made.is_replay("a", 8, 100)
    assert not made.is_replay("a", 8, 101)


def test_a_forgotten_client_cannot_come_back_by_its_own_old_messages() -> None:
    """The oldest of them is refused, and must not be what the others are measured by."""
    made = marks(("a", 5, 10), ("b", 0, 20), clients_max=1)
    assert made.is_replay("a", 0, 10)
    made.rise("a", 0, 10)

    assert all(made.is_replay("a", seq, 10) for seq in range(10))


def test_the_floor_never_falls() -> None:
    """Also when an older stamp than the floor is forgotten later."""
    made = marks(("a", 1, 300), ("b", 1, 100), clients_max=1)
    assert made.snapshot()["floor_us"] == 100
    made.rise("c", 1, 50)

    assert made.snapshot()["floor_us"] == 100
    made.rise("c", 1, 400)
    assert made.snapshot()["floor_us"] == 300


def test_a_stamp_of_the_future_does_not_lock_the_others_out() -> None:
    """Somebody with a wrong clock fills the memory: others are forgotten at once, and still admitted in their order."""
    made = marks(("x", 1, 10**15), ("y", 1, 10**15), ("z", 1, 10**15))
    for stamp_us in range(100, 110):
        assert not made.is_replay("bob", 1, stamp_us)
        made.rise("bob", 1, stamp_us)
        assert made.is_replay("bob", 1, stamp_us)


def test_a_snapshot_is_json_and_comes_back() -> None:
    """Numbers of 64 bits included."""
    made = marks(("a", SEQ_MAX, 300), ("b", 0, -5), ("c", 1, 200), ("d", 2, 400))

    again = HighWater(3, json.loads(json.dumps(made.snapshot())))

    assert again.snapshot() == made.snapshot()
    assert made.snapshot() == {"floor_us": -5, "clients": {"a": [SEQ_MAX, 300], "c": [1, 200], "d": [2, 400]}}
    assert again.is_replay("a", SEQ_MAX, 10**12)
    assert again.is_replay("b", 1, -5)
    assert not again.is_replay("b", 1, -4)


def test_before_the_first_message_there_is_no_floor() -> None:
    """Nothing is refused that was never there."""
    assert marks().snapshot() == {"floor_us": -(2**63), "clients": {}}
    assert HighWater(3, {}).snapshot() == marks().snapshot()


def test_a_smaller_memory_keeps_the_newest_of_a_larger_one() -> None:
    """And the floor for the others."""
    large = marks(*(("abcdef"[number], number, number * 100) for number in range(6)), clients_max=6)

    small = HighWater(2, large.snapshot())

    assert small.snapshot() == {"floor_us": 300, "clients": {"e": [4, 400], "f": [5, 500]}}


@pytest.mark.parametrize(
    "memory",
    [
        None,
        5,
        "x",
        [],
        {"clients": None},
        {"clients": []},
        {"clients": {"a": None}},
        {"clients": {"a": [1]}},
        {"clients": {"a": [1, 2, 3]}},
        {"clients": {"a": "12"}},
        {"clients": {"a": {"0": 1, "1": 2}}},
        {"clients": {"a": [True, 2]}},
        {"clients": {"a": [1, True]}},
        {"clients": {"a": [1.0, 2]}},
        {"clients": {"a": [1, 2.0]}},
        {"clients": {"a": [-1, 2]}},
        {"clients": {"a": [SEQ_MAX + 1, 2]}},
        {"clients": {"a": [1, 2**63 + 1]}},
        {"clients": {"a": [1, -(2**63) - 1]}},
        {"clients": {"a" * 65: [1, 2]}},
        {"clients": {5: [1, 2]}},
        {"floor_us": None},
        {"floor_us": True},
        {"floor_us": 1.5},
        {"floor_us": "7"},
        {"floor_us": 2**63 + 1},
        {"floor_us": -(2**63) - 1},
    ],
)
def test_a_damaged_memory_counts_as_none(memory: Any) -> None:
    """The robot starts, with what can be read."""
    assert HighWater(3, memory).snapshot() == marks().snapshot()


def test_the_sound_part_of_a_damaged_memory_is_kept() -> None:
    """At the ends of what is sound."""
    clients = {"a": [0, -(2**63)], "b": (SEQ_MAX, 2**63), "c" * 64: [1, 2], "bad": [1]}

    found = HighWater(9, {"floor_us": 7, "clients": clients}).snapshot()

    assert found == {"floor_us": 7, "clients": {"a": [0, -(2**63)], "b": [SEQ_MAX, 2**63], "c" * 64: [1, 2]}}
    assert HighWater(9, {"floor_us": 2**63}).snapshot()["floor_us"] == 2**63


@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 20), st.integers(-50, 50)), max_size=60),
    st.integers(1, 5),
    st.data(),
)
def test_no_message_passes_twice_however_few_are_remembered(
    seen: list[tuple[str, int, int]], clients_max: int, data: st.DataObject
) -> None:
    """Over any number of restarts in between: what was once seen is a replay for good."""
    made = HighWater(clients_max)
    for number, (client, seq, stamp_us) in enumerate(seen):
        made.rise(client, seq, stamp_us)
        if data.draw(st.booleans()):
            made = HighWater(clients_max, made.snapshot())

        assert len(made.snapshot()["clients"]) <= clients_max
        assert all(made.is_replay(*old) for old in seen[: number + 1])
