"""Ids as ROS names: valid always, never two the same, the same every time."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from edgetwin.twin.names import Names, token


@given(st.lists(st.text(alphabet="aZ09_-é", min_size=1, max_size=6), max_size=40))
def test_tokens_are_valid_and_unique(ids: list[str]) -> None:
    """Letters, digits, underscores, a letter first; as many tokens as ids."""
    names = Names()
    tokens = {name: names.of(name) for name in ids}

    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", found) for found in tokens.values())
    assert len(set(tokens.values())) == len(set(ids))
    assert {name: names.of(name) for name in ids} == tokens


def test_names_are_kept_where_they_can_be() -> None:
    """A hyphen becomes an underscore, a digit or underscore at the front gets a letter."""
    assert [token(name, "r") for name in ("robot_001", "robot-1", "7", "_x")] == ["robot_001", "robot_1", "r7", "r_x"]


def test_who_comes_later_gives_way_and_may_have_the_name_when_it_is_free() -> None:
    """The clash is told; after forgetting, the name is free."""
    names = Names()
    first, second = names.of("a-b"), names.of("a_b")
    names.forget("a-b")
    names.forget("a_b")

    assert (first, names.clashes) == ("a_b", [("a_b", "a_b")])
    assert second.startswith("a_b_")
    assert names.of("a_b") == "a_b"
