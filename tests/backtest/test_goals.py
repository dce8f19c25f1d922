"""The goals of detection, on recordings of real machines; every figure by the defaults, through backtest's own code."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.detectors import boreal, edgetwin, nab, skab

DATA = Path(os.environ.get("TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
needs_data = pytest.mark.skipif(not (DATA / "skab").is_dir(), reason="the recordings are not here; set TEST_DATA")


@needs_data
def test_a_water_pump_is_watched_well_and_left_in_peace() -> None:
    """SKAB: F1 at least 0.80, FAR at most 10 %, MAR at most 30 %, at most one event per hour of normal running."""
    counts, per_hour = skab(DATA / "skab", edgetwin(None))

    assert counts.f1 >= 0.80
    assert counts.far <= 0.10
    assert counts.mar <= 0.30
    assert per_hour <= 1.0


@needs_data
def test_single_series_are_watched_well_and_left_in_peace() -> None:
    """NAB: three of four windows hit, at most one false alarm in four days."""
    hit, total, per_day = nab(DATA / "nab", edgetwin(None))

    assert hit >= 0.75 * total
    assert per_day <= 0.25


@needs_data
def test_a_driving_robot_is_left_in_peace_and_its_motors_are_watched() -> None:
    """BorealTC: at most four events per hour, half of the motors that draw 1.6 times more are seen."""
    per_hour, seen, total = boreal(DATA / "robots" / "husky_borealtc", edgetwin(None))

    assert per_hour <= 4.0
    assert seen >= 0.5 * total
