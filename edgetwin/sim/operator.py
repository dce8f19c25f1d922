"""Sim wing: somebody far away who drives the demo's robot for a few seconds, and asks for one thing too many.

In: the broker, a place to say what happens     Out: commands; what came of them is told by the robot's own acks
It is the client of `edgetwin drive`. Where the robot does not answer, the scene ends and says so; the demo goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edgetwin.clock import Clock, seconds_to_ns
from edgetwin.drive.acks import Ack
from edgetwin.drive.client import Address, DriveClient, connect
from edgetwin.drive.requests import Admission, Requests
from edgetwin.errors import LinkError
from edgetwin.motion import Reason, State, Twist, Verb, Verdict
from edgetwin.sim.ports import HOST
from edgetwin.sim.script import Line
from edgetwin.wire import Topics

_NAME = "demo-operator"
_CIRCLE = Twist(0.3, 0.8)
_TOO_FAST = Twist(50.0, 0.0)  # [m/s]: a slip of the finger
_DRIVE_S = 2.0
_AGAIN_S = 0.8
_REST_S = 0.8
_RESETS_MAX = 8
_READY_EVERY_S = 0.2
_READY_LOOKS = 20
_RESET_SAID = {
    True: "Reset in two steps: that moves nothing; a little later the robot goes its own way again.",
    False: "The reset is refused: the robot stays where it is.",
}

Say = Callable[[str], None]


async def drive(port: int, robot_id: str, say: Say, clock: Clock) -> None:
    """Take a lease, drive a circle, ask for 50 m/s, drive again, stop, reset."""
    topics = Topics(robot_id)
    requests = Requests(topics, _NAME, Admission.LEASE, clock)
    refused: list[Ack] = []

    def heard(ack: Ack) -> None:
        if ack.command == Verb.MOVE and ack.verdict == Verdict.REJECTED:
            refused.append(ack)

    say(Line.DRIVE)
    try:
        async with connect(Address(HOST, port, topics, _NAME), requests, clock, heard=heard) as client:
            await _ready(client)
            await client.acquire()
            await _circle(client, _DRIVE_S, clock)
            await client.move(_TOO_FAST)
            await asyncio.sleep(_REST_S)
            why = f"refused: {refused[-1].code}" if refused else "not answered"
            say(f"The operator asks for {_TOO_FAST.linear_mps:g} m/s: {why}.")
            await _circle(client, _AGAIN_S, clock)
            stop = await client.stop()
            say(f"The operator stops it: {stop.state}, and it stays so until somebody resets it in two steps.")
            say(_RESET_SAID[await _reset(client, stop.stop_id)])
    except LinkError as error:
        say(f"The drive ends early: {error}.")


async def _ready(client: DriveClient) -> None:
    """Wait a little until the gate has seen what motion needs: the battery speaks once a second."""
    for _ in range(_READY_LOOKS):
        if (await client.ping()).state != State.INIT:
            return
        await asyncio.sleep(_READY_EVERY_S)


async def _reset(client: DriveClient, stop_id: str) -> bool:
    """Reset, as often as the robot has not stood for long enough; return whether it was done."""
    for _ in range(_RESETS_MAX):
        await asyncio.sleep(_REST_S)
        if (await client.reset(stop_id)).code == Reason.RESET_OK:
            return True
    return False


async def _circle(client: DriveClient, seconds: float, clock: Clock) -> None:
    end_ns = clock.now_ns() + seconds_to_ns(seconds)
    await client.follow(lambda: _CIRCLE if clock.now_ns() < end_ns else None)
