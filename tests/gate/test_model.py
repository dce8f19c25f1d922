"""The gate beside its model, through any order of events: same state, same verdict, and nothing leaves that may not."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgetwin.gate.events import (
    Asked,
    Event,
    Fail,
    LocalReset,
    ResetConfirm,
    ResetRequest,
    Shutdown,
    Source,
    Stop,
    Tick,
)
from edgetwin.gate.gate import begin
from edgetwin.gate.limits import MS
from edgetwin.motion import ZERO, Move, Reason, RobotState, State, Twist
from tests.gate.shadow import Shadowed
from tests.gate.stage import BARE, FULL, NOW, SPOILS, TICK, S, robot

clients = st.sampled_from(["anna", "ben"])
nonces = st.sampled_from(["n1", "n2"])


class GateAndModel(RuleBasedStateMachine):
    """Any facts, any commands, any pace; after every step the two must agree."""

    def __init__(self) -> None:
        super().__init__()
        self.spoilt: set[str] = set()
        self.speed = ZERO

    @initialize(full=st.booleans(), boot_held=st.booleans())
    def start(self, full: bool, boot_held: bool) -> None:
        """A process starts, after a clean end or not."""
        limits = FULL if full else BARE
        memory = begin(boot_held=boot_held, stop_id="old" if boot_held else "", seed="boot", now_ns=NOW)
        self.stage = Shadowed(limits=limits, memory=memory, good=self.facts)

    def facts(self, now_ns: int) -> RobotState:
        """What the robot knows now."""
        known = robot(now_ns, self.speed)
        for name in sorted(self.spoilt):
            known = SPOILS[name][0](known, now_ns)
        return known

    def both(self, event: Event) -> None:
        """One event to both."""
        self.stage.step(event)

    @rule(count=st.integers(1, 12))
    def ticks(self, count: int) -> None:
        """Time passes as it should."""
        for _ in range(count):
            self.stage.now_ns += TICK
            self.both(Tick())

    @rule(after_ns=st.sampled_from([0, 1, 20 * MS, 99 * MS, 250 * MS, 500 * MS, 500 * MS + 1, 2 * S]))
    def odd_tick(self, after_ns: int) -> None:
        """A tick too soon, too late, or far too late."""
        self.stage.now_ns += after_ns
        self.both(Tick())

    @rule(after_ns=st.sampled_from([1, 10 * MS, 200 * MS, 1 * S, 10 * S]))
    def wait(self, after_ns: int) -> None:
        """Time passes unseen."""
        self.stage.now_ns += after_ns

    @rule(name=st.sampled_from(sorted(SPOILS)))
    def spoil(self, name: str) -> None:
        """One more fact goes bad."""
        self.spoilt.add(name)

    @rule()
    def mend(self) -> None:
        """Everything is well again."""
        self.spoilt.clear()

    @rule(moving=st.booleans())
    def be_pushed(self, moving: bool) -> None:
        """What the odometry says."""
        self.speed = Twist(0.3, 0.0) if moving else ZERO

    @rule(
        linear=st.sampled_from([0.0, 0.1, 0.3, 0.5, 4.0, 5.1]),
        angular=st.sampled_from([0.0, 0.2]),
        duration_ns=st.sampled_from([None, 0, 200 * MS, 700 * MS, 5 * S]),
    )
    def move(self, linear: float, angular: float, duration_ns: int | None) -> None:
        """A move is admitted."""
        twist = ZERO if linear == 0.0 else Twist(linear, angular)
        self.both(Asked(Move("m", "anna", twist, duration_ns)))

    @precondition(lambda self: self.stage.state in {State.IDLE, State.ACTIVE, State.BRAKE})
    @rule(count=st.integers(1, 15), linear=st.sampled_from([0.1, 0.5]))
    def drive(self, count: int, linear: float) -> None:
        """An operator holds the stick."""
        for _ in range(count):
            self.both(Asked(Move("m", "anna", Twist(linear, 0.0), 700 * MS)))
            self.stage.now_ns += TICK
            self.both(Tick())

    @rule(source=st.sampled_from(Source))
    def stop(self, source: Source) -> None:
        """Anybody stops it."""
        self.both(Stop(source))

    @rule(client=clients, nonce=nonces, right=st.booleans(), operator=st.booleans())
    def ask_reset(self, client: str, nonce: str, right: bool, operator: bool) -> None:
        """First step of a reset."""
        self.both(ResetRequest(client, self.stage.memory.stop_id if right else "another", nonce, operator))

    @rule(client=clients, nonce=nonces, right=st.booleans())
    def confirm_reset(self, client: str, nonce: str, right: bool) -> None:
        """Second step, perhaps by somebody else, perhaps with a made-up nonce."""
        self.both(ResetConfirm(client, self.stage.memory.stop_id if right else "another", nonce))

    @precondition(lambda self: self.stage.state is State.HELD)
    @rule(pause_ns=st.sampled_from([0, 5 * S, 10 * S]))
    def reset(self, pause_ns: int) -> None:
        """Both steps as they should be, perhaps too slowly."""
        for _ in range(25):
            self.stage.now_ns += TICK
            self.both(Tick())
        self.ask_reset("anna", "n1", right=True, operator=True)
        self.stage.now_ns += pause_ns
        self.confirm_reset("anna", "n1", right=True)

    @rule()
    def local_reset(self) -> None:
        """The person beside the robot."""
        self.both(LocalReset())

    @rule(reason=st.sampled_from([Reason.FAULT, Reason.STALLED, Reason.GUARD]))
    def fail(self, reason: Reason) -> None:
        """Something around the gate is broken."""
        self.both(Fail(reason))

    @rule(really=st.sampled_from([False] * 9 + [True]))
    def shut_down(self, really: bool) -> None:
        """The process ends, seldom."""
        if really:
            self.both(Shutdown())

    @invariant()
    def a_latch_has_a_name(self) -> None:
        """And the name is not that of the last boot's, unless it is the last boot's latch."""
        memory = self.stage.memory if hasattr(self, "stage") else None
        if memory is not None and memory.stop_id:
            assert memory.stop_id == "old" or memory.stop_id.startswith("boot-")


TestGateAndModel = GateAndModel.TestCase
