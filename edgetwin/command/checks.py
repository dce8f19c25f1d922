"""Command room: the decision about one message, as tables of (Reason, tripped). Start a safety review here.

In: facts, already gathered     Out: the reasons against it, worst first; none: it is admitted.
Rows are those of docs/gate.md. Row 0, the stop, never gets here. Row 16 and the following belong to the gate.

| rows | table | judged for |
|---|---|---|
| 1 | the closed list of topics in `admission` | every message; nothing else of a foreign one is looked at |
| 2 to 4 | `of_envelope` | every message of ours |
| 5 to 8 | `of_body` | every message that is not too large |
| 9 | `of_sender` | what has a sound body |
| 10 to 13 | `of_age`, `of_sequence` | moves, from a proven sender |
| 14, 20 | `of_command` | every command of a proven sender |
| 15 | `rates`, in `admission` | what has passed everything else: what is refused costs its sender nothing |

A fact that is missing trips its row. Which rows are in force is the level's matter (`rules.CHECKS`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgetwin.command.body import Body
from edgetwin.command.incoming import Incoming
from edgetwin.command.rules import AdmissionRules
from edgetwin.motion import Reason, Verb

Table = tuple[tuple[Reason, bool], ...]

_ORDER = {reason: place for place, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class Age:
    """How old a move is.

    Attributes:
        age_ns: Now minus its stamp, on the clock of its stamp; negative: it comes from the future.
        error_ns: Bound of what that clock may be wrong; None: nobody knows.
        ttl_ns: How old it may be.
    """

    age_ns: int
    error_ns: int | None
    ttl_ns: int


def of_envelope(message: Incoming, verb: Verb, rules: AdmissionRules) -> Table:
    """Rows 2 to 4: what MQTT says about the message."""
    expiry_s = message.expiry_s
    return (
        (Reason.TOO_LARGE, len(message.payload) > rules.payload_max_bytes),
        (Reason.RETAINED, message.retain),
        (Reason.NO_EXPIRY, verb is Verb.MOVE and (expiry_s is None or expiry_s > rules.expiry_max_s)),
    )


def of_body(body: Body) -> Table:
    """Rows 5 to 8: what the payload says."""
    return (
        (Reason.BAD_JSON, Reason.BAD_JSON in body.flaws),
        (Reason.BAD_VERSION, Reason.BAD_VERSION in body.flaws),
        (Reason.BAD_SCHEMA, Reason.BAD_SCHEMA in body.flaws),
        (Reason.NOT_FINITE, Reason.NOT_FINITE in body.flaws),
        (Reason.WRONG_ROBOT, Reason.WRONG_ROBOT in body.flaws),
    )


def of_sender(*, proven: bool, permitted: bool) -> Table:
    """Row 9: who it is, and what they may ask."""
    return (
        (Reason.BAD_SIG, not proven),
        (Reason.FORBIDDEN, proven and not permitted),
    )


def of_age(age: Age, rules: AdmissionRules) -> Table:
    """Rows 10 to 12: the upper bound of its age counts, not the best estimate."""
    error_ns = age.error_ns or 0
    return (
        (Reason.CLOCK_UNCERTAIN, age.error_ns is None or error_ns > rules.clock_error_max_ns),
        (Reason.EXPIRED, age.age_ns + error_ns > age.ttl_ns),
        (Reason.FROM_FUTURE, age.age_ns < -error_ns),
        (Reason.TTL_TOO_LONG, age.ttl_ns > rules.ttl_max_ns),
    )


def of_sequence(*, seen: bool, before_start: bool) -> Table:
    """Row 13: whether its number was there before, or may have been before this process began."""
    return ((Reason.REPLAY, seen or before_start),)


def of_command(*, reused: bool, lease: Reason | None) -> Table:
    """Rows 14 and 20: its id, and the lease it needs."""
    return (
        (Reason.ID_REUSED, reused),
        (Reason.NO_LEASE, lease is Reason.NO_LEASE),
        (Reason.LEASE_STALE, lease is Reason.LEASE_STALE),
    )


def tripped(table: Iterable[tuple[Reason, bool]], rules: AdmissionRules) -> tuple[Reason, ...]:
    """Return the reasons that trip and are in force, worst first."""
    checks = rules.checks
    return tuple(sorted((reason for reason, trips in table if trips and reason in checks), key=_ORDER.__getitem__))
