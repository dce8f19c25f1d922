"""The traps of the naive version that belong to admission, each by its number: a test that fails where one falls in."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from edgetwin.command.incoming import Incoming
from edgetwin.command.outcome import Admitted, Answered, Refused, Repeated
from edgetwin.command.rules import Level
from edgetwin.motion import Reason
from edgetwin.wire import Topics
from tests.command.stage import LEVELS, Stage, incoming, reasons, signer, stage, topic

every_level = pytest.mark.parametrize("level", LEVELS)


def judged(on: Stage, body: Any, verb: str = "move", **envelope: Any) -> tuple[Reason, ...]:
    """Return why a message is refused; nothing if it is not."""
    return reasons(on.judge(incoming(verb, body, **envelope)))


@every_level
def test_trap_01_a_nan_is_not_clamped_to_full_speed(level: Level) -> None:
    """It never gets as far as a comparison."""
    on = stage(level)
    for key in ("linear", "angular"):
        payload = json.dumps(on.move(**{key: float("nan")})).encode()

        assert b"NaN" in payload
        assert judged(on, payload) == (Reason.NOT_FINITE,)


@every_level
@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("NaN", Reason.NOT_FINITE),
        ("Infinity", Reason.NOT_FINITE),
        ("-Infinity", Reason.NOT_FINITE),
        ("1e400", Reason.NOT_FINITE),
        ('"nan"', Reason.BAD_SCHEMA),
        ('"inf"', Reason.BAD_SCHEMA),
        ('"1e3"', Reason.BAD_SCHEMA),
        ('"1_0"', Reason.BAD_SCHEMA),
        ('"0.1"', Reason.BAD_SCHEMA),
        ("1_0", Reason.BAD_JSON),
        ("true", Reason.BAD_SCHEMA),
        ("null", Reason.BAD_SCHEMA),
        ("[0.1]", Reason.BAD_SCHEMA),
        ('0.1,"linear":9', Reason.BAD_JSON),
    ],
)
def test_trap_02_what_a_lax_parser_lets_through(level: Level, spelling: str, expected: Reason) -> None:
    """Literals that are no JSON, numbers that overflow, numbers in quotes, bools, keys twice."""
    on = stage(level)
    payload = json.dumps(on.move(linear="HERE")).replace('"HERE"', spelling).encode()

    assert judged(on, payload) == (expected,)


@every_level
def test_trap_03_a_live_publish_with_the_retain_flag_is_refused_too(level: Level) -> None:
    """Retain-As-Published shows it; it would be played to every later subscriber."""
    on = stage(level)

    assert judged(on, on.move(), retain=True) == (Reason.RETAINED,)


@pytest.mark.parametrize("level", [Level.LEASE, Level.STAMPED])
def test_trap_04_moves_that_queued_for_an_absent_robot_do_nothing(level: Level) -> None:
    """A minute's worth, delivered at once after a reconnect: those that would still be good are a burst at most."""
    on = stage(level)
    queued = []
    for number in range(600):
        on.later(100)
        if level is Level.LEASE and number % 10 == 0:
            judged(on, on.lease("renew"), "lease")
        queued.append(incoming("move", on.move()))

    admitted = [place for place, one in enumerate(queued) if isinstance(on.judge(one), Admitted)]
    assert admitted == list(range(600 - len(admitted), 600))
    assert len(admitted) <= 5


@pytest.mark.parametrize("level", [Level.LEASE, Level.STAMPED])
@pytest.mark.parametrize("verb", ["lease", "reset", "ping"])
def test_trap_05_a_redelivery_executes_no_verb_twice(level: Level, verb: str) -> None:
    """Take, reset, ping: the first answer again."""
    on = stage(level)
    bodies = {
        "lease": on.lease("take", "eve"),
        "reset": {"id": "r", "stop_id": "s", "nonce": "n"},
        "ping": {"id": "p", "t_ms": 1},
    }
    message = incoming(verb, bodies[verb])
    first = on.judge(message)
    epoch = on.admission._lease.epoch

    assert isinstance(on.judge(message), Repeated)
    assert on.admission._lease.epoch == epoch
    assert not isinstance(first, Repeated)


def test_trap_08_a_ttl_below_a_second_is_not_rounded_up() -> None:
    """An age of 0.99 s does not pass a ttl of half a second, nor 101 ms one of 100."""
    on = stage(Level.STAMPED)

    assert judged(on, on.move(stamp_ms=on.wall_ms - 990, ttl_ms=500)) == (Reason.EXPIRED,)
    assert judged(on, on.move(stamp_ms=on.wall_ms - 101, ttl_ms=100)) == (Reason.EXPIRED,)
    assert judged(on, on.move(stamp_ms=on.wall_ms - 79.5, ttl_ms=100)) == ()


def test_trap_08_a_stamp_in_seconds_or_of_another_zone_is_old_or_of_the_future() -> None:
    """Never by accident now."""
    on = stage(Level.STAMPED)

    assert judged(on, on.move(stamp_ms=round(on.wall_ms / 1000))) == (Reason.EXPIRED, Reason.REPLAY)
    assert judged(on, on.move(stamp_ms=on.wall_ms - 3_600_000)) == (Reason.EXPIRED, Reason.REPLAY)
    assert judged(on, on.move(stamp_ms=on.wall_ms + 3_600_000)) == (Reason.FROM_FUTURE,)


def test_trap_09_refused_moves_do_not_keep_a_lease() -> None:
    """P15, at 50 Hz for three seconds."""
    on = stage(Level.LEASE)
    for _ in range(150):
        on.later(20)
        assert judged(on, on.move(t_ms=0)) != ()

    assert on.admission.lease_trouble(on.now_ns) is Reason.LEASE_STALE


@every_level
@pytest.mark.parametrize("body", [b"", b"stop", b'{"id":"s"}', b"\xff"])
def test_trap_11_a_stop_is_no_command_among_others(level: Level, body: bytes) -> None:
    """It is not in the list of what is judged: the lane acts on it by its topic, before anything else."""
    on = stage(level)

    assert reasons(on.judge(incoming("stop", body))) == (Reason.UNKNOWN_TOPIC,)


def test_trap_12_a_reset_names_the_stop_that_it_ends() -> None:
    """Without it there is none; the gate compares."""
    on = stage(Level.LEASE)

    assert judged(on, {"id": "a"}, "reset") == (Reason.BAD_SCHEMA,)
    assert judged(on, {"id": "b", "stop_id": ""}, "reset") == (Reason.BAD_SCHEMA,)
    assert judged(on, {"id": "c", "nonce": "n"}, "reset") == (Reason.BAD_SCHEMA,)


def test_trap_19_nothing_in_user_properties_is_believed_but_a_signature() -> None:
    """A client name, an epoch, a verdict: who is asked is the payload, and the key."""
    anna = signer("anna")
    on = Stage(Level.LEASE, keys={"anna": anna.key})
    on.acquire("anna", by=anna)
    lies = (("key", "anna"), ("client", "anna"), ("role", "operator"), ("verdict", "ACCEPTED"), ("sig", ""))

    assert reasons(on.judge(incoming("move", on.move(), properties=lies))) == (Reason.BAD_SIG,)


@every_level
def test_trap_19_an_expiry_does_not_make_a_move_younger(level: Level) -> None:
    """It is the sender's word: the stamp decides, where there is one."""
    on = stage(level)
    if level is Level.OPEN:
        assert judged(on, on.move(), expiry_s=0) == ()
        return
    old = {"t_ms": 0} if level is Level.LEASE else {"stamp_ms": 0}

    assert Reason.EXPIRED in judged(on, on.move(**old), expiry_s=1)


@pytest.mark.parametrize(
    "answer_to",
    [
        "",
        "robot/r1/responses",
        "robot/r1/responses/",
        "robot/r1/responsesx/a",
        "robot/r1/commands/move",
        "robot/r1/status",
        "robot/r2/responses/a",
        "robot/r1/responses/+",
        "robot/r1/responses/#",
        "robot/r1/responses/a/#",
        "robot/r1/responses/a\0",
        "robot/r1/responses/a\n",
        "x/robot/r1/responses/a",
        "robot/r1/responses/" + "a" * 500,
    ],
)
def test_trap_19_a_response_topic_elsewhere_is_not_answered(answer_to: str) -> None:
    """Else a sender could make the robot publish wherever the robot may."""
    assert not Topics("r1").may_respond_to(answer_to)
    assert Topics("r1").may_respond_to("robot/r1/responses/a")


@every_level
@pytest.mark.parametrize(
    "strange",
    ["robot/r1/commands", "robot/r1/commands/stop/x", "robot/r1/commands/move/x", "robot/r1/../r2/commands/move"],
)
def test_trap_30_no_topic_is_ours_by_its_beginning(level: Level, strange: str) -> None:
    """Exact, and nothing else."""
    on = stage(level)
    message = dataclasses.replace(incoming("move", on.move()), topic=strange)

    assert reasons(on.judge(message)) == (Reason.UNKNOWN_TOPIC,)


def test_trap_30_the_topics_are_those_of_the_contract() -> None:
    """All four of them, and no fifth."""
    on = stage(Level.OPEN)
    known = [
        name
        for name in ("move", "lease", "reset", "ping", "stop", "", "goal", "mode")
        if reasons(on.judge(Incoming(topic(name), b"", retain=False, expiry_s=1, properties=())))
        != (Reason.UNKNOWN_TOPIC,)
    ]

    assert known == ["move", "lease", "reset", "ping"]


def test_a_hostile_epoch_is_no_key_to_anything() -> None:
    """Empty, of a prototype, of an attacker who counts: no lease."""
    on = stage(Level.LEASE)
    for epoch in ("1", "1-", "2-0", "__proto__", "none", "null", on.admission._lease.epoch.upper() + "x"):
        outcome = on.judge(incoming("move", on.move(epoch=epoch)))

        assert isinstance(outcome, Refused)
        assert outcome.reasons == (Reason.NO_LEASE,)


def test_a_ping_may_be_asked_by_a_stranger_and_changes_nothing() -> None:
    """Not the lease, not the numbers."""
    on = stage(Level.LEASE)
    before = vars(on.admission._lease).copy()

    assert isinstance(on.judge(incoming("ping", {"id": "p", "t_ms": 1, "client": "bob"})), Answered)
    assert vars(on.admission._lease) == before
