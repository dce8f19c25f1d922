"""Gate room: time passes: what changes by itself, and what the wheels get.

In: Facts of a tick     Out: Memory, Decision
Pure and total. Two halves: `moved_on` follows the table of states as far as the facts demand; `output` says what
each state publishes. Zero and silence are the defaults of both.
"""

from __future__ import annotations

from dataclasses import replace

from edgetwin.gate.bounds import bounded, fence_ratio, scan_ratio
from edgetwin.gate.checks import (
    Facts,
    against_going_on,
    estop_pressed,
    estop_released,
    local_override,
    located,
    missing_at_start,
    standing,
)
from edgetwin.gate.envelope import NO_SLOPE, brake, slew, step_ns
from edgetwin.gate.latch import bursting, enter
from edgetwin.gate.machine import LATCHED, Cause
from edgetwin.gate.memory import Decision, Memory
from edgetwin.motion import ZERO, Reason, State, Twist

_MOVING = frozenset({State.ACTIVE, State.BRAKE})
_RUNNING = frozenset({State.IDLE, State.ACTIVE, State.BRAKE})
_IN_THE_WAY = frozenset({Reason.GEOFENCE, Reason.OBSTACLE})


def tick(facts: Facts) -> tuple[Memory, Decision]:
    """Return the gate after a tick, and what to publish."""
    before = facts.memory
    memory, decision = output(replace(facts, memory=moved_on(facts)))
    latched = memory.state in LATCHED and before.state not in LATCHED
    local = memory.state is not before.state and State.LOCAL in {memory.state, before.state}
    memory = replace(memory, tick_ns=facts.now_ns, still_ns=_still_since(facts))
    return memory, replace(decision, drop_lease=latched or local, cancel_goals=latched)


def _still_since(facts: Facts) -> int | None:
    if not standing(facts):
        return None
    return facts.now_ns if facts.memory.still_ns is None else facts.memory.still_ns


def moved_on(facts: Facts) -> Memory:
    """Return the gate in the state that the facts demand."""
    memory = facts.memory
    for look in (_stall, _estop, _start, _local, _end_of_move, _end_of_zeros):
        cause, reason = look(facts)
        if cause is not None:
            memory = enter(memory, cause, reason, facts.limits, facts.now_ns)
    return memory


_Change = tuple[Cause | None, Reason]
_NONE: _Change = (None, Reason.ACCEPTED)


def _stall(facts: Facts) -> _Change:
    """While something moves, ticks must come: a gate that slept does not know what it missed."""
    memory = facts.memory
    late = memory.tick_ns is not None and facts.now_ns - memory.tick_ns > facts.limits.tick_fault_ns
    return (Cause.FAIL, Reason.STALLED) if late and memory.state in _MOVING else _NONE


def _estop(facts: Facts) -> _Change:
    if estop_pressed(facts):
        return Cause.ESTOP, Reason.ESTOP
    if not estop_released(facts):
        never_heard = facts.memory.state is State.INIT and facts.robot.estop_ns is None
        return _NONE if never_heard else (Cause.ESTOP, Reason.ESTOP_STALE)
    return Cause.ESTOP_CLEARED, Reason.ESTOP_CLEARED


def _start(facts: Facts) -> _Change:
    if facts.memory.state is not State.INIT:
        return _NONE
    if facts.memory.boot_held:
        return Cause.BOOT_HELD, Reason.BOOT_HELD
    return _NONE if missing_at_start(facts) else (Cause.READY, Reason.READY)


def _local(facts: Facts) -> _Change:
    if local_override(facts):
        return Cause.LOCAL_ON, Reason.LOCAL_OVERRIDE
    return Cause.LOCAL_OFF, Reason.LOCAL_END


def _end_of_move(facts: Facts) -> _Change:
    memory, now_ns = facts.memory, facts.now_ns
    if memory.state is not State.ACTIVE:
        return _NONE
    tripped = against_going_on(facts)
    if tripped:
        return Cause.YIELD, tripped[0].reason
    if not 0 <= now_ns - memory.accepted_ns < facts.limits.deadman_ns:
        return Cause.YIELD, Reason.DEADMAN
    if now_ns >= memory.ends_ns:
        return Cause.YIELD, Reason.DURATION
    return _NONE


def _end_of_zeros(facts: Facts) -> _Change:
    memory = facts.memory
    zeros = memory.state is State.BRAKE and memory.burst_ends_ns is not None
    rested = zeros and not bursting(memory, facts.now_ns)
    return (Cause.RESTED, Reason.RELEASED) if rested else _NONE


def output(facts: Facts) -> tuple[Memory, Decision]:
    """Return what the state of `facts` publishes now."""
    state = facts.memory.state
    if state is State.ACTIVE:
        return _drive(facts)
    if state is State.BRAKE:
        return _brake(facts)
    if state in LATCHED:
        return _hold(facts)
    if state is State.DOWN and bursting(facts.memory, facts.now_ns):
        return _published(facts, ZERO)
    return facts.memory, Decision()


def _drive(facts: Facts) -> tuple[Memory, Decision]:
    """Publish the next step towards the target; a twist that would not stop inside the fence never leaves."""
    memory, limits = facts.memory, facts.limits
    wanted, reasons = bounded(facts, memory.target)
    if wanted == ZERO:
        blocked = enter(memory, Cause.YIELD, reasons[0], limits, facts.now_ns)
        return _brake(replace(facts, memory=blocked))
    dt_ns = step_ns(facts.now_ns, memory.output_ns, limits.tick_ns)
    moved, slope = slew(memory.output, memory.slope, wanted, limits, dt_ns)
    if moved == wanted and _IN_THE_WAY.isdisjoint(reasons):  # it is this twist that was found free as it is
        return _published(facts, moved, slope, reasons)
    if moved != wanted:
        reasons = (*reasons, Reason.CLAMPED_ACCEL)
    if fence_ratio(facts, moved) < 1.0:
        moved, slope = brake(memory.output, limits, dt_ns)
        if fence_ratio(facts, moved) < 1.0:
            moved, slope = ZERO, NO_SLOPE
        reasons = (Reason.GEOFENCE, *(reason for reason in reasons if reason is not Reason.GEOFENCE))
    if scan_ratio(facts, moved) == 0.0:  # the ramp to what is asked leads where something stands
        moved, slope, reasons = ZERO, NO_SLOPE, (Reason.OBSTACLE, *reasons)
    return _published(facts, moved, slope, reasons)


def _brake(facts: Facts) -> tuple[Memory, Decision]:
    """Ramp to zero, or zero at once where a ramp is no longer right; then zeros until the burst is over."""
    memory, limits = facts.memory, facts.limits
    sudden = any(check.at_once for check in against_going_on(facts)) or scan_ratio(facts, memory.output) == 0.0
    moved: Twist = ZERO
    if not sudden:
        moved, _ = brake(memory.output, limits, step_ns(facts.now_ns, memory.output_ns, limits.tick_ns))
    if located(facts) and fence_ratio(facts, moved) < 1.0:
        moved = ZERO
    if moved == ZERO and memory.burst_ends_ns is None:
        memory = replace(memory, burst_ends_ns=facts.now_ns + limits.burst_ns)
    return _published(replace(facts, memory=memory), moved, reasons=(memory.reason,))


def _hold(facts: Facts) -> tuple[Memory, Decision]:
    """Zeros at every tick of the burst, then more slowly while the latch lasts: silence would free the lane."""
    memory, limits, now_ns = facts.memory, facts.limits, facts.now_ns
    half_a_tick_early = 2 * limits.hold_period_ns - limits.tick_ns
    due = memory.output_ns is None or 2 * (now_ns - memory.output_ns) >= half_a_tick_early
    if bursting(memory, now_ns) or (limits.hold_zeros and due):
        return _published(facts, ZERO, reasons=(memory.reason,))
    return memory, Decision(reasons=(memory.reason,))


def _published(
    facts: Facts, twist: Twist, slope: tuple[float, float] = (0.0, 0.0), reasons: tuple[Reason, ...] = ()
) -> tuple[Memory, Decision]:
    memory = replace(facts.memory, output=twist, slope=slope, output_ns=facts.now_ns)
    return memory, Decision(publish=twist, reasons=reasons)
