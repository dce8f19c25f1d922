"""The command side of the wire format: topics, acks, repeated acks; exactly the keys of the contract."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin import wire
from edgetwin.motion import ZERO, Answer, Reason, State, Twist, Verb, Verdict

KEYS = {
    "v", "robot_id", "id", "command", "verdict", "code", "detail", "linear", "angular", "state", "stop_id", "stamp_us",
    "reasons",
}  # fmt: skip
ACCEPTED = Answer(Verdict.ACCEPTED, Reason.ACCEPTED, applied=Twist(0.25, -0.5))


def said(answer: Answer, command: Verb | None = Verb.MOVE, **extra: Any) -> dict[str, Any]:
    """Return what an ack says."""
    keys: dict[str, Any] = json.loads(wire.ack("r1", "c1", command, answer, State.ACTIVE, 7, extra))
    return keys


def test_command_topics_are_those_of_the_contract() -> None:
    """Below the robot's root, whatever the prefix; and nothing else has a name."""
    topics = wire.Topics("r1", "fleet")

    assert [topics.command(verb) for verb in Verb] == [
        f"fleet/r1/commands/{verb}" for verb in ("stop", "move", "lease", "reset", "ping")
    ]
    assert topics.acks == "fleet/r1/acks"
    assert topics.responses_root == "fleet/r1/responses"
    assert wire.command_topic(topics.root, Verb.STOP) == topics.command(Verb.STOP)


@pytest.mark.parametrize("below", ["a", "a/b", "é", "a b", "x" * 492])
def test_answers_go_below_the_robots_own_responses(below: str) -> None:
    """Up to 512 characters."""
    assert wire.Topics("r1").may_respond_to(f"robot/r1/responses/{below}")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "a",
        "/",
        "robot/r1/responses",
        "robot/r1/responses/",
        "robot/r1/response/a",
        "robot/r1/responsesa",
        "/robot/r1/responses/a",
        "robot/r1x/responses/a",
        "robot/r1/acks",
        "robot/r1/responses/+",
        "robot/r1/responses/a+",
        "robot/r1/responses/#",
        "robot/r1/responses/\x00",
        "robot/r1/responses/a\n",
        "robot/r1/responses/\ud800",
        "robot/r1/responses/" + "x" * 494,
    ],
)
def test_answers_go_nowhere_else(topic: str) -> None:
    """Neither to another robot, nor to a status, nor to what is no topic to publish on."""
    assert not wire.Topics("r1").may_respond_to(topic)


@given(st.text(max_size=60))
def test_no_text_is_answered_that_is_not_below(topic: str) -> None:
    """Whatever a sender writes."""
    if wire.Topics("r1").may_respond_to(topic):
        assert topic.startswith("robot/r1/responses/")


def test_an_ack_has_the_keys_of_the_contract() -> None:
    """And all reasons; of an accepted move, what is published for it."""
    assert said(ACCEPTED) == {
        "v": 1,
        "robot_id": "r1",
        "id": "c1",
        "command": "move",
        "verdict": "ACCEPTED",
        "code": "ACCEPTED",
        "detail": "",
        "linear": 0.25,
        "angular": -0.5,
        "state": "ACTIVE",
        "stop_id": "",
        "stamp_us": 7,
        "reasons": [],
    }


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_can_be_said(verdict: Verdict) -> None:
    """With its code in words, its detail and its reasons in order."""
    answer = Answer(verdict, Reason.EXPIRED, "too old", (Reason.EXPIRED, Reason.NO_LEASE), None, "s1")
    keys = said(answer)

    assert set(keys) == KEYS
    assert (keys["verdict"], keys["code"], keys["detail"]) == (str(verdict), "EXPIRED", "too old")
    assert keys["reasons"] == ["EXPIRED", "NO_LEASE"]
    assert keys["stop_id"] == "s1"


def test_nothing_applied_is_null_and_zero_is_zero() -> None:
    """A stop publishes zero; a refusal publishes nothing."""
    nothing = said(Answer(Verdict.REJECTED, Reason.HELD))
    zero = said(Answer(Verdict.STOPPED, Reason.STOPPED, applied=ZERO))

    assert (nothing["linear"], nothing["angular"]) == (None, None)
    assert (zero["linear"], zero["angular"]) == (0.0, 0.0)


def test_a_nonce_is_there_when_there_is_one() -> None:
    """In a challenge alone."""
    assert said(Answer(Verdict.CHALLENGE, Reason.CHALLENGE, nonce="n1"))["nonce"] == "n1"
    assert "nonce" not in said(ACCEPTED)


def test_an_ack_of_no_command_of_ours_has_an_empty_one() -> None:
    """So that the key is always a text."""
    assert said(Answer(Verdict.REJECTED, Reason.UNKNOWN_TOPIC), None)["command"] == ""


def test_extra_keys_stand_beside_and_replace_nothing() -> None:
    """An epoch, a time; never a verdict."""
    keys = said(ACCEPTED, epoch="1-x", robot_ms=5, verdict="OK", id="forged", linear=9.0)

    assert (keys["epoch"], keys["robot_ms"]) == ("1-x", 5)
    assert {key: keys[key] for key in KEYS} == said(ACCEPTED)
    assert json.loads(wire.ack("r1", "c1", Verb.MOVE, ACCEPTED, State.ACTIVE, 7)) == said(ACCEPTED)


def test_an_ack_is_utf_8_whatever_the_sender_called_it() -> None:
    """Any printable id and detail."""
    ack = wire.ack("r1", 'é 漢 \\ "', None, Answer(Verdict.OK, Reason.PONG, "ü"), State.DOWN, 0)

    assert json.loads(ack)["id"] == 'é 漢 \\ "'


def test_a_repeated_ack_says_the_same_in_the_words_of_a_duplicate() -> None:
    """And beside them, what the first one said."""
    first = wire.ack("r1", "c1", Verb.MOVE, ACCEPTED, State.ACTIVE, 7, {"epoch": "1-x"})

    assert json.loads(wire.repeated_ack(first)) == json.loads(first) | {
        "verdict": "DUPLICATE",
        "code": "DUPLICATE",
        "first_verdict": "ACCEPTED",
        "first_code": "ACCEPTED",
    }


@pytest.mark.parametrize("ack", [b"", b"x", b"[]", b"5", b"{}", b'{"verdict":"OK"}', b'{"code":"OK"}'])
def test_what_is_no_ack_is_not_repeated(ack: bytes) -> None:
    """A ValueError of the caller."""
    with pytest.raises(ValueError):  # noqa: PT011  # orjson's words, or ours
        wire.repeated_ack(ack)


def test_what_is_an_object_but_no_ack_says_so() -> None:
    """In our words."""
    with pytest.raises(ValueError, match=r"^not an ack$"):
        wire.repeated_ack(b'{"verdict":"OK"}')
