"""Twin wing: how old is too old.

In: an age, what its robot declared, what is known of the robot and the link     Out: one word
Pure. The word is never better than the facts: unknown counts as old, and a robot that is gone is offline whatever came
last. While messages arrive at the robot, a channel says something at least once a heartbeat; an event channel promises
nothing, so that it is as fresh as its robot.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edgetwin.announcement import Announced
from edgetwin.clock import seconds_to_ns
from edgetwin.records import ChannelClass

_GRACE_S = 0.25  # the way here, where all is well
_LATE_FACTOR = 3.0
_STATUS_S = 5.0  # where a robot declares no heartbeat of its status


class Age(StrEnum):
    """How far a mirrored value can be taken for the present. Declared best first."""

    LIVE = "live"
    LATE = "late"
    STALE = "stale"
    OFFLINE = "offline"


RANK = {age: rank for rank, age in enumerate(Age)}


@dataclass(frozen=True, slots=True)
class Limits:
    """Up to `live_ns` old it is live, up to `late_ns` late, then stale."""

    live_ns: int
    late_ns: int

    def word(self, age_ns: int | None) -> Age:
        """Return the class of an age; None (nothing has come, or nobody knows) is stale."""
        if age_ns is None or age_ns > self.late_ns:
            return Age.STALE
        return Age.LIVE if age_ns <= self.live_ns else Age.LATE


def _limits(silence_s: float) -> Limits:
    live_s = silence_s + _GRACE_S
    return Limits(seconds_to_ns(live_s), seconds_to_ns(_LATE_FACTOR * live_s))


def channel_limits(announced: Announced | None) -> Limits | None:
    """Return the limits of a channel; None where its robot promises nothing by which to judge it."""
    if announced is None or announced.channel_class is ChannelClass.EVENT:
        return None
    return _limits(announced.heartbeat_s + 2.0 / announced.rate_hz_max)


def status_limits(heartbeat_s: float | None) -> Limits:
    """Return the limits of a robot's own heartbeat, its status message."""
    return _limits(heartbeat_s or _STATUS_S)


def worse(one: Age, other: Age) -> Age:
    """Return the worse of two."""
    return max(one, other, key=RANK.__getitem__)
