"""Roof: the daemon: builds the rooms, opens the doors between them, and closes everything in order.

    ros.graph -> pipeline (sync, wire) -+-> uplink.live -> uplink.pump -> broker
                                        +-> store.outbox -----^  what was not acknowledged in time

                                     driving (the command lane, a thread of its own) -> wheels

One thread (the loop) but for the store's and the command lane's. Order of the end: motion first; then ROS, so that
nothing new comes; the link next, so that what is in memory can still leave; the outbox last, so that what could not
leave is kept.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import uuid
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from edgetwin import __version__, wire
from edgetwin.clock import NS_PER_S, NS_PER_US, Clock
from edgetwin.clock_watch import ClockWatch
from edgetwin.driving import Driving
from edgetwin.errors import StoreError
from edgetwin.figures import Figures, Rooms
from edgetwin.forwarding import Forwarding
from edgetwin.judging.judging import Judging
from edgetwin.pipeline import Pipeline
from edgetwin.prognosis.foretelling import Foretelling
from edgetwin.records import ChannelClass, EventKind, LinkState, Parcel
from edgetwin.ros.graph import Graph
from edgetwin.ros.wakeup import BUSY_TICK_S
from edgetwin.settings import Settings
from edgetwin.status import StatusFile
from edgetwin.telling import Telling
from edgetwin.uplink.link import Broker
from edgetwin.vitals import Vitals

_log = logging.getLogger("edgetwin")

_COALESCED_TICK_S = 0.05
_LINK_END_S = 2.5


class Daemon:
    """One robot's edgetwin. Made and run once, inside a running loop."""

    def __init__(
        self, settings: Settings, broker: Broker, status_directory: Path, clock: Clock, vitals: Vitals
    ) -> None:
        """Build what can be built without touching the outside.

        Args:
            settings: Checked settings.
            broker: Where to forward to.
            status_directory: Where status.json lives.
            clock: The robot's.
            vitals: Where every lane shows that it gets on.

        Raises:
            RosTypeError, FieldPathError: A channel does not fit its message type.
        """
        self._settings = settings
        self._clock = clock
        self._vitals = vitals
        self._boot = uuid.uuid4().hex[:16]
        self._topics = wire.Topics(settings.robot.id, settings.mqtt.prefix)
        self._telling = Telling(settings.status, settings.robot.id, StatusFile(status_directory), vitals.show, clock)
        self._problems: dict[str, str] = {}
        self._stopping = asyncio.Event()
        self._failure: BaseException | None = None
        self._loop = asyncio.get_running_loop()
        self._release_timer: asyncio.TimerHandle | None = None
        self._release_at_ns = 0
        self._state = "starting"
        self._forwarding = Forwarding(settings, self._boot, self._topics, broker, self._status_parcel, clock)
        self._driving = Driving(
            settings, self._boot, self._topics, broker, clock,
            partial(self._forwarding.emit, EventKind.GATE), self._fail,
        )  # fmt: skip
        self._pipelines: dict[str, Pipeline] = {}
        for name, channel in settings.channels.items():
            lane = self._topics.channel_lane(name, channel.channel_class, channel.encoding, channel.qos)
            numbering = self._forwarding.add_lane(lane)
            self._pipelines[name] = Pipeline(channel, numbering, self._forwarding.leave, clock)
        self._judging = Judging(settings, self._forwarding.emit, clock)
        self._foretelling = Foretelling(settings, self._forwarding.emit, clock)
        self._graph: Graph | None = None
        self._figures = self._make_figures({})

    def stop(self) -> None:
        """Ask for an orderly end."""
        self._stopping.set()

    def retune(self, settings: Settings, broker: Broker) -> None:
        """Take what `settings.changes` allows to change while running; `broker` is for the next connections."""
        for name, pipeline in self._pipelines.items():
            pipeline.repace(settings.channels[name])
        self._judging.retune(settings)
        self._forwarding.retune(settings)
        self._forwarding.link.meet_next(broker)
        self._driving.meet_next(broker)

    async def run(self) -> None:
        """Run until `stop`.

        Raises:
            EdgeTwinError: It could not start, or not everything could be kept at the end.
            Exception: A defect; systemd starts us anew.
        """
        self._loop.set_exception_handler(self._callback_failed)
        try:
            self._driving.start(self._vitals.progress)  # first: a stop must not wait for a disk
            await self._forwarding.open()
            if not self._stopping.is_set():
                await self._run_until_stopped()
        finally:
            await self._driving.end()
            self._loop.set_exception_handler(None)
        if self._failure is not None:
            raise self._failure

    async def _run_until_stopped(self) -> None:
        outbox = self._forwarding.outbox
        try:
            self._driving.listen(outbox.audit)
            self._judging.open()
            self._open_ros()
            async with asyncio.TaskGroup() as group:
                link = group.create_task(self._forwarding.link.run())
                watchers = [
                    group.create_task(self._watch_graph()),
                    group.create_task(self._tell()),
                    group.create_task(self._beat()),
                    group.create_task(self._judging.run()),
                    group.create_task(self._foretelling.run()),
                    group.create_task(ClockWatch(self._clock, partial(self._forwarding.emit, EventKind.CLOCK)).run()),
                    group.create_task(self._vitals.watch_store(outbox.turn, lambda: outbox.troubled)),
                    group.create_task(self._vitals.tell_ready(self._forwarding.tried, self._whole_figures)),
                ]
                gc.freeze()  # what is here stays: the collector need not walk over it again and again
                gc.set_threshold(20_000, 20, 50)
                gc.enable()  # off since before the imports
                self._state = "running"
                _log.info(
                    "edgetwin %s is running: %d channels.", __version__, len(self._pipelines),
                    extra={"EVENT": "started", "BOOT": self._boot},
                )  # fmt: skip
                await self._stopping.wait()
                self._state = "stopping"
                for watcher in watchers:
                    watcher.cancel()
                await self._driving.end()
                self._close_ros()
                self._judging.judge()
                self._forwarding.finish()
                await asyncio.wait([link], timeout=_LINK_END_S)
                link.cancel()
        finally:
            await self._driving.end()  # before ROS ends under it
            self._close_ros()
            await self._judging.close()
            await self._foretelling.close()
            await self._forwarding.close()
            self._telling.close()
        _log.info("edgetwin stopped.", extra={"EVENT": "stopped"})

    def _open_ros(self) -> None:
        coalesce_s = self._settings.mqtt.coalesce_s  # what waits that long anyway can be taken half as often
        tick_s = max(BUSY_TICK_S, min(coalesce_s / 2.0, _COALESCED_TICK_S))
        self._graph = Graph(
            self._settings.ros.node_name, self._clock, self._forwarding.pump, self._ros_problem, self._ros_lost, tick_s
        )
        for name, pipeline in self._pipelines.items():
            channel = pipeline.channel
            self._graph.follow(
                name, channel.topic, channel.type, pipeline.message_class, channel.queue_depth, self._sink(pipeline),
                urgent=channel.channel_class is ChannelClass.EVENT,
            )  # fmt: skip
        self._figures = self._make_figures(self._graph.topics)

    def _sink(self, pipeline: Pipeline) -> Any:
        pacer = pipeline.pacer
        take_sample = pipeline.take
        listeners = self._foretelling.listeners(pipeline.lane.name)
        judges = self._judging.listeners(pipeline.lane.name)

        def take(raw: bytes, received_ns: int, now_ns: int) -> None:
            take_sample(raw, received_ns, now_ns)
            for listen in listeners:
                listen(raw, now_ns)
            for judge in judges:
                judge(raw, received_ns)
            due_ns = pacer.due_ns
            if due_ns is not None and (self._release_timer is None or due_ns < self._release_at_ns):
                self._arm_release(due_ns)

        return take

    def _arm_release(self, due_ns: int) -> None:
        if self._release_timer is not None:
            self._release_timer.cancel()
        self._release_at_ns = due_ns
        delay_s = max(0.001, (due_ns - self._clock.now_ns()) / NS_PER_S)
        self._release_timer = self._loop.call_later(delay_s, self._release)

    def _release(self) -> None:
        """Send held samples whose time has come; a pacer's due time moves while messages flow, so look again."""
        self._release_timer = None
        now_ns = self._clock.now_ns()
        next_due_ns: int | None = None
        for pipeline in self._pipelines.values():
            pipeline.release(now_ns)
            due_ns = pipeline.pacer.due_ns
            if due_ns is not None and (next_due_ns is None or due_ns < next_due_ns):
                next_due_ns = due_ns
        if next_due_ns is not None:
            self._arm_release(next_due_ns)

    def _close_ros(self) -> None:
        graph, self._graph = self._graph, None
        if graph is None:
            return
        graph.drain()
        graph.close()
        if self._release_timer is not None:
            self._release_timer.cancel()
        for pipeline in self._pipelines.values():
            pipeline.flush()

    async def _watch_graph(self) -> None:
        if self._graph is not None:
            await self._vitals.watch_ros(self._graph.watch)

    async def _tell(self) -> None:
        if self._graph is not None:
            await self._telling.run(self._whole_figures, self._graph.node)

    def _whole_figures(self) -> dict[str, Any]:
        judges = {"anomaly": self._judging.figures(), "prognosis": self._foretelling.figures()}
        return self._figures.whole(self._state) | judges

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._settings.mqtt.heartbeat_s)
            self._forwarding.link.publish_status(LinkState.ONLINE)

    def _status_parcel(self, state: LinkState) -> Parcel:
        payload = wire.status(
            self._settings.robot.id,
            self._boot,
            state,
            version=__version__,
            stamp_us=self._clock.stamp_ns() // NS_PER_US,
            heartbeat_s=self._settings.mqtt.heartbeat_s,
            **self._figures.brief(),
            anomaly=self._judging.figures(),
            prognosis=self._foretelling.figures(),
        )
        return Parcel(self._topics.status, payload, 0)

    def _make_figures(self, topics: Mapping[str, Any]) -> Figures:
        forwarding = self._forwarding
        rooms = Rooms(
            self._pipelines, topics, self._problems, forwarding.outbox, forwarding.link, forwarding.live,
            forwarding.pump, self._driving, forwarding, self._settings.store.max_bytes,
        )  # fmt: skip
        return Figures(self._settings.robot.id, self._boot, rooms, self._clock)

    def _ros_problem(self, channel: str, problem: str | None) -> None:
        if problem is None:
            del self._problems[channel]
            _log.info("Channel %s has its messages again.", channel, extra={"EVENT": "ros.mended", "CHANNEL": channel})
        else:
            self._problems[channel] = problem
            _log.error("Channel %s: %s.", channel, problem, extra={"EVENT": "ros.problem", "CHANNEL": channel})

    def _ros_lost(self, channel: str, lost: int) -> None:
        _log.error(
            "Channel %s: ROS lost %d messages before they reached edgetwin; "
            "use a reliable publisher with a deeper history, or raise queue_depth.", channel, lost,
            extra={"EVENT": "ros.lost", "CHANNEL": channel, "LOST": lost},
        )  # fmt: skip

    def _callback_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback raised what nobody expected: stop in order, then fail. No "log and continue"."""
        error = context.get("exception")
        if error is None or isinstance(error, StoreError):
            loop.default_exception_handler(context)
            return
        self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        self._stopping.set()
