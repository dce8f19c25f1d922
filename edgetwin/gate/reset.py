"""Gate room: how a latch is released: two steps for the cloud, one for a person at the robot. Neither moves anything.

In: the gate, the robot, who asks     Out: why not; or the challenge, or the released gate.
Pure and total. Source: ISO 13850 (a reset permits a restart, it never is one), SICK's reset pulse (a held
button must not resume).
"""

from __future__ import annotations

from dataclasses import replace

from edgetwin.gate.checks import Facts, estop_released, standing
from edgetwin.gate.events import ResetConfirm, ResetRequest
from edgetwin.gate.memory import Challenge, Decision, Memory
from edgetwin.motion import Answer, Reason, State, Verdict

_RESTLESS = "the robot has not been seen standing for long enough"
_NOT_LATCHED = {
    State.INIT: Reason.NOT_READY,
    State.ESTOP: Reason.ESTOP,
    State.FAULT: Reason.FAULT,
    State.LOCAL: Reason.LOCAL_OVERRIDE,
    State.DOWN: Reason.SHUTTING_DOWN,
}


def refused(memory: Memory, code: Reason, detail: str) -> tuple[Memory, Decision]:
    """Return the answer of a reset that is not granted."""
    answer = Answer(Verdict.REJECTED, code, detail, (code,), stop_id=memory.stop_id)
    return memory, Decision(answer=answer, reasons=(code,))


def stands(facts: Facts) -> bool:
    """Whether the robot stands now, and has been seen standing at every tick for long enough."""
    since_ns, limits = facts.memory.still_ns, facts.limits
    if not limits.still_required:
        return True
    return standing(facts) and since_ns is not None and facts.now_ns - since_ns >= limits.still_ns


def unmoved(facts: Facts) -> str:
    """Return what speaks against ending the latch now, in words; empty if nothing does."""
    memory, limits, now_ns = facts.memory, facts.limits, facts.now_ns
    if not estop_released(facts):
        return "the e-stop input is pressed or not heard"
    if not stands(facts):
        return _RESTLESS
    if memory.asked_ns is not None and now_ns - memory.asked_ns < limits.quiet_ns:
        return "moves are still coming in: let go of the joystick"
    return ""


def request(facts: Facts, event: ResetRequest) -> tuple[Memory, Decision]:
    """Answer the first step: a challenge, if this latch is meant and the robot stands."""
    memory = facts.memory
    if memory.state is not State.HELD:
        return refused(
            memory, _NOT_LATCHED.get(memory.state, Reason.RESET_DENIED), f"nothing to reset in {memory.state}"
        )
    if not event.may_reset:
        return refused(memory, Reason.FORBIDDEN, "a reset takes the role operator")
    if event.stop_id != memory.stop_id:
        return refused(memory, Reason.RESET_DENIED, "another stop is latched by now: name its stop_id")
    if not stands(facts):
        return refused(memory, Reason.RESET_DENIED, _RESTLESS)
    challenge = Challenge(event.fresh_nonce, event.client, event.stop_id, facts.now_ns + facts.limits.nonce_ns)
    answer = Answer(
        Verdict.CHALLENGE, Reason.CHALLENGE, "confirm with this nonce",
        stop_id=memory.stop_id, nonce=event.fresh_nonce,
    )  # fmt: skip
    return replace(memory, challenge=challenge), Decision(answer=answer)


def confirmed(facts: Facts, event: ResetConfirm) -> str:
    """Return what is wrong with the second step, in words; empty if the latch may end."""
    challenge = facts.memory.challenge
    if challenge is None:
        return "there is no challenge to answer: ask first"
    if facts.now_ns >= challenge.expires_ns:
        return "the challenge has expired: ask again"
    if (event.nonce, event.client, event.stop_id) != (challenge.nonce, challenge.client, challenge.stop_id):
        return "this is not the answer to the challenge: ask again"
    return unmoved(facts)


def wrong_state(memory: Memory) -> Reason:
    """Return the code of a reset where nothing is held."""
    return _NOT_LATCHED.get(memory.state, Reason.RESET_DENIED)
