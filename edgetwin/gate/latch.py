"""Gate room: what a change of state does to what the gate remembers.

In: Memory, a cause     Out: Memory
Pure and total. The table in `machine` says where; here is what is forgotten, named and begun on the way.
"""

from __future__ import annotations

from dataclasses import replace

from edgetwin.gate.limits import GateLimits
from edgetwin.gate.machine import LATCHED, Cause, after
from edgetwin.gate.memory import Memory
from edgetwin.motion import ZERO, Reason, State

SILENT = frozenset({State.INIT, State.IDLE, State.LOCAL})  # nothing of ours is published


def enter(memory: Memory, cause: Cause, reason: Reason, limits: GateLimits, now_ns: int) -> Memory:
    """Return the gate after `cause`; the same one where the table has no such row."""
    to = after(memory.state, cause)
    if to is memory.state:
        return memory
    changed = replace(memory, state=to, reason=reason, since_ns=now_ns, challenge=None)
    if to in LATCHED:
        return _latched(memory, changed, limits, now_ns)
    if to is State.ACTIVE:
        # Ticks are rare while nothing moves: the watchdog starts here. While braking it has never stopped.
        return replace(changed, tick_ns=now_ns if memory.state is State.IDLE else memory.tick_ns)
    if to is State.BRAKE:
        return replace(changed, target=ZERO, burst_ends_ns=None)
    if to is State.DOWN:
        ends_ns = None if memory.state in SILENT else now_ns + limits.exit_burst_ns
        return replace(changed, target=ZERO, output=ZERO, slope=(0.0, 0.0), burst_ends_ns=ends_ns)
    return replace(changed, stop_id="", stops=0, target=ZERO, output=ZERO, slope=(0.0, 0.0), output_ns=None)


def bursting(memory: Memory, now_ns: int) -> bool:
    """Whether zeros are to follow each other at every tick."""
    return memory.burst_ends_ns is not None and now_ns < memory.burst_ends_ns


def stopped(memory: Memory, limits: GateLimits, now_ns: int) -> Memory:
    """Return the gate after a stop: latched by it, or stopped once more; a reset half done is void."""
    held = enter(memory, Cause.STOP, Reason.STOPPED, limits, now_ns)
    if held is memory:
        held = replace(memory, challenge=None, burst_ends_ns=now_ns + limits.burst_ns)
    if held.state is State.DOWN:
        held = replace(held, burst_ends_ns=now_ns + limits.exit_burst_ns)
    if not held.stop_id:  # the process ends; the next one must find the latch
        held = _named(held)
    return replace(held, stops=held.stops + 1)


def _latched(memory: Memory, changed: Memory, limits: GateLimits, now_ns: int) -> Memory:
    """Return a latch that begins, with a name of its own; on the way back to HELD it keeps its name."""
    still = replace(
        changed, target=ZERO, output=ZERO, slope=(0.0, 0.0), output_ns=None, burst_ends_ns=now_ns + limits.burst_ns
    )
    if memory.state in LATCHED and changed.state is State.HELD:
        return still
    if memory.boot_held and memory.stop_id:
        return replace(still, boot_held=False)  # the latch of the last boot, under the name it had
    return replace(_named(still), stops=0)


def _named(memory: Memory) -> Memory:
    return replace(memory, latches=memory.latches + 1, stop_id=f"{memory.seed}-{memory.latches + 1}")
