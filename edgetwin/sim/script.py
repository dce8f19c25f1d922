"""Sim wing: what happens when in the demo. Pure.

In: the length     Out: when somebody drives, when the cable is pulled and back, when a motor wears out; and the lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edgetwin.sim.physics import WEAR_S

_DRIVE_SHARE = 0.04
_DRIVE_AT_MAX_S = 2.0
_DRIVE_S = 8.5  # as long as sim.operator takes, a robot that is just starting included
ALL_S = 28.0  # from here on there is time for everything
_PULL_SHARE = 0.35
_BACK_SHARE = 0.60
_OUTAGE_MIN_S = 3.0
_OUTAGE_MAX_SHARE = 0.4  # a very short demo must still show the link before and after
_AFTER_BACK_S = 1.0
_WEAR_SHOWN_S = 0.8 * WEAR_S  # less would be too short to see it come


class Line(StrEnum):
    """The narration."""

    START = "Starting a broker, a robot and the daemon; waiting for the first record."
    NORMAL = "All is well: what changes leaves at once, what repeats itself is held back."
    DRIVE = "An operator takes the lease and drives: every move passes the gate on the robot."
    PULLED = "The cable is pulled now: nothing is lost, it waits on disk; the twin gets old and says so."
    BACK = "The cable is back: live continues at once, the backlog follows."
    WEAR = "The motor of the left wheel wears out now."
    DRAIN = "The robot has stopped; waiting until the outbox is empty."
    END = "Stopping the daemon."


@dataclass(frozen=True, slots=True)
class Script:
    """What is played when [s]. All is counted from the first record, the outage from the pull.

    Attributes:
        seconds: The whole length.
        drive_s: When an operator begins; None: there is no time for it.
        pull_s: When the cable is pulled.
        outage_s: How long it is.
        wear_s: When the motor begins to wear out; None: there is no time to see it.
    """

    seconds: float
    drive_s: float | None
    pull_s: float
    outage_s: float
    wear_s: float | None

    @property
    def left_out(self) -> str:
        """What there is no time for, as a sentence; empty where there is time for all."""
        scenes = (("the operator", self.drive_s), ("the motor that wears out", self.wear_s))
        missing = [scene for scene, at_s in scenes if at_s is None]
        return f"Too short for {' and '.join(missing)}: give it {ALL_S:g} s or more." if missing else ""


def plan(seconds: float) -> Script:
    """Return the script of a demo of this length: the outage is in the middle, at least 3 s where there is room."""
    outage_s = max((_BACK_SHARE - _PULL_SHARE) * seconds, min(_OUTAGE_MIN_S, _OUTAGE_MAX_SHARE * seconds))
    pull_s, drive_s = _PULL_SHARE * seconds, min(_DRIVE_AT_MAX_S, _DRIVE_SHARE * seconds)
    wear_s = pull_s + outage_s + _AFTER_BACK_S
    return Script(
        seconds,
        drive_s if drive_s + _DRIVE_S <= pull_s else None,
        pull_s,
        outage_s,
        wear_s if wear_s + _WEAR_SHOWN_S <= seconds else None,
    )
