"""Bench: how long one step of the gate takes, with everything switched on that can be.

In: how many     Out: CPU time per step: ticks while driving inside a fence, with a scan of an obstacle zone.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

from edgetwin.gate.events import Asked, Tick
from edgetwin.gate.gate import begin, step
from edgetwin.gate.limits import Fence, GateLimits, StopZone
from edgetwin.motion import Move, Pose, RobotState, Twist

_CORNERS = 40
_SCAN_POINTS = 360
_MOVE_EVERY = 5  # ticks: the deadman is ten

_RING = tuple(
    (10 * math.cos(2 * math.pi * turn / _CORNERS), 10 * math.sin(2 * math.pi * turn / _CORNERS))
    for turn in range(_CORNERS)
)
_PILLAR = ((4.0, 4.0), (5.0, 4.0), (5.0, 5.0), (4.0, 5.0))
_LIMITS = GateLimits(
    remote_motion=True,
    battery_required=True,
    pose_required=True,
    fence=Fence(inside=(_RING,), outside=(_PILLAR,)),
    scan=StopZone(),
)
_SCAN = tuple((3.0 + turn / _SCAN_POINTS, turn / 100 - 1.8) for turn in range(_SCAN_POINTS))


def steps_us(count: int) -> list[float]:
    """Return the CPU time of each of `count` ticks of a drive [us]: what else runs here is not the gate's."""
    now_ns = 1_000_000_000
    memory = begin(boot_held=False, seed="bench", now_ns=now_ns)
    move = Move("m", "", Twist(0.3, 0.2), _LIMITS.duration_max_ns)
    took_us: list[float] = []
    seen = RobotState(pose=Pose(0.0, 0.0, 0.0), battery=0.9, scan=_SCAN, subscribers=1)
    while len(took_us) < count:
        now_ns += _LIMITS.tick_ns
        robot = replace(seen, pose_ns=now_ns, battery_ns=now_ns, scan_ns=now_ns)
        if len(took_us) % _MOVE_EVERY == 1:  # the first tick finds all that motion needs
            memory, _ = step(memory, Asked(move), robot, _LIMITS, now_ns=now_ns)
        began_ns = time.thread_time_ns()
        memory, decision = step(memory, Tick(), robot, _LIMITS, now_ns=now_ns)
        took_us.append((time.thread_time_ns() - began_ns) / 1000)
        if len(took_us) > 1 and decision.publish is None:
            msg = f"the gate does not drive: {memory.state}, {memory.reason}"
            raise RuntimeError(msg)
    return took_us
