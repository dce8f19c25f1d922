"""Row 20 at the door: acquire, renew, release, take; and what the gate is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from edgetwin.command.outcome import Admitted, Answered, Refused
from edgetwin.command.rules import Level, Role
from edgetwin.command.words import WORDS
from edgetwin.motion import Answer, Reason, Verb, Verdict
from tests.command.stage import MS, S, Stage, incoming, reasons, signer, stage

ANNA = signer("anna", seed=1)
BEN = signer("ben", Role.DRIVER, seed=2)
KEYS = {"anna": ANNA.key, "ben": BEN.key}


def asked(on: Stage, action: str, client: str = "bob", **keys: Any) -> tuple[Reason, ...]:
    """Return why a request for the lease is refused; nothing if it is not."""
    return reasons(on.judge(incoming("lease", on.lease(action, client, **keys), expiry_s=None)))


def moved(on: Stage, **keys: Any) -> tuple[Reason, ...]:
    """Return why a move is refused; nothing if it is not."""
    return reasons(on.judge(incoming("move", on.move(**keys))))


def trouble(on: Stage) -> Reason | None:
    """Return what the gate is told of the lease now."""
    return on.admission.lease_trouble(on.now_ns)


def test_the_ack_of_an_acquired_lease_says_all_that_a_client_needs() -> None:
    """Epoch, the robot's clock, and until when it is fresh."""
    on = Stage(Level.LEASE)
    body = on.lease("acquire")
    outcome = on.judge(incoming("lease", body, expiry_s=None))

    assert isinstance(outcome, Answered)
    assert outcome == Answered(
        body["id"],
        Verb.LEASE,
        "bob",
        Answer(Verdict.OK, Reason.LEASE_OK),
        {"epoch": outcome.extra["epoch"], "robot_ms": 110_000, "expires_ms": 113_000},
    )
    assert str(outcome.extra["epoch"]).startswith("1-")


def test_without_a_lease_nothing_moves() -> None:
    """Whatever epoch is named."""
    on = Stage(Level.LEASE)

    assert trouble(on) is Reason.NO_LEASE
    assert moved(on, epoch="1-0123456789abcdef") == (Reason.NO_LEASE,)


def test_a_lease_is_good_for_three_seconds() -> None:
    """At the end of them it is stale, for the move and for the gate alike."""
    on = stage(Level.LEASE)
    on.now_ns += 3 * S - 1
    assert (moved(on), trouble(on)) == ((), None)

    on.now_ns += 1
    assert (moved(on), trouble(on)) == ((Reason.LEASE_STALE,), Reason.LEASE_STALE)


def test_renewing_keeps_it_fresh_and_moving_does_not() -> None:
    """A move is no renewal: who cannot renew cannot be told that somebody took over either."""
    on = stage(Level.LEASE)
    for _ in range(10):
        on.later(1000)
        assert asked(on, "renew") == ()
        assert moved(on) == ()

    on.later(2000)
    assert moved(on) == ()
    on.later(1000)
    assert moved(on) == (Reason.LEASE_STALE,)
    assert asked(on, "renew") == (Reason.LEASE_STALE,)


def test_refused_traffic_keeps_no_lease_fresh() -> None:
    """P15: renewals of others, retained ones, malformed ones, moves of any kind."""
    on = stage(Level.LEASE)
    for _ in range(29):
        on.later(100)
        asked(on, "renew", "eve")
        asked(on, "renew", epoch="1-x")
        asked(on, "acquire", "eve")
        on.judge(incoming("lease", on.lease("renew"), retain=True))
        on.judge(incoming("lease", b'{"id":"x","client":"bob","action":"renew","x":1}'))
        moved(on, linear="nan")
    on.later(100)

    assert trouble(on) is Reason.LEASE_STALE


def test_a_renewal_that_is_redelivered_renews_nothing() -> None:
    """Its ack is told again."""
    on = stage(Level.LEASE)
    message = incoming("lease", on.lease("renew"))
    on.judge(message)
    on.later(2900)
    on.judge(message)
    on.later(100)

    assert trouble(on) is Reason.LEASE_STALE


def test_an_acquisition_that_is_redelivered_voids_no_epoch() -> None:
    """Trap 5, where it hurts: the second delivery would be a second grant."""
    on = Stage(Level.LEASE)
    message = incoming("lease", on.lease("acquire"))
    outcome = on.judge(message)
    assert isinstance(outcome, Answered)
    on.judge(message)

    assert moved(on, epoch=outcome.extra["epoch"]) == ()


def test_a_held_lease_is_not_acquired() -> None:
    """The refusal says so; when it is stale, it is."""
    on = stage(Level.LEASE)
    outcome = on.judge(incoming("lease", on.lease("acquire", "eve")))

    assert isinstance(outcome, Refused)
    assert (outcome.reasons, outcome.client, outcome.detail) == ((Reason.NO_LEASE,), "eve", WORDS[Reason.NO_LEASE])
    on.later(3000)
    assert asked(on, "acquire", "eve") == ()
    assert asked(on, "acquire", "bob") == (Reason.NO_LEASE,)


def test_only_the_holder_moves_the_robot() -> None:
    """Numbers of an older epoch do not count under a new one, and the client is the holder."""
    on = stage(Level.LEASE)
    old = on.admission._lease.epoch
    assert moved(on, seq=1000) == ()
    assert asked(on, "take", "eve") == ()

    assert moved(on, epoch=old, seq=2000) == (Reason.NO_LEASE,)
    outcome = on.judge(incoming("move", on.move(seq=0)))
    assert isinstance(outcome, Admitted)
    assert outcome.move.client == "eve"


def test_whose_epoch_is_over_is_still_known_by_name() -> None:
    """For the audit."""
    on = stage(Level.LEASE)
    old = on.admission._lease.epoch
    asked(on, "take", "eve")
    outcome = on.judge(incoming("move", on.move(epoch=old)))

    assert isinstance(outcome, Refused)
    assert outcome.client == "bob"


def test_the_loser_is_named_in_the_ack_of_the_taker() -> None:
    """Every client reads the acks."""
    on = stage(Level.LEASE)
    old = on.admission._lease.epoch
    outcome = on.judge(incoming("lease", on.lease("take", "eve")))

    assert isinstance(outcome, Answered)
    assert (outcome.extra["lost_client"], outcome.extra["lost_epoch"]) == ("bob", old)
    assert outcome.client == "eve"


def test_a_released_lease_is_over() -> None:
    """For the gate too, which brakes."""
    on = stage(Level.LEASE)
    assert moved(on) == ()
    assert asked(on, "release", "eve") == (Reason.NO_LEASE,)
    assert asked(on, "release") == ()

    assert trouble(on) is Reason.NO_LEASE
    assert moved(on, epoch="1-x") == (Reason.NO_LEASE,)
    assert asked(on, "release") == (Reason.NO_LEASE,)


@pytest.mark.parametrize("action", ["renew", "release"])
def test_an_epoch_in_a_request_must_be_the_one_in_force(action: str) -> None:
    """So that an old request, played again, does nothing to a new lease."""
    on = stage(Level.LEASE)

    assert asked(on, action, epoch="1-x") == (Reason.NO_LEASE,)
    assert asked(on, action, epoch=on.admission._lease.epoch) == ()


def test_a_stop_ends_the_lease_and_the_next_refusal_says_so() -> None:
    """The lane drops it; a new one is needed."""
    on = stage(Level.LEASE)
    epoch = on.admission._lease.epoch
    on.admission.drop_lease(Reason.STOPPED)

    assert trouble(on) is Reason.NO_LEASE
    outcome = on.judge(incoming("move", on.move(epoch=epoch)))
    assert isinstance(outcome, Refused)
    assert outcome.reasons == (Reason.NO_LEASE,)
    assert outcome.detail == f"{WORDS[Reason.NO_LEASE]} (the last one was ended: STOPPED)"
    assert asked(on, "renew") == (Reason.NO_LEASE,)
    assert asked(on, "acquire") == ()
    assert moved(on, epoch=epoch) == (Reason.NO_LEASE,)
    assert moved(on) == ()


def test_the_words_about_an_ended_lease_are_for_those_who_have_none() -> None:
    """Another refusal does not speak of it."""
    on = stage(Level.LEASE)
    on.admission.drop_lease(Reason.STOPPED)
    outcome = on.judge(incoming("ping", {"id": "p", "t_ms": 1}, retain=True))

    assert isinstance(outcome, Refused)
    assert outcome.detail == WORDS[Reason.RETAINED]


def test_after_the_lease_changed_hands_nothing_moves_on_the_old_word() -> None:
    """The gate brakes although there is a fresh lease, until its holder moves."""
    on = stage(Level.LEASE)
    assert moved(on) == ()
    assert trouble(on) is None
    asked(on, "take", "eve")

    assert trouble(on) is Reason.NO_LEASE
    assert moved(on, epoch="1-x") == (Reason.NO_LEASE,)
    assert trouble(on) is Reason.NO_LEASE
    assert moved(on) == ()
    assert trouble(on) is None


def test_who_acquires_anew_is_told_of_no_trouble_before_anything_moved() -> None:
    """A lease in force, and nothing asked under another one."""
    on = stage(Level.LEASE)
    asked(on, "take", "eve")

    assert trouble(on) is None


@pytest.mark.parametrize("level", [Level.STAMPED, Level.OPEN])
def test_at_the_other_levels_no_lease_is_missed(level: Level) -> None:
    """Before and after a move, and after a stop."""
    on = stage(level)
    assert trouble(on) is None
    moved(on)
    on.admission.drop_lease(Reason.STOPPED)

    assert trouble(on) is None


def test_with_keys_the_holder_is_the_one_who_signed() -> None:
    """Anna's epoch is no use to Ben, who can read it in the acks."""
    on = Stage(Level.LEASE, keys=KEYS)
    on.acquire("anna", by=ANNA)
    outcome = on.judge(BEN.sign(incoming("move", on.move())))

    assert isinstance(outcome, Refused)
    assert (outcome.reasons, outcome.client) == ((Reason.NO_LEASE,), "ben")
    assert reasons(on.judge(ANNA.sign(incoming("move", on.move(seq=0))))) == ()


def test_with_keys_only_an_operator_takes_a_lease_from_its_holder() -> None:
    """A driver is told that they may not; the lease stays where it is."""
    on = Stage(Level.LEASE, keys=KEYS)
    on.acquire("anna", by=ANNA)
    assert reasons(on.judge(BEN.sign(incoming("lease", on.lease("take", "ben"))))) == (Reason.FORBIDDEN,)
    assert reasons(on.judge(BEN.sign(incoming("lease", on.lease("acquire", "ben"))))) == (Reason.NO_LEASE,)
    assert on.admission._lease.holder == "anna"
    on.judge(ANNA.sign(incoming("lease", on.lease("release", "anna"))))
    on.acquire("ben", by=BEN)

    assert reasons(on.judge(ANNA.sign(incoming("lease", on.lease("take", "anna"))))) == ()
    assert on.admission._lease.holder == "anna"


def test_an_epoch_is_of_one_process() -> None:
    """The first grant after a restart is not that of before: another seed, another epoch."""
    on = stage(Level.LEASE)
    again = type(on.admission)(on.rules, "other seed", on.moment)
    before = on.admission._lease.epoch
    again.judge(incoming("lease", on.lease("acquire")), on.moment)

    assert again._lease.epoch.startswith("1-")
    assert again._lease.epoch != before


def test_the_lease_lasts_as_long_as_the_rules_say() -> None:
    """Half a second, for instance."""
    on = stage(Level.LEASE, lease_ns=500 * MS)
    on.later(499.999)
    assert trouble(on) is None

    on.later(0.001)
    assert trouble(on) is Reason.LEASE_STALE
