"""Percentiles, against numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.twin.figures import Newest


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60),
    st.integers(1, 40),
    st.lists(st.floats(0, 100), min_size=1, max_size=5),
)
def test_percentiles_are_exact_over_the_newest(values: list[float], size: int, percents: list[float]) -> None:
    """Those of the last `size` numbers, between two of them in proportion, as numpy has it."""
    newest = Newest(size)
    for value in values:
        newest.add(value)

    expected = np.percentile(values[-size:], percents)
    assert newest.percentiles(*percents) == pytest.approx(tuple(expected), rel=1e-9, abs=1e-6)
    assert (newest.count, newest.largest) == (len(values), max(values))


def test_nothing_has_no_percentiles() -> None:
    """None, not zero."""
    assert Newest().percentiles(50) is None
