"""Gate room: the state machine, as a table that is also printed in docs/gate.md.

In: a state and a cause     Out: the next state. A pair that is not in the table stays where it is.
Pure. Which cause applies is for `gate` to say; here is only what follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edgetwin.motion import State


class Cause(StrEnum):
    """Why a state may end."""

    READY = "all that motion needs is seen"
    BOOT_HELD = "the last process left a latch, was driving, or left nothing readable"
    STOP = "stop, from anywhere"
    ESTOP = "e-stop input pressed, or not heard"
    ESTOP_CLEARED = "e-stop input released, and heard"
    RESET = "reset confirmed"
    MOVE = "a move passes every check"
    YIELD = "deadman, end of the move, lease lost, zero move, or a precondition lost"
    RESTED = "zeros were sent long enough"
    LOCAL_ON = "somebody beside the robot drives"
    LOCAL_OFF = "nobody beside the robot drives any more"
    FAIL = "guard tripped, tick stalled, or an exception"
    FAULT_CLEARED = "local reset"
    SHUTDOWN = "SIGTERM or SIGINT"


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table: what the wheels get, in words, is `output`."""

    sources: tuple[State, ...]
    cause: Cause
    to: State
    output: str


_RUNNING = (State.IDLE, State.ACTIVE, State.BRAKE)
_TRUSTED = (State.INIT, *_RUNNING, State.LOCAL)
_ALIVE = (*_TRUSTED, State.HELD, State.ESTOP, State.FAULT)

TRANSITIONS = (
    Transition((State.INIT,), Cause.READY, State.IDLE, "nothing"),
    Transition((State.INIT,), Cause.BOOT_HELD, State.HELD, "zeros, the lane is held"),
    Transition((*_TRUSTED, State.HELD), Cause.STOP, State.HELD, "zero at once, a burst, then the lane is held"),
    Transition((*_TRUSTED, State.HELD), Cause.ESTOP, State.ESTOP, "as after a stop"),
    Transition((State.ESTOP,), Cause.ESTOP_CLEARED, State.HELD, "the lane stays held"),
    Transition((State.HELD,), Cause.RESET, State.IDLE, "nothing: the lane is released, nothing moves"),
    Transition(_RUNNING, Cause.MOVE, State.ACTIVE, "the move, limited, at every tick"),
    Transition((State.ACTIVE,), Cause.YIELD, State.BRAKE, "ramp to zero (at once for subscriber and obstacle), zeros"),
    Transition((State.BRAKE,), Cause.RESTED, State.IDLE, "nothing: the local stack may drive"),
    Transition(_RUNNING, Cause.LOCAL_ON, State.LOCAL, "nothing: they drive; the lease ends"),
    Transition((State.LOCAL,), Cause.LOCAL_OFF, State.IDLE, "nothing; a new lease is needed"),
    Transition((*_TRUSTED, State.HELD, State.ESTOP), Cause.FAIL, State.FAULT, "as after a stop"),
    Transition((State.FAULT,), Cause.FAULT_CLEARED, State.HELD, "the lane stays held"),
    Transition(_ALIVE, Cause.SHUTDOWN, State.DOWN, "zeros for a moment, unless it was silent"),
)

_NEXT = {(source, row.cause): row.to for row in TRANSITIONS for source in row.sources}

LATCHED = frozenset({State.HELD, State.ESTOP, State.FAULT})


def after(state: State, cause: Cause) -> State:
    """Return the state that follows; the same one where the table has no row.

    A stop or a pressed e-stop never takes the place of a stricter latch: FAULT and ESTOP stay what they are.
    """
    return _NEXT.get((state, cause), state)
