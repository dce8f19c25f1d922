"""Command room: what became of one message. Exactly one of these comes out of `Admission.judge`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgetwin.motion import Answer, Move, Reason, Verb


@dataclass(frozen=True, slots=True)
class Refused:
    """It has no effect, and must not extend anything.

    Attributes:
        id: The sender's; empty where none can be read.
        verb: Of its topic; None for a topic that is not ours.
        client: Who asked, as far as that is known; else empty.
        reasons: All that could be judged, worst first; never empty.
        detail: The worst one, for a person.
    """

    id: str
    verb: Verb | None
    client: str
    reasons: tuple[Reason, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """The same bytes under the same id again: no effect, `ack` is the first answer, re-worded as DUPLICATE."""

    id: str
    verb: Verb
    client: str
    ack: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """Done here, the gate is not asked: leases and pings.

    Attributes:
        answer: The ack.
        extra: Keys that the ack has besides: epoch, robot_ms, expires_ms; t_ms, robot_us. After a take-over also
            lost_client and lost_epoch, for the loser to read.
    """

    id: str
    verb: Verb
    client: str
    answer: Answer
    extra: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Admitted:
    """A move that the gate may look at."""

    move: Move


@dataclass(frozen=True, slots=True)
class ResetAsked:
    """A step of a reset: the first without nonce, the second with it. `may_reset`: the role allows it."""

    id: str
    client: str
    stop_id: str
    nonce: str | None
    may_reset: bool


Outcome = Refused | Repeated | Answered | Admitted | ResetAsked
