"""Command lane: what lives on the lane's loop, from its first turn to its last.

In: a plan, the lane's node and publishers     Out: a robot that obeys, and stops
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from edgetwin import wire
from edgetwin.clock import Clock
from edgetwin.command.admission import Admission
from edgetwin.errors import LinkError
from edgetwin.gate.events import Source
from edgetwin.gate.gate import begin
from edgetwin.lane.connection import Terms
from edgetwin.lane.desk import Desk, Post
from edgetwin.lane.gatehouse import Asker, Gatehouse, Parts
from edgetwin.lane.guard import Pulse
from edgetwin.lane.keeper import Keeper
from edgetwin.lane.latch import Boot, LatchFile
from edgetwin.lane.ledger import Ledger, Notice
from edgetwin.lane.link import CommandLink, LinkHooks
from edgetwin.lane.moment import Moments
from edgetwin.lane.outgoing import Message
from edgetwin.lane.packets import Subscription
from edgetwin.lane.plan import Plan
from edgetwin.lane.stream import Arrival
from edgetwin.motion import Reason, State, Verb, Verdict
from edgetwin.records import EventKind
from edgetwin.ros.bell import Bell
from edgetwin.ros.cmd_vel import MotionPublisher
from edgetwin.ros.goals import Goals
from edgetwin.ros.motion_graph import MotionGraph
from edgetwin.ros.robot_inputs import RobotInputs
from edgetwin.ros.triggers import Triggers

_T = TypeVar("_T")
_COMMAND_PACKET_MAX = 8_192  # a longer command never reaches us; a stop may be as long as it likes
_REST_TIMEOUT_S = 1.0
_REST_POLL_S = 0.02
_FAREWELL_S = 0.05
_LATCH_TIMEOUT_S = 1.0
_LOOK_S = 0.05
_ALARMING = frozenset({0x84, 0x86, 0x87, 0x8E})  # MQTT reasons that a person must look into: nothing else mends them


@dataclass(frozen=True, slots=True)
class Grounds:
    """What the lane's thread hands to each of its runs.

    Attributes:
        node: The lane's own.
        publishers: The lane's handle on the motion topic, and the guard's.
        boot: What the last process left.
        pulse: For the guard.
        ledger: For the main loop.
        beat: Called at every tick.
        broken: Told of an exception where none may be.
    """

    node: Any
    publishers: tuple[MotionPublisher, MotionPublisher]
    boot: Boot
    pulse: Pulse
    ledger: Ledger
    beat: Callable[[], None]
    broken: Callable[[BaseException], None]


class Serving:
    """One run of the lane.

    Attributes:
        house: The gate.
        desk: The commands.
        commands: The connection they come by.
        stops: The connection that stops come by.
    """

    def __init__(self, plan: Plan, grounds: Grounds, clock: Clock) -> None:
        """Subscribe and read the state; nothing is published yet. On the lane's loop."""
        self._plan = plan
        self._ledger = ledger = grounds.ledger
        self._broken = grounds.broken
        node, boot, publishers = grounds.node, grounds.boot, grounds.publishers
        self._loop = loop = asyncio.get_running_loop()
        moments = Moments(clock)
        self._admission = admission = Admission(plan.rules, plan.boot, moments.now(), plan.remembered)
        self._file = LatchFile(plan.latch_path, self._latch_written)
        own = tuple(publisher.gid for publisher in publishers)
        handles = (*boot.handles, *(gid.hex() for gid in own if gid))
        past = [bytes.fromhex(handle) for handle in boot.handles]
        self._bell = Bell(loop, self._rung)
        self._goals = Goals(node, plan.cancel_goals)
        self._inputs = RobotInputs(node, self._bell, plan.sources, clock)
        parts = Parts(
            limits=plan.limits,
            publisher=publishers[0],
            inputs=self._inputs,
            graph=MotionGraph(node, plan.cmd_vel_topic, plan.cmd_vel_type, publishers[0], own, past),
            allowed=plan.allowed,
            keeper=Keeper(self._file, handles, hold_on_exit=plan.hold_on_exit),
            ledger=ledger,
            moments=moments,
            pulse=grounds.pulse,
            lease_trouble=self._lease_trouble,
            drop_lease=admission.drop_lease,
            goals=self._goals,
            beat=grounds.beat,
        )
        memory = begin(boot_held=boot.held, stop_id=boot.stop_id, seed=plan.boot, now_ns=clock.now_ns())
        self.house = Gatehouse(memory, parts, loop)
        self.commands, self.stops = self._links(clock)
        post = Post(self._by(self.commands), self._by(self.stops), lambda: self.stops.up)
        self.desk = Desk(plan.rules, plan.topics, admission, self.house, post, moments, ledger)
        name = f"{node.get_namespace().rstrip('/')}/{plan.node_name}"
        self._triggers = Triggers(
            node, self._bell, {f"{name}/stop": self._stop_locally, f"{name}/reset": self._reset_locally}
        )

    async def run(self, wanted: asyncio.Future[None]) -> None:
        """Serve until `wanted`; then zeros for a moment if it drove, the last answers, silence.

        Raises:
            Exception: That of `wanted`, at once: what broke is not tidied up, so that the next start is latched.
        """
        self.house.start()
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(link.run()) for link in (self.commands, self.stops)]
            if not self._bell.rings:
                running.append(group.create_task(self._look()))
            await wanted
            self.house.shut_down()
            self.desk.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(_REST_TIMEOUT_S):
                    while not self.house.at_rest:  # noqa: ASYNC110  # it ends by the clock
                        await asyncio.sleep(_REST_POLL_S)
            await asyncio.sleep(_FAREWELL_S)  # for the acks on their way
            for task in running:
                task.cancel()

    def close(self) -> bool:
        """Let go of everything, in order; return whether the newest latch is on disk."""
        self.house.close()
        self._triggers.close()
        self._goals.close()
        self._inputs.close()
        self._bell.close()
        return self._file.close(_LATCH_TIMEOUT_S) and self.house.keeper.problem is None

    def _links(self, clock: Clock) -> tuple[CommandLink, CommandLink]:
        plan, topics = self._plan, self._plan.topics
        who = (plan.broker.keepalive_s, plan.broker.username, plan.broker.password)
        others = [Subscription(topics.command(verb), retained=False) for verb in Verb if verb is not Verb.STOP]
        stop = Subscription(topics.command(Verb.STOP), retained=True)
        proof = _proof(plan)
        by_command = Terms(f"{plan.robot_id}-command", *who, others, proof, packet_max_bytes=_COMMAND_PACKET_MAX)
        by_stop = Terms(f"{plan.robot_id}-stop", *who, [stop], proof)
        moves = LinkHooks(_ignored, self._sheltered(self._arrived), lambda error: self._changed("command", error))
        stops = LinkHooks(
            self._sheltered(self._topic_seen),
            self._sheltered(self._stop_arrived),
            lambda error: self._changed("stop", error),
        )
        return CommandLink(plan.broker, by_command, moves, clock), CommandLink(plan.broker, by_stop, stops, clock)

    @staticmethod
    def _by(link: CommandLink) -> Callable[[str, bytes, bytes], None]:
        return lambda topic, ack, correlation: link.publish(
            topic, ack, content_type="application/json", correlation=correlation
        )

    def _sheltered(self, act: Callable[[_T], None]) -> Callable[[_T], None]:
        """Have an exception of ours end the lane: the connection would take it for one of the broker's."""

        def sheltered(argument: _T) -> None:
            try:
                act(argument)
            except Exception as error:  # noqa: BLE001  # whatever it is
                self._broken(error)

        return sheltered

    def _topic_seen(self, topic: bytes) -> None:
        self.desk.topic_seen(topic)

    def _stop_arrived(self, arrival: Arrival) -> None:
        self.desk.stop_arrived(arrival)

    def _arrived(self, arrival: Arrival) -> None:
        self.desk.arrived(arrival)

    def _lease_trouble(self, now_ns: int) -> Reason | None:
        """Nothing is driven that could not be stopped: without the stop connection no lease counts."""
        return self._admission.lease_trouble(now_ns) if self.stops.up else Reason.NO_LEASE

    def _rung(self) -> None:
        self.house.rung()
        self._triggers.look()

    async def _look(self) -> None:
        """Where nothing rings: look, twenty times a second."""
        while True:
            self._rung()
            await asyncio.sleep(_LOOK_S)

    def _stop_locally(self) -> tuple[bool, str]:
        answer = self.house.stop(Asker("local_stop", client="local"), Source.LOCAL)
        return True, f"stopped; latched as {answer.stop_id}"

    def _reset_locally(self) -> tuple[bool, str]:
        answer = self.house.reset_locally()
        return answer.verdict is Verdict.OK, answer.detail or str(answer.code)

    def _latch_written(self, number: int, problem: str | None) -> None:
        """On the thread of the file."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._latch_heard, number, problem)

    def _latch_heard(self, number: int, problem: str | None) -> None:
        keeper = self.house.keeper
        if problem is not None and keeper.problem is None:
            words = f"The latch is not on disk: {problem}; nothing will drive, and a stop would not outlive us."
            self._ledger.note(Notice(logging.ERROR, "gate.latch", words))
        elif problem is None and keeper.problem is not None:
            self._ledger.note(Notice(logging.INFO, "gate.latch_mended", "The latch is on disk again."))
        keeper.written(number, problem)
        self.desk.latch_written()

    def _changed(self, which: str, error: LinkError | None) -> None:
        if which == "stop" and error is not None:
            self.desk.stop_link_lost()
            self.house.lease_changed()
        if self.house.memory.state is State.DOWN:
            return
        if error is None:
            notice = Notice(logging.INFO, "gate.link_up", f"The {which} connection is up.", {"CONNECTION": which})
            self._ledger.note(notice)
            return
        words = f"The {which} connection is down: {error}; nothing can be asked of the robot there."
        self._ledger.note(Notice(logging.WARNING, "gate.link_down", words, {"CONNECTION": which}))
        if error.reason_code in _ALARMING:
            self.house.alarms.refused(self.house.memory, words)


def _proof(plan: Plan) -> Message:
    """Return an empty batch of records: for the broker's rules a word of this robot, for a reader nothing at all."""
    topic = plan.topics.backlog(EventKind.LINK)  # a name that no channel may have
    batch = wire.batch(plan.robot_id, ())
    return Message(topic, batch, "application/json", user=((wire.CONTENT_ENCODING, wire.IDENTITY),))


def _ignored(_topic: bytes) -> None:
    """Commands are judged when they are whole."""
