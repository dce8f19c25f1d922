"""Admission as a whole: every row at every level, in order, with all reasons; and what comes out when none trips."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from edgetwin.command.admission import Admission
from edgetwin.command.incoming import Incoming, Moment
from edgetwin.command.outcome import Admitted, Answered, Refused, Repeated, ResetAsked
from edgetwin.command.rules import AdmissionRules, Level, OperatorKey, Role
from edgetwin.command.words import WORDS
from edgetwin.motion import Answer, Move, Reason, Twist, Verb, Verdict
from tests.command.stage import BOOT_NS, LEVELS, MS, ROOT, S, Stage, incoming, reasons, signer, stage, topic, without

ANNA = signer("anna", seed=1)
BEN = signer("ben", Role.DRIVER, seed=2)
KEYS = {"anna": ANNA.key, "ben": BEN.key}
every_level = pytest.mark.parametrize("level", LEVELS)


def judged(on: Stage, body: Any, verb: str = "move", **envelope: Any) -> tuple[Reason, ...]:
    """Return why a message is refused; nothing if it is not."""
    return reasons(on.judge(incoming(verb, body, **envelope)))


# --- what is admitted ---------------------------------------------------------------------------------------------


@every_level
def test_a_good_move_is_admitted_as_it_is(level: Level) -> None:
    """With its id, its client and its speeds; how long it lasts is the gate's default."""
    on = stage(level)
    body = on.move()

    client = "" if level is Level.OPEN else "bob"
    assert on.judge(incoming("move", body)) == Admitted(Move(body["id"], client, Twist(0.2, -0.1), None))


@every_level
def test_speeds_are_floats_and_minus_zero_is_zero(level: Level) -> None:
    """So that no division later asks for the sign of nothing."""
    on = stage(level)
    outcome = on.judge(incoming("move", on.move(linear=-0.0, angular=-1)))

    assert isinstance(outcome, Admitted)
    twist = outcome.move.twist
    assert (str(twist.linear_mps), str(twist.angular_radps)) == ("0.0", "-1.0")


@every_level
def test_the_duration_of_a_move_is_taken_over(level: Level) -> None:
    """In nanoseconds, whatever the gate makes of it."""
    on = stage(level)
    for duration_ms, duration_ns in ((300, 300 * MS), (0.5, 500_000), (10_000, 10 * S)):
        outcome = on.judge(incoming("move", on.move(duration_ms=duration_ms)))

        assert isinstance(outcome, Admitted)
        assert outcome.move.duration_ns == duration_ns


@every_level
def test_a_ping_tells_both_clocks(level: Level) -> None:
    """And echoes the sender's, as it was sent."""
    on = stage(level)
    on.later(0.9)
    for t_ms in (5, 5.25, -3, 0):
        id_ = on.fresh_id()
        outcome = on.judge(incoming("ping", {"id": id_, "t_ms": t_ms}, expiry_s=None))

        extra = {"t_ms": t_ms, "robot_ms": on.now_ms, "robot_us": on.moment.stamp_us}
        assert outcome == Answered(id_, Verb.PING, "", Answer(Verdict.OK, Reason.PONG), extra)


@every_level
@pytest.mark.parametrize("extra", [{}, {"nonce": "n1"}, {"client": "bob"}])
def test_a_reset_goes_to_the_gate(level: Level, extra: dict[str, str]) -> None:
    """Both steps; without keys, everybody may."""
    on = stage(level)
    body = {"id": on.fresh_id(), "stop_id": "s1"} | extra

    asked = ResetAsked(body["id"], extra.get("client", ""), "s1", extra.get("nonce"), may_reset=True)
    assert on.judge(incoming("reset", body, expiry_s=None)) == asked


def test_a_driver_may_ask_for_a_reset_and_the_gate_is_told_that_they_may_not() -> None:
    """Whoever tries burns the challenge; that is for the gate to do."""
    on = Stage(Level.LEASE, keys=KEYS)
    outcomes = [
        on.judge(by.sign(incoming("reset", {"id": on.fresh_id(), "stop_id": "s1", "nonce": "n"}))) for by in (ANNA, BEN)
    ]

    assert [(one.client, one.may_reset) for one in outcomes if isinstance(one, ResetAsked)] == [
        ("anna", True),
        ("ben", False),
    ]


# --- rows 1 to 8, at every level -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "strange",
    [
        "",
        ROOT,
        f"{ROOT}/commands",
        f"{ROOT}/commands/",
        f"{ROOT}/commands/stop",
        f"{ROOT}/commands/Move",
        f"{ROOT}/commands/move/",
        f"{ROOT}/commands/move/x",
        f"{ROOT}/commands/stop/x",
        f"/{ROOT}/commands/move",
        f"{ROOT}/x/../commands/move",
        f"{ROOT}/commands/+",
        f"{ROOT}/commands/#",
        f"{ROOT}/commands/move\0",
        "robot/r2/commands/move",
        "robot/R1/commands/move",
        "fleet/r1/commands/move",
        "commands/move",
        "\ud800",
    ],
)
@every_level
def test_row_1_a_topic_that_is_not_ours_exactly_is_judged_no_further(level: Level, strange: str) -> None:
    """Whatever it carries, nothing is looked at."""
    on = stage(level)
    body = json.dumps(on.move()).encode()
    message = Incoming(strange, body, retain=True, expiry_s=None, properties=())

    words = WORDS[Reason.UNKNOWN_TOPIC]
    assert on.judge(message) == Refused("", None, "", (Reason.UNKNOWN_TOPIC,), words)
    assert isinstance(on.judge(dataclasses.replace(message, topic=topic("ping"))), Refused)


@every_level
@pytest.mark.parametrize("verb", ["move", "lease", "reset", "ping"])
def test_row_2_a_payload_that_is_too_large_is_not_read(level: Level, verb: str) -> None:
    """Whatever it says; the envelope is judged all the same."""
    on = stage(level)
    payload = b'{"id":"a"}'.ljust(4097)

    outcome = on.judge(incoming(verb, payload, retain=True))
    assert outcome == Refused("", Verb(verb), "", (Reason.TOO_LARGE, Reason.RETAINED), WORDS[Reason.TOO_LARGE])


@every_level
def test_row_2_the_largest_payload_is_read(level: Level) -> None:
    """Blanks count."""
    on = stage(level)
    payload = json.dumps(on.move()).encode()

    assert judged(on, payload.ljust(4096)) == ()
    assert judged(on, payload.ljust(4097)) == (Reason.TOO_LARGE,)


@every_level
def test_row_3_nothing_that_is_retained_gets_through(level: Level) -> None:
    """Of any verb: only a stop may come back by itself."""
    on = stage(level)

    assert judged(on, on.move(), retain=True) == (Reason.RETAINED,)
    assert judged(on, {"id": "p", "t_ms": 5}, "ping", retain=True) == (Reason.RETAINED,)
    assert judged(on, {"id": "r", "stop_id": "s"}, "reset", retain=True) == (Reason.RETAINED,)
    if level is Level.LEASE:
        assert judged(on, on.lease("renew"), "lease", retain=True) == (Reason.RETAINED,)
        assert judged(on, on.lease("take", "eve"), "lease", retain=True) == (Reason.RETAINED,)


@every_level
def test_row_4_a_move_says_when_it_expires(level: Level) -> None:
    """Unless it is on this machine's own broker."""
    on = stage(level)
    expected = () if level is Level.OPEN else (Reason.NO_EXPIRY,)

    assert judged(on, on.move(), expiry_s=None) == expected
    assert judged(on, on.move(), expiry_s=3) == expected
    assert judged(on, on.move(), expiry_s=2) == ()
    assert judged(on, on.move(), expiry_s=0) == ()


@every_level
@pytest.mark.parametrize(
    ("payload", "expected", "words"),
    [
        (b"", Reason.BAD_JSON, "it is not JSON (character 0)"),
        (b'{"id":"a","id":"a"}', Reason.BAD_JSON, "it has a key twice"),
        (b'{"id":"a","v":2}', Reason.BAD_VERSION, "its version is not 1"),
        (b"[]", Reason.BAD_SCHEMA, "it is not a JSON object"),
    ],
)
def test_rows_5_and_6_say_what_is_wrong(level: Level, payload: bytes, expected: Reason, words: str) -> None:
    """In the words of the body; of what cannot be read, nothing else is judged."""
    on = stage(level)
    outcome = on.judge(incoming("move", payload))

    assert isinstance(outcome, Refused)
    assert (outcome.reasons, outcome.detail) == ((expected,), words)


@every_level
def test_rows_6_to_8_are_told_together(level: Level) -> None:
    """With the id, which could be read."""
    on = stage(level)
    payload = b'{"id":"a","linear":true,"angular":1e400,"robot_id":"r2"}'
    outcome = on.judge(incoming("move", payload, retain=True))

    assert isinstance(outcome, Refused)
    assert outcome.id == "a"
    assert outcome.client == ""
    assert outcome.reasons == (Reason.RETAINED, Reason.BAD_SCHEMA, Reason.NOT_FINITE, Reason.WRONG_ROBOT)
    assert outcome.detail == WORDS[Reason.RETAINED]


@every_level
@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_row_7_a_speed_that_is_not_finite_is_refused(level: Level, literal: str) -> None:
    """However it is written."""
    on = stage(level)
    payload = json.dumps(on.move(linear="HERE")).replace('"HERE"', literal).encode()

    assert judged(on, payload) == (Reason.NOT_FINITE,)


@every_level
def test_row_8_a_command_for_another_robot_is_refused(level: Level) -> None:
    """And one that names us is not."""
    on = stage(level)

    assert judged(on, on.move(robot_id="r2")) == (Reason.WRONG_ROBOT,)
    assert judged(on, on.move(robot_id="r1", v=1)) == ()


# --- row 9 -----------------------------------------------------------------------------------------------------------


@every_level
def test_row_9_with_keys_everything_but_a_ping_is_signed(level: Level) -> None:
    """At every level; who does not sign is told that and nothing else of the later rows."""
    on = Stage(level, keys=KEYS)
    for verb, body in (
        ("move", on.move(robot_id="r1")),
        ("lease", on.lease("acquire", "anna")),
        ("reset", {"id": "r", "stop_id": "s"}),
    ):
        outcome = on.judge(incoming(verb, body, expiry_s=2))

        assert isinstance(outcome, Refused)
        assert (outcome.reasons, outcome.client, outcome.id) == ((Reason.BAD_SIG,), "", body["id"])
        assert outcome.detail == WORDS[Reason.BAD_SIG]
    ping = on.judge(incoming("ping", {"id": "p", "t_ms": 1, "client": "anna"}))
    assert isinstance(ping, Answered)
    assert ping.client == ""


def test_row_9_a_signed_move_is_that_of_the_key() -> None:
    """At every level, with the client of the key."""
    for level in LEVELS:
        on = Stage(level, keys=KEYS)
        if level is Level.LEASE:
            on.acquire("ben", by=BEN)
        body = on.move(client="ben") if level is Level.STAMPED else on.move()
        outcome = on.judge(BEN.sign(incoming("move", body)))

        assert isinstance(outcome, Admitted), outcome
        assert outcome.move.client == "ben"


def test_row_9_a_signature_says_nothing_about_the_envelope() -> None:
    """Retained and unsigned are told together."""
    on = Stage(Level.LEASE, keys=KEYS)
    on.acquire("anna", by=ANNA)

    assert judged(on, on.move(), retain=True, expiry_s=None) == (Reason.RETAINED, Reason.NO_EXPIRY, Reason.BAD_SIG)


@every_level
def test_row_9_without_remote_motion_no_move_is_permitted(level: Level) -> None:
    """All else works."""
    on = stage(level, remote_motion=False)

    assert judged(on, on.move()) == (Reason.FORBIDDEN,)
    assert judged(on, {"id": "p", "t_ms": 5}, "ping") == ()
    assert judged(on, {"id": "r", "stop_id": "s"}, "reset") == ()
    if level is Level.LEASE:
        assert judged(on, on.lease("renew"), "lease") == ()


def test_row_9_nobody_speaks_in_anothers_name() -> None:
    """A stamped move, and a request for the lease."""
    on = Stage(Level.STAMPED, keys=KEYS)
    assert reasons(on.judge(BEN.sign(incoming("move", on.move(client="anna"))))) == (Reason.FORBIDDEN,)

    on = Stage(Level.LEASE, keys=KEYS)
    assert reasons(on.judge(BEN.sign(incoming("lease", on.lease("acquire", "anna"))))) == (Reason.FORBIDDEN,)


@pytest.mark.parametrize("level", [Level.STAMPED, Level.OPEN])
def test_row_9_there_is_no_lease_at_the_other_levels(level: Level) -> None:
    """Whoever asks is told."""
    on = stage(level)

    for action in ("acquire", "take"):
        assert judged(on, on.lease(action), "lease") == (Reason.FORBIDDEN,)


# --- rows 10 to 12 ---------------------------------------------------------------------------------------------------


def ago(on: Stage, age_ms: float) -> dict[str, float]:
    """Return the stamp of a move that is so old, on the clock of the level."""
    return {"t_ms": on.now_ms - age_ms} if on.rules.level is Level.LEASE else {"stamp_ms": on.wall_ms - age_ms}


TIMED = [(Level.LEASE, 50), (Level.STAMPED, 20)]
timed = pytest.mark.parametrize(("level", "error_ms"), TIMED)


@timed
def test_row_11_a_move_is_good_until_age_and_error_reach_its_ttl(level: Level, error_ms: int) -> None:
    """At exactly the limit; the default ttl is half a second."""
    for ttl in (500, None, 100, 2000):
        ttl_ms = 500 if ttl is None else ttl
        keys = {} if ttl is None else {"ttl_ms": ttl}
        for beyond_ms, expected in ((0, ()), (0.5, (Reason.EXPIRED,)), (5000, (Reason.EXPIRED,))):
            on = stage(level)
            body = without(on.move(**ago(on, ttl_ms - error_ms + beyond_ms)), "ttl_ms") | keys

            assert judged(on, body) == expected, (ttl, beyond_ms)


@timed
def test_row_12_a_move_of_the_future_is_refused_where_the_error_ends(level: Level, error_ms: int) -> None:
    """At exactly the limit."""
    for beyond_ms, expected in ((0, ()), (0.5, (Reason.FROM_FUTURE,)), (10**9, (Reason.FROM_FUTURE,))):
        on = stage(level)

        assert judged(on, on.move(**ago(on, -error_ms - beyond_ms))) == expected


@timed
def test_row_12_a_ttl_of_two_seconds_is_the_longest(level: Level, error_ms: int) -> None:
    """At exactly the limit."""
    on = stage(level)

    assert judged(on, on.move(ttl_ms=2000)) == ()
    assert judged(on, on.move(ttl_ms=2000.5)) == (Reason.TTL_TOO_LONG,)


@pytest.mark.parametrize(("error_ms", "expected"), [(0, ()), (250, ()), (250.5, (Reason.CLOCK_UNCERTAIN,))])
def test_row_10_a_client_may_say_how_well_it_knows_the_robots_clock(
    error_ms: float, expected: tuple[Reason, ...]
) -> None:
    """A quarter of a second is the most; half of it would make half of the ttl."""
    on = stage(Level.LEASE)

    assert judged(on, on.move(eps_ms=error_ms)) == expected
    assert judged(on, on.move(eps_ms=250, **ago(on, 250))) == ()
    assert judged(on, on.move(eps_ms=250, **ago(on, 251))) == (Reason.EXPIRED,)
    assert judged(on, on.move(eps_ms=0, **ago(on, 500))) == ()
    assert judged(on, on.move(eps_ms=0, t_ms=on.now_ms + 0.5)) == (Reason.FROM_FUTURE,)


@pytest.mark.parametrize(
    ("error_ns", "expected"),
    [(0, ()), (250 * MS, ()), (250 * MS + 1, (Reason.CLOCK_UNCERTAIN,)), (None, (Reason.CLOCK_UNCERTAIN,))],
)
def test_row_10_the_wall_clock_counts_only_when_it_is_synchronised(
    error_ns: int | None, expected: tuple[Reason, ...]
) -> None:
    """Within a quarter of a second, as the kernel says."""
    on = stage(Level.STAMPED)
    on.error_ns = error_ns

    assert judged(on, on.move(ttl_ms=1000)) == expected


def test_row_10_a_clock_may_be_trusted_by_setting() -> None:
    """Then it has no error at all, whatever the kernel says."""
    for error_ns in (None, 0, 10 * S):
        on = stage(Level.STAMPED, trust_clock=True)
        on.error_ns = error_ns

        assert judged(on, on.move(**ago(on, 500))) == ()
        assert judged(on, on.move(**ago(on, 500.5))) == (Reason.EXPIRED,)
        assert judged(on, on.move(stamp_ms=on.wall_ms + 0.5)) == (Reason.FROM_FUTURE,)


def test_row_10_trusting_the_wall_clock_says_nothing_about_a_clients() -> None:
    """Under `lease` the error is that of the client's offset."""
    on = stage(Level.LEASE, trust_clock=True)

    assert judged(on, on.move(eps_ms=251, ttl_ms=1000)) == (Reason.CLOCK_UNCERTAIN,)


def test_rows_10_to_12_at_open_nothing_is_stamped() -> None:
    """Nor may it be: a stamp that nobody looks at would look like safety."""
    on = stage(Level.OPEN)

    assert judged(on, on.move(ttl_ms=500)) == (Reason.BAD_SCHEMA,)


# --- row 13 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [Level.LEASE, Level.STAMPED])
def test_row_13_numbers_rise(level: Level) -> None:
    """Gaps are fine; equal or lower is a replay, under whatever id."""
    on = stage(level)

    found = [judged(on, on.move(seq=seq)) for seq in (0, 1, 5, 5, 4, 0, 6, 2**64 - 1, 2**64 - 1)]
    replay = (Reason.REPLAY,)
    assert found == [(), (), (), replay, replay, replay, (), (), replay]


@pytest.mark.parametrize("level", [Level.LEASE, Level.STAMPED])
def test_row_13_the_number_of_a_refused_move_is_used_too(level: Level) -> None:
    """Whatever else was wrong with it: sent again under better conditions, it does not pass."""
    on = stage(level)
    for seq, keys, envelope in (
        (10, ago(on, 5000), {}),
        (20, ago(on, -5000), {}),
        (30, {"ttl_ms": 5000}, {}),
        (40, {}, {"retain": True}),
        (50, {}, {"expiry_s": None}),
    ):
        assert judged(on, on.move(seq=seq, **keys), **envelope) not in {(), (Reason.REPLAY,)}
        assert judged(on, on.move(seq=seq)) == (Reason.REPLAY,)
        assert judged(on, on.move(seq=seq + 1)) == ()


@pytest.mark.parametrize("level", [Level.LEASE, Level.STAMPED])
def test_row_13_nobody_can_use_up_the_numbers_of_a_client_without_its_key(level: Level) -> None:
    """A forged move with the highest number of all."""
    on = Stage(level, keys=KEYS)
    client = {"client": "anna"} if level is Level.STAMPED else {}
    if level is Level.LEASE:
        on.acquire("anna", by=ANNA)

    assert judged(on, on.move(seq=2**64 - 1, **client)) == (Reason.BAD_SIG,)
    forged = incoming("move", on.move(seq=2**64 - 1, **client), properties=(("key", "anna"), ("sig", "AAAA")))
    assert reasons(on.judge(forged)) == (Reason.BAD_SIG,)
    assert reasons(on.judge(ANNA.sign(incoming("move", on.move(seq=1, **client))))) == ()


def test_row_13_clients_count_for_themselves() -> None:
    """Under `stamped`."""
    on = stage(Level.STAMPED)

    assert judged(on, on.move(client="bob", seq=100)) == ()
    assert judged(on, on.move(client="eve", seq=1)) == ()
    assert judged(on, on.move(client="eve", seq=1)) == (Reason.REPLAY,)


def test_row_13_numbers_survive_a_restart() -> None:
    """Of what reached the disk; and what did not is older than this process."""
    on = stage(Level.STAMPED)
    body = on.move(seq=7)
    assert judged(on, body) == ()
    memory = json.loads(json.dumps(on.admission.snapshot()))

    again = Stage(Level.STAMPED, memory=memory)
    assert judged(again, again.move(seq=7)) == (Reason.REPLAY,)
    assert judged(again, again.move(seq=8)) == ()
    assert Stage(Level.LEASE).admission.snapshot() == {"floor_us": -(2**63), "clients": {}}


@pytest.mark.parametrize(("error_ms", "trust"), [(0, False), (20, False), (None, True)])
def test_row_13_a_stamp_from_before_this_process_is_a_replay(error_ms: int | None, trust: bool) -> None:
    """As far as anybody can tell, to the microsecond, and whatever the wall clock was when the process began."""
    rules = AdmissionRules(Level.STAMPED, "r1", ROOT, remote_motion=True, trust_clock=trust)
    for wall_at_boot_us in (0, 10**15, 10**16):
        admission = Admission(rules, "seed", Moment(BOOT_NS, wall_at_boot_us, None))
        error_ns = None if error_ms is None else error_ms * MS
        now = Moment(BOOT_NS + 100 * MS, 10**15, error_ns)
        uptime_ms = 100 - (error_ms or 0)
        found = []
        for seq, age_ms in enumerate((uptime_ms, uptime_ms + 0.001)):
            body = {"id": f"{seq}", "client": "bob", "seq": seq, "linear": 0, "angular": 0}
            stamp = {"stamp_ms": 10**12 - age_ms, "ttl_ms": 2000}
            found.append(reasons(admission.judge(incoming("move", body | stamp), now)))

        assert found == [(), (Reason.REPLAY,)]


def test_row_13_under_lease_the_start_of_the_process_means_nothing() -> None:
    """An epoch is of this process anyway; a ping may have been answered just before."""
    on = Stage(Level.LEASE)
    on.now_ns = BOOT_NS
    on.acquire()

    assert judged(on, on.move(t_ms=on.now_ms - 100)) == ()


# --- row 14 ----------------------------------------------------------------------------------------------------------


def again(on: Stage, message: Incoming) -> dict[str, Any]:
    """Judge a message that was judged before; return the ack that it is told."""
    outcome = on.judge(message)
    assert isinstance(outcome, Repeated)
    said: dict[str, Any] = json.loads(outcome.ack)
    assert (outcome.id, said["command"]) == (said["id"], outcome.verb)
    return said


@pytest.mark.parametrize("level", [Level.LEASE, Level.STAMPED])
def test_row_14_the_same_again_is_told_the_same_again(level: Level) -> None:
    """A redelivery: no effect, no REPLAY; the ack says what it said, in the words of a duplicate."""
    on = stage(level)
    message = incoming("move", on.move(seq=5))
    on.judge(message)
    judged(on, on.move(seq=6))
    said = again(on, message)

    assert (said["verdict"], said["code"]) == ("DUPLICATE", "DUPLICATE")
    assert (said["first_verdict"], said["first_code"]) == ("ACCEPTED", "ACCEPTED")
    assert again(on, message) == said
    assert judged(on, on.move(seq=7)) == ()


@pytest.mark.parametrize("level", [Level.LEASE, Level.STAMPED])
def test_row_14_a_duplicate_is_one_however_late_and_whatever_its_flags(level: Level) -> None:
    """Expired, retained, after a stop, after the lease changed hands: what it is told has no effect."""
    on = stage(level)
    message = incoming("move", on.move())
    on.judge(message)
    on.later(60_000)
    on.admission.drop_lease(Reason.STOPPED)
    if level is Level.LEASE:
        on.acquire("eve")

    for redelivered in (message, dataclasses.replace(message, retain=True, expiry_s=None)):
        assert again(on, redelivered)["code"] == "DUPLICATE"


@pytest.mark.parametrize("level", [Level.LEASE, Level.STAMPED])
def test_row_14_a_refusal_is_repeated_too(level: Level) -> None:
    """Also when it would be admitted by now: the clock of the robot has come round."""
    on = stage(level)
    message = incoming("move", on.move(**ago(on, -1000)))
    assert reasons(on.judge(message)) == (Reason.FROM_FUTURE,)
    on.later(1000)

    said = again(on, message)
    assert (said["first_verdict"], said["first_code"]) == ("REJECTED", "FROM_FUTURE")


@pytest.mark.parametrize("level", [Level.LEASE, Level.STAMPED])
def test_row_14_the_same_id_with_another_body_is_an_error(level: Level) -> None:
    """However small the difference, and after a refusal as well."""
    on = stage(level)
    body = on.move()
    judged(on, body)

    assert judged(on, body | {"seq": body["seq"] + 1}) == (Reason.ID_REUSED,)
    assert judged(on, json.dumps(body).encode() + b" ") == (Reason.REPLAY, Reason.ID_REUSED)
    assert judged(on, {"id": body["id"], "stop_id": "s", "client": "bob"}, "reset") == (Reason.ID_REUSED,)
    late = on.move(**ago(on, 5000))
    judged(on, late)
    assert judged(on, on.move(id=late["id"])) == (Reason.ID_REUSED,)


def test_row_14_clients_may_choose_the_same_ids() -> None:
    """Somebody else's counter is no reason to refuse mine."""
    on = stage(Level.STAMPED)

    assert judged(on, on.move(id="1", client="bob")) == ()
    assert judged(on, on.move(id="1", client="eve")) == ()


def test_row_14_nobody_can_use_up_the_ids_of_a_client_without_its_key() -> None:
    """Neither with a forged move nor with a ping, which needs no signature."""
    on = Stage(Level.LEASE, keys=KEYS)
    on.acquire("anna", by=ANNA)
    body = on.move()
    judged(on, body | {"linear": 0.4})
    judged(on, {"id": body["id"], "t_ms": 1, "client": "anna"}, "ping")

    assert reasons(on.judge(ANNA.sign(incoming("move", body)))) == ()


def test_row_14_a_command_that_waits_for_its_ack_is_not_decided_twice() -> None:
    """Its duplicate is refused, and the ack of that refusal is not taken for that of the command."""
    on = stage(Level.LEASE)
    message = incoming("move", on.move(id="a"))
    assert isinstance(on.admission.judge(message, on.moment), Admitted)
    waiting = on.judge(message)

    assert waiting == Refused("a", Verb.MOVE, "bob", (Reason.DUPLICATE,), WORDS[Reason.DUPLICATE])
    on.acknowledge(Verb.MOVE, "a", Answer(Verdict.CLAMPED, Reason.CLAMPED_SPEED))
    assert again(on, message)["first_code"] == "CLAMPED_SPEED"


@pytest.mark.parametrize("forgery", [b'{"id":"a"}', b'{"id":"a","v":9}'])
def test_row_14_a_broken_message_does_not_spoil_the_ack_of_a_command_of_its_id(forgery: bytes) -> None:
    """It is answered between the command and its ack."""
    on = stage(Level.LEASE)
    message = incoming("move", on.move(id="a"))
    on.admission.judge(message, on.moment)
    on.judge(incoming("move", forgery))
    on.acknowledge(Verb.MOVE, "a", Answer(Verdict.ACCEPTED, Reason.ACCEPTED))

    assert again(on, message)["first_code"] == "ACCEPTED"


def test_row_14_at_open_the_same_again_is_a_new_command() -> None:
    """As the contract has it."""
    on = stage(Level.OPEN)
    body = on.move(id="a")

    assert judged(on, body) == judged(on, body) == judged(on, body | {"linear": 0.3}) == ()


def test_row_14_the_ring_forgets_the_oldest_and_row_13_still_holds() -> None:
    """1024 commands that had an effect; what was forgotten is a replay."""
    on = stage(Level.STAMPED, rate_hz=10**6, rate_burst=5000)
    first, *others = [incoming("move", on.move()) for _ in range(1025)]
    on.judge(first)
    for message in others[:-1]:
        on.judge(message)
    assert again(on, first)["code"] == "DUPLICATE"

    on.judge(others[-1])
    assert reasons(on.judge(first)) == (Reason.REPLAY,)


# --- row 15 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [Level.LEASE, Level.STAMPED])
def test_row_15_a_burst_then_the_rate(level: Level) -> None:
    """Ten at once, then one each 50 ms."""
    on = stage(level)
    found = [judged(on, on.move()) for _ in range(12)]
    assert found == [()] * 10 + [(Reason.RATE_LIMIT,)] * 2

    on.later(49.999)
    assert judged(on, on.move()) == (Reason.RATE_LIMIT,)
    on.later(0.001)
    assert judged(on, on.move()) == ()


def test_row_15_at_open_there_is_no_limit() -> None:
    """As the contract has it."""
    on = stage(Level.OPEN)

    assert {judged(on, on.move()) for _ in range(100)} == {()}


def test_row_15_what_is_refused_costs_its_sender_nothing() -> None:
    """Nobody can use up a client's rate by playing its old messages again."""
    on = Stage(Level.STAMPED, keys=KEYS)
    old = [ANNA.sign(incoming("move", on.move(client="anna", **ago(on, 5000)))) for _ in range(100)]
    for message in old * 3:
        on.judge(message)

    found = [reasons(on.judge(ANNA.sign(incoming("move", on.move(client="anna"))))) for _ in range(11)]
    assert found == [()] * 10 + [(Reason.RATE_LIMIT,)]


def test_row_15_a_flood_of_one_verb_leaves_the_others_alone() -> None:
    """Above all the reset."""
    on = stage(Level.LEASE)
    for _ in range(100):
        judged(on, {"id": on.fresh_id(), "t_ms": 1}, "ping")

    assert judged(on, {"id": on.fresh_id(), "t_ms": 1}, "ping") == (Reason.RATE_LIMIT,)
    assert judged(on, {"id": on.fresh_id(), "stop_id": "s"}, "reset") == ()
    assert judged(on, on.move()) == ()
    assert judged(on, on.lease("renew"), "lease") == ()


def flooded(on: Stage, seconds: float, *, period_ms: int = 10) -> None:
    """Have bob send moves for so long, and renew his lease as he should."""
    for number in range(round(seconds * 1000 / period_ms)):
        on.later(period_ms)
        judged(on, on.move())
        if number % 50 == 0:
            judged(on, on.lease("renew"), "lease")


def test_row_15_three_seconds_of_overrun_revoke_the_lease() -> None:
    """Not a moment earlier; and the refusal of the next move says why there is none."""
    on = stage(Level.LEASE)
    flooded(on, 3.0)
    assert on.admission.lease_trouble(on.now_ns) is None

    flooded(on, 0.3)
    assert on.admission.lease_trouble(on.now_ns) is Reason.NO_LEASE
    outcome = on.judge(incoming("move", on.move(epoch="1-x")))
    assert isinstance(outcome, Refused)
    assert outcome.detail == f"{WORDS[Reason.NO_LEASE]} (the last one was ended: RATE_LIMIT)"


def test_row_15_overrun_revokes_at_exactly_three_seconds() -> None:
    """To the nanosecond; the refusals follow each other within a second."""
    for last_ns, trouble in ((3 * S - 1, None), (3 * S, Reason.NO_LEASE)):
        on = stage(Level.LEASE, rate_hz=0.01, rate_burst=1, lease_ns=100 * S)
        judged(on, on.move())
        begin_ns = on.now_ns
        for after_ns in (0, 900 * MS, 1800 * MS, 2700 * MS, last_ns):
            on.now_ns = begin_ns + after_ns
            assert judged(on, on.move()) == (Reason.RATE_LIMIT,)

        assert on.admission.lease_trouble(on.now_ns) is trouble


def test_row_15_the_overrun_of_somebody_else_costs_the_holder_nothing() -> None:
    """Not even for three seconds."""
    on = stage(Level.LEASE)
    for _ in range(400):
        on.later(10)
        judged(on, {"id": on.fresh_id(), "t_ms": 1, "client": "eve"}, "ping")
        judged(on, {"id": on.fresh_id(), "t_ms": 1}, "ping")
        judged(on, on.lease("renew"), "lease") if on.now_ms % 500 == 0 else None

    assert on.admission.lease_trouble(on.now_ns) is None


# --- row 20 is in test_admission_lease.py; switches ------------------------------------------------------------------

OFF: list[tuple[Reason, dict[str, Any], dict[str, Any]]] = [
    (Reason.NO_EXPIRY, {}, {"expiry_s": None}),
    (Reason.CLOCK_UNCERTAIN, {"eps_ms": 300, "ttl_ms": 1000}, {}),
    (Reason.EXPIRED, {"t_ms": 0}, {}),
    (Reason.FROM_FUTURE, {"t_ms": 10**9}, {}),
    (Reason.TTL_TOO_LONG, {"ttl_ms": 5000}, {}),
    (Reason.REPLAY, {"seq": 0}, {}),
    (Reason.ID_REUSED, {"id": "used"}, {}),
]


@pytest.mark.parametrize(("off", "keys", "envelope"), OFF)
def test_a_check_that_is_off_lets_through_what_its_code_says(
    off: Reason, keys: dict[str, Any], envelope: dict[str, Any]
) -> None:
    """And on, it is the only one that trips."""
    for checks_off, expected in ((frozenset({off}), ()), (frozenset[Reason](), (off,))):
        on = stage(Level.LEASE, checks_off=checks_off)
        assert judged(on, on.move(id="used")) == ()

        assert judged(on, on.move(**keys), **envelope) == expected


def test_an_unknown_clock_error_counts_as_none_when_nobody_asks_for_it() -> None:
    """CLOCK_UNCERTAIN is off, and the kernel knows nothing."""
    on = stage(Level.STAMPED, checks_off=frozenset({Reason.CLOCK_UNCERTAIN}))
    on.error_ns = None

    assert judged(on, on.move(**ago(on, 500))) == ()
    assert judged(on, on.move(**ago(on, 500.5))) == (Reason.EXPIRED,)


def test_duplicates_and_rates_may_be_off_too() -> None:
    """The same again is then a replay; and nobody counts."""
    on = stage(Level.LEASE, checks_off=frozenset({Reason.DUPLICATE, Reason.RATE_LIMIT}))
    message = incoming("move", on.move())
    on.judge(message)

    assert reasons(on.judge(message)) == (Reason.REPLAY,)
    assert {judged(on, on.move()) for _ in range(100)} == {()}


def test_what_must_always_hold_cannot_be_switched_off() -> None:
    """Everything is off that can be: retained, malformed and without a lease is still refused."""
    on = stage(Level.LEASE, checks_off=frozenset(Reason))

    assert judged(on, on.move(), retain=True) == (Reason.RETAINED,)
    assert judged(on, b"") == (Reason.BAD_JSON,)
    assert judged(on, on.move(epoch="1-x")) == (Reason.NO_LEASE,)


def test_a_key_of_another_length_is_refused_before_anything_is_judged() -> None:
    """By the constructor."""
    rules = AdmissionRules(Level.LEASE, "r1", ROOT, keys={"anna": OperatorKey(b"", "anna", Role.OPERATOR)})
    with pytest.raises(ValueError, match="32"):
        Admission(rules, "seed", Moment(0, 0, None))


def test_every_reason_that_can_be_judged_is_told_worst_first() -> None:
    """One move with everything wrong that can be wrong at once."""
    on = stage(Level.LEASE, remote_motion=False)
    judged(on, on.move(id="used", seq=9))
    on.later(3000)
    body = on.move(id="used", seq=9, eps_ms=300, ttl_ms=5000, t_ms=0)

    assert judged(on, body, retain=True, expiry_s=None) == (
        Reason.RETAINED,
        Reason.NO_EXPIRY,
        Reason.FORBIDDEN,
        Reason.CLOCK_UNCERTAIN,
        Reason.EXPIRED,
        Reason.TTL_TOO_LONG,
        Reason.REPLAY,
        Reason.ID_REUSED,
        Reason.LEASE_STALE,
    )
