"""Sim wing: one performance of the demo, from the broker's start to the verdict.

In: a script, a place to show scenes     Out: a summary; every process it started has ended.

robot (child, ROS 2) -> daemon (child) -> cable (a proxy that can be pulled) -> broker (child) -> cloud.
Subscriber and operator sit at the broker itself, so that only the robot's link goes down. The verdict is from what
arrived there; the daemon is asked only for what nobody else can know: what it held back, and what it expects.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import aiomqtt

from edgetwin.clock import NS_PER_S, NS_PER_US, Clock, SystemClock
from edgetwin.records import LinkState
from edgetwin.sim import operator, truth
from edgetwin.sim.broker import LocalBroker
from edgetwin.sim.child import SimulationError
from edgetwin.sim.faulty_link import Fault, FaultyLink
from edgetwin.sim.scene import probability, scene
from edgetwin.sim.script import Line, Script
from edgetwin.sim.side_by_side import Apart, SideBySide
from edgetwin.sim.stage import ROBOT_ID, Stage
from edgetwin.sim.subscriber import Ledger, Subscriber
from edgetwin.sim.summary import Summary, summarise
from edgetwin.sim.view import Show

_START_MAX_S = 30.0
_DRAIN_MAX_S = 15.0
_FAREWELL_MAX_S = 2.0
_DRIVE_MAX_S = 20.0
_LOOK_EVERY_S = 0.1


class Play:
    """One performance: the processes, the script, the books."""

    def __init__(self, script: Script, show: Show, *, clock: Clock | None = None) -> None:
        self._script = script
        self._show = show
        self._clock = clock or SystemClock()
        self._ledger = Ledger(ROBOT_ID)
        self._status: dict[str, Any] = {}
        self._line: str = Line.START
        self._start_ns = self._clock.now_ns()
        self._twin = SideBySide(self._clock)
        self._truth = truth.Truth()
        self._apart = Apart()
        self._cut = False
        self._told = (0, 0)  # alerts, failures
        self._probability: float | None = None

    async def run(self) -> Summary:
        """Start everything, play the script, end everything.

        Raises:
            SimulationError: A part is missing, ended early, or nothing arrived; alone or in an ExceptionGroup.
        """
        with tempfile.TemporaryDirectory(prefix="edgetwin-demo-") as folder, LocalBroker() as broker:
            transport, self._truth = await truth.listen()
            with closing(transport):
                async with asyncio.TaskGroup() as tasks:
                    subscriber = Subscriber(self._ledger, broker.port, hear=self._hear)
                    listening = tasks.create_task(subscriber.run())
                    async with FaultyLink(broker.port) as cable:
                        await _subscribed(subscriber)
                        with Stage(Path(folder), cable.port, self._truth.port) as stage:
                            summary = await self._acts(stage, cable, broker.port)
                    listening.cancel()
        return summary

    async def _acts(self, stage: Stage, cable: FaultyLink, broker_port: int) -> Summary:
        if not await self._until(lambda: bool(self._ledger.arrived), stage, max_s=_START_MAX_S):
            msg = f"no record arrived within {_START_MAX_S:g} s; the daemon said:\n{stage.daemon_words()}"
            raise SimulationError(msg)
        self._start_ns = self._clock.now_ns()
        self._line = Line.NORMAL
        if self._script.wear_s is not None:
            stage.train()
        await self._drive(stage, broker_port)
        await self._play_to(self._script.pull_s, stage)
        outage_s, live_again_s = await self._outage(stage, cable)
        if self._script.wear_s is not None:
            await self._play_to(self._script.wear_s, stage)
            self._line = Line.WEAR
            stage.wear_out()
        await self._play_to(self._script.seconds, stage)

        seconds = self._elapsed_s
        await self._end(stage)
        return summarise(
            self._ledger, self._status, self._apart, seconds=seconds, outage_s=outage_s, live_again_s=live_again_s,
            probability=self._probability, notes=self._notes(stage),
        )  # fmt: skip

    async def _drive(self, stage: Stage, broker_port: int) -> None:
        """Let an operator drive, where there is time for it; the cable is not pulled before it has ended."""
        if self._script.drive_s is None:
            return
        await self._play_to(self._script.drive_s, stage)
        async with asyncio.TaskGroup() as tasks:
            driving = tasks.create_task(operator.drive(broker_port, ROBOT_ID, self._say, self._clock))
            await self._until(driving.done, stage, max_s=_DRIVE_MAX_S)
            driving.cancel()

    async def _outage(self, stage: Stage, cable: FaultyLink) -> tuple[float, float | None]:
        """Pull the cable for a while; return how long, and what it then took until something came live [s]."""
        self._line, self._cut = Line.PULLED, True
        await cable.set(Fault.REFUSE)
        pulled_s = self._elapsed_s
        await self._play_to(pulled_s + self._script.outage_s, stage)

        self._line = Line.BACK
        await cable.set(Fault.PASS)
        back_s, back_us = self._elapsed_s, self._stamp_us
        again = await self._until(
            lambda: self._ledger.newest_live_us > back_us, stage, max_s=self._script.seconds - back_s
        )
        self._cut = not again
        return back_s - pulled_s, self._elapsed_s - back_s if again else None

    def _notes(self, stage: Stage) -> tuple[str, ...]:
        untrained = stage.untrained()
        return tuple(note for note in (self._script.left_out, untrained and f"No prognosis: {untrained}") if note)

    def _say(self, line: str) -> None:
        """Show a line at once: the next one may come before the next look."""
        self._line = line
        self._look()

    def _hear(self, message: aiomqtt.Message, properties: Sequence[tuple[str, str]]) -> None:
        self._twin.take(str(message.topic), bytes(message.payload), properties, retained=message.retain)
        alerts, failures = self._ledger.alerts, self._ledger.failures
        told, self._told = self._told, (len(alerts), len(failures))
        if len(alerts) > told[0]:
            self._say(f"Alert: {alerts[-1]['cause']}.")
        if len(failures) > told[1]:
            self._say(f"Failure announced: {failures[-1]['text']}.")

    async def _end(self, stage: Stage) -> None:
        """Stop the robot, let the daemon empty its outbox, stop the daemon, wait for its farewell."""
        self._line = Line.DRAIN
        await stage.stop_robot()
        robot_gone_us = self._stamp_us

        def drained() -> bool:
            outbox = self._status.get("outbox", {})
            fresh = self._status.get("stamp_us", 0) > robot_gone_us  # an older word knows nothing of the last records
            return fresh and not any(outbox.get(key, 0) for key in ("records", "in_flight", "waiting"))

        await self._until(drained, stage, max_s=_DRAIN_MAX_S)
        self._line = Line.END
        await stage.stop_daemon()
        gone = (LinkState.OFFLINE, LinkState.STOPPING)
        await self._until(lambda: self._ledger.robot_state in gone, stage, max_s=_FAREWELL_MAX_S)

    async def _play_to(self, end_s: float, stage: Stage) -> None:
        await self._until(lambda: self._elapsed_s >= end_s, stage, max_s=end_s - self._elapsed_s)

    async def _until(self, reached: Callable[[], bool], stage: Stage, *, max_s: float) -> bool:
        """Show scenes until `reached` or `max_s` have passed; return whether it was reached.

        Raises:
            SimulationError: A process ended early.
        """
        deadline_ns = self._clock.now_ns() + max_s * NS_PER_S
        while not (done := reached()) and self._clock.now_ns() < deadline_ns:
            stage.check()
            self._status = stage.status() or self._status  # a daemon that has ended takes its file with it
            self._look()
            await asyncio.sleep(_LOOK_EVERY_S)
        return done

    def _look(self) -> None:
        """Show this moment, and note what is no longer there later."""
        pair = self._twin.pair(self._truth.pose)
        if pair is not None and self._line not in {Line.START, Line.DRAIN, Line.END}:
            self._apart.note(pair, cut=self._cut)
        expected = probability(self._status)
        if expected is not None:
            self._probability = max(expected, self._probability or 0.0)
        times = {"elapsed_s": self._elapsed_s, "seconds": self._script.seconds}
        self._show(scene(self._status, self._ledger, narration=self._line, pair=pair, **times))

    @property
    def _elapsed_s(self) -> float:
        return (self._clock.now_ns() - self._start_ns) / NS_PER_S

    @property
    def _stamp_us(self) -> int:
        return self._clock.stamp_ns() // NS_PER_US


async def _subscribed(subscriber: Subscriber) -> None:
    try:
        async with asyncio.timeout(_START_MAX_S):
            await subscriber.ready.wait()
    except TimeoutError as error:
        msg = f"the broker grants no subscription within {_START_MAX_S:g} s"
        raise SimulationError(msg) from error
