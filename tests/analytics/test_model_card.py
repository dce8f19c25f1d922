"""The metadata of a model: read, refused, and written again."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.analytics.features import parse
from edgetwin.analytics.model_card import Running, read_card, write_card
from edgetwin.errors import ModelRefusedError
from tests.analytics.models import card


def told(**changes: Any) -> dict[str, str]:
    """Return the least metadata, with changes; None takes a key away."""
    values = {"features": ["current.mean"], "window_s": 60, "horizon_s": 86_400} | changes
    return {f"edgetwin.{key}": json.dumps(value) for key, value in values.items() if value is not None}


def test_features_window_and_horizon_are_enough() -> None:
    """Everything else has a default."""
    read = read_card(told())

    assert (read.names, read.window_s, read.horizon_s) == (("current.mean",), 60.0, 86_400.0)
    assert (read.threshold, read.healthy_s, read.running) == (0.5, 86_400.0, None)
    assert read.probes.shape == (0, 1)


def test_a_card_is_read_as_it_was_written() -> None:
    """Every field, and the facts that nobody judges."""
    full = card(
        ["ratio:vibration.band_10_20", "runtime.hours"], threshold=0.8, running=Running(parse("current.rms"), 0.2),
        healthy={"runtime.hours": 5.0}, probes=np.array([[1.5, 2.5]], np.float32), answers=np.array([0.25]),
        facts={"scores": {"pr_auc": 0.5}, "data_sha256": "ab"},
    )  # fmt: skip
    again = read_card(write_card(full))

    assert write_card(again) == write_card(full)
    assert again.running == full.running
    assert again.facts == full.facts
    np.testing.assert_array_equal(again.probes, full.probes)


def test_metadata_of_others_are_nobodys_business() -> None:
    """Only what begins with `edgetwin.` is read."""
    assert read_card(told() | {"author": "{broken", "features": "[]"}).names == ("current.mean",)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"features": None}, "features"),
        ({"features": "current.mean"}, "features"),
        ({"features": []}, "features"),
        ({"features": ["current.median"]}, "features"),
        ({"features": [5]}, "features"),
        ({"window_s": None}, "window_s"),
        ({"window_s": 0}, "window_s"),
        ({"window_s": -60}, "window_s"),
        ({"window_s": "60"}, "window_s"),
        ({"window_s": True}, "window_s"),
        ({"window_s": 1e300}, "window_s"),
        ({"horizon_s": None}, "horizon_s"),
        ({"threshold": 1.5}, "threshold"),
        ({"healthy_s": 0}, "healthy_s"),
        ({"running": 5}, "running"),
        ({"running": {"feature": "ratio:a.mean", "above": 1}}, "running"),
        ({"running": {"feature": "a.mean"}}, "running"),
        ({"healthy": [1]}, "healthy"),
        ({"healthy": {"a.mean": "x"}}, "healthy"),
        ({"probes": {"rows": [[1.0, 2.0]], "probabilities": [0.5]}}, "probes"),
        ({"probes": {"rows": [[1.0]], "probabilities": []}}, "probes"),
        ({"probes": {"rows": [["x"]], "probabilities": [0.5]}}, "probes"),
        ({"probes": {"rows": [[1.0]] * 65, "probabilities": [0.5] * 65}}, "probes"),
        ({"v": 2}, "version 2"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_key(changes: dict[str, Any], key: str) -> None:
    """One line that names the key, and where to look up what it should be."""
    with pytest.raises(ModelRefusedError, match=key) as caught:
        read_card(told(**changes))

    assert "\n" not in str(caught.value)
    assert caught.value.cure


@pytest.mark.parametrize("text", ["", "{", "NaN", "[" * 100_000, '"\\ud800"', "1e999", "9" * 10_000])
@pytest.mark.parametrize("key", ["features", "window_s", "healthy", "probes", "running", "scores"])
def test_broken_json_is_refused_or_a_fact(key: str, text: str) -> None:
    """No other exception, however it is broken."""
    try:
        read_card(told() | {f"edgetwin.{key}": text})
    except ModelRefusedError:
        return
    assert key == "scores"


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*told(), "edgetwin.running", "edgetwin.probes"]), json_values))
def test_any_metadata_are_a_card_or_a_refusal(values: dict[str, Any]) -> None:
    """Nothing else can come of a file."""
    try:
        read = read_card(told() | {key: json.dumps(value) for key, value in values.items()})
    except ModelRefusedError:
        return
    assert read.names
