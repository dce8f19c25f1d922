"""The body of a command: closed, typed, and every flaw by its own name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.command.body import CLIENT_MAX, SEQ_MAX, TEXT_MAX, Action, Body, client_of, parse_id, read
from edgetwin.command.rules import AdmissionRules, Level
from edgetwin.motion import Reason, Verb
from tests.command.stage import ROOT, without

RULES = {level: AdmissionRules(level, "r1", ROOT) for level in Level}
MOVES: dict[Level, dict[str, Any]] = {
    Level.LEASE: {"id": "a", "linear": 0.1, "angular": 0, "epoch": "1-x", "seq": 0, "t_ms": 5},
    Level.STAMPED: {"id": "a", "linear": 0.1, "angular": 0, "client": "bob", "seq": 0, "stamp_ms": 5},
    Level.OPEN: {"id": "a", "linear": 0.1, "angular": 0},
}
MOVES_MAY: dict[Level, dict[str, Any]] = {
    Level.LEASE: {"ttl_ms": 500, "eps_ms": 20, "duration_ms": 300},
    Level.STAMPED: {"ttl_ms": 500, "duration_ms": 300},
    Level.OPEN: {"duration_ms": 300},
}
OTHERS: dict[Verb, dict[str, Any]] = {
    Verb.LEASE: {"id": "a", "client": "bob", "action": "acquire"},
    Verb.RESET: {"id": "a", "stop_id": "s1"},
    Verb.PING: {"id": "a", "t_ms": 5},
}
OTHERS_MAY: dict[Verb, dict[str, Any]] = {
    Verb.LEASE: {"epoch": "1-x"},
    Verb.RESET: {"nonce": "n", "client": "bob"},
    Verb.PING: {"client": "bob"},
}
EVERYWHERE: dict[str, Any] = {"v": 1, "robot_id": "r1"}
CASES: list[tuple[Level, Verb, dict[str, Any], dict[str, Any]]] = [
    *((level, Verb.MOVE, MOVES[level], MOVES_MAY[level]) for level in Level),
    *((level, verb, OTHERS[verb], OTHERS_MAY[verb]) for level in Level for verb in OTHERS),
]
EVERY_KEY = sorted({key for _, _, must, may in CASES for key in must | may} | set(EVERYWHERE))
case = pytest.mark.parametrize(("level", "verb", "must", "may"), CASES)
level_of_moves = pytest.mark.parametrize("level", list(Level))


def body(value: Any, verb: Verb = Verb.MOVE, level: Level = Level.LEASE) -> Body:
    """Return the body of a command; bytes are taken as they are."""
    return read(value if isinstance(value, bytes) else json.dumps(value).encode(), verb, RULES[level])


def flaws(value: Any, verb: Verb = Verb.MOVE, level: Level = Level.LEASE) -> list[Reason]:
    """Return what is wrong with it, in order."""
    return list(body(value, verb, level).flaws)


def schema_flaw(value: Any, verb: Verb = Verb.MOVE, level: Level = Level.LEASE) -> str:
    """Return the words of a body whose only flaw is its schema."""
    found = body(value, verb, level)
    assert list(found.flaws) == [Reason.BAD_SCHEMA]
    assert not found.is_sound
    return found.flaws[Reason.BAD_SCHEMA]


@case
def test_a_body_with_its_keys_is_sound(level: Level, verb: Verb, must: dict[str, Any], may: dict[str, Any]) -> None:
    """With and without what it may have besides; its values are what was sent."""
    for extra in ({}, may, EVERYWHERE, may | EVERYWHERE, *({key: value} for key, value in may.items())):
        found = body(must | extra, verb, level)

        assert found.flaws == {}
        assert found.is_sound
        assert found.id == "a"
        assert found.values == must | extra


@case
def test_each_key_that_must_be_there_is_missed(
    level: Level, verb: Verb, must: dict[str, Any], may: dict[str, Any]
) -> None:
    """By its name; without any, by the first one."""
    for key in must:
        assert schema_flaw(without(must | may, key), verb, level) == f"{key} is missing"

    assert schema_flaw({}, verb, level) == f"{min(must)} is missing"


@case
def test_every_other_key_is_refused(level: Level, verb: Verb, must: dict[str, Any], may: dict[str, Any]) -> None:
    """Those of other verbs and levels too."""
    for key in [key for key in EVERY_KEY if key not in must | may | EVERYWHERE] + ["", "Id", "linear ", "x" * 50]:
        words = schema_flaw(must | {key: 1}, verb, level)

        assert words == f"{key[:40]!r} is no key of {verb} here"


def test_a_strange_key_is_shown_in_harmless_letters() -> None:
    """An ack goes to terminals and journals."""
    words = schema_flaw(MOVES[Level.LEASE] | {"\x1b[2J\ud800é\n": 1})

    assert words == r"'\x1b[2J\ud800\xe9\n' is no key of move here"


TEXTS = {"id": TEXT_MAX, "epoch": TEXT_MAX, "stop_id": TEXT_MAX, "nonce": TEXT_MAX, "client": CLIENT_MAX}
HOMES: dict[str, tuple[Verb, Level]] = {
    "id": (Verb.MOVE, Level.LEASE),
    "epoch": (Verb.MOVE, Level.LEASE),
    "client": (Verb.LEASE, Level.LEASE),
    "action": (Verb.LEASE, Level.LEASE),
    "stop_id": (Verb.RESET, Level.LEASE),
    "nonce": (Verb.RESET, Level.LEASE),
    "robot_id": (Verb.RESET, Level.LEASE),
    "stamp_ms": (Verb.MOVE, Level.STAMPED),
}


def whole(key: str, value: Any) -> tuple[dict[str, Any], Verb, Level]:
    """Return a body in which a key has a value, and where such a body belongs."""
    verb, level = HOMES.get(key, (Verb.MOVE, Level.LEASE))
    return (MOVES[level] if verb is Verb.MOVE else OTHERS[verb]) | {key: value}, verb, level


@pytest.mark.parametrize(("key", "longest"), TEXTS.items())
def test_a_text_has_one_to_so_many_printable_characters(key: str, longest: int) -> None:
    """Both ends are inside; letters of any script are letters."""
    for good in ("a", "x" * longest, "é 漢", "a b", '"', "\\"):
        assert not flaws(*whole(key, good)), good
    bad_ones: list[Any] = [
        "",
        "x" * (longest + 1),
        "a\n",
        "\x00",
        "\x1b[2J",
        "\ud800",
        "\u202e",
        5,
        0.5,
        True,
        None,
        {},
    ]
    for bad in bad_ones:
        value, verb, level = whole(key, bad)

        assert schema_flaw(value, verb, level).startswith(f"{key} is not "), bad


@pytest.mark.parametrize("key", ["linear", "angular"])
def test_a_speed_is_a_number(key: str) -> None:
    """Of any size: how fast is for the gate to judge."""
    for good in (0, 1, -1, 0.5, -0.0, 1e300, 2**70, 5e-324):
        assert not flaws(*whole(key, good)), good
    for bad in (True, False, None, "0.5", "nan", "1e3", "", [0.5], {"value": 0.5}):
        value, verb, level = whole(key, bad)

        assert schema_flaw(value, verb, level) == f"{key} is not a number, {'m' if key == 'linear' else 'rad'}/s", bad


def test_a_sequence_number_is_a_whole_one_of_64_bits() -> None:
    """From 0; a fraction of zero is still a fraction."""
    for good in (0, 1, 2**53 + 1, SEQ_MAX):
        assert not flaws(*whole("seq", good)), good
    for bad in (-1, SEQ_MAX + 1, 10**30, 1.0, 0.5, True, "1", None):
        value, verb, level = whole("seq", bad)

        assert schema_flaw(value, verb, level) == "seq is not a whole number from 0 to 2^64-1", bad
    assert SEQ_MAX == 18_446_744_073_709_551_615


@pytest.mark.parametrize(
    ("key", "good", "bad", "words"),
    [
        ("t_ms", [0, -1, 5.5, 2**53, -(2**53)], [2**53 + 2, -(2**53) - 2, 1e300], "a number, milliseconds"),
        (
            "stamp_ms",
            [0, -1, 5.5, 2**53, -(2**53)],
            [2**53 + 2, -(2**53) - 2, 1e300],
            "a number, milliseconds since 1970 UTC",
        ),
        ("ttl_ms", [1, 0.001, 2**53], [0, -0.0, -1, 2**53 + 2], "a number above 0, milliseconds"),
        ("duration_ms", [1, 0.001, 2**53], [0, -0.0, -1, 2**53 + 2], "a number above 0, milliseconds"),
        ("eps_ms", [0, -0.0, 0.001, 2**53], [-0.001, 2**53 + 2], "a number of at least 0, milliseconds"),
    ],
)
def test_milliseconds_are_numbers_within_bounds(key: str, good: list[float], bad: list[float], words: str) -> None:
    """Both ends are inside; a bool and a text are no number."""
    for value in good:
        assert not flaws(*whole(key, value)), value
    for other in [*bad, True, "5", None, [5]]:
        sent, verb, level = whole(key, other)

        assert schema_flaw(sent, verb, level) == f"{key} is not {words}", other


def test_an_action_is_one_of_four() -> None:
    """Spelt exactly."""
    for action in ("acquire", "renew", "release", "take"):
        assert not flaws(*whole("action", action))
    for bad in ("", "Acquire", "acquire ", "steal", 1, None, ["acquire"], {"acquire": 1}, True):
        value, verb, level = whole("action", bad)

        assert schema_flaw(value, verb, level) == "action is not one of acquire, renew, release, take"
    assert list(Action) == ["acquire", "renew", "release", "take"]


@case
def test_a_body_of_another_version_is_judged_no_further(
    level: Level, verb: Verb, must: dict[str, Any], may: dict[str, Any]
) -> None:
    """Its keys may mean something else; the id is needed for the ack."""
    versions: list[Any] = [0, 2, -1, 1.0, "1", True, None, [1], {}, 10**30]
    for version in versions:
        found = body(must | may | {"v": version, "x": 1}, verb, level)

        assert found.flaws == {Reason.BAD_VERSION: "its version is not 1"}
        assert found.id == "a"
        assert not found.is_sound


def test_a_body_for_another_robot_says_so() -> None:
    """Of whatever type the name is; ours must be spelt exactly."""
    for other in ("r2", "R1", "r1 ", "r"):
        assert body(MOVES[Level.LEASE] | {"robot_id": other}).flaws == {Reason.WRONG_ROBOT: "it names another robot"}
    for no_name in (1, None, True, "", ["r1"]):
        assert flaws(MOVES[Level.LEASE] | {"robot_id": no_name}) == [Reason.BAD_SCHEMA, Reason.WRONG_ROBOT]


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[" * 9 + b"]" * 9, b"[" * 4000, b'{"id":"a","id":"a"}'])
def test_what_is_not_strict_json_has_that_flaw_alone(payload: bytes) -> None:
    """And no id."""
    found = body(payload)

    assert list(found.flaws) == [Reason.BAD_JSON]
    assert found.flaws[Reason.BAD_JSON].startswith("it ")
    assert (found.id, found.values, found.is_sound) == ("", {}, False)


@pytest.mark.parametrize("payload", [b"5", b"[]", b'"a"', b"null", b"true", b"NaN", b'[{"id":"a"}]'])
def test_json_that_is_no_object_has_no_schema(payload: bytes) -> None:
    """And no id."""
    found = body(payload)

    assert found.flaws == {Reason.BAD_SCHEMA: "it is not a JSON object"}
    assert (found.id, found.values) == ("", {})


NOT_FINITE = ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 400]


@pytest.mark.parametrize("literal", NOT_FINITE)
@case
def test_a_number_that_is_not_finite_is_that_flaw_and_no_other(
    level: Level, verb: Verb, must: dict[str, Any], may: dict[str, Any], literal: str
) -> None:
    """Wherever a number, or anything else, belongs."""
    for key in must | may | {"robot_id": ""}:
        text = json.dumps(must | may | {key: "HERE"}).replace('"HERE"', literal)
        expected = {Reason.NOT_FINITE: "it has a number that is not finite"}
        if key == "robot_id":
            expected[Reason.WRONG_ROBOT] = "it names another robot"

        assert body(text.encode(), verb, level).flaws == expected, key


@pytest.mark.parametrize("literal", NOT_FINITE)
def test_a_number_that_is_not_finite_is_found_anywhere(literal: str) -> None:
    """Also under a key that does not belong here: both are told."""
    text = json.dumps(MOVES[Level.LEASE] | {"x": {"y": ["HERE"]}}).replace('"HERE"', literal)

    assert flaws(text.encode()) == [Reason.BAD_SCHEMA, Reason.NOT_FINITE]


def test_all_flaws_of_a_body_are_told_worst_first() -> None:
    """Schema, number, robot."""
    text = '{"id":"a","linear":"1","angular":NaN,"robot_id":"r2"}'

    assert flaws(text.encode(), level=Level.OPEN) == [Reason.BAD_SCHEMA, Reason.NOT_FINITE, Reason.WRONG_ROBOT]


def test_a_payload_that_is_too_large_is_not_read() -> None:
    """Row 2 refuses it; the limit itself is read."""
    rules = AdmissionRules(Level.OPEN, "r1", ROOT, payload_max_bytes=100)
    good = json.dumps(MOVES[Level.OPEN]).encode()

    assert read(good.ljust(100), Verb.MOVE, rules).is_sound
    assert read(good.ljust(101), Verb.MOVE, rules) == Body("", {}, {})
    assert not read(good.ljust(101), Verb.MOVE, rules).is_sound


def test_depth_is_that_of_the_rules() -> None:
    """Eight levels by default."""
    assert flaws(b'{"x":' + b"[" * 7 + b"]" * 7 + b"}") == [Reason.BAD_SCHEMA]
    assert flaws(b'{"x":' + b"[" * 8 + b"]" * 8 + b"}") == [Reason.BAD_JSON]


@pytest.mark.parametrize("bad", ["", "x" * 129, 5, None, "a\n", "\ud800", ["a"], True])
def test_an_id_that_cannot_be_said_again_is_no_id(bad: Any) -> None:
    """Not in the ack of a refusal either, whatever else is wrong."""
    assert body({"id": bad}).id == ""
    assert body({"id": bad, "v": 2}).id == ""
    assert body({}).id == ""
    assert parse_id(json.dumps({"id": bad}).encode(), RULES[Level.LEASE]) == ""
    assert client_of(json.dumps({"client": bad}).encode(), RULES[Level.LEASE]) == ""


def test_the_id_and_client_of_a_stop_are_read_where_they_can_be() -> None:
    """Whatever else stands there: a stop has no schema."""
    rules = RULES[Level.LEASE]

    assert parse_id(b'{"id":"s1","why":[1,2],"v":7,"x":NaN}', rules) == "s1"
    assert parse_id(b'{"id":"' + b"x" * 128 + b'"}', rules) == "x" * 128
    assert client_of(b'{"client":"bob","id":5}', rules) == "bob"
    assert client_of(b'{"client":"' + b"x" * 64 + b'"}', rules) == "x" * 64
    assert client_of(b'{"client":"' + b"x" * 65 + b'"}', rules) == ""
    for nothing in (b"", b"stop", b"[]", b'"id"', b"\xff", b"5", b'{"id":"a","id":"a"}', b"[" * 4000):
        assert parse_id(nothing, rules) == client_of(nothing, rules) == ""


def test_the_id_of_a_huge_stop_is_not_looked_for() -> None:
    """4096 bytes are; the stop itself has happened long before."""
    rules = RULES[Level.LEASE]

    assert parse_id(b'{"id":"s1"}'.ljust(4096), rules) == "s1"
    assert parse_id(b'{"id":"s1"}'.ljust(4097), rules) == ""
    assert parse_id(b'{"id":"s1","x":' + b"[" * 8 + b"]" * 8 + b"}", rules) == ""


@given(
    st.binary(max_size=300), st.sampled_from([verb for verb in Verb if verb is not Verb.STOP]), st.sampled_from(Level)
)
def test_any_payload_has_a_body_or_flaws(payload: bytes, verb: Verb, level: Level) -> None:
    """Never both, never neither, never an exception; what is said of it can be printed."""
    found = read(payload, verb, RULES[level])

    assert found.is_sound is not bool(found.flaws)
    assert all(words.isprintable() and words for words in found.flaws.values())


@given(
    st.dictionaries(
        st.sampled_from([*EVERY_KEY, "x"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.just("r1")
        | st.just("renew"),
    ),
    st.sampled_from([verb for verb in Verb if verb is not Verb.STOP]),
    st.sampled_from(Level),
)
def test_any_object_of_our_keys_has_a_body_or_flaws(value: dict[str, Any], verb: Verb, level: Level) -> None:
    """The same for what is almost right."""
    found = body(value, verb, level)

    assert found.is_sound is not bool(found.flaws)
    assert list(found.flaws) == sorted(found.flaws, key=list(Reason).index)
