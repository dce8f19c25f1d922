"""Command lane: the thread. Then read `serving` (its loop), `desk` (commands), `gatehouse` (the gate), `guard`.

In: a plan; stop()     Out: motion; news for the main loop; the end, in order or broken
Own OS thread, own loop, own node, own connections. Whatever breaks on it ends the process: zero first, by the lane if
it can and by the guard until the end, then the daemon leaves with an error and systemd starts it anew.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import uvloop

from edgetwin.clock import Clock
from edgetwin.lane import latch
from edgetwin.lane.guard import Guard, Pulse
from edgetwin.lane.ledger import DecisionEntry, Ledger, News, Notice
from edgetwin.lane.plan import LaneHooks, Plan
from edgetwin.lane.serving import Grounds, Serving
from edgetwin.motion import State
from edgetwin.ros.cmd_vel import MotionPublisher, Rating
from edgetwin.ros.context import open_node


class Lane:
    """One robot's command lane.

    Attributes:
        loop: The lane's own, while it runs.
    """

    def __init__(self, plan: Plan, hooks: LaneHooks, clock: Clock) -> None:
        """Join the ROS graph and read the latch; nothing runs before `start`.

        Raises:
            RosUnavailableError, RosTypeError: ROS is missing, or a package.
        """
        self._plan = plan
        self._hooks = hooks
        self._clock = clock
        self._ledger = Ledger(hooks.news)
        self._boot = latch.read(plan.latch_path)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._pulse = Pulse(clock.now_ns())
        self._node = open_node(f"{plan.node_name}_gate")
        rating = Rating(plan.limits.linear_rating_mps, plan.limits.angular_rating_radps)
        handles = [
            MotionPublisher(self._node, plan.cmd_vel_topic, plan.cmd_vel_type, rating, clock) for _ in ("lane", "guard")
        ]
        self._publishers = handles[0], handles[1]
        self._guard = Guard(self._publishers[1], self._pulse, clock)
        self._wanted: asyncio.Future[None] | None = None  # the end: asked for, or forced
        self._serving: Serving | None = None
        self._thread = threading.Thread(target=self._run, name="edgetwin-lane", daemon=True)
        self.loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Run, on a thread of its own."""
        if self._boot.held:
            words = f"Nothing moves before a reset: {self._boot.why}."
            self._ledger.note(Notice(logging.WARNING, "gate.boot_held", words, {"STOP_ID": self._boot.stop_id}))
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end: zeros if it drives, the latch on disk, goodbye to the broker. Does not wait."""
        self._stopping.set()
        loop = self.loop
        if loop is not None:
            with suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(self._end_in_order)

    @property
    def running(self) -> bool:
        """Whether the thread lives."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Leave the graph, if the thread has ended; where it hangs the guard speaks until the process is gone."""
        if self.running:
            return
        self._guard.close()
        with suppress(RuntimeError):  # the context may already be gone
            self._node.destroy_node()

    def take_news(self) -> list[News]:
        """Return what was decided since the last time; on the main loop."""
        return self._ledger.take()

    def take_audit(self) -> tuple[list[DecisionEntry], int]:
        """Return every decision since the last time, and how many there were besides; on the main loop."""
        return self._ledger.take_audit()

    def snapshot(self) -> Mapping[str, Any]:
        """Return what admission wants to find again after a restart (`Plan.remembered`), at most a second old."""
        return self._serving.desk.snapshot if self._serving is not None else self._plan.remembered or {}

    def figures(self) -> dict[str, Any]:
        """Return the lane in numbers; from any thread, each as of its own moment."""
        serving = self._serving
        if serving is None:
            return {"state": str(State.INIT), "remote_motion": self._plan.limits.remote_motion}
        house, desk, links = serving.house, serving.desk, (serving.commands, serving.stops)
        memory = house.memory
        return {
            "state": str(memory.state),
            "reason": str(memory.reason),
            "stop_id": memory.stop_id,
            "remote_motion": self._plan.limits.remote_motion,
            "link": "up" if all(link.up for link in links) else "down",
            "link_problem": next((link.trouble for link in links if link.trouble is not None), None),
            "received": desk.received,
            "overrun": desk.overrun,
            "stops": house.alarms.stops,
            "twists": self._publishers[0].sent,
            "guard_trips": self._guard.trips,
            "late_ticks": house.alarms.late_ticks,
            "acks_dropped": sum(link.dropped for link in links),
            "audit_dropped": self._ledger.unaudited,
            "news_dropped": self._ledger.dropped,
            "subscribers": house.company.subscribers,
            "foreign_publishers": list(house.company.foreign),
            "latch_problem": house.keeper.problem,
        }

    def _run(self) -> None:
        loop = uvloop.new_event_loop()
        loop.set_exception_handler(self._callback_failed)
        self.loop = loop
        try:
            loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001  # whatever it is: zero, then the process ends
            self._broke(error)
        finally:
            self.loop = None
            loop.close()
            self._hooks.ended()

    async def _serve(self) -> None:
        self._wanted = wanted = asyncio.get_running_loop().create_future()
        if self._stopping.is_set():
            return
        grounds = Grounds(
            self._node, self._publishers, self._boot, self._pulse, self._ledger, self._hooks.beat, self._broke
        )
        serving = self._serving = Serving(self._plan, grounds, self._clock)
        try:
            await serving.run(wanted)
            self._pulse.silent = True
        finally:
            if not serving.close():
                words = "The latch could not be written before the end; the next start may not know of it."
                self._ledger.note(Notice(logging.ERROR, "gate.latch", words))

    def _callback_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None:
            loop.default_exception_handler(context)
        else:
            self._broke(error)

    def _broke(self, error: BaseException) -> None:
        """Zero at once; from now on the guard speaks, and the process ends."""
        self._pulse.dead = True
        first, self._failure = self._failure is None, self._failure or error
        with suppress(Exception):  # the guard has a handle of its own
            self._publishers[0].zero()
        if first:
            self._hooks.failed(error)
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_exception(error)

    def _end_in_order(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)
