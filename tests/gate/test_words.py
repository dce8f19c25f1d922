"""What the acks say to a person, word by word: an operator acts on these sentences."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from edgetwin.gate.events import Event, LocalReset, ResetConfirm, ResetRequest
from edgetwin.gate.limits import MS
from edgetwin.motion import State, Twist
from tests.gate.stage import FULL, SPOILS, TICK, WALL, S, Stage, bring, robot


def asked(stage: Stage) -> Stage:
    """Ask for a challenge."""
    stage.step(ResetRequest("pilot", stage.memory.stop_id, "n0"))
    return stage


def moving() -> Stage:
    """Held, but it rolls."""
    stage = bring(State.HELD)
    stage.good = lambda now_ns: robot(now_ns, Twist(0.3, 0.0))
    stage.tick()
    return stage


def pushed() -> Stage:
    """Held, asked, and somebody holds the joystick."""
    stage = asked(bring(State.HELD))
    stage.move()
    return stage


def unheard() -> Stage:
    """Held and asked, but the e-stop has fallen silent."""
    stage = asked(bring(State.HELD))
    stage.spoil(SPOILS["e-stop old"][0])
    return stage


def late() -> Stage:
    """Held and asked, eleven seconds ago."""
    stage = asked(bring(State.HELD))
    stage.tick(11 * S // TICK)
    return stage


RIGHT = ResetConfirm("pilot", "boot-1", "n0")
SENTENCES: list[tuple[Stage, Event, str]] = [
    (bring(State.HELD), ResetRequest("pilot", "boot-1", "n0"), "confirm with this nonce"),
    (bring(State.HELD), ResetRequest("pilot", "boot-1", "n0", may_reset=False), "a reset takes the role operator"),
    (bring(State.HELD), ResetRequest("pilot", "x", "n0"), "another stop is latched by now: name its stop_id"),
    (bring(State.HELD), RIGHT, "there is no challenge to answer: ask first"),
    (asked(bring(State.HELD)), replace(RIGHT, nonce="n1"), "this is not the answer to the challenge: ask again"),
    (late(), RIGHT, "the challenge has expired: ask again"),
    (moving(), ResetRequest("pilot", "boot-1", "n0"), "the robot has not been seen standing for long enough"),
    (moving(), LocalReset(), "the robot has not been seen standing for long enough"),
    (pushed(), RIGHT, "moves are still coming in: let go of the joystick"),
    (unheard(), RIGHT, "the e-stop input is pressed or not heard"),
    (bring(State.IDLE), ResetRequest("pilot", "", "n0"), "nothing to reset in IDLE"),
    (bring(State.ACTIVE), RIGHT, "nothing to reset in ACTIVE"),
    (bring(State.ESTOP), LocalReset(), "nothing to reset in ESTOP"),
    (bring(State.FAULT), LocalReset(), "the fault is cleared; the stop is still latched: reset once more"),
    (bring(State.HELD), LocalReset(), ""),
]


@pytest.mark.parametrize(
    ("stage", "event", "detail"), SENTENCES, ids=lambda part: part if isinstance(part, str) else ""
)
def test_a_reset_says_what_is_in_its_way(stage: Stage, event: Event, detail: str) -> None:
    """One reason at a time: the first thing to put right."""
    answer = replace_stage(stage).answer(event)

    assert answer.detail == detail


def replace_stage(stage: Stage) -> Stage:
    """Return a copy, so that a table of stages can be used twice."""
    return replace(stage, out=[], log=[])


def test_a_refusal_names_every_claim_that_does_not_hold() -> None:
    """In the order of the reasons."""
    stage = bring(State.IDLE)
    for name in ("no lease", "battery empty"):
        stage.spoil(SPOILS[name][0])

    assert stage.move().detail == "does not hold: the sender holds the lease; the battery is known and not empty"


def test_what_is_in_the_way_is_named_where_it_stops_all_of_it() -> None:
    """A wall, a fence: the claims of the geometry."""
    stage = bring(State.IDLE, replace(FULL, fence=replace(FULL.fence, outside=(FULL.fence.inside[0],))))
    stage.spoil(SPOILS["wall ahead"][0])

    assert stage.move().detail == "does not hold: the robot can stop inside the fence; the way ahead is free"


@pytest.mark.parametrize(
    ("linear", "duration_ns", "battery", "detail"),
    [
        (0.3, None, 0.8, ""),
        (0.7, None, 0.8, "slowed down to the limits of speed"),
        (0.3, 2 * S, 0.8, "cut to the longest duration"),
        (0.4, None, 0.15, "slowed down for the battery"),
        (
            0.9,
            2 * S,
            0.15,
            "slowed down for the battery; slowed down to the limits of speed; cut to the longest duration",
        ),
    ],
)
def test_a_clamped_move_says_by_what(linear: float, duration_ns: int | None, battery: float, detail: str) -> None:
    """Worst first, as the reasons are."""
    stage = bring(State.IDLE)
    stage.good = lambda now_ns: replace(robot(now_ns), battery=battery)

    assert stage.move(linear, duration_ns=duration_ns).detail == detail


def test_a_zero_move_says_nothing() -> None:
    """There is nothing to explain."""
    assert bring(State.ACTIVE).move(0.0).detail == ""


def test_numbers_that_are_none_are_named() -> None:
    """Both claims: it is no number, and so it is within no rating."""
    detail = bring(State.IDLE).move(math.nan).detail

    assert detail == "does not hold: both speeds are numbers; both speeds are within the rating of the platform"


def test_something_ahead_and_too_fast_are_both_told_worst_first() -> None:
    """OBSTACLE before CLAMPED_SPEED, in the code, the reasons and the words."""
    stage = bring(State.IDLE)
    stage.good = lambda now_ns: replace(robot(now_ns), scan=tuple((x + 0.6, y) for x, y in WALL))
    answer = stage.move(2.0, duration_ns=200 * MS)

    assert [str(reason) for reason in answer.reasons] == ["OBSTACLE", "CLAMPED_SPEED"]
    assert answer.detail == "slowed down for what is ahead; slowed down to the limits of speed"
