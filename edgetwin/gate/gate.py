"""Gate room: one event in, one decision out. Start reading here, at `step`.

In: Memory, Event, RobotState, now     Out: Memory, Decision
Pure and total: no I/O, no clock, no logging, no state kept between calls; it never raises.

The rest of the room, in the order of reading: `motion` (the words), `machine` (states), `checks` (interlocks),
`asking` (a move), `wheels` (a tick), `bounds` and `envelope` (how fast), `fence`, `obstacle`, `reset`, `latch`.
"""

from __future__ import annotations

from dataclasses import replace

from edgetwin.gate import asking, reset, wheels
from edgetwin.gate.checks import Facts
from edgetwin.gate.envelope import within
from edgetwin.gate.events import Asked, Event, Fail, LocalReset, ResetConfirm, ResetRequest, Shutdown, Stop, Tick
from edgetwin.gate.latch import SILENT, enter, stopped
from edgetwin.gate.limits import GateLimits
from edgetwin.gate.machine import Cause
from edgetwin.gate.memory import Decision, Memory
from edgetwin.motion import ZERO, Answer, Reason, RobotState, State, Verdict

_MAY_MOVE = frozenset({State.ACTIVE, State.BRAKE})


def begin(*, boot_held: bool, stop_id: str = "", seed: str, now_ns: int) -> Memory:
    """Return the memory that a process starts with.

    Args:
        boot_held: The latch file says so, says "was driving", or cannot be read.
        stop_id: Of that latch; empty if it has no name.
        seed: Names the latches of this boot; another one at each boot.
        now_ns: Monotonic time [ns].
    """
    name = (stop_id or f"{seed}-0") if boot_held else ""
    return Memory(boot_held=boot_held, stop_id=name, seed=seed, since_ns=now_ns)


def step(
    memory: Memory, event: Event, robot: RobotState, limits: GateLimits, *, now_ns: int
) -> tuple[Memory, Decision]:
    """Return the gate after `event`, and what to publish and to answer.

    Guarantees: |linear| <= linear_max_mps and |angular| <= angular_max_radps in every published twist; None or zero
    wherever a fact is missing; a Stop publishes zero at once, from every state.

    Raises:
        Nothing. A gate that can raise is a gate that can stay open.
    """
    twist = event.move.twist if isinstance(event, Asked) else memory.target
    facts = Facts(memory, robot, limits, twist, now_ns)
    changed, decision = _decide(facts, event)
    if decision.publish is None:
        return changed, decision
    may = changed.state in _MAY_MOVE and limits.remote_motion
    if decision.publish == ZERO or (may and within(decision.publish, limits)):
        return changed, decision
    return _failed(replace(facts, memory=changed), Reason.GUARD)  # a defect upstream: zero, and trust nothing


def _decide(facts: Facts, event: Event) -> tuple[Memory, Decision]:  # noqa: PLR0911  # a line for each event
    match event:
        case Stop():
            return _stop(facts)
        case Tick():
            return wheels.tick(facts)
        case Asked():
            return asking.judge(facts, event.move)
        case ResetRequest():
            return reset.request(facts, event)
        case ResetConfirm():
            return _confirm(facts, event)
        case LocalReset():
            return _local_reset(facts)
        case Fail():
            return _failed(facts, event.reason)
        case Shutdown():
            return _shut_down(facts)


def _stop(facts: Facts) -> tuple[Memory, Decision]:
    memory = stopped(facts.memory, facts.limits, facts.now_ns)
    code = Reason.SHUTTING_DOWN if memory.state is State.DOWN else Reason.STOPPED
    answer = Answer(Verdict.STOPPED, code, reasons=(code,), applied=ZERO, stop_id=memory.stop_id)
    return memory, Decision(ZERO, answer, drop_lease=True, cancel_goals=True, reasons=(code,))


def _failed(facts: Facts, reason: Reason) -> tuple[Memory, Decision]:
    memory = enter(facts.memory, Cause.FAIL, reason, facts.limits, facts.now_ns)
    return memory, Decision(ZERO, drop_lease=True, cancel_goals=True, reasons=(reason,))


def _shut_down(facts: Facts) -> tuple[Memory, Decision]:
    silent = facts.memory.state in SILENT
    memory = enter(facts.memory, Cause.SHUTDOWN, Reason.SHUTDOWN, facts.limits, facts.now_ns)
    return memory, Decision(None if silent else ZERO, drop_lease=True, reasons=(Reason.SHUTDOWN,))


def _confirm(facts: Facts, event: ResetConfirm) -> tuple[Memory, Decision]:
    burnt = replace(facts.memory, challenge=None)
    if burnt.state is not State.HELD:
        return reset.refused(burnt, reset.wrong_state(burnt), f"nothing to reset in {burnt.state}")
    wrong = reset.confirmed(facts, event)
    if wrong:
        return reset.refused(burnt, Reason.RESET_DENIED, wrong)
    return _released(facts)


def _local_reset(facts: Facts) -> tuple[Memory, Decision]:
    memory = facts.memory
    if memory.state is State.FAULT:
        held = enter(memory, Cause.FAULT_CLEARED, Reason.FAULT_CLEARED, facts.limits, facts.now_ns)
        detail = "the fault is cleared; the stop is still latched: reset once more"
        answer = Answer(Verdict.OK, Reason.FAULT_CLEARED, detail, (Reason.FAULT_CLEARED,), stop_id=held.stop_id)
        return held, Decision(answer=answer)
    if memory.state is not State.HELD:
        return reset.refused(memory, reset.wrong_state(memory), f"nothing to reset in {memory.state}")
    wrong = reset.unmoved(facts)
    if wrong:
        return reset.refused(memory, Reason.RESET_DENIED, wrong)
    return _released(facts)


def _released(facts: Facts) -> tuple[Memory, Decision]:
    """End the latch: nothing moves; a new lease and a new move are needed."""
    memory = enter(facts.memory, Cause.RESET, Reason.RESET_OK, facts.limits, facts.now_ns)
    answer = Answer(Verdict.OK, Reason.RESET_OK, reasons=(Reason.RESET_OK,))
    return memory, Decision(answer=answer, drop_lease=True, reasons=(Reason.RESET_OK,))
