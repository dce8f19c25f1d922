"""The robot's answers: read from what may be anything, told in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin import wire
from edgetwin.drive.acks import Ack, read
from edgetwin.motion import Answer, Reason, State, Twist, Verb, Verdict


def ack(answer: Answer, verb: Verb | None = Verb.MOVE, state: State = State.ACTIVE) -> Ack:
    """Return an ack as the robot writes it."""
    found = read(wire.ack("robot_001", "a-1", verb, answer, state, 1))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (
            Answer(Verdict.ACCEPTED, Reason.ACCEPTED, applied=Twist(0.2, 0.0)),
            "move ACCEPTED +0.20 m/s +0.00 rad/s ACTIVE",
        ),
        (
            Answer(Verdict.CLAMPED, Reason.GEOFENCE, "slowed down", applied=Twist(-0.1, 0.5)),
            "move CLAMPED GEOFENCE -0.10 m/s +0.50 rad/s ACTIVE (slowed down)",
        ),
        (
            Answer(Verdict.REJECTED, Reason.HELD, "does not hold:\nlatched", stop_id="s-1"),
            "move REJECTED HELD ACTIVE stop_id s-1 (does not hold: latched)",
        ),
    ],
)
def test_an_ack_is_one_line(answer: Answer, line: str) -> None:
    """What, the answer, why, how fast, in which state; never two lines."""
    assert ack(answer).line() == line


def test_a_command_that_is_none_is_told_as_unknown() -> None:
    """An ack of a topic that is not one of ours."""
    assert ack(Answer(Verdict.REJECTED, Reason.UNKNOWN_TOPIC), None).line() == "? REJECTED UNKNOWN_TOPIC ACTIVE"


@pytest.mark.parametrize("verdict", list(Verdict))
def test_good_is_everything_that_was_done(verdict: Verdict) -> None:
    """And a repetition of it."""
    first = wire.ack("robot_001", "a-1", Verb.STOP, Answer(verdict, Reason.ACCEPTED), State.IDLE, 1)
    again = read(wire.repeated_ack(first))
    is_good = verdict not in {Verdict.REJECTED, Verdict.DUPLICATE}

    assert ack(Answer(verdict, Reason.ACCEPTED)).good is is_good
    assert again is not None
    assert again.verdict == Verdict.DUPLICATE
    assert again.good is is_good


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"[]", b"5", b"{}", b'{"id":1}', b'{"id":"a","verdict":"OK"}', b"\xff", b'{"id":'],
)
def test_what_is_no_ack_is_none(payload: bytes) -> None:
    """Others may publish there."""
    assert read(payload) is None


@given(st.binary(max_size=80))
def test_nothing_raises(payload: bytes) -> None:
    """Any bytes."""
    found = read(payload)

    assert found is None or isinstance(found.line(), str)


def test_speeds_that_are_no_numbers_are_not_told() -> None:
    """An ack of a newer robot, or of none."""
    payload = wire.encode(
        dict.fromkeys(("id", "command", "verdict", "code", "detail", "state", "stop_id"), "x")
        | {"linear": "fast", "angular": None}
    )
    found = read(payload)

    assert found is not None
    assert found.line() == "x x x stop_id x (x)"
