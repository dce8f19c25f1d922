"""The power density of samples: held against the library that wrote the book."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from edgetwin.analytics.periodogram import periodogram


@pytest.mark.parametrize("rows", [16, 17, 256, 1024, 1023])
@pytest.mark.parametrize("elements", [None, 1, 3])
def test_it_is_that_of_scipy(rows: int, elements: int | None) -> None:
    """Even and odd lengths, one element and several, with an offset a million times the vibration."""
    shape = rows if elements is None else (rows, elements)
    samples = np.random.default_rng(rows).normal(size=shape)
    for offset in (0.0, 1e6):
        frequencies, density = periodogram(samples + offset, 200.0)
        expected = signal.periodogram(samples + offset, fs=200.0, window="hann", detrend="constant", axis=0)

        assert frequencies == pytest.approx(expected[0], rel=1e-12)
        assert density == pytest.approx(expected[1], rel=1e-9, abs=1e-15 * (1.0 + offset))


def test_a_tone_has_its_power_at_its_frequency() -> None:
    """A sine of amplitude 2 carries the power 2, under the taper within two bins."""
    time_s = np.arange(1000) / 500.0
    samples = 2.0 * np.sin(2 * np.pi * 50.0 * time_s) + 7.0
    before = samples.copy()
    frequencies, density = periodogram(samples, 500.0)

    near = np.abs(frequencies - 50.0) <= 1.0
    assert density[near].sum() * 0.5 == pytest.approx(2.0, rel=1e-6)
    assert density[~near].max() < 1e-20
    assert np.array_equal(samples, before)
