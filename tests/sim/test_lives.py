"""The made-up history: what it says, and that the demo's detector and model make something of it."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from edgetwin.analytics.methods import Method, Wish, build
from edgetwin.sim import lives
from edgetwin.sim.lives import life
from edgetwin.sim.physics import WEAR_S, Body
from edgetwin.sim.route import START, Driver
from edgetwin.sim.stage import settings

_STEP_S = 0.005


def test_a_life_is_sound_then_worn_then_over() -> None:
    """The left effort rises in the last seconds alone; the same life twice is the same."""
    rows = np.array(list(life(2)))
    apart = np.abs(rows[:, 1]) - np.abs(rows[:, 2])
    wears = rows[:, 0] > rows[-1, 0] - WEAR_S

    assert np.abs(apart[~wears]).mean() < 0.1
    assert apart[wears].max() > 0.5
    assert np.array_equal(rows, np.array(list(life(2))))


def test_a_model_of_it_tells_the_end_from_the_rest(tmp_path: Path) -> None:
    """`edgetwin train` takes it as the demo gives it, and the model is better than always alarming by far."""
    history, model = tmp_path / "lives.csv", tmp_path / "motor.onnx"
    lives.write(history)
    command = [sys.executable, "-m", "edgetwin", "train", str(history), "--out", str(model), *lives.TRAIN, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)

    assert (done.returncode, model.exists()) == (0, True), done.stderr
    assert report["split"] == "machine"
    assert report["model"]["pr_auc"] > 4 * report["prevalence"]


@pytest.mark.parametrize(("seed", "wears_s"), list(product(range(3), (14.0, 25.0, None))))
def test_the_demo_s_detector_alarms_for_the_wear_and_for_nothing_else(
    seed: int, wears_s: float | None, tmp_path: Path
) -> None:
    """A minute of the robot, driven by somebody at its beginning: no alarm before the wear, one while it lasts."""
    table = settings(1883, tmp_path)["anomaly"]["wheel_motors"]
    body, driver, rows, times_s = Body(seed, start=START), Driver(), [], []
    for step in range(round(40.0 / _STEP_S)):
        if wears_s is not None and body.time_s >= wears_s:
            body.wear_out()
        if 2.0 <= body.time_s < 4.0:
            driver.command(0.3, 0.8, time_s=body.time_s)
        body.step(_STEP_S, *driver.wanted(body.pose, time_s=body.time_s))
        if step % 2 == 0:
            joints = body.joints()
            rows.append(joints.efforts[:2] + joints.velocities[:2])
            times_s.append(body.time_s)
    keys = {key: table[key] for key in ("offset", "scale_min", "warmup_s")}
    wish = Wish(Method(table["method"]), pairs=((0, 1),), speeds=((2, 3),), **keys)
    times = np.array(times_s)
    alarms = times[build(wish, 4).judge(np.array(rows), times).alarms[:, 0]]

    assert len(alarms) == 0 if wears_s is None else wears_s < alarms[0] < wears_s + WEAR_S
