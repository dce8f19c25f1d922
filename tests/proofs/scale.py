"""How much the proofs do: TEST_SCALE=1 is what CI runs, more is for a long evening."""

from __future__ import annotations

import os

SCALE = float(os.environ.get("TEST_SCALE", "1"))


def scaled(count: int) -> int:
    """Return how many to do, where CI does `count`."""
    return max(1, round(count * SCALE))
