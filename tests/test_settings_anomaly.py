"""[anomaly.*]: what is taken, and what is refused in plain words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgetwin import config
from edgetwin.analytics.methods import Method, build
from edgetwin.judging.watch import wish_of
from edgetwin.settings import AnomalySettings
from edgetwin.settings.anomaly import MethodName
from tests.test_config import MINIMAL, faults, load

EFFORT = {"channel": "joint_states", "field": "effort"}


def test_the_contracts_example_is_taken_as_it_stands(tmp_path: Path) -> None:
    """Key by key."""
    text = """
    [anomaly.joint_effort]
    channel = "joint_states"
    field = "effort"
    label = "name"
    method = "robust_z"
    threshold = 6.0
    warmup_s = 10.0
    clear_after_s = 5.0
    """

    one = load(tmp_path, MINIMAL + text).settings.anomaly["joint_effort"]

    assert (one.method, one.threshold, one.warmup_s, one.clear_after_s) == ("robust_z", 6.0, 10.0, 5.0)


def test_settings_and_detectors_know_the_same_methods() -> None:
    """A name that is taken can be built."""
    assert [str(name) for name in MethodName] == [str(name) for name in Method]


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"method": "residual", "memory_samples": 100},
        {"method": "twin_ratio", "pairs": ["a/b"], "motion": ["velocity"], "offset": 0.5},
        {"method": "conditioned", "motion": ["velocity"], "motion_channel": "odom"},
        {"method": "t_squared", "fast_samples": 5},
        {"method": "limits", "low": 1.0, "hysteresis": 0.1},
        {"method": "spectral", "window_samples": 64, "bands_hz": ["1-2.5", "2.5-10"]},
    ],
)
def test_every_method_can_be_configured(extra: dict[str, Any]) -> None:
    """And what is configured can be built, but for what only messages tell."""
    wish = wish_of(AnomalySettings.model_validate(EFFORT | extra))

    if wish.method not in {Method.TWIN_RATIO, Method.CONDITIONED}:
        assert build(wish, 3).elements == 3


def test_pairs_and_bands_are_read_as_written() -> None:
    """Left before right, low before high."""
    twins = AnomalySettings.model_validate(EFFORT | {"method": "twin_ratio", "pairs": ["wheel_l/wheel_r", "0/1"]})
    bands = AnomalySettings.model_validate(EFFORT | {"method": "spectral", "bands_hz": ["10-50", "50-99.5"]})

    assert twins.twins == (("wheel_l", "wheel_r"), ("0", "1"))
    assert bands.bands == ((10.0, 50.0), (50.0, 99.5))


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            'method = "magic"',
            'anomaly.x.method: "magic" is not one of the choices; set it to one of robust_z, residual',
        ),
        ("threshold = 0", "anomaly.x.threshold: 0 is out of range"),
        ("threshold = nan", "anomaly.x.threshold: nan is not a finite number"),
        ("low = 1.0", "anomaly.x: it has low, which robust_z does not know; remove low; it is for limits"),
        ('method = "limits"', "anomaly.x: it has no low or high, which limits needs; add low or high"),
        ('method = "limits"\nlow = 2.0\nhigh = 1.0', "anomaly.x.high: 1.0 is not above low"),
        (
            'method = "limits"\nlow = 2.0\nfast_samples = 3',
            "anomaly.x: it has fast_samples, which limits does not know",
        ),
        ('method = "twin_ratio"', "anomaly.x: it has no pairs, which twin_ratio needs"),
        ('method = "twin_ratio"\npairs = ["a"]', 'anomaly.x.pairs[0]: "a" is not a pair of twins'),
        ('method = "twin_ratio"\npairs = ["a/a"]', 'anomaly.x.pairs[0]: "a/a" is not a pair of twins'),
        ('method = "conditioned"', "anomaly.x: it has no motion, which conditioned needs"),
        ('method = "spectral"\nbands_hz = ["50-10"]', 'anomaly.x.bands_hz[0]: "50-10" is not a band of frequencies'),
        ("per_hour_max = 0", "anomaly.x.per_hour_max: 0 is out of range"),
        ("tresh = 1", "anomaly.x.tresh: is not a known key; write threshold if that was meant"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path: Path, lines: str, told: str) -> None:
    """Where, what, what to do."""
    text = f'{MINIMAL}\n[anomaly.x]\nchannel = "odom"\nfield = "twist"\n{lines}\n'

    (fault,) = faults(tmp_path, text)

    assert str(fault).removeprefix("robot.toml: ").startswith(told)


@pytest.mark.parametrize("method", ["robust_z", 'limits"\nlow = 1.0\n#', "spectral"])
def test_what_check_prints_can_be_read_again(tmp_path: Path, method: str) -> None:
    """Every key is printed, also those of other methods."""
    text = f'{MINIMAL}\n[anomaly.x]\nchannel = "odom"\nfield = "twist"\nmethod = "{method}"\n'
    settings = load(tmp_path, text).settings

    assert load(tmp_path, config.to_toml(settings)).settings == settings


def test_a_name_is_plain(tmp_path: Path) -> None:
    """It becomes the name of a file and stands in events."""
    (fault,) = faults(tmp_path, f'{MINIMAL}\n[anomaly."../x"]\nchannel = "odom"\nfield = "twist"\n')

    assert "is not the name of a detector" in str(fault)


def test_settings_are_frozen() -> None:
    """As all else is."""
    one = AnomalySettings.model_validate(EFFORT)

    with pytest.raises(ValidationError):
        one.threshold = 3.0
