"""The page that a reviewer reads is what the code does."""

from __future__ import annotations

import re

import pytest

from edgetwin.gate.checks import CHECKS
from edgetwin.gate.machine import TRANSITIONS, Cause, after
from edgetwin.motion import State
from tests.gate.page import PAGE, TABLES, matrix, rendered
from tests.gate.test_traps_index import names_by_file


def test_the_tables_of_the_page_are_those_of_the_code() -> None:
    """Out of date: `make pages` renders them anew."""
    page = PAGE.read_text(encoding="utf-8")

    assert page == rendered(page), "docs/gate.md is out of date: make pages"


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_page_without_its_marks_is_refused(name: str) -> None:
    """A table must not vanish from the page in silence."""
    page = PAGE.read_text(encoding="utf-8").replace(f"<!-- {name}: rendered", "<!-- lost: rendered")

    with pytest.raises(ValueError, match=name):
        rendered(page)


def test_every_state_and_every_cause_is_on_the_page() -> None:
    """Also those that only leave, and those that are only reached."""
    page = PAGE.read_text(encoding="utf-8")

    assert all(state in page for state in State)
    assert all(cause in page and cause.name in page for cause in Cause)
    assert all(check.claim in page for check in CHECKS)


def test_the_matrix_is_the_table() -> None:
    """Each pair of the table, and rule 0 for all others: a state and a cause have one successor at most."""
    listed = [(source, row.cause) for row in TRANSITIONS for source in row.sources]
    table = {(source, row.cause): row.to for row in TRANSITIONS for source in row.sources}

    assert len(listed) == len(set(listed))
    for state in State:
        for cause in Cause:
            assert after(state, cause) is table.get((state, cause), state)
    assert matrix().count("\n") == len(Cause) + 1


def test_the_properties_on_the_page_have_their_tests() -> None:
    """P1 to P15: each is named on the page and in a test."""
    page = PAGE.read_text(encoding="utf-8")
    names = names_by_file()["gate/test_properties.py"]

    for number in range(1, 16):
        assert re.search(rf"\| P{number} \|", page), f"P{number} is not on the page"
        assert any(f"_p{number}_" in name for name in names), f"P{number} has no test"
