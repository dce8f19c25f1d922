"""What is learned of a healthy machine: once, kept, and never again by itself."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.analytics.healthy import Healthy, Normals
from edgetwin.errors import BaselineLostError

ORIGINS = {"current": "/joint_states effort wheel_left"}


def learnt(healthy: Healthy, *values: float, active_s: float = 10.0, base: str = "current.mean") -> Normals:
    """Feed rows of one feature; return the view of a model that learns over 30 s."""
    normals = healthy.normals([base], 60.0, 30.0)
    for value in values:
        normals.run({base: value}, active_s)
    return normals


def test_it_learns_the_mean_of_the_first_running_time_and_then_no_more() -> None:
    """30 s of running, whatever the clock says; a worn machine later changes nothing."""
    normals = learnt(Healthy(), 1.0, 2.0, 3.0, 100.0, 100.0)

    assert normals.learned
    assert normals.normal("current.mean") == 2.0
    assert normals.ratio("current.mean", 5.0) == 2.5


def test_until_it_is_learned_nothing_is_known() -> None:
    """Half a baseline is none; how far it is can be read."""
    normals = learnt(Healthy(), 1.0, 2.0)

    assert not normals.learned
    assert normals.progress == pytest.approx(2 / 3)
    assert math.isnan(normals.normal("current.mean"))
    assert math.isnan(normals.ratio("current.mean", 1.0))


def test_what_is_not_finite_is_not_learned() -> None:
    """Its time does not count as healthy time either, though the machine ran."""
    healthy = Healthy()
    normals = learnt(healthy, 1.0, math.nan, math.inf, 3.0, 2.0)

    assert normals.normal("current.mean") == 2.0
    assert healthy.runtime_hours == pytest.approx(50 / 3600)


def test_a_healthy_value_of_zero_divides_nothing() -> None:
    """The ratio is not a number; it is not infinity."""
    assert math.isnan(learnt(Healthy(), 0.0, 0.0, 0.0).ratio("current.mean", 1.0))


def test_a_restart_goes_on_where_it_stopped() -> None:
    """Through JSON and back, in the middle of learning and after it."""
    whole = Healthy(ORIGINS)
    learnt(whole, 1.0, 2.0)
    again = Healthy(ORIGINS, json.loads(json.dumps(whole.keep())))
    normals = learnt(again, 3.0, 100.0)
    third = Healthy(ORIGINS, json.loads(json.dumps(again.keep())))

    assert normals.normal("current.mean") == 2.0
    assert third.normals(["current.mean"], 60.0, 30.0).normal("current.mean") == 2.0
    assert third.runtime_hours == pytest.approx(40 / 3600)


def test_a_new_model_keeps_what_is_known_and_says_what_begins() -> None:
    """The old feature is known; the new one, and the old one over other windows, are learned from now on."""
    healthy = Healthy()
    learnt(healthy, 1.0, 2.0, 3.0)

    assert healthy.normals(["current.mean", "current.std"], 60.0, 30.0).begun == ("current.std",)
    assert healthy.normals(["current.mean"], 3600.0, 30.0).begun == ("current.mean",)
    assert healthy.normals(["current.mean"], 60.0, 30.0).begun == ()


def test_a_longer_healthy_time_does_not_open_what_is_learned() -> None:
    """What has begun goes on as it began."""
    healthy = Healthy()
    learnt(healthy, 1.0, 2.0, 3.0)
    normals = healthy.normals(["current.mean"], 60.0, 30_000.0)
    normals.run({"current.mean": 100.0}, 10.0)

    assert normals.normal("current.mean") == 2.0


@given(st.lists(st.floats(0.0, 3600.0), max_size=50))
def test_the_hours_never_go_down(active: list[float]) -> None:
    """Whatever rows come."""
    healthy = Healthy()
    seen = [0.0]
    normals = healthy.normals([], 60.0, 30.0)
    for active_s in active:
        normals.run({}, active_s)
        seen.append(healthy.runtime_hours)

    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(sum(active) / 3600)


def test_another_origin_of_a_source_is_not_taken_for_the_same_quantity() -> None:
    """The baseline of the left motor says nothing about the right one."""
    kept = Healthy(ORIGINS).keep()

    with pytest.raises(BaselineLostError, match=r"wheel_left.*wheel_right"):
        Healthy({"current": "/joint_states effort wheel_right"}, kept)


def test_a_new_source_is_no_other_origin() -> None:
    """What was learned of the old ones stays; those that the settings have no more are remembered."""
    first = Healthy(ORIGINS)
    learnt(first, 1.0, 2.0, 3.0)
    second = Healthy({"vibration": "/imu norm"}, first.keep())

    assert Healthy(ORIGINS, second.keep()).normals(["current.mean"], 60.0, 30.0).normal("current.mean") == 2.0


def _with(**changes: Any) -> dict[str, Any]:
    healthy = Healthy(ORIGINS)
    learnt(healthy, 1.0)
    return healthy.keep() | changes


@pytest.mark.parametrize(
    "kept",
    [
        5, "x", [], {}, {"v": 1}, _with(v=2), _with(runtime_hours=-1.0), _with(runtime_hours="9"),
        _with(runtime_hours=None), _with(runtime_hours=1e300), _with(runtime_hours=10**400), _with(runtime_hours=True),
        _with(healthy=5), _with(healthy={"a": 5}), _with(sources=[1]),
        _with(healthy={"a": {"mean": "nan", "count": 1, "seconds": 1, "full_s": 1}}),
        _with(healthy={"a": {"mean": 1, "count": -1, "seconds": 1, "full_s": 1}}),
        _with(healthy={"a": {"mean": 1, "count": 1.5, "seconds": 1, "full_s": 1}}),
        _with(healthy={"a": {"mean": 1, "count": 1, "seconds": 1}}),
    ],
)  # fmt: skip
def test_what_was_not_kept_by_us_is_refused_whole(kept: Any) -> None:
    """No half-read baseline, and no other exception."""
    with pytest.raises(BaselineLostError):
        Healthy(ORIGINS, kept)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(json_values, json_values, json_values)
def test_any_json_is_restored_or_refused(sources: Any, hours: Any, normals: Any) -> None:
    """Nothing else can come of a file."""
    try:
        healthy = Healthy(ORIGINS, {"v": 1, "sources": sources, "runtime_hours": hours, "healthy": normals})
    except BaselineLostError:
        return
    assert math.isfinite(healthy.runtime_hours)
