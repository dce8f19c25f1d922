"""A short run of the offline fuzz; `python -m tests.lane.fuzz 5000000` is the long one."""

from __future__ import annotations

import pytest

from edgetwin.command.rules import Level
from edgetwin.motion import Reason
from tests.lane.fuzz import WORLDS, World
from tests.proofs.scale import scaled

INPUTS = 15_000


@pytest.mark.parametrize(("level", "driven"), WORLDS)
def test_nothing_hostile_is_admitted_or_moves(level: Level, driven: bool) -> None:
    """Noise, bent commands, copies of signed ones, under every level: the run itself asserts, at each input."""
    found = World(level, 20_261_122, driven=driven).run(scaled(INPUTS))

    assert found.inputs >= scaled(INPUTS)
    assert {Reason.BAD_JSON, Reason.BAD_SCHEMA, Reason.RETAINED, Reason.NOT_FINITE} <= found.reasons
    if driven:
        assert {Reason.BAD_SIG} <= found.reasons
        assert found.admitted > 100, "an honest driver drives all the while"
        assert found.moving_ticks > 100
    elif level is Level.OPEN:
        assert found.admitted > 10, "well-formed is enough, so some of it moves, within the limits"
    else:
        assert (found.admitted, found.moving_ticks) == (0, 0)
