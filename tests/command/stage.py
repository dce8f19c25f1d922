"""A robot's admission on a stage: messages as an operator would send them, both clocks in the hand of the test."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edgetwin.command.admission import Admission
from edgetwin.command.incoming import Incoming, Moment
from edgetwin.command.outcome import Admitted, Answered, Outcome, Refused, Repeated, ResetAsked
from edgetwin.command.rules import AdmissionRules, Level, OperatorKey, Role
from edgetwin.motion import Answer, Reason, State, Verb, Verdict
from edgetwin.wire import ack

MS = 1_000_000  # ns
S = 1_000 * MS
ROOT = "robot/r1"
BOOT_NS = 100 * S  # monotonic time at which the process began
WALL_US = 1_790_000_000_000_000  # wall clock at that time
ERROR_NS = 20 * MS  # what the robot's wall clock may be wrong


def topic(verb: str) -> str:
    """Return the topic of a command to robot r1."""
    return f"{ROOT}/commands/{verb}"


def incoming(
    verb: str,
    body: Any,
    *,
    retain: bool = False,
    expiry_s: int | None = 2,
    properties: Sequence[tuple[str, str]] = (),
) -> Incoming:
    """Return a message; a body that is no bytes is sent as JSON."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Incoming(topic(verb), payload, retain, expiry_s, tuple(properties))


def without(body: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Return a body without some of its keys."""
    return {key: value for key, value in body.items() if key not in keys}


def reasons(outcome: Outcome) -> tuple[Reason, ...]:
    """Return why a message was refused; nothing for one that was not."""
    return outcome.reasons if isinstance(outcome, Refused) else ()


@dataclass(slots=True)
class Signer:
    """An operator with a key."""

    name: str
    role: Role = Role.OPERATOR
    private: Ed25519PrivateKey = field(default_factory=lambda: Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))

    @property
    def key(self) -> OperatorKey:
        """What the robot knows of them."""
        return OperatorKey(self.private.public_key().public_bytes_raw(), self.name, self.role)

    def sign(self, message: Incoming) -> Incoming:
        """Return the message with this operator's signature."""
        signature = self.private.sign(message.topic.encode() + b"\0" + message.payload)
        properties = (("key", self.name), ("sig", base64.b64encode(signature).decode()))
        return Incoming(message.topic, message.payload, message.retain, message.expiry_s, properties)


def signer(name: str, role: Role = Role.OPERATOR, seed: int = 1) -> Signer:
    """Return an operator whose key hangs on `seed` alone."""
    return Signer(name, role, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


class Stage:
    """One robot, and the time."""

    def __init__(self, level: Level, *, memory: dict[str, Any] | None = None, **rules: Any) -> None:
        """Begin at BOOT_NS, ten seconds ago; remote motion is on."""
        self.rules = AdmissionRules(level, "r1", ROOT, **({"remote_motion": True} | rules))
        self.now_ns = BOOT_NS
        self.wall_ahead_us = WALL_US - BOOT_NS // 1000  # of the monotonic clock
        self.error_ns: int | None = ERROR_NS
        self.admission = Admission(self.rules, "seed", self.moment, memory)
        self.now_ns += 10 * S
        self._counted = 0

    @property
    def moment(self) -> Moment:
        """Now, on both clocks."""
        return Moment(self.now_ns, self.now_ns // 1000 + self.wall_ahead_us, self.error_ns)

    @property
    def now_ms(self) -> int:
        """The robot's monotonic clock, as its acks say it."""
        return self.now_ns // MS

    @property
    def wall_ms(self) -> float:
        """Its wall clock."""
        return self.moment.stamp_us / 1000

    def later(self, milliseconds: float) -> None:
        """Let time pass."""
        self.now_ns += round(milliseconds * MS)

    def judge(self, message: Incoming) -> Outcome:
        """Have one message judged now, and acknowledge it as the lane does."""
        outcome = self.admission.judge(message, self.moment)
        self.settle(outcome)
        return outcome

    def settle(self, outcome: Outcome) -> None:
        """Acknowledge as the lane does; a repetition is told what it was told before, and nothing is kept of it."""
        if isinstance(outcome, Admitted):
            self.acknowledge(Verb.MOVE, outcome.move.id, Answer(Verdict.ACCEPTED, Reason.ACCEPTED))
        elif isinstance(outcome, Refused):
            self.acknowledge(outcome.verb, outcome.id, Answer(Verdict.REJECTED, outcome.reasons[0], outcome.detail))
        elif isinstance(outcome, Answered):
            self.acknowledge(outcome.verb, outcome.id, outcome.answer)
        elif isinstance(outcome, ResetAsked):
            self.acknowledge(Verb.RESET, outcome.id, Answer(Verdict.CHALLENGE, Reason.CHALLENGE))
        else:
            assert isinstance(outcome, Repeated)

    def acknowledge(self, verb: Verb | None, id_: str, answer: Answer) -> None:
        """Settle one command."""
        self.admission.settle(id_, ack("r1", id_, verb, answer, State.IDLE, self.moment.stamp_us))

    def fresh_id(self) -> str:
        """Return an id that no command had."""
        self._counted += 1
        return f"c{self._counted}"

    def move(self, **keys: Any) -> dict[str, Any]:
        """Return the body of a good move of this level, stamped now, with some keys laid over it."""
        body: dict[str, Any] = {"id": self.fresh_id(), "linear": 0.2, "angular": -0.1}
        if self.rules.level is Level.STAMPED:
            body |= {"client": "bob", "seq": self._counted, "stamp_ms": self.wall_ms, "ttl_ms": 500}
        if self.rules.level is Level.LEASE:
            epoch = self.admission._lease.epoch or "none"
            body |= {"epoch": epoch, "seq": self._counted, "t_ms": self.now_ms, "ttl_ms": 500}
        return body | keys

    def lease(self, action: str, client: str = "bob", **keys: Any) -> dict[str, Any]:
        """Return the body of a request for the lease."""
        return {"id": self.fresh_id(), "client": client, "action": action} | keys

    def acquire(self, client: str = "bob", by: Signer | None = None) -> str:
        """Acquire the lease; return its epoch."""
        message = incoming("lease", self.lease("acquire", client))
        outcome = self.judge(by.sign(message) if by else message)
        assert isinstance(outcome, Answered), outcome
        return str(outcome.extra["epoch"])


def stage(level: Level, **rules: Any) -> Stage:
    """Return a robot on which a good move of this level is admitted: under `lease`, bob holds it."""
    made = Stage(level, **rules)
    if level is Level.LEASE:
        made.acquire()
    return made


LEVELS = list(Level)
