"""Sim wing: one performance of the demo, from the broker's start to the verdict.

In: a script, a place to show scenes     Out: a summary; every process it started has ended.

robot (child, ROS 2) -> daemon (child) -> cable (a proxy that can be pulled) -> broker (child) -> cloud.
The subscriber sits at the broker itself, so that only the robot's link goes down, and counts numbers:
the verdict is its own. The daemon is asked only for what nobody else can know: what it held back.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgetwin.clock import NS_PER_S, NS_PER_US, Clock, SystemClock
from edgetwin.records import LinkState
from edgetwin.sim.broker import LocalBroker
from edgetwin.sim.child import SimulationError
from edgetwin.sim.faulty_link import Fault, FaultyLink
from edgetwin.sim.scene import scene
from edgetwin.sim.script import Line, Script
from edgetwin.sim.stage import ROBOT_ID, Stage
from edgetwin.sim.subscriber import Ledger, Subscriber
from edgetwin.sim.summary import Summary, summarise
from edgetwin.sim.view import Show

_START_MAX_S = 30.0
_DRAIN_MAX_S = 15.0
_FAREWELL_MAX_S = 2.0
_LOOK_EVERY_S = 0.1


class Play:
    """One performance: the processes, the script, the books."""

    def __init__(self, script: Script, show: Show, *, clock: Clock | None = None) -> None:
        self._script = script
        self._show = show
        self._clock = clock or SystemClock()
        self._ledger = Ledger(ROBOT_ID)
        self._status: dict[str, Any] = {}
        self._line = Line.START
        self._start_ns = self._clock.now_ns()

    async def run(self) -> Summary:
        """Start everything, play the script, end everything.

        Raises:
            SimulationError: A part is missing, ended early, or nothing arrived; alone or in an ExceptionGroup.
        """
        with tempfile.TemporaryDirectory(prefix="edgetwin-demo-") as folder, LocalBroker() as broker:
            async with asyncio.TaskGroup() as tasks:
                subscriber = Subscriber(self._ledger, broker.port)
                listening = tasks.create_task(subscriber.run())
                async with FaultyLink(broker.port) as cable:
                    await _subscribed(subscriber)
                    with Stage(Path(folder), cable.port) as stage:
                        summary = await self._acts(stage, cable)
                listening.cancel()
        return summary

    async def _acts(self, stage: Stage, cable: FaultyLink) -> Summary:
        if not await self._until(lambda: bool(self._ledger.arrived), stage, max_s=_START_MAX_S):
            msg = f"no record arrived within {_START_MAX_S:g} s; the daemon said:\n{stage.daemon_words()}"
            raise SimulationError(msg)
        self._start_ns = self._clock.now_ns()
        self._line = Line.NORMAL
        await self._play_to(self._script.pull_s, stage)

        self._line = Line.PULLED
        await cable.set(Fault.REFUSE)
        pulled_s = self._elapsed_s
        await self._play_to(pulled_s + self._script.outage_s, stage)

        self._line = Line.BACK
        await cable.set(Fault.PASS)
        back_s, back_us = self._elapsed_s, self._stamp_us
        again = await self._until(
            lambda: self._ledger.newest_live_us > back_us, stage, max_s=self._script.seconds - back_s
        )
        live_again_s = self._elapsed_s - back_s if again else None
        await self._play_to(self._script.seconds, stage)

        seconds = self._elapsed_s
        await self._end(stage)
        return summarise(
            self._ledger, self._status, seconds=seconds, outage_s=back_s - pulled_s, live_again_s=live_again_s
        )

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
            times = {"elapsed_s": self._elapsed_s, "seconds": self._script.seconds}
            self._show(scene(self._status, self._ledger, narration=self._line, **times))
            await asyncio.sleep(_LOOK_EVERY_S)
        return done

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
