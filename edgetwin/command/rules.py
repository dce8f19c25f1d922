"""Command room: everything that can be set about admission, as plain numbers.

The room does not read settings: `lane` makes these from `[gate]`, where each is explained and bounded. The
defaults here are those of the settings, so that a test reads like the robot. SI units; `_ns` are durations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from edgetwin.motion import Reason

MS = 1_000_000  # ns


class Level(StrEnum):
    """How much a move must prove."""

    LEASE = "lease"  # one sender at a time, stamps on the robot's own clock
    STAMPED = "stamped"  # many senders, wall clock stamps
    OPEN = "open"  # well-formed is enough: loopback brokers only


class Role(StrEnum):
    """What the owner of a key may do."""

    OPERATOR = "operator"  # everything
    DRIVER = "driver"  # all but take a lease from its holder, and reset


@dataclass(frozen=True, slots=True)
class OperatorKey:
    """One operator: the raw Ed25519 public key (32 bytes), the client name it speaks for, its role."""

    public_key: bytes
    client: str
    role: Role


_OPEN = frozenset(
    {
        Reason.UNKNOWN_TOPIC,
        Reason.TOO_LARGE,
        Reason.RETAINED,
        Reason.BAD_JSON,
        Reason.BAD_VERSION,
        Reason.BAD_SCHEMA,
        Reason.NOT_FINITE,
        Reason.WRONG_ROBOT,
        Reason.BAD_SIG,  # trips only where an operator's key is configured
        Reason.FORBIDDEN,
    }
)
MAY_BE_OFF = frozenset(
    {
        Reason.NO_EXPIRY,
        Reason.CLOCK_UNCERTAIN,
        Reason.EXPIRED,
        Reason.FROM_FUTURE,
        Reason.TTL_TOO_LONG,
        Reason.REPLAY,
        Reason.ID_REUSED,
        Reason.DUPLICATE,
        Reason.RATE_LIMIT,
    }
)
CHECKS: Mapping[Level, frozenset[Reason]] = MappingProxyType(
    {
        Level.OPEN: _OPEN,
        Level.STAMPED: _OPEN | MAY_BE_OFF,
        Level.LEASE: _OPEN | MAY_BE_OFF | {Reason.NO_LEASE, Reason.LEASE_STALE},
    }
)


@dataclass(frozen=True, slots=True)
class AdmissionRules:
    """Rules of one robot. Rows are those of the gate's table of checks (docs/gate.md).

    Attributes:
        level: How much a move must prove.
        robot_id: Ours; a body that names another one is refused (row 8).
        root: Topic of this robot, `<prefix>/<robot_id>`; the command topics lie below it (row 1).
        keys: By key id; with any, moves, leases and resets must be signed (row 9).
        checks_off: Switched off by the settings; only those of MAY_BE_OFF have an effect.
        trust_clock: Under `stamped`: the wall clock is taken as exact, synchronised or not.
        ring: Commands whose answer is remembered (row 14).
        clients_max: Clients remembered at the same time: high-waters, rates.
    """

    level: Level
    robot_id: str
    root: str
    payload_max_bytes: int = 4096  # row 2
    expiry_max_s: int = 2  # row 4
    depth_max: int = 8  # row 5
    clock_error_max_ns: int = 250 * MS  # row 10
    clock_error_default_ns: int = 50 * MS  # a client of `lease` that does not say its own
    ttl_default_ns: int = 500 * MS  # row 11
    ttl_max_ns: int = 2_000 * MS  # row 12
    ring: int = 1024
    clients_max: int = 256
    rate_hz: float = 20.0  # row 15
    rate_burst: int = 10
    rate_revoke_ns: int = 3_000 * MS
    lease_ns: int = 3_000 * MS  # row 20
    keys: Mapping[str, OperatorKey] = field(default_factory=dict)
    checks_off: frozenset[Reason] = frozenset()
    trust_clock: bool = False
    remote_motion: bool = False

    @property
    def checks(self) -> frozenset[Reason]:
        """The checks in force: those of the level, without the ones that may be and are switched off."""
        return CHECKS[self.level] - (self.checks_off & MAY_BE_OFF)
