"""What a scripted drive makes of its acks."""

from __future__ import annotations

import pytest

from edgetwin import wire
from edgetwin.drive.acks import Ack, read
from edgetwin.drive.script import Tally
from edgetwin.motion import Answer, Reason, State, Verb, Verdict


def ack(verdict: Verdict, code: Reason, verb: Verb = Verb.MOVE) -> Ack:
    """Return an ack as the robot writes it."""
    found = read(wire.ack("robot_001", "a-1", verb, Answer(verdict, code), State.ACTIVE, 1))
    assert found is not None
    return found


ACCEPTED = ack(Verdict.ACCEPTED, Reason.ACCEPTED)


def tally_of(*acks: Ack) -> Tally:
    """Return a tally that heard these."""
    tally = Tally()
    for one in acks:
        tally.note(one)
    return tally


def test_a_drive_that_was_accepted_is_good() -> None:
    """Slowed down counts as driven; other verbs are not counted."""
    tally = tally_of(ACCEPTED, ack(Verdict.CLAMPED, Reason.GEOFENCE), ack(Verdict.OK, Reason.PONG, Verb.PING))

    assert tally.good
    assert not tally.over
    assert tally.figures() == {
        "moves": 2,
        "verdicts": {"ACCEPTED": 1, "CLAMPED": 1},
        "codes": {"ACCEPTED": 1, "GEOFENCE": 1},
        "stopped": False,
        "ok": True,
    }


def test_a_drive_that_nobody_answered_is_not_good() -> None:
    """Nothing was heard, nothing is known."""
    assert not Tally().good
    assert not tally_of(ack(Verdict.OK, Reason.LEASE_OK, Verb.LEASE)).good


@pytest.mark.parametrize("code", [Reason.EXPIRED, Reason.RATE_LIMIT, Reason.FROM_FUTURE])
def test_one_late_message_does_not_end_a_drive(code: Reason) -> None:
    """The next one may be in time."""
    tally = tally_of(ACCEPTED, ack(Verdict.REJECTED, code))

    assert tally.good
    assert not tally.over
    assert not tally_of(ack(Verdict.REJECTED, code)).good


@pytest.mark.parametrize("code", [Reason.HELD, Reason.FORBIDDEN, Reason.NO_LEASE, Reason.GEOFENCE, Reason.BAD_SIG])
def test_a_refusal_that_lasts_ends_it(code: Reason) -> None:
    """The first one is kept."""
    refused = ack(Verdict.REJECTED, code)
    tally = tally_of(ACCEPTED, refused, ack(Verdict.REJECTED, Reason.ESTOP))

    assert tally.over
    assert not tally.good
    assert tally.refusal is refused


def test_a_stop_by_anybody_ends_it() -> None:
    """Also one that somebody else asked for."""
    tally = tally_of(ACCEPTED, ack(Verdict.STOPPED, Reason.STOPPED, Verb.STOP), ACCEPTED)

    assert tally.over
    assert not tally.good
    assert tally.figures()["stopped"] is True
