"""Drive wing: commands as bytes, for each level of admission.

In: what is wanted, both clocks     Out: Request: topic, payload, quality of service, expiry, user properties
Pure but for its counters: ids and sequence numbers rise, and nothing is sent twice under one number.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum

from edgetwin import wire
from edgetwin.clock import Clock
from edgetwin.drive.robot_clock import RobotClock
from edgetwin.drive.signing import Signer
from edgetwin.motion import Twist, Verb

TTL_MS = 500
EXPIRY_S = 1
_MS = 1_000_000  # ns


class Admission(StrEnum):
    """What the robot asks of a move; as its setting `[gate] admission`."""

    LEASE = "lease"
    STAMPED = "stamped"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Request:
    """One command, ready to leave. `expiry_s` None: it never grows too old (a stop)."""

    id: str
    topic: str
    payload: bytes
    qos: int
    expiry_s: int | None = EXPIRY_S
    properties: tuple[tuple[str, str], ...] = ()


class Requests:
    """Makes the commands of one client for one robot.

    Attributes:
        epoch: Of the lease that is held; empty without one.
    """

    def __init__(
        self, topics: wire.Topics, client: str, admission: Admission, clock: Clock, signer: Signer | None = None
    ) -> None:
        """Begin with nothing sent.

        Args:
            topics: Of the robot.
            client: Our name; the operator's where commands are signed.
            admission: Of the robot.
            clock: Ours.
            signer: Signs everything but pings and stops, which need no proof.
        """
        self.admission = admission
        self.epoch = ""
        self._topics = topics
        self._client = client
        self._clock = clock
        self._signer = signer
        self._session = secrets.token_hex(4)
        self._count = 0
        self._seq = clock.stamp_ns() // _MS  # under `stamped` it must rise over restarts too

    def move(self, twist: Twist, robot_clock: RobotClock) -> Request | None:
        """Return a move; None under `lease` as long as there is no lease, or the robot's time is not known."""
        body: dict[str, object] = {"linear": twist.linear_mps, "angular": twist.angular_radps}
        if self.admission is Admission.LEASE:
            robot_time = robot_clock.at(self._clock.now_ns())
            if not self.epoch or robot_time is None:
                return None
            t_ms, error_ms = robot_time
            body |= {"epoch": self.epoch, "seq": self._next_seq(), "t_ms": t_ms, "ttl_ms": TTL_MS, "eps_ms": error_ms}
        elif self.admission is Admission.STAMPED:
            stamp_ms = self._clock.stamp_ns() / _MS
            body |= {"client": self._client, "seq": self._next_seq(), "stamp_ms": stamp_ms, "ttl_ms": TTL_MS}
        return self._request(Verb.MOVE, body, qos=0)

    def lease(self, action: str) -> Request:
        """Return an acquire, renew, release or take."""
        return self._request(Verb.LEASE, {"client": self._client, "action": action}, qos=1)

    def reset(self, stop_id: str, nonce: str = "") -> Request:
        """Return the first step of a reset, or with a nonce the second."""
        body: dict[str, object] = {"client": self._client, "stop_id": stop_id}
        return self._request(Verb.RESET, body | ({"nonce": nonce} if nonce else {}), qos=1)

    def ping(self) -> Request:
        """Return a ping."""
        return self._request(Verb.PING, {"t_ms": self._clock.now_ns() / _MS}, qos=0, signed=False)

    def stop(self) -> Request:
        """Return a stop: never too old, and needing no proof."""
        return self._request(Verb.STOP, {"client": self._client}, qos=1, signed=False, expiry_s=None)

    def _request(
        self, verb: Verb, body: dict[str, object], *, qos: int, signed: bool = True, expiry_s: int | None = EXPIRY_S
    ) -> Request:
        self._count += 1
        id_ = f"{self._session}-{self._count}"
        topic, payload = self._topics.command(verb), wire.encode({"id": id_} | body)
        sign = self._signer is not None and signed
        properties = tuple(self._signer.properties(topic, payload)) if sign and self._signer else ()
        return Request(id_, topic, payload, qos, expiry_s, properties)

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq
