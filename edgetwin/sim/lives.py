"""Sim wing: lives of simulated robots, from sound to the end of a motor: the history that a failure model is fitted on.

In: how many     Out: rows of a CSV for `edgetwin train`
Pure; the same every time. It is made up: what is learned from it is good for the demo's robot and for no other.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from edgetwin.sim.physics import WEAR_S, Body
from edgetwin.sim.route import START, Driver

LIVES = 6
HORIZON_S = 6.0
WINDOW_S = 3.0
EVERY_S = 0.5
_STEP_S = 0.02
_ROW_EVERY_STEPS = 2
_SOUND_S = 20.0
_SOUND_MORE_S = 7.0  # each robot is sound for longer than the one before: none fails at the same place
_HEAD = ("time", "machine", "left", "right")

# What makes a model of such a history; the sources are those of the settings of the demo.
TRAIN = (
    "--run-to-failure", f"--horizon-h={HORIZON_S / 3600}", f"--window-s={WINDOW_S:g}", f"--every-s={EVERY_S:g}",
    "--features=left.abs_mean,right.abs_mean", "--running=right.abs_mean>0.1", "--estimator=logistic",
)  # fmt: skip


def life(number: int) -> Iterator[tuple[float, float, float]]:
    """Yield (time [s], effort of the left wheel, of the right one [Nm]) of one robot until its motor is at its end."""
    body, driver = Body(seed=1000 + number, start=START), Driver()
    wears_s = _SOUND_S + _SOUND_MORE_S * number
    steps = round((wears_s + WEAR_S) / _STEP_S)
    for step in range(steps):
        if body.time_s >= wears_s:
            body.wear_out()
        body.step(_STEP_S, *driver.wanted(body.pose, time_s=body.time_s))
        if step % _ROW_EVERY_STEPS == 0:
            left, right = body.joints().efforts[:2]
            yield body.time_s, left, right


def write(path: Path, lives: int = LIVES) -> None:
    """Write a history of `lives` robots."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(_HEAD)
        for number in range(lives):
            for time_s, left, right in life(number):
                rows.writerow((f"{time_s:.3f}", f"life_{number}", f"{left:.6f}", f"{right:.6f}"))
