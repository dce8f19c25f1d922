"""Command lane: all that a lane is made of, and how it reaches the main loop.

In: what the daemon knows     Out: Plan, Hooks
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetwin import wire
from edgetwin.command.rules import AdmissionRules
from edgetwin.gate.limits import GateLimits
from edgetwin.lane.link import LaneBroker
from edgetwin.ros.robot_inputs import Sources


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a lane is made of.

    Attributes:
        boot: Random id of this start.
        node_name: Of the daemon's node: the services are named below it, the lane's own node beside it.
        latch_path: The latch file.
        allowed: Nodes that may publish motion too.
        hold_on_exit: A process that is told to end leaves a latch.
        cancel_goals: Actions of the local stack whose goals a stop cancels too.
        remembered: Admission's newest snapshot that reached the disk, or None.
    """

    robot_id: str
    boot: str
    topics: wire.Topics
    broker: LaneBroker
    rules: AdmissionRules
    limits: GateLimits
    sources: Sources
    node_name: str
    cmd_vel_topic: str
    cmd_vel_type: str
    latch_path: Path
    allowed: frozenset[str] = frozenset()
    hold_on_exit: bool = False
    cancel_goals: tuple[str, ...] = ()
    remembered: Mapping[str, Any] | None = None


def _nothing() -> None:
    """Nobody asked."""


@dataclass(frozen=True, slots=True)
class LaneHooks:
    """How the lane reaches the main loop: each may be called from any thread, and does not wait.

    Attributes:
        news: There is something to `take_news`.
        failed: The lane is broken, with this; the process must end.
        ended: The thread is about to end, broken or in order.
        beat: The lane's tick came round.
    """

    news: Callable[[], None]
    failed: Callable[[BaseException], None]
    ended: Callable[[], None]
    beat: Callable[[], None] = _nothing
