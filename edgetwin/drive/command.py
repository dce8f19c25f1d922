"""Drive wing: `edgetwin drive`.

In: its arguments     Out: acks, one line each; 0 the robot did what was asked, 1 it refused or does not answer
However it ends, the robot is brought to a standstill first and the lease is given back.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from typing import TextIO

import orjson

from edgetwin.clock import Clock, SystemClock
from edgetwin.drive import keyboard, script
from edgetwin.drive.acks import Ack
from edgetwin.drive.client import DriveClient, connect
from edgetwin.drive.keys import Keys
from edgetwin.drive.options import Wish, wish_of
from edgetwin.errors import Fault, LinkError, RefusedError
from edgetwin.motion import Reason

WARNING = "This is a controlled stop by software, not an emergency stop; a certified one is hardware."
_FAILED = 1


class Teller:
    """Says what happens: for a person, or as lines of JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def say(self, text: str) -> None:
        """Say something that is no ack; beside the JSON, not in it."""
        _write(text, sys.stderr if self._as_json else sys.stdout)

    def ack(self, ack: Ack) -> None:
        """Say one ack."""
        _write(orjson.dumps(dict(ack.keys)).decode() if self._as_json else ack.line())

    def end(self, figures: dict[str, object]) -> None:
        """Say the last line, where it is wanted."""
        if self._as_json:
            _write(orjson.dumps(figures).decode())


def _write(line: str, stream: TextIO | None = None) -> None:
    stream = stream or sys.stdout
    stream.write(f"{line}\n")
    stream.flush()


def main(arguments: argparse.Namespace) -> int:
    """Run `edgetwin drive`; return its exit code.

    Raises:
        RefusedError: The arguments cannot be used.
        LinkError: The broker or the robot does not answer.
    """
    clock = SystemClock()
    wish = wish_of(arguments, clock)
    if wish.seconds is None and not (wish.stop or wish.reset) and not sys.stdin.isatty():
        raise RefusedError([Fault("stdin", "is no terminal", "drive from one, or with --seconds")])
    teller = Teller(as_json=wish.as_json)
    teller.say(WARNING)
    try:
        return asyncio.run(_run(wish, teller, clock))
    except asyncio.CancelledError:  # SIGTERM, SIGHUP; Ctrl-C is KeyboardInterrupt
        return _FAILED


async def _run(wish: Wish, teller: Teller, clock: Clock) -> int:
    tally = script.Tally()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: task and task.cancel())

    def heard(ack: Ack) -> None:
        teller.ack(ack)
        tally.note(ack)

    async with connect(wish.address, wish.requests, clock, heard=heard, synchronise=not wish.stop) as client:
        if wish.stop:
            return _code(good=(await client.stop()).good)
        if wish.reset:
            return _code(good=(await client.reset()).code == Reason.RESET_OK)
        granted = await client.acquire(take=wish.take)
        if granted is not None and not granted.good:
            return _FAILED
        try:
            driven_s = await _drive(wish, client, tally, teller, clock)
        finally:
            await _leave(client, teller)
        if driven_s is None:
            return 0
        teller.end(tally.figures() | {"seconds": round(driven_s, 3), "round_trip_ms": client.robot_clock.round_trip_ms})
        return _code(good=tally.good)


async def _drive(wish: Wish, client: DriveClient, tally: script.Tally, teller: Teller, clock: Clock) -> float | None:
    """Drive, in whichever way; return for how long, where that was asked for."""
    if wish.seconds is not None:
        return await script.run(client, wish.twist, wish.seconds, tally, clock)
    teller.say(keyboard.HELP)
    keys = Keys(wish.twist.linear_mps, wish.twist.angular_radps)
    await keyboard.Seat(client, keys, clock, teller.say).run(sys.stdin.fileno())
    return None


async def _leave(client: DriveClient, teller: Teller) -> None:
    """Bring the robot to a standstill, also after Ctrl-C; where that fails, say so beside what was wrong before."""
    try:
        await client.rest()
    except LinkError as error:
        teller.say(str(error))


def _code(*, good: bool) -> int:
    return 0 if good else _FAILED
