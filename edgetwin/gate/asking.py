"""Gate room: an admitted move: accepted, clamped or rejected, with every reason.

In: Facts, a Move     Out: Memory, Decision
Pure and total. A rejected move changes nothing but the memory that somebody asked: it neither extends the one
that runs nor ends it.
"""

from __future__ import annotations

from dataclasses import replace

from edgetwin.gate.bounds import bounded
from edgetwin.gate.checks import CHECKS, Facts, against
from edgetwin.gate.latch import enter
from edgetwin.gate.machine import Cause
from edgetwin.gate.memory import Decision, Memory
from edgetwin.motion import ZERO, Answer, Move, Reason, Verdict

_CLAIMS = {check.reason: check.claim for check in CHECKS} | {
    Reason.BATTERY: "the battery is known and not empty",
    Reason.GEOFENCE: "the robot can stop inside the fence",
    Reason.OBSTACLE: "the way ahead is free",
}
_SLOWED = {
    Reason.CLAMPED_SPEED: "slowed down to the limits of speed",
    Reason.BATTERY: "slowed down for the battery",
    Reason.GEOFENCE: "slowed down to stop inside the fence",
    Reason.OBSTACLE: "slowed down for what is ahead",
    Reason.DURATION: "cut to the longest duration",
}


def judge(facts: Facts, move: Move) -> tuple[Memory, Decision]:
    """Return the gate after a move was asked, and its answer."""
    now_ns, limits = facts.now_ns, facts.limits
    memory = replace(facts.memory, asked_ns=now_ns)
    reasons = against(facts)
    wanted, slowed = bounded(facts, facts.twist)
    if wanted == ZERO and facts.twist != ZERO:
        reasons = _worst_first((*reasons, *(reason for reason in slowed if reason in _CLAIMS)))
    if reasons:
        return memory, Decision(answer=_answer(memory, Verdict.REJECTED, reasons), reasons=reasons)
    duration_ns = limits.duration_default_ns if move.duration_ns is None else move.duration_ns
    if duration_ns > limits.duration_max_ns:
        duration_ns, slowed = limits.duration_max_ns, (*slowed, Reason.DURATION)
    verdict = Verdict.CLAMPED if slowed else Verdict.ACCEPTED
    answer = replace(_answer(memory, verdict, slowed or (Reason.ACCEPTED,)), applied=wanted)
    if facts.twist == ZERO:
        return enter(memory, Cause.YIELD, Reason.ACCEPTED, limits, now_ns), Decision(answer=answer)
    active = enter(memory, Cause.MOVE, answer.code, limits, now_ns)
    accepted = replace(
        active, target=facts.twist, accepted_ns=now_ns, ends_ns=now_ns + max(0, duration_ns), reason=answer.code
    )
    return accepted, Decision(answer=answer, reasons=slowed)


def _worst_first(reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    return tuple(reason for reason in Reason if reason in reasons)


def _answer(memory: Memory, verdict: Verdict, reasons: tuple[Reason, ...]) -> Answer:
    """Return the answer with its reasons in words."""
    if verdict is Verdict.REJECTED:
        detail = "does not hold: " + "; ".join(_CLAIMS[reason] for reason in reasons)
    else:
        detail = "; ".join(_SLOWED[reason] for reason in reasons if reason in _SLOWED)
    return Answer(verdict, reasons[0], detail, reasons, stop_id=memory.stop_id)
