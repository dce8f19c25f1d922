"""The vocabulary of features: what a model may ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.analytics.features import FEATURES_MAX, Statistic, bases, parse, parse_all, sources


@pytest.mark.parametrize(
    ("name", "source", "statistic", "band_hz", "is_ratio"),
    [
        ("current.mean", "current", Statistic.MEAN, None, False),
        ("current.std", "current", Statistic.STD, None, False),
        ("temperature.mean", "temperature", Statistic.MEAN, None, False),
        ("vibration.rms", "vibration", Statistic.RMS, None, False),
        ("vibration.band_1000_2000", "vibration", Statistic.BAND, (1000.0, 2000.0), False),
        ("ratio:vibration.rms", "vibration", Statistic.RMS, None, True),
        ("ratio:vibration.band_0_50", "vibration", Statistic.BAND, (0.0, 50.0), True),
        ("runtime.hours", "runtime", Statistic.LAST, None, False),
    ],
)
def test_a_name_says_source_statistic_band_and_ratio(
    name: str, source: str, statistic: Statistic, band_hz: tuple[float, float] | None, *, is_ratio: bool
) -> None:
    """The tutorial's five, bands, and ratios to the healthy value."""
    feature = parse(name)

    assert (feature.source, feature.statistic, feature.band_hz) == (source, statistic, band_hz)
    assert feature.is_ratio is is_ratio
    assert feature.name == name
    assert feature.base == name.removeprefix("ratio:")


@pytest.mark.parametrize(
    "name",
    [
        "", "current", ".mean", "current.", "current.median", "Current.mean", "current.mean ", "ratio:",
        "ratio:ratio:a.mean", "ratio:runtime.hours", "runtime.mean", "vibration.band", "vibration.band_10",
        "vibration.band_20_10", "vibration.band_10_10", "vibration.band_-1_5", "a.band_1_2_3", "x" * 40 + ".mean",
        "current.mean\n", "ström.mean",
    ],
)  # fmt: skip
def test_a_name_outside_the_vocabulary_is_refused(name: str) -> None:
    """The vocabulary is closed; the words of the refusal hold the name."""
    with pytest.raises(ValueError, match=r"current\.mean|statistic|band|hours"):
        parse(name)


@given(st.text(max_size=60))
def test_any_text_is_a_feature_or_a_refusal(text: str) -> None:
    """Nothing else comes out, and what is taken keeps its name."""
    try:
        feature = parse(text)
    except ValueError:
        return
    assert feature.name == text


def test_a_list_of_features_has_each_once_and_not_too_many() -> None:
    """None, doubles and crowds are refused."""
    crowd = [f"s{index}.mean" for index in range(FEATURES_MAX + 1)]

    assert len(parse_all(crowd[:-1])) == FEATURES_MAX
    for wrong in ([], crowd, ["a.mean", "b.mean", "a.mean"]):
        with pytest.raises(ValueError, match=r"features|twice"):
            parse_all(wrong)


def test_bases_and_sources_are_what_has_to_be_measured() -> None:
    """A ratio and its level are measured once; the runtime comes from no source."""
    features = parse_all(["ratio:current.mean", "runtime.hours", "current.mean", "vibration.rms", "current.std"])

    assert [one.name for one in bases(features)] == ["current.mean", "runtime.hours", "vibration.rms", "current.std"]
    assert sources(features) == ("current", "vibration")
