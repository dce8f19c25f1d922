"""Command room: the body of one command (rows 5 to 8). Closed: a key that is not listed here is refused.

In: payload, verb, level     Out: Body: the values, or what is wrong with them.
Pure and total. A true is no number, nor is a number in quotes; -0.0 becomes 0.0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from edgetwin.command.rules import AdmissionRules, Level
from edgetwin.command.strict_json import is_finite, loads
from edgetwin.motion import Reason, Verb
from edgetwin.wire import VERSION

SEQ_MAX = 2**64 - 1
TEXT_MAX = 128
CLIENT_MAX = 64
_MS_MAX = 2**53  # beyond it, a float skips whole numbers
_KEY_SHOWN_MAX = 40


class Action(StrEnum):
    """What may be asked of the lease."""

    ACQUIRE = "acquire"
    RENEW = "renew"
    RELEASE = "release"
    TAKE = "take"


@dataclass(frozen=True, slots=True)
class Body:
    """What a payload says.

    Attributes:
        id: The sender's; empty where none can be read.
        values: By key; complete and well-typed where `flaws` is empty, else for nobody.
        flaws: What is wrong with it, worst first, each in words.
    """

    id: str
    values: Mapping[str, Any]
    flaws: Mapping[Reason, str]

    @property
    def is_sound(self) -> bool:
        """Whether there are values, and nothing is wrong with them."""
        return bool(self.values) and not self.flaws


def _is_text(value: Any, *, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def _is_number(value: Any) -> bool:
    return type(value) in {int, float}  # a bool is an int to isinstance


def _is_ms(value: Any, *, lowest: float) -> bool:
    return _is_number(value) and lowest <= value <= _MS_MAX


def _is_some_ms(value: Any) -> bool:
    return _is_number(value) and 0 < value <= _MS_MAX


def _is_seq(value: Any) -> bool:
    return type(value) is int and 0 <= value <= SEQ_MAX


def _is_action(value: Any) -> bool:
    return isinstance(value, str) and value in set(Action)


def _is_anything(value: Any) -> bool:  # noqa: ARG001  # v: judged as BAD_VERSION
    return True


_is_word = partial(_is_text, longest=TEXT_MAX)
_is_stamp = partial(_is_ms, lowest=-_MS_MAX)
_KINDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "v": (_is_anything, ""),
    "robot_id": (_is_word, "a text"),
    "id": (_is_word, f"a printable text of 1 to {TEXT_MAX} characters"),
    "client": (partial(_is_text, longest=CLIENT_MAX), f"a printable text of 1 to {CLIENT_MAX} characters"),
    "epoch": (_is_word, "the text that the lease's ack carried"),
    "stop_id": (_is_word, "the text that the stop's ack carried"),
    "nonce": (_is_word, "the text that the challenge carried"),
    "action": (_is_action, "one of " + ", ".join(Action)),
    "seq": (_is_seq, "a whole number from 0 to 2^64-1"),
    "linear": (_is_number, "a number, m/s"),
    "angular": (_is_number, "a number, rad/s"),
    "t_ms": (_is_stamp, "a number, milliseconds"),
    "stamp_ms": (_is_stamp, "a number, milliseconds since 1970 UTC"),
    "ttl_ms": (_is_some_ms, "a number above 0, milliseconds"),
    "duration_ms": (_is_some_ms, "a number above 0, milliseconds"),
    "eps_ms": (partial(_is_ms, lowest=0), "a number of at least 0, milliseconds"),
}
_EVERYWHERE = {"v", "robot_id"}
_MOVE = {"id", "linear", "angular"}
_MOVE_MUST: Mapping[Level, set[str]] = {
    Level.LEASE: _MOVE | {"epoch", "seq", "t_ms"},
    Level.STAMPED: _MOVE | {"client", "seq", "stamp_ms"},
    Level.OPEN: _MOVE,
}
_MOVE_MAY: Mapping[Level, set[str]] = {
    Level.LEASE: {"ttl_ms", "eps_ms", "duration_ms"},
    Level.STAMPED: {"ttl_ms", "duration_ms"},
    Level.OPEN: {"duration_ms"},
}
_OTHER_MUST: Mapping[Verb, set[str]] = {
    Verb.LEASE: {"id", "client", "action"},
    Verb.RESET: {"id", "stop_id"},
    Verb.PING: {"id", "t_ms"},
}
_OTHER_MAY: Mapping[Verb, set[str]] = {
    Verb.LEASE: {"epoch"},
    Verb.RESET: {"nonce", "client"},
    Verb.PING: {"client"},
}


def read(payload: bytes, verb: Verb, rules: AdmissionRules) -> Body:
    """Return the body of a command of this verb, which is not STOP; nothing of a payload that is too large."""
    if len(payload) > rules.payload_max_bytes:
        return Body("", {}, {})  # row 2 refuses it
    try:
        value = loads(payload, rules.depth_max)
    except ValueError as error:
        return Body("", {}, {Reason.BAD_JSON: str(error)})
    if not isinstance(value, dict):
        return Body("", {}, {Reason.BAD_SCHEMA: "it is not a JSON object"})
    version = value.get("v", VERSION)
    if type(version) is not int or version != VERSION:
        return Body(_id_of(value), {}, {Reason.BAD_VERSION: f"its version is not {VERSION}"})
    return Body(_id_of(value), value, _flaws(value, verb, rules))


def parse_id(payload: bytes, rules: AdmissionRules) -> str:
    """Return the id in a payload of any verb, unproven; empty where none can be read.

    For the ack of a stop, which is acted on before its payload is looked at.
    """
    return _text_at("id", payload, rules)


def client_of(payload: bytes, rules: AdmissionRules) -> str:
    """Return the client that a payload names, unproven; empty where none can be read."""
    return _text_at("client", payload, rules)


def _text_at(key: str, payload: bytes, rules: AdmissionRules) -> str:
    if len(payload) > rules.payload_max_bytes:
        return ""
    try:
        value = loads(payload, rules.depth_max)
    except ValueError:
        return ""
    fits, _ = _KINDS[key]
    return value[key] if isinstance(value, dict) and fits(value.get(key)) else ""


def _id_of(value: dict[str, Any]) -> str:
    fits, _ = _KINDS["id"]
    return value["id"] if fits(value.get("id")) else ""


def _flaws(value: dict[str, Any], verb: Verb, rules: AdmissionRules) -> dict[Reason, str]:
    robot_id = value.get("robot_id", rules.robot_id)
    rows = (
        (Reason.BAD_SCHEMA, _misfit(value, verb, rules.level)),
        (Reason.NOT_FINITE, "" if is_finite(value) else "it has a number that is not finite"),
        (Reason.WRONG_ROBOT, "" if robot_id == rules.robot_id else "it names another robot"),
    )
    return {reason: words for reason, words in rows if words}


def _misfit(value: dict[str, Any], verb: Verb, level: Level) -> str:
    """Return in words why the keys and types are not those of the verb; empty where they are."""
    must, may = (_MOVE_MUST[level], _MOVE_MAY[level]) if verb is Verb.MOVE else (_OTHER_MUST[verb], _OTHER_MAY[verb])
    known = must | may | _EVERYWHERE
    for key, one in value.items():
        if key not in known:
            return f"{key[:_KEY_SHOWN_MAX]!a} is no key of {verb} here"
        fits, kind = _KINDS[key]
        if not fits(one) and is_finite(one):  # else row 7 says it, and better
            return f"{key} is not {kind}"
    missing = sorted(must - value.keys())
    return f"{missing[0]} is missing" if missing else ""
