"""What the gate remembers is what `Memory` says: names and counts of latches, and nothing of the last drive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from edgetwin.gate.events import Fail, LocalReset, Shutdown, Stop, Tick
from edgetwin.gate.gate import begin
from edgetwin.motion import ZERO, Reason, State, Verdict
from tests.gate.stage import BARE, FULL, NOW, SPOILS, TICK, S, Stage, bring, reset, robot


def pressed(stage: Stage) -> None:
    """Somebody presses the e-stop."""
    stage.spoil(SPOILS["e-stop pressed"][0])
    stage.tick()


def overridden(stage: Stage) -> None:
    """Somebody beside the robot takes over."""
    stage.spoil(SPOILS["somebody beside it drives"][0])
    stage.tick()


ENDS: dict[str, Callable[[Stage], object]] = {
    "stop": lambda stage: stage.step(Stop()),
    "fail": lambda stage: stage.step(Fail()),
    "shutdown": lambda stage: stage.step(Shutdown()),
    "e-stop": pressed,
    "override": overridden,
    "stall": lambda stage: stage.tick(1, 1 * S),
    "release": lambda stage: stage.tick_until(State.IDLE),
}


@pytest.mark.parametrize("name", ENDS)
def test_nothing_of_a_drive_outlives_it(name: str) -> None:
    """Speed, slope and target are those of rest; a challenge there is none."""
    stage = bring(State.IDLE)
    stage.drive(0.4, 0.3, ticks=5)
    before = stage.memory
    ENDS[name](stage)
    after = stage.memory

    assert before.output != ZERO
    assert before.target != ZERO
    assert before.slope[0] > 0.0 < before.slope[1]
    assert (after.target, after.output, after.slope, after.challenge) == (ZERO, ZERO, (0.0, 0.0), None)
    if after.state in {State.IDLE, State.LOCAL}:
        assert after.output_ns is None


def test_while_it_brakes_the_target_is_rest() -> None:
    """`target` is what is asked, in ACTIVE; the output is where the ramp is."""
    stage = bring(State.ACTIVE)
    stage.move(0.0)

    assert stage.state is State.BRAKE
    assert stage.memory.target == ZERO
    assert stage.memory.output != ZERO


def test_the_reason_of_a_running_move_is_that_of_the_newest() -> None:
    """Status shows why it is slower than asked, not why it was when it began."""
    stage = bring(State.ACTIVE)
    stage.move(2.0)
    clamped = stage.memory.reason
    stage.move(0.2)

    assert (clamped, stage.memory.reason) == (Reason.CLAMPED_SPEED, Reason.ACCEPTED)


def test_a_refusal_names_the_latch_in_its_way() -> None:
    """So that the operator knows what to reset."""
    stage = bring(State.HELD)

    assert stage.move().stop_id == stage.memory.stop_id == "boot-1"


def test_latches_are_named_in_a_row() -> None:
    """By the seed of this boot and a number."""
    stage, names = bring(State.IDLE), []
    for _ in range(3):
        stage.step(Stop())
        names.append(stage.memory.stop_id)
        stage.tick(30)
        reset(stage)

    assert names == ["boot-1", "boot-2", "boot-3"]
    assert stage.memory.latches == 3


@pytest.mark.parametrize(("name", "stop_id"), [("pressed", "boot-1"), ("failed", "boot-1")])
def test_a_latch_upon_the_last_boots_latch_has_a_name_of_this_boot(name: str, stop_id: str) -> None:
    """The old name is for the old latch; a reset that was begun for it must not open the new one."""
    stage = Stage(memory=begin(boot_held=True, stop_id="old-7", seed="boot", now_ns=NOW))
    stage.tick()
    old, flag = stage.memory.stop_id, stage.memory.boot_held
    if name == "pressed":
        pressed(stage)
    else:
        stage.step(Fail())

    assert (old, flag) == ("old-7", False)
    assert stage.memory.stop_id == stop_id


def test_a_boot_latch_without_a_name_gets_number_zero() -> None:
    """Zero is never a latch of this boot."""
    memory = begin(boot_held=True, seed="boot", now_ns=NOW)

    assert memory.stop_id == "boot-0"


def test_stops_are_counted_per_latch() -> None:
    """Stop, stop: two. A press upon them is a new latch: none yet; a stop during it: one."""
    stage = bring(State.IDLE)
    stage.step(Stop())
    stage.step(Stop())
    first = stage.memory.stops
    pressed(stage)
    second = stage.memory.stops
    stage.step(Stop())

    assert (first, second, stage.memory.stops) == (2, 0, 1)


def test_on_the_way_back_to_held_name_and_count_stay() -> None:
    """E-stop released, fault cleared: the same latch, one step further."""
    stage = bring(State.IDLE)
    pressed(stage)
    stage.step(Stop())
    before = (stage.memory.stop_id, stage.memory.stops)
    stage.good = robot
    stage.tick()
    released = (stage.state, stage.memory.stop_id, stage.memory.stops)
    stage.step(Fail())
    fault = stage.memory.stop_id
    stage.answer(LocalReset())

    assert released == (State.HELD, *before)
    assert (stage.state, stage.memory.stop_id) == (State.HELD, fault)
    assert fault != before[0]


def test_without_a_burst_a_latch_is_still_zero_in_its_first_tick() -> None:
    """Even where the last output was a moment ago: what holds the lane does not wait for its turn."""
    stage = bring(State.IDLE, replace(FULL, burst_ns=0))
    stage.drive(0.4)
    pressed(stage)

    assert stage.last.publish == ZERO


def test_a_stop_during_shutdown_starts_its_burst_again_and_counts() -> None:
    """The latch is for the next process; its name and its count are in the memory."""
    stage = bring(State.ACTIVE, BARE)
    stage.step(Shutdown())
    stage.tick(4)
    answer = stage.answer(Stop())
    since = stage.now_ns
    stage.tick(10)

    assert (answer.verdict, answer.code, answer.reasons) == (
        Verdict.STOPPED,
        Reason.SHUTTING_DOWN,
        (Reason.SHUTTING_DOWN,),
    )
    assert [time - since for time, _ in stage.out if time > since] == [TICK * n for n in range(1, 6)]
    assert (stage.memory.stop_id, stage.memory.stops) == ("boot-1", 1)


def test_a_shutdown_keeps_the_latch_that_it_finds() -> None:
    """HELD survives the process."""
    stage = bring(State.HELD)
    name = stage.memory.stop_id
    stage.step(Shutdown())
    stage.step(Stop())

    assert stage.memory.stop_id == name
    assert stage.memory.latches == 1


def test_a_held_boot_that_ends_before_its_first_tick_is_still_held() -> None:
    """Otherwise two quick restarts would be a reset."""
    stage = Stage(memory=begin(boot_held=True, stop_id="old-7", seed="boot", now_ns=NOW))
    stage.step(Shutdown())

    assert stage.memory.stop_id == "old-7"
    assert stage.last.publish is None


@pytest.mark.parametrize("state", State)
def test_reasons_of_a_decision_are_those_of_its_answer(state: State) -> None:
    """The audit and the ack say the same, where a command is refused, clamped or stopped."""
    for event in (Stop(), LocalReset()):
        stage = bring(state)
        answer = stage.answer(event)

        assert answer.reasons
        assert stage.last.reasons in {answer.reasons, ()}
        assert stage.last.reasons or answer.verdict is not Verdict.REJECTED
    stage = bring(state)
    answer = stage.move(2.0)

    assert stage.last.reasons == answer.reasons


def test_shutdown_ends_the_lease_and_says_why() -> None:
    """From silence as from motion."""
    for state in (State.IDLE, State.ACTIVE):
        decision = bring(state).step(Shutdown())

        assert decision.drop_lease
        assert not decision.cancel_goals
        assert decision.reasons == (Reason.SHUTDOWN,)
        assert decision.publish == (None if state is State.IDLE else ZERO)


def test_a_stop_says_so() -> None:
    """In the decision, for the audit."""
    for state in (State.IDLE, State.HELD, State.FAULT):
        assert bring(state).step(Stop()).reasons == (Reason.STOPPED,)


def test_time_goes_into_memory_with_every_tick_and_only_then() -> None:
    """The watchdog's own mark."""
    stage = bring(State.IDLE, BARE)
    stage.now_ns += 3
    stage.step(Stop())
    before = stage.memory.tick_ns
    stage.step(Tick())

    assert before == stage.now_ns - 3
    assert stage.memory.tick_ns == stage.now_ns
