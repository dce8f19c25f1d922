"""Bench: how long one step of the gate takes, with everything switched on that can be.

In: how many     Out: CPU time per step: ticks while driving inside a fence, with a scan of an obstacle zone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from edgetwin.gate.events import Asked, Tick
from edgetwin.gate.gate import begin, step
from edgetwin.gate.limits import Fence, GateLimits, StopZone
from edgetwin.motion import ZERO, Move, Pose, RobotState, Twist

_CORNERS = 40
_SCAN_POINTS = 360
_MOVE_EVERY = 5  # ticks: the deadman is ten
_WARM = 200  # ticks that are not counted: the first ones make the fence into geometry

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
_FAR = tuple((3.0 + turn / _SCAN_POINTS, turn / 100 - 1.8) for turn in range(_SCAN_POINTS))
_NEAR = tuple((0.7 + turn / _SCAN_POINTS, turn / 100 - 1.8) for turn in range(_SCAN_POINTS))

MID_FIELD: Final = "in mid-field"
SCENES: Mapping[str, tuple[Pose, tuple[tuple[float, float], ...]]] = {
    MID_FIELD: (Pose(0.0, 0.0, 0.0), _FAR),
    "towards the fence": (
        Pose(9.53, 0.0, 0.0),
        _FAR,
    ),  # slowed down: the search for how much is dear
    "towards a wall": (Pose(0.0, 0.0, 0.0), _NEAR),
    "towards both": (Pose(9.53, 0.0, 0.0), _NEAR),
}


def steps_us(count: int, scene: str = MID_FIELD) -> list[float]:
    """Return the CPU time of each of `count` ticks of a drive [us]: what else runs here is not the gate's."""
    pose, scan = SCENES[scene]
    now_ns = 1_000_000_000
    memory = begin(boot_held=False, seed="bench", now_ns=now_ns)
    move = Move("m", "", Twist(0.3, 0.2), _LIMITS.duration_max_ns)
    took_us: list[float] = []
    seen = RobotState(pose=pose, battery=0.9, subscribers=1)
    for number in range(_WARM + count):
        now_ns += _LIMITS.tick_ns
        fresh = tuple((x, y) for x, y in scan)  # each scan is another one, as from a sensor that is as fast as the gate
        robot = replace(seen, pose_ns=now_ns, battery_ns=now_ns, scan=fresh, scan_ns=now_ns)
        if number % _MOVE_EVERY == 1:  # the first tick finds all that motion needs
            memory, _ = step(memory, Asked(move), robot, _LIMITS, now_ns=now_ns)
        began_ns = time.thread_time_ns()
        memory, decision = step(memory, Tick(), robot, _LIMITS, now_ns=now_ns)
        if number >= _WARM:
            took_us.append((time.thread_time_ns() - began_ns) / 1000)
        if number and (decision.publish is None or decision.publish == ZERO):
            msg = f"the gate does not drive {scene}: {memory.state}, {memory.reason}"
            raise RuntimeError(msg)
    return took_us
