"""Properties of admission over any traffic: total; replays, disorder and wall clocks add nothing; memory is bounded."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgetwin.command.admission import Admission
from edgetwin.command.incoming import Incoming, Moment
from edgetwin.command.outcome import Admitted, Answered, Outcome, Refused, Repeated, ResetAsked
from edgetwin.command.rules import AdmissionRules, Level, Role
from edgetwin.motion import Answer, Reason, Verb, Verdict
from tests.command.stage import BOOT_NS, ERROR_NS, LEVELS, MS, ROOT, S, Stage, incoming, reasons, signer, stage, topic

ANNA = signer("anna", seed=1)
BEN = signer("ben", Role.DRIVER, seed=2)
KEYS = {"anna": ANNA.key, "ben": BEN.key}
TEN_YEARS_US = 315_360_000_000_000
VERBS = [verb for verb in Verb if verb is not Verb.STOP]

# --- total (P12) -----------------------------------------------------------------------------------------------------

WORDS = ["id", "client", "action", "epoch", "seq", "linear", "angular", "t_ms", "stamp_ms", "ttl_ms", "eps_ms", "v"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["bob", "acquire", "renew", "release", "take", "r1", "s1"])
)
BODIES = st.dictionaries(st.sampled_from([*WORDS, "duration_ms", "robot_id", "stop_id", "nonce", "x"]), SCALARS)
PAYLOADS = st.binary(max_size=200) | BODIES.map(lambda body: json.dumps(body).encode()) | st.text().map(str.encode)
TOPICS = st.sampled_from([topic(verb) for verb in Verb] + [ROOT, "", "robot/r2/commands/move"]) | st.text(max_size=30)
PROPERTIES = st.lists(st.tuples(st.sampled_from(["key", "sig", "x"]), st.sampled_from(["anna", "AAAA"]) | st.text()))
MESSAGES = st.builds(
    Incoming, TOPICS, PAYLOADS, st.booleans(), st.none() | st.integers(0, 2**32 - 1), PROPERTIES.map(tuple)
)
MOMENTS = st.builds(
    Moment, st.integers(-(2**63), 2**63), st.integers(-(2**63), 2**63), st.none() | st.integers(0, 2**63)
)
FRAMES = (Admitted, Answered, Refused, Repeated, ResetAsked)


def is_sayable(outcome: Outcome) -> bool:
    """Whether an outcome can be acknowledged: a printable id, reasons in order, words."""
    if isinstance(outcome, Refused):
        in_order = tuple(sorted(outcome.reasons, key=list(Reason).index)) == outcome.reasons
        return bool(outcome.reasons and outcome.detail) and in_order and (outcome.id + outcome.detail).isprintable()
    id_ = outcome.move.id if isinstance(outcome, Admitted) else outcome.id
    return bool(id_) and id_.isprintable()


@settings(max_examples=500)
@given(
    st.sampled_from(LEVELS),
    st.booleans(),
    st.sets(st.sampled_from(Reason)),
    st.lists(st.tuples(MESSAGES, MOMENTS), max_size=12),
)
def test_p12_judge_is_total(
    level: Level,
    with_keys: bool,
    off: set[Reason],
    traffic: list[tuple[Incoming, Moment]],
) -> None:
    """Any bytes, topics, flags, properties and moments, in any order: one of five outcomes, and it can be said."""
    rules = AdmissionRules(
        level, "r1", ROOT, remote_motion=True, checks_off=frozenset(off), keys=KEYS if with_keys else {}
    )
    admission = Admission(rules, "seed", Moment(0, 0, None))
    for message, moment in traffic:
        outcome = admission.judge(message, moment)
        admission.lease_trouble(moment.now_ns)

        assert isinstance(outcome, FRAMES)
        assert is_sayable(outcome)
        json.dumps(admission.snapshot())


# --- traffic that is almost right ------------------------------------------------------------------------------------

SLIPS: list[dict[str, Any]] = [
    {},
    {"age_ms": 200},
    {"age_ms": 900},
    {"age_ms": -900},
    {"ttl_ms": 3000},
    {"linear": "fast"},
    {"robot_id": "r2"},
    {"retain": True},
    {"expiry_s": None},
]


@dataclasses.dataclass(frozen=True)
class Sent:
    """One move as somebody sends it, `after_ms` after the one before."""

    client: str
    seq: int
    slip: int = 0
    after_ms: int = 0


SENT = st.builds(
    Sent,
    client=st.sampled_from(["bob", "eve"]),
    seq=st.integers(0, 12),
    slip=st.sampled_from([0, 0, 0, *range(len(SLIPS))]),
    after_ms=st.sampled_from([0, 10, 60, 200, 1500]),
)


def message_of(on: Stage, sent: Sent, id_: str) -> Incoming:
    """Return a move with its slip, stamped now."""
    slip = dict(SLIPS[sent.slip])
    age_ms = slip.pop("age_ms", 0)
    envelope = {key: slip.pop(key) for key in ("retain", "expiry_s") if key in slip}
    stamp = {"t_ms": on.now_ms - age_ms} if on.rules.level is Level.LEASE else {"stamp_ms": on.wall_ms - age_ms}
    client = {} if on.rules.level is Level.LEASE else {"client": sent.client}
    return incoming("move", on.move(id=id_, seq=sent.seq, **client, **stamp, **slip), **envelope)


def is_admitted(on: Stage, message: Incoming) -> bool:
    """Judge a message; return whether the gate would see it."""
    return isinstance(on.judge(message), Admitted)


checked = pytest.mark.parametrize("level", [Level.LEASE, Level.STAMPED])
no_rate = {"checks_off": frozenset({Reason.RATE_LIMIT})}


@checked
@given(sent=st.lists(SENT, min_size=1, max_size=25), cuts=st.lists(st.integers(1, 25), min_size=1, max_size=3))
def test_p7_replaying_any_prefix_adds_no_acceptance(level: Level, sent: list[Sent], cuts: list[int]) -> None:
    """Whatever was refused or admitted the first time, byte for byte, soon or late: nothing more is admitted."""
    on = stage(level)
    heard: list[Incoming] = []
    for number, one in enumerate(sent):
        on.later(one.after_ms)
        heard.append(message_of(on, one, f"m{number}"))
        on.judge(heard[-1])
    for cut in cuts:
        on.later(cut * 37)

        assert not any(is_admitted(on, message) for message in heard[:cut])


@checked
@given(sent=st.lists(SENT, min_size=1, max_size=25))
def test_p7_replaying_everything_under_fresh_flags_adds_no_acceptance(level: Level, sent: list[Sent]) -> None:
    """Who replays can set the retain flag and the expiry as they like."""
    on = stage(level)
    heard = []
    for number, one in enumerate(sent):
        on.later(one.after_ms)
        heard.append(message_of(on, one, f"m{number}"))
        on.judge(heard[-1])

    assert not any(is_admitted(on, dataclasses.replace(one, retain=False, expiry_s=1)) for one in heard)


@checked
@given(
    data=st.data(), slips=st.lists(st.tuples(st.sampled_from(["bob", "eve"]), st.sampled_from(range(9))), max_size=12)
)
def test_p8_dropping_doubling_and_reordering_admits_nothing_else(
    level: Level, data: st.DataObject, slips: list[tuple[str, int]]
) -> None:
    """What is admitted of any disorder would have been admitted in order, and none of it twice."""
    sent = [Sent(client, seq, slip) for seq, (client, slip) in enumerate(slips)]
    picks = data.draw(st.lists(st.integers(0, len(sent) - 1), max_size=30)) if sent else []

    def admitted(order: list[int]) -> list[int]:
        on = stage(level, **no_rate)
        messages = [message_of(on, one, f"m{number}") for number, one in enumerate(sent)]
        return [number for number in order if is_admitted(on, messages[number])]

    found = admitted(picks)
    assert set(found) <= set(admitted(list(range(len(sent)))))
    assert len(found) == len(set(found))


@given(st.data(), st.integers(1, 20))
def test_p8_doubling_and_reordering_do_not_beat_the_rate(data: st.DataObject, copies: int) -> None:
    """Row 15: of any disorder of forty moves at one instant, no more than the burst is admitted."""
    on = stage(Level.STAMPED)
    messages = [message_of(on, Sent("bob", seq), f"m{seq}") for seq in range(40)]
    order = data.draw(st.lists(st.integers(0, 39), min_size=copies, max_size=80))

    assert sum(is_admitted(on, messages[number]) for number in order) <= 10


# --- wall clock (P9) -------------------------------------------------------------------------------------------------

JUMPS = st.sampled_from([-TEN_YEARS_US, -1_000_000, -1000, 0, 1000, 1_000_000, TEN_YEARS_US])
WALL_ROWS = {Reason.CLOCK_UNCERTAIN, Reason.EXPIRED, Reason.FROM_FUTURE, Reason.TTL_TOO_LONG, Reason.REPLAY}


def outcomes(level: Level, sent: list[Sent], jumps_us: list[int], errors_ns: list[int | None]) -> list[Outcome]:
    """Return what becomes of moves that are stamped by somebody whose clock does not jump."""
    on = stage(level)
    true_ahead_us = on.wall_ahead_us
    found = []
    for number, one in enumerate(sent):
        on.later(one.after_ms)
        on.wall_ahead_us = true_ahead_us
        message = message_of(on, one, f"m{number}")
        if jumps_us:
            on.wall_ahead_us = true_ahead_us + jumps_us[number % len(jumps_us)]
            on.error_ns = errors_ns[number % len(errors_ns)]
        found.append(on.judge(message))
    return found


@given(
    st.lists(SENT, min_size=1, max_size=20),
    st.lists(JUMPS, min_size=1),
    st.lists(st.none() | st.just(ERROR_NS), min_size=1),
)
def test_p9_under_lease_no_wall_clock_changes_anything(
    sent: list[Sent], jumps_us: list[int], errors_ns: list[int | None]
) -> None:
    """Ten years forth and back, synchronised or not: the same outcomes, word for word."""
    calm = outcomes(Level.LEASE, sent, [], [])

    assert [_timeless(one) for one in outcomes(Level.LEASE, sent, jumps_us, errors_ns)] == [
        _timeless(one) for one in calm
    ]


def _timeless(outcome: Outcome) -> Outcome | str:
    return "repeated" if isinstance(outcome, Repeated) else outcome  # its ack carries the wall clock, as data


@given(
    st.lists(SENT, min_size=1, max_size=20),
    st.lists(JUMPS, min_size=1),
    st.lists(st.none() | st.just(ERROR_NS), min_size=1),
)
def test_p9_under_stamped_a_jump_changes_the_rows_of_the_clock_alone(
    sent: list[Sent], jumps_us: list[int], errors_ns: list[int | None]
) -> None:
    """Rows 10 to 13: all other reasons are the same."""
    for calm, jumped in zip(
        outcomes(Level.STAMPED, sent, [], []), outcomes(Level.STAMPED, sent, jumps_us, errors_ns), strict=True
    ):
        assert set(reasons(calm)) - WALL_ROWS - {Reason.RATE_LIMIT} == (
            set(reasons(jumped)) - WALL_ROWS - {Reason.RATE_LIMIT}
        )


# --- worse is never better (P10) -------------------------------------------------------------------------------------


@checked
@given(
    sent=SENT,
    worse=st.sampled_from(
        ["retain", "no expiry", "older", "future", "ttl", "seq", "lease", "clock", "schema", "robot"]
    ),
    by_ms=st.integers(1, 5000),
)
def test_p10_one_input_made_worse_never_turns_a_refusal_into_an_admission(
    level: Level, sent: Sent, worse: str, by_ms: int
) -> None:
    """Every reason that was there stays, as far as it can still be judged."""

    def verdict(*, spoil: bool) -> tuple[Reason, ...]:
        on = stage(level)
        on.judge(message_of(on, Sent(sent.client, 5), "first"))
        message = message_of(on, sent, "m")
        body = json.loads(message.payload)
        if spoil:
            stamp = "t_ms" if level is Level.LEASE else "stamp_ms"
            changes: dict[str, dict[str, Any]] = {
                "older": {stamp: body[stamp] - by_ms},
                "future": {stamp: body[stamp] + by_ms},
                "ttl": {"ttl_ms": 2000 + by_ms},
                "seq": {"seq": 0},
                "schema": {"x": 1},
                "robot": {"robot_id": "r2"},
            }
            body |= changes.get(worse, {})
            message = dataclasses.replace(
                message,
                payload=json.dumps(body).encode(),
                retain=message.retain or worse == "retain",
                expiry_s=None if worse == "no expiry" else message.expiry_s,
            )
            if worse == "lease":
                on.later(10_000)
            if worse == "clock":
                on.error_ns = None
        return reasons(on.judge(message))

    if verdict(spoil=False) and not (worse in {"older", "future"} and sent.slip in {2, 3}):
        assert verdict(spoil=True)


# --- refused traffic (P15), floods -----------------------------------------------------------------------------------


@given(st.lists(MESSAGES, max_size=60))
def test_p15_refused_traffic_extends_nothing(noise: list[Incoming]) -> None:
    """Any noise from nobody during a lease: it ends when it would have, and the next move is judged as without it."""
    on = Stage(Level.LEASE, keys=KEYS)
    on.acquire("anna", by=ANNA)
    assert on.admission._lease.expires_ns == on.now_ns + 3 * S
    lease_before = vars(on.admission._lease).copy()
    for message in noise:
        on.later(1)
        outcome = on.judge(message)
        assert not isinstance(outcome, Admitted | Repeated)

    assert {key: vars(on.admission._lease)[key] for key in ("epoch", "holder", "expires_ns", "seq")} == {
        key: lease_before[key] for key in ("epoch", "holder", "expires_ns", "seq")
    }
    assert reasons(on.judge(ANNA.sign(incoming("move", on.move())))) == ()


@pytest.mark.parametrize("with_keys", [True, False])
@pytest.mark.parametrize("level", LEVELS)
def test_a_flood_of_strangers_leaves_no_memory_behind(level: Level, with_keys: bool) -> None:
    """Thousands of clients, ids and kinds of garbage: what is remembered is bounded, and the bytes stay flat."""
    on = Stage(level, keys=KEYS if with_keys else {}, ring=64, clients_max=16)

    def flood(begin: int) -> None:
        for number in range(begin, begin + 1000):
            on.later(1)
            body = on.move(id=f"id{number}", **({"client": f"c{number}"} if level is Level.STAMPED else {}))
            on.judge(incoming("move", body))
            on.judge(incoming("lease", on.lease("acquire", f"c{number}", id=f"lease{number}")))
            on.judge(incoming("move", b"\xff%d" % number))
            on.admission.judge(incoming("ping", {"id": f"ping{number}", "t_ms": 1, "client": f"c{number}"}), on.moment)

    flood(0)
    tracemalloc.start()
    flood(1000)
    before = tracemalloc.get_traced_memory()[0]
    flood(2000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert grown < 20_000
    repeats = on.admission._repeats
    assert max(len(repeats._effects), len(repeats._refusals), len(repeats._unsettled)) <= 64
    assert len(on.admission._rates._buckets) <= 16
    assert len(on.admission._high_water._marks) <= 16


def test_a_clock_that_began_at_zero_is_as_good_as_any() -> None:
    """Monotonic time counts from the start of the machine."""
    rules = AdmissionRules(Level.LEASE, "r1", ROOT, remote_motion=True)
    admission = Admission(rules, "seed", Moment(0, 0, None))
    outcome = admission.judge(incoming("lease", {"id": "a", "client": "bob", "action": "acquire"}), Moment(0, 0, None))
    assert isinstance(outcome, Answered)
    move = {"id": "m", "linear": 0, "angular": 0, "epoch": outcome.extra["epoch"], "seq": 0, "t_ms": 0}

    assert isinstance(admission.judge(incoming("move", move), Moment(10 * MS, 0, None)), Admitted)


def test_the_stage_tells_the_time_it_says() -> None:
    """Else the properties above would prove nothing."""
    on = Stage(Level.STAMPED)

    assert on.now_ns == BOOT_NS + 10 * S
    assert on.wall_ms * 1000 == on.moment.stamp_us
    on.acknowledge(Verb.MOVE, "nobody", Answer(Verdict.OK, Reason.PONG))
