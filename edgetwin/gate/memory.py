"""Gate room: all that the gate remembers between two events. Frozen: `step` returns a new one."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgetwin.motion import ZERO, Answer, Reason, State, Twist


@dataclass(frozen=True, slots=True)
class Challenge:
    """A reset half done. One at a time; any wrong answer burns it."""

    nonce: str
    client: str
    stop_id: str
    expires_ns: int


@dataclass(frozen=True, slots=True)
class Memory:
    """The gate between two events.

    Attributes:
        state: Where it is.
        reason: What brought it there.
        since_ns: When.
        stop_id: Names the latch, and must outlive the process: set in HELD, ESTOP and FAULT, and in DOWN if one of them
            came before; empty elsewhere.
        stops: Stops since that latch began.
        target: What is asked, in ACTIVE.
        accepted_ns: When the newest move was accepted: the deadman counts from here.
        ends_ns: When that move ends by itself.
        output: What was published last; zero when silent.
        slope: Last change of output per second, linear [m/s2] and angular [rad/s2], for the limit of jerk.
        output_ns: When; None: nothing since the silence began.
        burst_ends_ns: Until when zeros follow each other at every tick; None: no burst was begun.
        asked_ns: Last time a move was admitted, accepted by the gate or not; None: never.
        still_ns: Since when the robot stands, as measured; None: it moves, or nobody knows.
        challenge: A reset half done.
        tick_ns: Last tick; None before the first one.
        boot_held: The last process ended while driving, left a latch, or left nothing readable.
        seed: Makes the names of latches differ from those of other boots.
        latches: Latches of this boot so far.
    """

    state: State = State.INIT
    reason: Reason = Reason.NOT_READY
    since_ns: int = 0
    stop_id: str = ""
    stops: int = 0
    target: Twist = ZERO
    accepted_ns: int = 0
    ends_ns: int = 0
    output: Twist = ZERO
    slope: tuple[float, float] = (0.0, 0.0)
    output_ns: int | None = None
    burst_ends_ns: int | None = None
    asked_ns: int | None = None
    still_ns: int | None = None
    challenge: Challenge | None = None
    tick_ns: int | None = None
    boot_held: bool = False
    seed: str = ""
    latches: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from one event.

    Attributes:
        publish: The twist to publish now; None: publish nothing.
        answer: For the command that this event was; None for ticks, and where nobody waits for one.
        drop_lease: The lease ends here; a new one must be acquired.
        cancel_goals: Navigation goals of the local stack are to be cancelled.
        reasons: Why the output is not what was asked, worst first.
    """

    publish: Twist | None = None
    answer: Answer | None = None
    drop_lease: bool = False
    cancel_goals: bool = False
    reasons: tuple[Reason, ...] = field(default=())
