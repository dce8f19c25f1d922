"""Who sent it, and what they may ask: roles, names, and a robot without keys."""

from __future__ import annotations

from typing import Any

import pytest

from edgetwin.command.rules import AdmissionRules, Level, Role
from edgetwin.command.senders import Sender, identify, permits
from edgetwin.command.signature import Signatures
from edgetwin.motion import Verb
from tests.command.stage import ROOT, incoming, signer

ANNA = signer("anna", seed=1)
BEN = signer("ben", Role.DRIVER, seed=2)
KEYS = Signatures({"anna": ANNA.key, "ben": BEN.key})
VERBS = [verb for verb in Verb if verb is not Verb.STOP]
OPERATOR = Sender("anna", Role.OPERATOR, proven=True)
DRIVER = Sender("ben", Role.DRIVER, proven=True)


def permitted(
    sender: Sender, verb: Verb, level: Level = Level.LEASE, *, remote_motion: bool = True, **values: Any
) -> bool:
    """Return whether a sender may ask this."""
    return permits(sender, verb, values, AdmissionRules(level, "r1", ROOT, remote_motion=remote_motion))


@pytest.mark.parametrize("verb", VERBS)
def test_without_keys_everybody_is_believed_and_an_operator(verb: Verb) -> None:
    """As `check` says."""
    message = ANNA.sign(incoming(verb, b"{}"))

    assert identify(message, verb, "carl", Signatures({})) == Sender("carl", Role.OPERATOR, proven=True)
    assert identify(message, verb, "", Signatures({})) == Sender("", Role.OPERATOR, proven=True)


@pytest.mark.parametrize("verb", VERBS)
def test_with_keys_the_key_says_who_it_is(verb: Verb) -> None:
    """Whatever the body claims."""
    assert identify(BEN.sign(incoming(verb, b"{}")), verb, "anna", KEYS) == Sender("ben", Role.DRIVER, proven=True)
    assert identify(ANNA.sign(incoming(verb, b"{}")), verb, "", KEYS) == Sender("anna", Role.OPERATOR, proven=True)


@pytest.mark.parametrize("verb", VERBS)
def test_with_keys_who_does_not_sign_is_nobody(verb: Verb) -> None:
    """And is listened to only to tell the time: whoever will sign must know it first."""
    assert identify(incoming(verb, b"{}"), verb, "anna", KEYS) == Sender("", Role.DRIVER, proven=verb is Verb.PING)


@pytest.mark.parametrize("sender", [OPERATOR, DRIVER])
@pytest.mark.parametrize("level", list(Level))
def test_motion_needs_the_robots_permission(sender: Sender, level: Level) -> None:
    """remote_motion, for everybody; nothing else hangs on it."""
    assert permitted(sender, Verb.MOVE, level, remote_motion=True)
    assert not permitted(sender, Verb.MOVE, level, remote_motion=False)
    for verb in (Verb.RESET, Verb.PING):
        assert permitted(sender, verb, level, remote_motion=False)
    assert permitted(sender, Verb.LEASE, remote_motion=False, action="acquire")


@pytest.mark.parametrize("action", ["acquire", "renew", "release", "take"])
def test_only_an_operator_takes_a_lease_from_its_holder(action: str) -> None:
    """A driver may have one, keep it and give it back."""
    assert permitted(OPERATOR, Verb.LEASE, action=action)
    assert permitted(DRIVER, Verb.LEASE, action=action) is (action != "take")


@pytest.mark.parametrize("level", [Level.STAMPED, Level.OPEN])
def test_there_is_no_lease_at_the_other_levels(level: Level) -> None:
    """Answering OK would promise what does not hold: there, others may move the robot all the same."""
    assert not permitted(OPERATOR, Verb.LEASE, level, action="acquire")


@pytest.mark.parametrize("verb", [Verb.MOVE, Verb.LEASE, Verb.RESET])
def test_nobody_speaks_in_anothers_name(verb: Verb) -> None:
    """Where a body names a client, it is the one of the key."""
    assert permitted(DRIVER, verb, client="ben", action="acquire")
    assert permitted(DRIVER, verb, action="acquire")
    assert not permitted(DRIVER, verb, client="anna", action="acquire")
    assert not permitted(DRIVER, verb, client="", action="acquire")


def test_a_ping_is_answered_whoever_asks() -> None:
    """It changes nothing."""
    assert permitted(Sender("", Role.DRIVER, proven=True), Verb.PING, client="anna", remote_motion=False)
