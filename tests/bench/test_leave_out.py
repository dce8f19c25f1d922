"""Leaving recordings out: who was left out has no say in what he is judged by."""

from __future__ import annotations

import numpy as np
import pytest

from bench.leave_out import Choice, Kind, Recording, Tally, table_of

BEST = {"a": 1.0, "b": 3.0, "c": 3.0}  # what each group would like best


def _judge(choice: Choice, recording: Recording) -> Tally:
    """Count one, and how far the choice is from what this recording likes."""
    return np.array([1.0, abs(choice[0] - recording.values[0])])


def _kind() -> Kind:
    groups = {name: [Recording(np.zeros(1), np.array([best]))] for name, best in BEST.items()}
    return Kind(
        "toys", {"x": (1.0, 2.0, 3.0), "y": (0.0, 1.0)}, (2.0, 0.0), groups, _judge,
        lambda tally: -float(tally[1]), lambda tally: f"off by {tally[1]:g} in {tally[0]:g}", "off",
    )  # fmt: skip


def test_the_others_choose() -> None:
    """Without a, its opposite is chosen for it; without b, c and a are even, and the first choice wins."""
    lines = table_of(_kind(), None).splitlines()

    assert lines[2] == "| a | 3 / 0 | off by 2 in 1 | off by 1 in 1 |"
    assert lines[3].startswith("| b | 2 / 0 | off by 1 in 1 |")
    assert lines[5] == "| **all, each left out once** | | **off by 4 in 3** | **off by 3 in 3** |"
    assert lines[6] == "| chosen by all, on all | 3 / 0 | off by 2 in 3 | off by 3 in 3 |"


@pytest.mark.parametrize("count", [None, 0, 2])
def test_the_default_and_its_neighbours_are_always_among_the_choices(count: int | None) -> None:
    """One step in each direction, the same at every run, none twice."""
    choices = _kind().choices(count)

    assert choices == _kind().choices(count)
    assert len(set(choices)) == len(choices)
    assert {(2.0, 0.0), (1.0, 0.0), (3.0, 0.0), (2.0, 1.0)} <= set(choices)
    assert count is not None or len(choices) == 6
