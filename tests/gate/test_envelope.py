"""How fast and how suddenly: clamp, slew, brake and the last look, for any number there is."""

from __future__ import annotations

import math
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.gate import envelope
from edgetwin.gate.limits import MS, GateLimits
from edgetwin.motion import ZERO, Twist

LIMITS = GateLimits()
S = 1_000 * MS
ULP = 1.1e-9  # what one step may round: speeds of a nanometre per second are taken for zero

anything = st.floats(allow_nan=True, allow_infinity=True)
speeds = st.floats(-5.0, 5.0)
asked = st.builds(Twist, speeds, speeds)
inside = st.builds(Twist, st.floats(-0.5, 0.5), st.floats(-1.0, 1.0))
slopes = st.tuples(st.floats(-10.0, 10.0), st.floats(-10.0, 10.0))
steps_ns = st.integers(1, 100 * MS)


def up(number: float) -> float:
    """Return the next float away from zero."""
    return math.nextafter(number, math.copysign(math.inf, number))


# --- clamp


@given(asked, st.floats(0.01, 5.0), st.floats(0.01, 5.0))
def test_clamp_keeps_the_curve_the_direction_and_both_maxima(twist: Twist, linear: float, angular: float) -> None:
    """Thus v * w' = v' * w: the same circle, more slowly; no sign turns; not one bit above a maximum."""
    out = envelope.clamp(twist, linear, angular)

    assert abs(out.linear_mps) <= linear
    assert abs(out.angular_radps) <= angular
    assert abs(out.linear_mps) <= abs(twist.linear_mps)
    assert abs(out.angular_radps) <= abs(twist.angular_radps)
    assert out.linear_mps * twist.angular_radps == pytest.approx(twist.linear_mps * out.angular_radps, abs=1e-9)
    assert out.linear_mps * twist.linear_mps >= 0.0
    assert out.angular_radps * twist.angular_radps >= 0.0


@given(asked, st.floats(0.01, 5.0), st.floats(0.01, 5.0))
def test_clamp_takes_no_more_than_it_must(twist: Twist, linear: float, angular: float) -> None:
    """Inside nothing changes; outside at least one axis ends at its maximum."""
    out = envelope.clamp(twist, linear, angular)

    if abs(twist.linear_mps) <= linear and abs(twist.angular_radps) <= angular:
        assert out == twist
    else:
        assert max(abs(out.linear_mps) / linear, abs(out.angular_radps) / angular) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("linear", "angular", "wanted"),
    [
        (0.5, 1.0, Twist(0.5, 1.0)),
        (-0.5, -1.0, Twist(-0.5, -1.0)),
        (1.0, 0.0, Twist(0.5, 0.0)),
        (-1.0, 0.0, Twist(-0.5, 0.0)),
        (0.0, 4.0, Twist(0.0, 1.0)),
        (1.0, 1.0, Twist(0.5, 0.5)),
        (0.25, 2.0, Twist(0.125, 1.0)),
        (1.0, -4.0, Twist(0.25, -1.0)),
        (2.0, 4.5, Twist(0.4444444444444444, 1.0)),
    ],
)
def test_clamp_by_hand(linear: float, angular: float, wanted: Twist) -> None:
    """Either axis alone, both, and the one that is worse decides."""
    out = envelope.clamp(Twist(linear, angular), 0.5, 1.0)

    assert (out.linear_mps, out.angular_radps) == pytest.approx((wanted.linear_mps, wanted.angular_radps), abs=1e-15)


@given(anything, st.sampled_from([math.nan, math.inf, -math.inf]), st.booleans())
def test_clamp_of_what_is_no_number_is_zero(other: float, bad: float, first: bool) -> None:
    """NaN must not become full speed: `max(-lim, min(lim, nan))` would."""
    twist = Twist(bad, other) if first else Twist(other, bad)

    assert envelope.clamp(twist, 0.5, 1.0) == ZERO


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_clamp_holds_for_every_float(linear: float, angular: float) -> None:
    """1e308 and subnormals too: within both maxima, finite."""
    out = envelope.clamp(Twist(linear, angular), 0.5, 1.0)

    assert abs(out.linear_mps) <= 0.5
    assert abs(out.angular_radps) <= 1.0


def test_clamp_to_nothing_is_zero() -> None:
    """A maximum of zero stops."""
    assert envelope.clamp(Twist(0.3, 0.3), 0.0, 1.0) == ZERO
    assert envelope.clamp(Twist(0.3, 0.3), 0.5, 0.0) == ZERO
    assert envelope.clamp(ZERO, 0.0, 0.0) == ZERO


def test_clamp_of_one_axis_to_nothing_leaves_the_other_alone() -> None:
    """A robot that may not drive may still turn on the spot, and the other way round."""
    assert envelope.clamp(Twist(0.0, 0.3), 0.0, 1.0) == Twist(0.0, 0.3)
    assert envelope.clamp(Twist(0.3, 0.0), 0.5, 0.0) == Twist(0.3, 0.0)


@pytest.mark.parametrize("bad", [-1.0, math.nan, -math.inf])
@pytest.mark.parametrize("twist", [Twist(0.3, 0.2), Twist(0.3, 0.0), Twist(0.0, 0.2), ZERO])
def test_clamp_to_a_maximum_that_is_none_is_zero(twist: Twist, bad: float) -> None:
    """Negative or no number: nothing is allowed, and nothing is divided by it."""
    assert envelope.clamp(twist, bad, 1.0) == ZERO
    assert envelope.clamp(twist, 0.5, bad) == ZERO


def test_scaled_scales_both() -> None:
    """One ratio for both axes."""
    assert envelope.scaled(Twist(0.4, -0.8), 0.5) == Twist(0.2, -0.4)


# --- the last look


@pytest.mark.parametrize(
    ("twist", "good"),
    [
        (ZERO, True),
        (Twist(0.5, 1.0), True),
        (Twist(-0.5, -1.0), True),
        (Twist(0.5001, 0.0), False),
        (Twist(-0.5001, 0.0), False),
        (Twist(0.0, 1.0001), False),
        (Twist(0.0, -1.0001), False),
        (Twist(math.nan, 0.0), False),
        (Twist(0.0, math.nan), False),
        (Twist(math.inf, 0.0), False),
        (Twist(0.0, -math.inf), False),
    ],
)
def test_within_is_the_envelope_and_nothing_else(twist: Twist, good: bool) -> None:
    """At the limit, beyond it, and what is no number."""
    assert envelope.within(twist, LIMITS) is good


@pytest.mark.parametrize(
    "twist", [Twist(up(0.5), 0.0), Twist(up(-0.5), 0.0), Twist(0.0, up(1.0)), Twist(0.0, up(-1.0))]
)
def test_within_ends_at_the_limit_itself(twist: Twist) -> None:
    """One bit more is more: the guarantee is `<=`, not `about`."""
    assert not envelope.within(twist, LIMITS)


@pytest.mark.parametrize("axis", ["linear_max_mps", "angular_max_radps"])
@pytest.mark.parametrize("bad", [math.nan, -1.0])
def test_within_a_limit_that_is_no_limit_nothing_is(axis: str, bad: float) -> None:
    """A missing maximum is not `unlimited`, as it is for diff_drive_controller: it forbids motion."""
    limits = replace(LIMITS, **{axis: bad})  # type: ignore[arg-type]

    assert not envelope.within(Twist(0.1, 0.1), limits)


@pytest.mark.parametrize(
    ("twist", "good"),
    [
        (ZERO, True),
        (Twist(math.nan, 0.0), False),
        (Twist(0.0, math.nan), False),
        (Twist(math.inf, 0.0), False),
        (Twist(0.0, -math.inf), False),
        (Twist(1e308, -1e308), True),
    ],
)
def test_finite_looks_at_both_axes(twist: Twist, good: bool) -> None:
    """Either one is enough to spoil a twist."""
    assert envelope.finite(twist) is good


# --- time step


@pytest.mark.parametrize(
    ("before_ns", "dt_ns"),
    [
        (None, 50 * MS),
        (S, 0),
        (S - 1, 1),
        (S - 50 * MS, 50 * MS),
        (S - 100 * MS, 100 * MS),
        (S - 100 * MS - 1, 100 * MS),
        (-3600 * S, 100 * MS),
        (S + 1, 0),
        (3600 * S, 0),
    ],
)
def test_the_time_step_is_never_negative_and_never_a_stall(before_ns: int | None, dt_ns: int) -> None:
    """In [0, 2 ticks]; a first output counts as one tick."""
    assert envelope.step_ns(S, before_ns, 50 * MS) == dt_ns


# --- slew


def axis_bound(now: float, out: float, accel: float, decel: float, dt_s: float) -> bool:
    """Whether one step of one axis is within the limits: away from zero by accel, towards it by decel."""
    if now * out < 0.0:
        return False  # a sign never turns within a step
    bound = accel if abs(out) > abs(now) else decel
    return abs(out - now) <= bound * dt_s + ULP


@given(inside, slopes, inside, steps_ns)
def test_slew_is_bounded_on_both_axes(now: Twist, slope: tuple[float, float], target: Twist, dt_ns: int) -> None:
    """Whatever the past says: no step beyond acceleration or deceleration, none through zero, none past the target."""
    out, _ = envelope.slew(now, slope, target, LIMITS, dt_ns)
    dt_s = dt_ns / S

    assert axis_bound(now.linear_mps, out.linear_mps, 0.5, 1.0, dt_s)
    assert axis_bound(now.angular_radps, out.angular_radps, 1.0, 2.0, dt_s)
    assert min(now.linear_mps, target.linear_mps) - ULP <= out.linear_mps
    assert out.linear_mps <= max(now.linear_mps, target.linear_mps) + ULP
    assert min(now.angular_radps, target.angular_radps) - ULP <= out.angular_radps
    assert out.angular_radps <= max(now.angular_radps, target.angular_radps) + ULP


@given(inside, slopes, inside, steps_ns)
def test_slew_keeps_the_jerk_while_speeding_up(
    now: Twist, slope: tuple[float, float], target: Twist, dt_ns: int
) -> None:
    """The slope away from zero grows by at most jerk times dt; slowing down is exempt."""
    out, after = envelope.slew(now, slope, target, LIMITS, dt_ns)
    dt_s = dt_ns / S

    for was, is_, old, new, jerk in (
        (now.linear_mps, out.linear_mps, slope[0], after[0], 5.0),
        (now.angular_radps, out.angular_radps, slope[1], after[1], 10.0),
    ):
        if abs(is_) > abs(was):
            away = math.copysign(1.0, is_)
            assert new * away <= max(0.0, old * away) + jerk * dt_s + 1e-6


@given(inside, slopes, inside, steps_ns)
def test_slew_tells_the_slope_it_made(now: Twist, slope: tuple[float, float], target: Twist, dt_ns: int) -> None:
    """So that the next step can bound the jerk."""
    out, after = envelope.slew(now, slope, target, LIMITS, dt_ns)

    assert after[0] == pytest.approx((out.linear_mps - now.linear_mps) / (dt_ns / S), abs=1e-6)
    assert after[1] == pytest.approx((out.angular_radps - now.angular_radps) / (dt_ns / S), abs=1e-6)


@given(st.floats(0.0, 0.5), st.floats(-1.0, 1.0), slopes, steps_ns)
def test_speeding_up_from_rest_keeps_the_curve(
    linear: float, angular: float, slope: tuple[float, float], dt_ns: int
) -> None:
    """Both axes keep step, so that the robot starts on the asked circle."""
    out, _ = envelope.slew(ZERO, slope, Twist(linear, angular), LIMITS, dt_ns)

    assert out.linear_mps * angular == pytest.approx(out.angular_radps * linear, abs=1e-8)


@given(inside, steps_ns)
def test_brake_slows_the_linear_axis_by_the_whole_deceleration(now: Twist, dt_ns: int) -> None:
    """Neither the angular axis, nor acceleration, nor jerk lengthens a stop."""
    out, _ = envelope.brake(now, LIMITS, dt_ns)

    wanted = max(0.0, abs(now.linear_mps) - 1.0 * dt_ns / S)
    assert abs(out.linear_mps) == pytest.approx(wanted, abs=2e-9)
    assert out.linear_mps * now.linear_mps >= 0.0


@given(inside)
def test_brake_comes_to_rest_exactly(now: Twist) -> None:
    """Not to a rest of rounding: zero is what ends the ramp; in the time that deceleration takes, plus two ticks."""
    ticks, out = 0, now
    while out != ZERO:
        out, _ = envelope.brake(out, LIMITS, 50 * MS)
        ticks += 1
        assert ticks < 100

    needed = max(abs(now.linear_mps) / 1.0, abs(now.angular_radps) / 2.0) / 0.05
    assert ticks <= math.ceil(needed) + 2


@given(inside, inside)
def test_slew_reaches_its_target_exactly(now: Twist, target: Twist) -> None:
    """It does not creep towards it for ever."""
    out, slope = now, (0.0, 0.0)
    for _ in range(100):
        out, slope = envelope.slew(out, slope, target, LIMITS, 50 * MS)

    assert out.linear_mps == pytest.approx(target.linear_mps, abs=2e-9)
    assert out.angular_radps == pytest.approx(target.angular_radps, abs=2e-9)


@given(inside, slopes, inside, st.integers(max_value=0))
def test_no_time_no_change(now: Twist, slope: tuple[float, float], target: Twist, dt_ns: int) -> None:
    """A step of zero, or a clock that goes back: everything stays."""
    assert envelope.slew(now, slope, target, LIMITS, dt_ns) == (now, slope)


@given(
    st.builds(Twist, anything, anything),
    st.tuples(anything, anything),
    st.builds(Twist, anything, anything),
    st.integers(),
)
def test_slew_is_total(now: Twist, slope: tuple[float, float], target: Twist, dt_ns: int) -> None:
    """Any number at all, any time at all: it returns."""
    envelope.slew(now, slope, target, LIMITS, dt_ns)


@given(inside, st.tuples(anything, anything), steps_ns)
def test_a_poisoned_slope_does_not_loosen_the_bounds(now: Twist, slope: tuple[float, float], dt_ns: int) -> None:
    """NaN or inf in the memory of the jerk limit: acceleration still bounds the step."""
    out, _ = envelope.slew(now, slope, Twist(0.5, 1.0), LIMITS, dt_ns)

    assert axis_bound(now.linear_mps, out.linear_mps, 0.5, 1.0, dt_ns / S)
    assert axis_bound(now.angular_radps, out.angular_radps, 1.0, 2.0, dt_ns / S)


@pytest.mark.parametrize(
    ("now", "slope", "target", "wanted", "slopes_after"),
    [
        # from rest: jerk 5 m/s3 allows 0.25 m/s2 in the first tick, 0.0125 m/s
        (ZERO, (0.0, 0.0), Twist(0.5, 0.0), Twist(0.0125, 0.0), (0.25, 0.0)),
        (ZERO, (0.0, 0.0), Twist(-0.5, 0.0), Twist(-0.0125, 0.0), (-0.25, 0.0)),
        # second tick: acceleration 0.5 m/s2 is reached
        (Twist(0.0125, 0.0), (0.25, 0.0), Twist(0.5, 0.0), Twist(0.0375, 0.0), (0.5, 0.0)),
        # a slope the other way is no credit
        (Twist(0.1, 0.0), (-1.0, 0.0), Twist(0.5, 0.0), Twist(0.1125, 0.0), (0.25, 0.0)),
        # slower: the whole deceleration, no jerk
        (Twist(0.5, 0.0), (0.5, 0.0), Twist(0.1, 0.0), Twist(0.45, 0.0), (-1.0, 0.0)),
        # through zero: to zero first
        (Twist(0.02, 0.0), (0.0, 0.0), Twist(-0.5, 0.0), Twist(0.0, 0.0), (-0.4, 0.0)),
        (Twist(-0.2, 0.0), (0.0, 0.0), Twist(0.5, 0.0), Twist(-0.15, 0.0), (1.0, 0.0)),
        # turning on the spot has its own limits
        (ZERO, (0.0, 0.0), Twist(0.0, 1.0), Twist(0.0, 0.025), (0.0, 0.5)),
        (Twist(0.0, 1.0), (0.0, 0.0), ZERO, Twist(0.0, 0.9), (0.0, -2.0)),
        # both speed up: the slower one decides
        (ZERO, (0.0, 0.0), Twist(0.5, 0.5), Twist(0.0125, 0.0125), (0.25, 0.25)),
        (ZERO, (0.0, 0.0), Twist(0.1, 1.0), Twist(0.0025, 0.025), (0.05, 0.5)),
        # linear slows down alone while the turn speeds up
        (Twist(0.5, 0.0), (0.0, 0.0), Twist(0.0, 1.0), Twist(0.45, 0.025), (-1.0, 0.5)),
        # the last bit of the way is taken whole
        (Twist(0.495, 0.0), (0.5, 0.0), Twist(0.5, 0.0), Twist(0.5, 0.0), (0.1, 0.0)),
    ],
)
def test_slew_by_hand(
    now: Twist, slope: tuple[float, float], target: Twist, wanted: Twist, slopes_after: tuple[float, float]
) -> None:
    """One tick of 50 ms with the default limits, worked out on paper."""
    out, after = envelope.slew(now, slope, target, LIMITS, 50 * MS)

    assert (out.linear_mps, out.angular_radps) == pytest.approx((wanted.linear_mps, wanted.angular_radps), abs=1e-12)
    assert after == pytest.approx(slopes_after, abs=1e-9)


@pytest.mark.parametrize(
    ("now", "target"),
    [
        (0.0008373349706118751, 0.013337334970611877),
        (0.0005250620348782173, 0.013025062034878217),
        (0.1, 0.1),
        (0.3, 0.29),
        (0.0, 0.01),
    ],
)
def test_the_target_is_reached_to_the_last_bit(now: float, target: float) -> None:
    """Where it is within one step: not `now + (target - now)`, which rounds."""
    out, _ = envelope.slew(Twist(now, 0.0), (0.0, 0.0), Twist(target, 0.0), LIMITS, 50 * MS)

    assert out.linear_mps == target


@pytest.mark.parametrize(("target", "out"), [(1e-9, 0.0), (up(1e-9), up(1e-9)), (-1e-9, 0.0), (up(-1e-9), up(-1e-9))])
def test_a_nanometre_per_second_is_rest_and_the_next_number_is_not(target: float, out: float) -> None:
    """The border belongs to rest."""
    assert envelope.slew(ZERO, (0.0, 0.0), Twist(target, 0.0), LIMITS, 50 * MS)[0] == Twist(out, 0.0)


def test_a_rest_of_rounding_is_zero_and_a_crawl_is_not() -> None:
    """1e-9 m/s is nobody's speed, and following it down would keep the brake busy for many ticks."""
    tiny, _ = envelope.slew(Twist(0.5e-9 + 0.05, 0.0), (0.0, 0.0), Twist(-0.5, 0.0), LIMITS, 50 * MS)
    crawl, _ = envelope.slew(Twist(0.0501, 0.0), (0.0, 0.0), Twist(-0.5, 0.0), LIMITS, 50 * MS)

    assert tiny.linear_mps == 0.0
    assert crawl.linear_mps == pytest.approx(1e-4)


@given(st.binary(min_size=16, max_size=16))
def test_trap_01_no_bit_pattern_gets_through_the_clamp(bits: bytes) -> None:
    """`abs(nan) > limit` is False: every double there is, by its bits."""
    linear, angular = struct.unpack("<dd", bits)

    out = envelope.clamp(Twist(linear, angular), 0.5, 1.0)

    assert abs(out.linear_mps) <= 0.5
    assert abs(out.angular_radps) <= 1.0
    if not (math.isfinite(linear) and math.isfinite(angular)):
        assert out == ZERO
