"""Gate room: what can happen to the gate. `step` takes one of these, and nothing else ever changes the state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edgetwin.motion import Move, Reason


class Source(StrEnum):
    """Who asks for a stop, or for a reset in one step."""

    REMOTE = "remote"
    LOCAL = "local"  # a ROS service: somebody at the robot's own shell


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passes: the only event that publishes motion. Comes every `tick_ns`."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop, by topic alone; nothing about it is checked."""

    source: Source = Source.REMOTE


@dataclass(frozen=True, slots=True)
class Asked:
    """An admitted move."""

    move: Move


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """First step of a remote reset, by an operator. `fresh_nonce` is the challenge, if one is granted."""

    client: str
    stop_id: str
    fresh_nonce: str
    may_reset: bool = True


@dataclass(frozen=True, slots=True)
class ResetConfirm:
    """Second step: the answer to the challenge."""

    client: str
    stop_id: str
    nonce: str


@dataclass(frozen=True, slots=True)
class LocalReset:
    """Reset by the local operator, in one step: FAULT becomes HELD, HELD becomes IDLE under the same conditions."""


@dataclass(frozen=True, slots=True)
class Fail:
    """Something around the gate is broken (the guard tripped, the tick stalled, an exception)."""

    reason: Reason = Reason.FAULT


@dataclass(frozen=True, slots=True)
class Shutdown:
    """SIGTERM or SIGINT."""


Event = Tick | Stop | Asked | ResetRequest | ResetConfirm | LocalReset | Fail | Shutdown
