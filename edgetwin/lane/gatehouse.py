"""Command lane: the gate with all that it needs around it: facts in, twists out, nothing forgotten.

In: events     Out: twists on the motion topic, entries in the ledger, the latch on disk
One thread, no waiting. `stop` publishes zero before it does anything else, whatever state that may be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from edgetwin.clock import NS_PER_S
from edgetwin.gate.events import Asked, Event, Fail, LocalReset, Shutdown, Source, Stop, Tick
from edgetwin.gate.gate import step
from edgetwin.gate.latch import bursting
from edgetwin.gate.limits import GateLimits
from edgetwin.gate.memory import Decision, Memory
from edgetwin.lane.alarms import Alarms
from edgetwin.lane.guard import Pulse
from edgetwin.lane.keeper import MOVING, Keeper
from edgetwin.lane.ledger import DecisionEntry, Ledger
from edgetwin.lane.moment import Moments
from edgetwin.motion import Answer, Move, Reason, RobotState, State, Twist
from edgetwin.ros.cmd_vel import MotionPublisher
from edgetwin.ros.goals import Goals
from edgetwin.ros.motion_graph import Company, MotionGraph
from edgetwin.ros.robot_inputs import RobotInputs

_SILENT = frozenset({State.INIT, State.IDLE, State.LOCAL})
_SILENT_TICK_NS = 200_000_000
_COMPANY_EVERY_NS = 200_000_000
_LATE_NS = 100_000_000
_REPEATED_STOP_NS = 5_000_000
_CANCEL_EVERY_NS = NS_PER_S


@dataclass(frozen=True, slots=True)
class Parts:
    """What the gate stands between.

    Attributes:
        allowed: Nodes that may publish motion beside us.
        lease_trouble: Why no fresh lease is held at a time [ns], or None.
        drop_lease: Ends it.
        goals: Those of the local stack, which a stop cancels too.
        beat: Called at every tick.
    """

    limits: GateLimits
    publisher: MotionPublisher
    inputs: RobotInputs
    graph: MotionGraph
    allowed: frozenset[str]
    keeper: Keeper
    ledger: Ledger
    moments: Moments
    pulse: Pulse
    lease_trouble: Callable[[int], Reason | None]
    drop_lease: Callable[[Reason], None]
    goals: Goals
    beat: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Asker:
    """Which command an event was, for the ledger; the default is none."""

    command: str = ""
    id: str = ""
    client: str = ""


_NOBODY = Asker()


class Gatehouse:
    """One robot's gate, on the lane's loop.

    Attributes:
        memory: The gate between two events.
        company: The motion topic, as last looked at.
        alarms: Stops, and ticks that came more than 0.1 s late.
    """

    def __init__(self, memory: Memory, parts: Parts, loop: asyncio.AbstractEventLoop) -> None:
        self.memory = memory
        self.company = Company()
        self.alarms = Alarms(parts.ledger, parts.moments)
        self._parts = parts
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._due_ns = 0
        self._company_at_ns = 0
        self._zero_ns = 0
        self._cancelled_ns = -_CANCEL_EVERY_NS

    def start(self) -> None:
        """Begin to tick."""
        self._parts.keeper.keep(self.memory)
        self._tick()

    def close(self) -> None:
        """Tick no more."""
        if self._timer is not None:
            self._timer.cancel()

    def stop(self, asker: Asker, source: Source = Source.REMOTE) -> Answer:
        """Stop the robot: zero first, then everything else; return the answer for an ack."""
        now_ns = self._parts.moments.clock.now_ns()
        if self.memory.state in _SILENT or now_ns - self._zero_ns > _REPEATED_STOP_NS:  # a storm needs no zero for each
            self._parts.publisher.zero()
            self._zero_ns = now_ns
        decision = self.step(Stop(source), asker, published=True)
        self.alarms.stopped(self.memory)
        if decision.answer is None:
            msg = "the gate does not answer a stop"
            raise TypeError(msg)
        return decision.answer

    def ask(self, move: Move, asker: Asker) -> Answer | None:
        """Have a move judged; None: it would begin a drive whose marker is not on disk yet, so ask again then."""
        keeper = self._parts.keeper
        if self.memory.state not in MOVING and not keeper.may_drive:
            now_ns = self._parts.moments.clock.now_ns()
            would_be, _ = step(self.memory, Asked(move), self._facts(now_ns), self._parts.limits, now_ns=now_ns)
            if would_be.state in MOVING:
                keeper.want_to_drive(self.memory)
                return None
        return self.step(Asked(move), asker).answer

    def step(self, event: Event, asker: Asker = _NOBODY, *, published: bool = False) -> Decision:
        """Take one event through the gate, and do what it decides; `published`: its twist has already left."""
        parts = self._parts
        moment = parts.moments.now()
        before = self.memory.state
        memory, decision = step(self.memory, event, self._facts(moment.now_ns), parts.limits, now_ns=moment.now_ns)
        self.memory = memory
        parts.pulse.silent = memory.state in _SILENT or (memory.state is State.DOWN and memory.burst_ends_ns is None)
        if decision.publish is not None and not published:
            self._publish(decision.publish)
        if decision.drop_lease:
            parts.drop_lease(memory.reason)
        if decision.cancel_goals and moment.now_ns - self._cancelled_ns >= _CANCEL_EVERY_NS:
            self._cancelled_ns = moment.now_ns
            self._loop.call_soon(parts.goals.cancel)
        parts.keeper.keep(memory)
        if decision.answer is not None or memory.state is not before:
            self._enter(moment.stamp_us, moment.now_ns, asker, before, decision)
        if memory.state is not before:
            self._tick_soon()
        return decision

    def rung(self) -> None:
        """An e-stop or an override was heard: judge it now, not at the next tick."""
        heard = self._parts.inputs.heard
        before = (heard.estop, heard.override_ns)
        self._parts.inputs.look()
        if (heard.estop, heard.override_ns) != before:
            self.step(Tick())

    def lease_changed(self) -> None:
        """What is driven was asked under a lease, or a connection, that may be over: judge it now, not next tick."""
        if self.memory.state is State.ACTIVE and self._parts.lease_trouble(self._parts.moments.clock.now_ns()):
            self.step(Tick())

    def shut_down(self) -> None:
        """The process ends."""
        self.step(Shutdown(), Asker("shutdown"))

    def reset_locally(self) -> Answer:
        """Have a person at the robot end the latch."""
        self._parts.inputs.look()
        answer = self.step(LocalReset(), Asker("local_reset", client="local")).answer
        if answer is None:
            msg = "the gate does not answer a reset"
            raise TypeError(msg)
        return answer

    @property
    def keeper(self) -> Keeper:
        """What of the gate is on disk."""
        return self._parts.keeper

    @property
    def at_rest(self) -> bool:
        """Whether the end has come and its last zero has left."""
        return self.memory.state is State.DOWN and not bursting(self.memory, self._parts.moments.clock.now_ns())

    def _publish(self, twist: Twist) -> None:
        if not self._parts.publisher.send(twist, may_move=self.memory.state in MOVING):
            self.step(Fail(Reason.GUARD), published=True)

    def _facts(self, now_ns: int) -> RobotState:
        heard, company = self._parts.inputs.heard, self.company
        return RobotState(
            pose=heard.pose,
            pose_ns=heard.pose_ns,
            speed=heard.speed,
            speed_ns=heard.speed_ns,
            battery=heard.battery,
            battery_ns=heard.battery_ns,
            estop=heard.estop,
            estop_ns=heard.estop_ns,
            scan=heard.scan,
            scan_ns=heard.scan_ns,
            override_ns=heard.override_ns,
            subscribers=company.subscribers,
            type_mismatch=company.type_mismatch,
            foreign_publisher=bool(company.foreign),
            lease=self._parts.lease_trouble(now_ns),
        )

    def _enter(self, stamp_us: int, now_ns: int, asker: Asker, before: State, decision: Decision) -> None:
        memory, answer, twist = self.memory, decision.answer, decision.publish
        if answer is not None and answer.applied is not None:
            twist = answer.applied
        self._parts.ledger.enter(
            DecisionEntry(
                stamp_us,
                now_ns,
                asker.command,
                asker.id,
                asker.client,
                answer.verdict if answer else None,
                answer.code if answer else memory.reason,
                (answer.reasons if answer else decision.reasons) or (memory.reason,),
                before,
                memory.state,
                twist.linear_mps if twist else None,
                twist.angular_radps if twist else None,
                memory.stop_id,
                answer.detail if answer else "",
            )
        )

    def _tick(self) -> None:
        now_ns = self._parts.moments.clock.now_ns()
        if self._due_ns and now_ns - self._due_ns > _LATE_NS:
            self.alarms.late(now_ns - self._due_ns)
        self._parts.inputs.look()
        if now_ns >= self._company_at_ns:
            self._company_at_ns = now_ns + _COMPANY_EVERY_NS
            self.company = self._parts.graph.look(self._parts.allowed)
        self.step(Tick())
        self._parts.ledger.flush(now_ns)
        self._parts.pulse.tick_ns = now_ns
        self._parts.beat()
        self._arm(self._next_ns(now_ns))

    def _next_ns(self, now_ns: int) -> int:
        """Return when to tick next: on an absolute schedule while something is published, rarely otherwise."""
        memory, limits = self.memory, self._parts.limits
        if self._parts.pulse.silent:
            return now_ns + _SILENT_TICK_NS
        often = memory.state in MOVING or bursting(memory, now_ns)
        period_ns = limits.tick_ns if often else limits.hold_period_ns
        return max(now_ns + period_ns // 2, self._due_ns + period_ns)

    def _tick_soon(self) -> None:
        """A change of state: its output is due now, and from now on at its own pace."""
        if self._timer is not None:
            self._arm(self._parts.moments.clock.now_ns())

    def _arm(self, due_ns: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due_ns = due_ns
        delay_s = (due_ns - self._parts.moments.clock.now_ns()) / NS_PER_S
        self._timer = self._loop.call_later(max(0.0, delay_s), self._tick)
