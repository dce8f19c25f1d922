"""Drive wing: one twist for some seconds, and what became of it.

In: a twist, a duration     Out: Tally: moves, answers, refusals
A refusal that another try would not mend ends the drive at once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from edgetwin.clock import NS_PER_S, Clock
from edgetwin.drive.acks import Ack
from edgetwin.drive.client import DriveClient
from edgetwin.motion import Reason, Twist, Verb, Verdict

_PASSING = frozenset({Reason.EXPIRED, Reason.RATE_LIMIT, Reason.FROM_FUTURE})  # one late message, a burst


@dataclass(slots=True)
class Tally:
    """What was answered to the moves of one drive.

    Attributes:
        codes: How often which.
        refusal: The refusal that ended the drive; None if none did.
        stopped: Somebody stopped the robot meanwhile.
    """

    codes: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    refusal: Ack | None = None
    stopped: bool = False

    def note(self, ack: Ack) -> None:
        """Count one ack."""
        if ack.verdict == Verdict.STOPPED:
            self.stopped = True
        elif ack.command == Verb.MOVE:
            self.codes[ack.code] += 1
            self.verdicts[ack.verdict] += 1
            if ack.verdict == Verdict.REJECTED and ack.code not in _PASSING and self.refusal is None:
                self.refusal = ack

    @property
    def over(self) -> bool:
        """Whether to go on makes no sense."""
        return self.stopped or self.refusal is not None

    @property
    def good(self) -> bool:
        """Whether the robot drove as it was asked, apart from what it had to slow down."""
        return not self.over and self.verdicts[Verdict.ACCEPTED] + self.verdicts[Verdict.CLAMPED] > 0

    def figures(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {
            "moves": sum(self.verdicts.values()),
            "verdicts": dict(self.verdicts),
            "codes": dict(self.codes),
            "stopped": self.stopped,
            "ok": self.good,
        }


async def run(client: DriveClient, twist: Twist, seconds: float, tally: Tally, clock: Clock) -> float:
    """Drive; return for how long [s]. The tally is filled by whoever hears the acks.

    Raises:
        LinkError: The robot does not answer, or the broker has gone.
    """
    begin_ns = clock.now_ns()
    end_ns = begin_ns + round(seconds * NS_PER_S)

    def wanted() -> Twist | None:
        return None if tally.over or clock.now_ns() >= end_ns else twist

    await client.follow(wanted)
    return (clock.now_ns() - begin_ns) / NS_PER_S
