"""Every state with every event: table 1b of the specification, and rule 0 for all that it does not list."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest

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
from edgetwin.motion import ZERO, Move, Reason, State, Twist, Verdict
from tests.gate.shadow import Shadowed
from tests.gate.stage import DRIVING, FULL, LATCHED, NOW, SPOILS, TICK, S, Stage, bring, reset, robot

SLEPT = 600 * MS


def _tick(stage: Stage) -> Event:
    stage.now_ns += TICK
    return Tick()


def _late_tick(stage: Stage) -> Event:
    stage.now_ns += SLEPT
    return Tick()


def _answer(stage: Stage) -> Event:
    stage.step(ResetRequest("pilot", stage.memory.stop_id, "n0"))
    return ResetConfirm("pilot", stage.memory.stop_id, "n0")


def _answer_of_another(stage: Stage) -> Event:
    stage.step(ResetRequest("pilot", stage.memory.stop_id, "n0"))
    return ResetConfirm("thief", stage.memory.stop_id, "n0")


KINDS: dict[str, Callable[[Stage], Event]] = {
    "tick": _tick,
    "late tick": _late_tick,
    "stop": lambda _: Stop(),
    "local stop": lambda _: Stop(Source.LOCAL),
    "move": lambda _: Asked(Move("m", "pilot", Twist(0.3, 0.0))),
    "zero move": lambda _: Asked(Move("m", "pilot", ZERO)),
    "too fast": lambda _: Asked(Move("m", "pilot", Twist(5.1, 0.0))),
    "no number": lambda _: Asked(Move("m", "pilot", Twist(float("nan"), 0.0))),
    "request": lambda stage: ResetRequest("pilot", stage.memory.stop_id, "n0"),
    "request of another stop": lambda _: ResetRequest("pilot", "another", "n0"),
    "request of a driver": lambda stage: ResetRequest("pilot", stage.memory.stop_id, "n0", may_reset=False),
    "confirm": _answer,
    "confirm unasked": lambda stage: ResetConfirm("pilot", stage.memory.stop_id, "n0"),
    "confirm of another": _answer_of_another,
    "local reset": lambda _: LocalReset(),
    "fail": lambda _: Fail(),
    "shut down": lambda _: Shutdown(),
}

CODE_OF = {  # rule 0: an event that is not for this state is refused with the state's code
    State.INIT: Reason.NOT_READY,
    State.HELD: Reason.HELD,
    State.ESTOP: Reason.ESTOP,
    State.FAULT: Reason.FAULT,
    State.LOCAL: Reason.LOCAL_OVERRIDE,
    State.DOWN: Reason.SHUTTING_DOWN,
}
TABLE: dict[tuple[State, str], tuple[State, Verdict | None, Reason]] = {
    (State.INIT, "tick"): (State.IDLE, None, Reason.READY),
    (State.INIT, "late tick"): (State.IDLE, None, Reason.READY),
    (State.ESTOP, "tick"): (State.HELD, None, Reason.ESTOP_CLEARED),
    (State.ESTOP, "late tick"): (State.HELD, None, Reason.ESTOP_CLEARED),
    (State.LOCAL, "tick"): (State.IDLE, None, Reason.LOCAL_END),
    (State.LOCAL, "late tick"): (State.IDLE, None, Reason.LOCAL_END),
    (State.ACTIVE, "late tick"): (State.FAULT, None, Reason.STALLED),
    (State.BRAKE, "late tick"): (State.FAULT, None, Reason.STALLED),
    (State.HELD, "request"): (State.HELD, Verdict.CHALLENGE, Reason.CHALLENGE),
    (State.HELD, "request of another stop"): (State.HELD, Verdict.REJECTED, Reason.RESET_DENIED),
    (State.HELD, "request of a driver"): (State.HELD, Verdict.REJECTED, Reason.FORBIDDEN),
    (State.HELD, "confirm"): (State.IDLE, Verdict.OK, Reason.RESET_OK),
    (State.HELD, "confirm unasked"): (State.HELD, Verdict.REJECTED, Reason.RESET_DENIED),
    (State.HELD, "confirm of another"): (State.HELD, Verdict.REJECTED, Reason.RESET_DENIED),
    (State.HELD, "local reset"): (State.IDLE, Verdict.OK, Reason.RESET_OK),
    (State.FAULT, "local reset"): (State.HELD, Verdict.OK, Reason.FAULT_CLEARED),
    (State.IDLE, "zero move"): (State.IDLE, Verdict.ACCEPTED, Reason.ACCEPTED),
    (State.BRAKE, "zero move"): (State.BRAKE, Verdict.ACCEPTED, Reason.ACCEPTED),
    (State.ACTIVE, "zero move"): (State.BRAKE, Verdict.ACCEPTED, Reason.ACCEPTED),
}
for _state in (State.IDLE, State.ACTIVE, State.BRAKE):
    TABLE[_state, "move"] = (State.ACTIVE, Verdict.ACCEPTED, Reason.ACCEPTED)
    TABLE[_state, "too fast"] = (_state, Verdict.REJECTED, Reason.OUT_OF_RANGE)
    for _kind in ("request", "request of another stop", "request of a driver", "confirm", "confirm unasked"):
        TABLE[_state, _kind] = (_state, Verdict.REJECTED, Reason.RESET_DENIED)
    TABLE[_state, "confirm of another"] = (_state, Verdict.REJECTED, Reason.RESET_DENIED)
    TABLE[_state, "local reset"] = (_state, Verdict.REJECTED, Reason.RESET_DENIED)
for _state in State:
    if _state is not State.DOWN:
        TABLE[_state, "shut down"] = (State.DOWN, None, Reason.SHUTDOWN)
        TABLE[_state, "fail"] = (State.FAULT, None, Reason.FAULT)
        _to = _state if _state in {State.ESTOP, State.FAULT} else State.HELD
        TABLE[_state, "stop"] = TABLE[_state, "local stop"] = (_to, Verdict.STOPPED, Reason.STOPPED)
        # of several reasons the worst is the code
        TABLE[_state, "no number"] = (_state, Verdict.REJECTED, Reason.NOT_FINITE)
TABLE[State.DOWN, "stop"] = TABLE[State.DOWN, "local stop"] = (State.DOWN, Verdict.STOPPED, Reason.SHUTTING_DOWN)

BROUGHT = {state: bring(state, stage=Shadowed()) for state in State}


def at(state: State) -> Shadowed:
    """Return a stage in `state`, its own copy."""
    stage = copy.copy(BROUGHT[state])
    assert isinstance(stage, Shadowed)
    stage.model, stage.out, stage.log = copy.copy(stage.model), [], []
    return stage


@pytest.mark.parametrize("state", State)
def test_every_event_leads_where_the_table_says(state: State) -> None:
    """With a robot of which everything is known and good; what the table does not list changes nothing."""
    for kind, make in KINDS.items():
        stage = at(state)
        event = make(stage)
        before = stage.memory
        to, verdict, code = TABLE.get((state, kind), (state, Verdict.REJECTED, CODE_OF.get(state, Reason.ACCEPTED)))

        decision = stage.step(event)

        assert stage.state is to, f"{state} + {kind}"
        if decision.answer is not None:
            assert (decision.answer.verdict, decision.answer.code) == (verdict, code), f"{state} + {kind}"
        elif to is not state:
            assert stage.memory.reason is code, f"{state} + {kind}"
        if to is state and kind not in {"tick", "stop", "local stop"} and decision.publish is None:
            same = replace(
                stage.memory,
                asked_ns=before.asked_ns,
                challenge=before.challenge,
                tick_ns=before.tick_ns,
                accepted_ns=before.accepted_ns,
                ends_ns=before.ends_ns,
                target=before.target,
                still_ns=before.still_ns,
                reason=before.reason,
            )
            assert same == before, f"{state} + {kind} changed something"


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("spoilt", [None, *SPOILS])
def test_every_event_with_every_bad_fact_is_as_the_model_says(state: State, spoilt: str | None) -> None:
    """State by event by fact, and the ticks that follow: the gate, its model beside it."""
    for make in KINDS.values():
        stage = at(state)
        if spoilt is not None:
            stage.spoil(SPOILS[spoilt][0])
        stage.step(make(stage))
        stage.tick(3)

        if spoilt is not None and SPOILS[spoilt][1] is not Reason.OBSTACLE:
            assert stage.state is not State.ACTIVE, f"{spoilt}: still driving after {make}"


@pytest.mark.parametrize("state", State)
def test_a_stop_from_anywhere_is_zero_at_once_and_names_its_latch(state: State) -> None:
    """Before anything else, in the same step; the lease ends, goals are cancelled."""
    stage = at(state)

    answer = stage.answer(Stop())

    assert stage.last.publish == ZERO
    assert answer.verdict is Verdict.STOPPED
    assert answer.stop_id == stage.memory.stop_id != ""
    assert answer.applied == ZERO
    assert (stage.last.drop_lease, stage.last.cancel_goals) == (True, True)


@pytest.mark.parametrize("state", [state for state in State if state is not State.DOWN])
@pytest.mark.parametrize("name", ["e-stop pressed", "e-stop old"])
def test_the_e_stop_wins_from_anywhere(state: State, name: str) -> None:
    """Pressed or not heard: latched, zero in the same tick; only a fault is stricter."""
    stage = at(state)
    stage.spoil(SPOILS[name][0])
    stage.tick()

    wanted = State.FAULT if state is State.FAULT else State.ESTOP
    assert stage.state is wanted
    assert stage.last.publish in {ZERO, None}
    if state not in LATCHED:
        assert stage.last.publish == ZERO
        assert (stage.last.drop_lease, stage.last.cancel_goals) == (True, True)
        assert stage.memory.reason is SPOILS[name][1]


def test_an_e_stop_that_was_never_heard_at_boot_is_not_ready_and_no_latch() -> None:
    """The input may come up after us; until then nothing moves, and afterwards nobody has to reset."""
    stage = Shadowed()
    stage.spoil(SPOILS["e-stop never heard"][0])
    stage.tick(20)
    waited = stage.state
    stage.good = robot
    stage.tick()

    assert waited is State.INIT
    assert stage.state is State.IDLE
    assert not stage.out


UNHEARD = ("e-stop never heard", "nobody listens", "other type", "battery never heard", "pose old", "pose never heard")
UNHEARD_TOO = ("pose from the future", "scan old", "scan never heard", "scan from the future")


@pytest.mark.parametrize("name", UNHEARD + UNHEARD_TOO)
def test_init_waits_until_every_input_speaks(name: str) -> None:
    """And says nothing to the wheels while it waits."""
    stage = Shadowed()
    stage.spoil(SPOILS[name][0])
    stage.tick(5)

    assert stage.state is State.INIT
    assert not stage.out
    assert stage.move().code is Reason.NOT_READY


@pytest.mark.parametrize("name", ["battery empty", "pose vague", "scan untrusted", "foreign publisher", "wall ahead"])
def test_init_does_not_wait_for_good_news(name: str) -> None:
    """An input that speaks is ready; what it says is for each move to look at."""
    stage = Shadowed()
    stage.spoil(SPOILS[name][0])
    stage.tick()

    assert stage.state is State.IDLE
    assert stage.move().code is SPOILS[name][1]


@pytest.mark.parametrize("name", ["no lease", "lease old"])
def test_init_does_not_wait_for_a_lease(name: str) -> None:
    """A lease is the sender's business, not the robot's."""
    stage = Shadowed()
    stage.spoil(SPOILS[name][0])
    stage.tick(2)

    assert stage.state is State.IDLE


@pytest.mark.parametrize("stop_id", ["old-7", ""])
def test_after_an_unclean_end_the_gate_boots_held_under_the_old_name(stop_id: str) -> None:
    """Trap 12's other half: a restart is no reset; zeros hold the lane from the first tick."""
    memory = begin(boot_held=True, stop_id=stop_id, seed="boot", now_ns=NOW)
    stage = Shadowed(memory=memory)
    stage.tick()

    assert stage.state is State.HELD
    assert stage.memory.reason is Reason.BOOT_HELD
    assert stage.memory.stop_id == (stop_id or "boot-0")
    assert stage.last.publish == ZERO
    assert (stage.last.drop_lease, stage.last.cancel_goals) == (True, True)


def test_a_boot_that_is_held_is_held_whatever_is_missing() -> None:
    """It does not wait for battery or pose to hold the lane."""
    stage = Shadowed(FULL, begin(boot_held=True, seed="boot", now_ns=NOW))
    stage.spoil(SPOILS["battery never heard"][0])
    stage.tick()

    assert stage.state is State.HELD


@pytest.mark.parametrize("event", [Stop(), Fail(), Shutdown(), "e-stop"])
def test_whatever_comes_first_at_a_held_boot_the_latch_keeps_its_name(event: Event | str) -> None:
    """So that the latch file and the operator go on talking of the same stop."""
    stage = Shadowed(memory=begin(boot_held=True, stop_id="old-7", seed="boot", now_ns=NOW))
    if isinstance(event, str):
        stage.spoil(SPOILS["e-stop pressed"][0])
        stage.tick()
    else:
        stage.step(event)

    assert stage.memory.stop_id == "old-7"
    assert stage.state in {State.HELD, State.ESTOP, State.FAULT, State.DOWN}


def test_a_clean_boot_is_silent_and_ready() -> None:
    """Nothing to reset, nothing to say."""
    memory = begin(boot_held=False, stop_id="ignored", seed="boot", now_ns=NOW)

    assert (memory.state, memory.stop_id, memory.boot_held) == (State.INIT, "", False)
    assert (memory.since_ns, memory.seed, memory.reason) == (NOW, "boot", Reason.NOT_READY)


def test_every_latch_has_its_own_name() -> None:
    """A reset for one can never open the next."""
    stage, names = bring(State.IDLE), []
    for _ in range(3):
        stage.step(Stop())
        stage.tick(30)
        names.append(stage.memory.stop_id)
        assert reset(stage).verdict is Verdict.OK

    assert len(set(names)) == len(names) == 3
    assert all(name.startswith("boot-") for name in names)


def test_stop_while_stopped_keeps_the_name_counts_and_zeroes_again() -> None:
    """1b: stop_id kept, counter + 1, burst again."""
    stage = bring(State.HELD)
    name, stops = stage.memory.stop_id, stage.memory.stops
    stage.tick(100)
    since = stage.now_ns
    answer = stage.answer(Stop())
    stage.tick(20)

    assert (answer.stop_id, stage.memory.stop_id, stage.memory.stops) == (name, name, stops + 1)
    assert stops == 1
    assert [time for time, _ in stage.out if time > since] == [since + TICK * n for n in range(1, 20)]


def test_the_e_stop_during_a_stop_is_a_new_latch_and_its_release_keeps_the_name() -> None:
    """HELD -> ESTOP -> HELD: what was challenged before is void, what holds now has one name."""
    stage = bring(State.HELD)
    first = stage.memory.stop_id
    stage.spoil(SPOILS["e-stop pressed"][0])
    stage.tick()
    second = stage.memory.stop_id
    stage.good = robot
    stage.tick()

    assert stage.state is State.HELD
    assert stage.memory.reason is Reason.ESTOP_CLEARED
    assert first != second == stage.memory.stop_id


def test_a_local_reset_of_a_fault_still_leaves_the_stop() -> None:
    """P5: FAULT -> HELD -> IDLE -> new move; two steps, and nothing moves in either."""
    stage = bring(State.FAULT)
    name = stage.memory.stop_id
    first = stage.answer(LocalReset())
    state = stage.state
    stage.tick(25)
    second = stage.answer(LocalReset())

    assert (first.verdict, first.code, first.stop_id, state) == (Verdict.OK, Reason.FAULT_CLEARED, name, State.HELD)
    assert (second.verdict, second.code, stage.state) == (Verdict.OK, Reason.RESET_OK, State.IDLE)
    assert stage.last.drop_lease
    assert all(twist == ZERO for _, twist in stage.out)


@pytest.mark.parametrize("state", sorted(LATCHED | DRIVING))
def test_shutdown_from_where_we_hold_the_lane_is_zeros_for_a_while(state: State) -> None:
    """Trap 13: one zero may be lost."""
    stage = at(state)
    since = stage.now_ns
    latch = stage.memory.stop_id
    stage.step(Shutdown())
    stage.tick(10)

    zeros = [time for time, twist in stage.out if time >= since and twist == ZERO]
    assert zeros == [since, *(since + TICK * n for n in range(1, 6))]
    assert stage.memory.stop_id == latch
    assert stage.state is State.DOWN
    assert stage.memory.reason is Reason.SHUTDOWN


@pytest.mark.parametrize("state", [State.INIT, State.IDLE, State.LOCAL])
def test_shutdown_from_silence_stays_silent(state: State) -> None:
    """The local stack may be driving."""
    stage = at(state)
    stage.step(Shutdown())
    stage.tick(10)

    assert not stage.out
    assert stage.state is State.DOWN


def test_a_stop_while_going_down_is_kept_for_the_next_process() -> None:
    """Zero at once, a burst, and a name in the memory that the latch file is made of."""
    stage = at(State.IDLE)
    stage.step(Shutdown())
    since = stage.now_ns
    stage.answer(Stop())
    stage.tick(10)

    assert stage.memory.stop_id
    assert [time for time, _ in stage.out] == [since, *(since + TICK * n for n in range(1, 6))]


def test_local_control_silences_the_gate_and_ends_the_lease() -> None:
    """From full speed: nothing more is published, not even zeros, since somebody beside it drives."""
    stage = at(State.ACTIVE)
    stage.drive(0.5)
    stage.spoil(SPOILS["somebody beside it drives"][0])
    since = stage.now_ns
    stage.tick(3)
    during = (stage.state, stage.log[-1][3])
    dropped = stage.last.drop_lease
    stage.good = robot
    stage.tick()

    assert during == (State.LOCAL, Reason.LOCAL_OVERRIDE)
    assert not stage.published(since)
    assert not dropped
    assert (stage.state, stage.memory.reason, stage.last.drop_lease) == (State.IDLE, Reason.LOCAL_END, True)


def test_local_control_drops_the_lease_in_the_tick_in_which_it_begins() -> None:
    """Once, not at every tick."""
    stage = at(State.IDLE)
    stage.spoil(SPOILS["somebody beside it drives"][0])
    dropped = [stage.tick().drop_lease for _ in range(3)]

    assert dropped == [True, False, False]


@pytest.mark.parametrize("after_ns", [2 * S, 2 * S + 1])
def test_local_control_ends_after_the_quiet_time(after_ns: int) -> None:
    """Two seconds after the last local twist, not one nanosecond before."""
    stage = at(State.IDLE)
    began = stage.now_ns
    stage.good = lambda now_ns: replace(robot(now_ns), override_ns=began)
    stage.tick()
    stage.now_ns = began + after_ns
    stage.step(Tick())

    assert stage.state is (State.LOCAL if after_ns == 2 * S else State.IDLE)


def test_time_of_the_state_is_when_it_began() -> None:
    """`since_ns` is what an operator reads as: held for so long."""
    stage = at(State.ACTIVE)
    stage.now_ns += 7 * MS
    stage.step(Stop())
    began = stage.now_ns
    stage.tick(5)

    assert stage.memory.since_ns == began
