"""Millions of inputs through admission and gate, in one process: `python -m tests.lane.fuzz COUNT [SEED]`.

One driver is honest; everybody else is not, and is shown all that the driver sends. What must hold at every step:
- only what the driver sent is ever admitted, each of it once, where moves are signed; nothing where nobody drives;
- a twist is finite, within the limits, and leaves only within a deadman and a ramp of an admitted move;
- nothing raises.
"""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import dataclass, field
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edgetwin import wire
from edgetwin.command.admission import Admission
from edgetwin.command.incoming import Incoming, Moment
from edgetwin.command.outcome import Admitted, Answered, Refused, ResetAsked
from edgetwin.command.rules import AdmissionRules, Level, OperatorKey, Role
from edgetwin.drive.signing import Signer
from edgetwin.gate.events import Asked, ResetConfirm, ResetRequest, Tick
from edgetwin.gate.gate import begin, step
from edgetwin.gate.limits import GateLimits
from edgetwin.motion import ZERO, Answer, Reason, RobotState, State, Twist, Verb, Verdict
from tests.lane.hostile import Hostile, Source

MS = 1_000_000
_ROBOT = "robot_001"
_TOPICS = wire.Topics(_ROBOT)
_LIMITS = GateLimits(remote_motion=True)
_REST_NS = _LIMITS.deadman_ns + 1_000 * MS  # the ramp from the fastest speed, twice over
_PER_TICK = 20


@dataclass
class Found:
    """What a run did; the tests want each of these to have happened."""

    inputs: int = 0
    admitted: int = 0
    moving_ticks: int = 0
    reasons: set[Reason] = field(default_factory=set)


class World:
    """One robot, one honest driver, and all the others; time goes on by hand."""

    def __init__(self, level: Level, seed: int, *, driven: bool) -> None:
        self._random = Random(seed)
        self._source = Source(seed)
        self._now_ns = 5_000 * MS
        key = Ed25519PrivateKey.from_private_bytes(self._random.randbytes(32))
        raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        keys = {"anna": OperatorKey(raw, "anna", Role.OPERATOR)} if driven else {}
        self._signer = Signer("anna", key)
        self._driven = driven
        rules = AdmissionRules(level, _ROBOT, _TOPICS.root, keys=keys, remote_motion=True)
        self._level = level
        self._admission = Admission(rules, f"seed-{seed}", self._moment())
        self._memory = begin(boot_held=False, seed="f", now_ns=self._now_ns)
        self._epoch = ""
        self._seq = 0
        self._honest: set[bytes] = set()
        self._admitted_ns: int | None = None
        self.found = Found()

    def run(self, count: int) -> Found:
        """Take so many inputs."""
        while self.found.inputs < count:
            self._now_ns += _LIMITS.tick_ns
            if self._driven and self._random.random() < 0.7:
                self._drive()
            for _ in range(_PER_TICK):
                self._take(self._source.next())
            self._tick()
        return self.found

    def _moment(self) -> Moment:
        return Moment(self._now_ns, 1_790_000_000_000_000 + self._now_ns // 1000, 1 * MS)

    def _drive(self) -> None:
        """Renew or acquire the lease, then send a move: forwards only, so that every other twist is somebody else's."""
        self._seq += 1
        if self._level is Level.LEASE and self._seq % 20 == 1:
            action = "acquire" if self._admission.lease_trouble(self._now_ns) else "renew"
            self._send("lease", {"id": f"l{self._seq}", "client": "anna", "action": action})
        body: dict[str, object] = {"id": f"m{self._seq}", "linear": 0.25, "angular": 0.0, "ttl_ms": 500}
        if self._level is Level.LEASE:
            body |= {"epoch": self._epoch or "none", "seq": self._seq, "t_ms": self._now_ns // MS - 20}
        else:
            body |= {"client": "anna", "seq": self._seq, "stamp_ms": self._moment().stamp_us // 1000 - 20}
        self._send("move", body)

    def _send(self, verb: str, body: dict[str, object]) -> None:
        payload = json.dumps(body, separators=(",", ":")).encode()
        properties = tuple(self._signer.properties(_TOPICS.command(Verb(verb)), payload))
        message = Hostile(verb, payload, retain=False, expiry_s=1, properties=properties)
        self._honest.add(payload)
        self._source.show(message)
        self._take(message)

    def _take(self, message: Hostile) -> None:
        self.found.inputs += 1
        incoming = Incoming(
            f"{_TOPICS.root}/commands/{message.end}",
            message.payload,
            message.retain,
            message.expiry_s,
            message.properties,
        )
        outcome = self._admission.judge(incoming, self._moment())
        answer = Answer(Verdict.REJECTED, Reason.BAD_JSON)
        match outcome:
            case Admitted():
                assert self._driven or self._level is Level.OPEN, message
                if self._driven:
                    assert message.payload in self._honest, message
                    self._honest.discard(message.payload)
                self._admitted_ns = self._now_ns
                self.found.admitted += 1
                answer = self._step(Asked(outcome.move)) or answer
            case ResetAsked():
                event = (
                    ResetRequest(outcome.client, outcome.stop_id, "n", outcome.may_reset)
                    if outcome.nonce is None
                    else ResetConfirm(outcome.client, outcome.stop_id, outcome.nonce)
                )
                answer = self._step(event) or answer
            case Answered():
                assert message.end == "ping" or not self._driven or message.payload in self._honest, message
                answer = outcome.answer
                self._epoch = str(outcome.extra.get("epoch", self._epoch))
            case Refused():
                self.found.reasons.update(outcome.reasons)
            case _:
                return
        name = outcome.move.id if isinstance(outcome, Admitted) else outcome.id
        verb = next((verb for verb in Verb if verb.value == message.end), None)
        self._admission.settle(name, wire.ack(_ROBOT, name, verb, answer, self._memory.state, 0))

    def _tick(self) -> None:
        self._step(Tick())

    def _step(self, event: Asked | ResetRequest | ResetConfirm | Tick) -> Answer | None:
        robot = RobotState(subscribers=1, lease=self._admission.lease_trouble(self._now_ns))
        self._memory, decision = step(self._memory, event, robot, _LIMITS, now_ns=self._now_ns)
        twist = decision.publish
        if twist is not None and twist != ZERO:
            self._check(twist)
            self.found.moving_ticks += 1
        return decision.answer

    def _check(self, twist: Twist) -> None:
        assert math.isfinite(twist.linear_mps + twist.angular_radps), twist
        assert abs(twist.linear_mps) <= _LIMITS.linear_max_mps, twist
        assert abs(twist.angular_radps) <= _LIMITS.angular_max_radps, twist
        assert self._memory.state in {State.ACTIVE, State.BRAKE}, self._memory
        assert self._admitted_ns is not None, self._memory
        assert self._now_ns - self._admitted_ns <= _REST_NS, self._memory
        if self._driven:
            assert (twist.linear_mps > 0.0, twist.angular_radps) == (True, 0.0), twist


WORLDS = ((Level.LEASE, False), (Level.LEASE, True), (Level.STAMPED, True), (Level.OPEN, False))


def main(count: int, seed: int) -> None:
    """Share the inputs among the worlds."""
    for number, (level, driven) in enumerate(WORLDS):
        began_s = time.monotonic()
        found = World(level, seed + number, driven=driven).run(count // len(WORLDS))
        took_s = time.monotonic() - began_s
        print(
            f"{level:8} driven={driven!s:5}: {found.inputs:,} inputs in {took_s:.0f} s, {found.admitted:,} admitted, "
            f"{found.moving_ticks:,} ticks in motion, {len(found.reasons)} kinds of refusal",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns())
