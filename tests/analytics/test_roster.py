"""Elements by their names: no order of a message mixes them up."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.analytics.roster import ELEMENTS_MAX, Roster


@given(st.lists(st.permutations(["a", "b", "c", "d"]), min_size=1, max_size=10))
def test_a_value_stays_in_the_column_of_its_name(orders: list[list[str]]) -> None:
    """Whatever the order of the message."""
    roster = Roster()

    for labels in orders:
        values = np.array([[float(ord(label)) for label in labels]])
        row = roster.rows(labels, values)[0]

        assert [chr(int(value)) for value in row] == roster.labels


def test_a_new_name_gets_the_next_column_and_a_missing_one_is_missing() -> None:
    """A gripper comes and goes."""
    roster = Roster()
    roster.rows(["a", "b"], np.zeros((1, 2)))

    wider = roster.rows(["gripper", "a"], np.array([[7.0, 1.0]]))
    narrow = roster.rows(["b"], np.array([[2.0], [3.0]]))

    assert roster.labels == ["a", "b", "gripper"]
    assert np.array_equal(wider, [[1.0, np.nan, 7.0]], equal_nan=True)
    assert np.array_equal(narrow, [[np.nan, 2.0, np.nan], [np.nan, 3.0, np.nan]], equal_nan=True)


def test_a_name_twice_and_more_names_than_it_takes_are_refused_and_counted() -> None:
    """Bounded, whatever a broken publisher invents."""
    roster = Roster()
    roster.rows(["a", "a"], np.array([[1.0, 2.0]]))
    many = [str(index) for index in range(2000)]

    rows = roster.rows(many, np.ones((1, 2000)))

    assert roster.labels[:2] == ["a", "0"]
    assert rows.shape == (1, ELEMENTS_MAX)
    assert roster.refused == 1 + 2000 - (ELEMENTS_MAX - 1)


def test_fewer_values_than_names_or_fewer_names_than_values() -> None:
    """JointState without efforts for all of its joints."""
    roster = Roster()

    assert np.array_equal(roster.rows(["a", "b", "c"], np.array([[1.0, 2.0]])), [[1.0, 2.0, np.nan]], equal_nan=True)
    assert np.array_equal(roster.rows(["a"], np.array([[5.0, 6.0]])), [[5.0, np.nan, np.nan]], equal_nan=True)


def test_values_are_not_copied_where_nothing_is_to_be_done() -> None:
    """The usual message costs nothing."""
    roster = Roster()
    values = np.ones((4, 2))

    assert roster.rows(["a", "b"], values) is values
