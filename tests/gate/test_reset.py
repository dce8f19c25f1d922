"""How a latch ends: two steps for the cloud, one for the person at the robot; nothing else ends it, nothing moves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgetwin.gate.events import Asked, Event, LocalReset, ResetConfirm, ResetRequest, Stop, Tick
from edgetwin.gate.limits import MS
from edgetwin.motion import ZERO, Answer, Move, Reason, RobotState, State, Twist, Verdict
from tests.gate.stage import BARE, FULL, NOW, SPOILS, TICK, S, Stage, bring, reset, robot

CREEPING = Twist(0.3, 0.0)


def held() -> Stage:
    """Return a stage that was stopped a while ago and stands."""
    return bring(State.HELD)


def ask(stage: Stage, *, client: str = "pilot", nonce: str = "n0") -> Answer:
    """First step, for the right stop."""
    return stage.answer(ResetRequest(client, stage.memory.stop_id, nonce))


def confirm(stage: Stage, *, client: str = "pilot", nonce: str = "n0", stop_id: str | None = None) -> Answer:
    """Second step."""
    return stage.answer(ResetConfirm(client, stage.memory.stop_id if stop_id is None else stop_id, nonce))


def test_the_way_it_should_go() -> None:
    """Challenge with the nonce and the stop's name, then free: silent, without lease, at rest."""
    stage = held()
    name = stage.memory.stop_id
    first = ask(stage, nonce="n7")
    waiting = stage.state
    second = confirm(stage, nonce="n7")

    assert (first.verdict, first.code, first.nonce, first.stop_id) == (Verdict.CHALLENGE, Reason.CHALLENGE, "n7", name)
    assert first.detail
    assert waiting is State.HELD
    assert (second.verdict, second.code, second.reasons) == (Verdict.OK, Reason.RESET_OK, (Reason.RESET_OK,))
    assert (stage.state, stage.memory.reason, stage.memory.stop_id) == (State.IDLE, Reason.RESET_OK, "")
    assert (stage.last.drop_lease, stage.last.publish, stage.last.reasons) == (True, None, (Reason.RESET_OK,))
    assert stage.memory.challenge is None


def test_after_a_reset_only_a_new_move_moves() -> None:
    """The target of before the stop is forgotten."""
    stage = bring(State.ACTIVE)
    stage.step(Stop())
    stage.tick(30)
    reset(stage)
    since = stage.now_ns
    stage.tick(20)
    silent = stage.published(since)
    stage.drive(0.2, ticks=3)

    assert silent == []
    assert stage.state is State.ACTIVE
    assert stage.memory.output.linear_mps == pytest.approx(0.0625)


@pytest.mark.parametrize(
    ("client", "nonce", "stop_id"),
    [("thief", "n0", None), ("pilot", "n1", None), ("pilot", "", None), ("pilot", "n0", "boot-9"), ("pilot", "n0", "")],
)
def test_a_wrong_answer_is_denied_and_burns_the_challenge(client: str, nonce: str, stop_id: str | None) -> None:
    """Another sender, another nonce, another stop: and then the right answer comes too late."""
    stage = held()
    ask(stage)
    wrong = confirm(stage, client=client, nonce=nonce, stop_id=stop_id)
    right = confirm(stage)

    assert (wrong.verdict, wrong.code) == (Verdict.REJECTED, Reason.RESET_DENIED)
    assert (right.verdict, right.code) == (Verdict.REJECTED, Reason.RESET_DENIED)
    assert stage.state is State.HELD
    assert wrong.detail != right.detail


@pytest.mark.parametrize(("after_ns", "verdict"), [(10 * S - 1, Verdict.OK), (10 * S, Verdict.REJECTED)])
def test_a_challenge_lasts_ten_seconds(after_ns: int, verdict: Verdict) -> None:
    """Not a nanosecond longer."""
    stage = held()
    ask(stage)
    while after_ns > TICK:
        stage.tick()
        after_ns -= TICK
    stage.now_ns += after_ns

    assert confirm(stage).verdict is verdict


def test_a_second_request_voids_the_first_challenge() -> None:
    """One at a time: the newest."""
    stage = held()
    ask(stage, nonce="n1")
    ask(stage, nonce="n2")
    old = confirm(stage, nonce="n1")
    burnt = confirm(stage, nonce="n2")

    assert (old.verdict, burnt.verdict) == (Verdict.REJECTED, Verdict.REJECTED)


def test_a_refused_request_leaves_the_challenge_of_before() -> None:
    """Anybody could void an operator's reset otherwise, by asking for nonsense."""
    stage = held()
    ask(stage)
    stage.answer(ResetRequest("ben", "another", "n1"))
    stage.answer(ResetRequest("ben", stage.memory.stop_id, "n2", may_reset=False))

    assert confirm(stage).verdict is Verdict.OK


@pytest.mark.parametrize("between", ["stop", "e-stop"])
def test_a_stop_between_the_two_steps_voids_them(between: str) -> None:
    """Trap 12: the answer to the old question must not end the newer stop."""
    stage = held()
    ask(stage)
    if between == "stop":
        stage.step(Stop())
    else:
        stage.spoil(SPOILS["e-stop pressed"][0])
        stage.tick()
        stage.good = robot
        stage.tick()

    assert confirm(stage).verdict is Verdict.REJECTED
    assert stage.state is State.HELD


def test_a_request_for_another_stop_is_denied() -> None:
    """The operator looks at an old screen."""
    stage = held()
    answer = stage.answer(ResetRequest("pilot", "boot-0", "n0"))

    assert (answer.verdict, answer.code, answer.nonce) == (Verdict.REJECTED, Reason.RESET_DENIED, "")
    assert answer.stop_id == stage.memory.stop_id
    assert "stop_id" in answer.detail


def test_a_driver_may_not_reset() -> None:
    """Resuming carries the full authority that stopping does not need."""
    stage = held()
    answer = stage.answer(ResetRequest("pilot", stage.memory.stop_id, "n0", may_reset=False))

    assert (answer.verdict, answer.code, answer.reasons) == (Verdict.REJECTED, Reason.FORBIDDEN, (Reason.FORBIDDEN,))
    assert confirm(stage).verdict is Verdict.REJECTED


# --- the robot must stand


@pytest.mark.parametrize(
    ("speed", "stands"),
    [
        (ZERO, True),
        (Twist(0.0199, 0.0199), True),
        (Twist(-0.0199, -0.0199), True),
        (Twist(0.02, 0.0), False),
        (Twist(-0.02, 0.0), False),
        (Twist(0.0, 0.02), False),
        (Twist(0.0, -0.02), False),
        (Twist(float("nan"), 0.0), False),
        (Twist(0.0, float("nan")), False),
    ],
)
def test_a_robot_that_moves_is_not_reset(speed: Twist, stands: bool) -> None:
    """Under 2 cm/s and 0.02 rad/s is rest; NaN is not."""
    stage = held()
    stage.good = lambda now_ns: robot(now_ns, speed)
    stage.tick(30)

    assert (ask(stage).verdict is Verdict.CHALLENGE) is stands
    assert (confirm(stage).verdict is Verdict.OK) is stands
    assert (stage.answer(LocalReset()).verdict is Verdict.OK) is False
    assert (stage.state is State.IDLE) is stands


@pytest.mark.parametrize(("after_ns", "verdict"), [(1 * S - 1, Verdict.REJECTED), (1 * S, Verdict.CHALLENGE)])
def test_it_must_have_stood_for_a_second(after_ns: int, verdict: Verdict) -> None:
    """From the tick that first saw it stand."""
    stage = held()
    stage.good = lambda now_ns: robot(now_ns, CREEPING)
    stage.tick()
    stage.good = robot
    stage.tick()
    began = stage.now_ns
    while stage.now_ns < began + 950 * MS:
        stage.tick()
    stage.now_ns = began + after_ns
    answer = ask(stage)

    assert answer.verdict is verdict
    if verdict is Verdict.REJECTED:
        assert answer.code is Reason.RESET_DENIED
        assert "standing" in answer.detail


def test_a_moment_of_motion_starts_the_second_again() -> None:
    """Standing means all of the second."""
    stage = held()
    stage.tick(40)
    stage.good = lambda now_ns: robot(now_ns, CREEPING)
    stage.tick()
    stage.good = robot
    stage.tick(10)

    assert ask(stage).verdict is Verdict.REJECTED


@pytest.mark.parametrize("gone", ["never", "old", "future"])
def test_a_speed_that_nobody_knows_is_not_rest(gone: str) -> None:
    """Missing, stale or from the future: no reset."""
    stamp = {"never": None, "old": -500 * MS - 1, "future": TICK + 1}[gone]

    def known(now_ns: int) -> RobotState:
        return replace(robot(now_ns), speed_ns=None if stamp is None else now_ns + stamp)

    stage = held()
    stage.good = known
    stage.tick(30)

    assert ask(stage).verdict is Verdict.REJECTED
    assert stage.answer(LocalReset()).verdict is Verdict.REJECTED


def test_a_time_without_a_speed_is_not_rest() -> None:
    """None is no number."""
    stage = held()
    stage.good = lambda now_ns: replace(robot(now_ns), speed=None)
    stage.tick(30)

    assert ask(stage).verdict is Verdict.REJECTED


@pytest.mark.parametrize("step", ["request", "confirm", "local"])
def test_motion_at_the_very_moment_counts_although_no_tick_has_seen_it(step: str) -> None:
    """Ticks may be late; the facts of now are at hand."""
    stage = held()
    stage.tick(30)
    if step == "confirm":
        ask(stage)
    stage.good = lambda now_ns: robot(now_ns, CREEPING)
    events: dict[str, Event] = {
        "request": ResetRequest("pilot", stage.memory.stop_id, "n0"),
        "confirm": ResetConfirm("pilot", stage.memory.stop_id, "n0"),
        "local": LocalReset(),
    }

    assert stage.answer(events[step]).verdict is Verdict.REJECTED
    assert stage.state is State.HELD


def test_a_robot_without_odometry_may_be_reset_where_the_settings_say_so() -> None:
    """`still_required` off: nobody can know, and the person who sets it knows that."""
    stage = bring(State.HELD, BARE)
    stage.good = lambda now_ns: replace(robot(now_ns), speed=None, speed_ns=None)
    stage.tick(2)

    assert reset(stage).verdict is Verdict.OK


# --- e-stop and joystick


@pytest.mark.parametrize("name", ["e-stop pressed", "e-stop old", "e-stop never heard", "e-stop from the future"])
def test_the_e_stop_must_be_heard_and_released(name: str) -> None:
    """At the confirmation itself, also before a tick has made an ESTOP of it."""
    stage = held()
    ask(stage)
    stage.spoil(SPOILS[name][0])
    answer = confirm(stage)
    local = stage.answer(LocalReset())

    assert (answer.verdict, answer.code) == (Verdict.REJECTED, Reason.RESET_DENIED)
    assert "e-stop" in answer.detail
    assert local.verdict is Verdict.REJECTED
    assert stage.state is State.HELD


@pytest.mark.parametrize(("after_ns", "verdict"), [(1 * S - 1, Verdict.REJECTED), (1 * S, Verdict.OK)])
@pytest.mark.parametrize("local", [False, True])
def test_trap_12_a_held_joystick_must_not_resume(after_ns: int, verdict: Verdict, local: bool) -> None:
    """A second of silence is asked for: also moves that are refused count, since somebody pushes."""
    stage = held()
    ask(stage)
    stage.answer(Asked(Move("m", "pilot", Twist(0.3, 0.0))))
    began = stage.now_ns
    while stage.now_ns < began + 950 * MS:
        stage.tick()
    stage.now_ns = began + after_ns
    answer = stage.answer(LocalReset()) if local else confirm(stage)

    assert answer.verdict is verdict
    if verdict is Verdict.REJECTED:
        assert "joystick" in answer.detail


def test_a_held_joystick_does_not_hinder_the_question() -> None:
    """Only the confirmation asks for silence: the challenge leaves ten seconds to let go."""
    stage = held()
    stage.move(0.3)

    assert ask(stage).verdict is Verdict.CHALLENGE


# --- wrong places


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (State.INIT, Reason.NOT_READY),
        (State.IDLE, Reason.RESET_DENIED),
        (State.ACTIVE, Reason.RESET_DENIED),
        (State.BRAKE, Reason.RESET_DENIED),
        (State.ESTOP, Reason.ESTOP),
        (State.LOCAL, Reason.LOCAL_OVERRIDE),
        (State.FAULT, Reason.FAULT),
        (State.DOWN, Reason.SHUTTING_DOWN),
    ],
)
def test_where_nothing_is_held_a_reset_does_nothing(state: State, code: Reason) -> None:
    """Neither step, neither way; and the answer says where it is."""
    stage = bring(state)
    before = stage.memory
    answers = [ask(stage), confirm(stage)]
    if state is not State.FAULT:
        answers.append(stage.answer(LocalReset()))

    assert {(answer.verdict, answer.code) for answer in answers} == {(Verdict.REJECTED, code)}
    assert all(state in answer.detail for answer in answers)
    assert stage.memory == before


def test_a_reset_in_an_e_stop_keeps_the_e_stop() -> None:
    """P5, and VDA 5050's MANUAL: hardware is released by hand."""
    stage = held()
    ask(stage)
    stage.spoil(SPOILS["e-stop pressed"][0])
    stage.tick()
    answer = confirm(stage)

    assert answer.code is Reason.ESTOP
    assert stage.state is State.ESTOP


def test_a_challenge_of_before_does_not_survive_anything() -> None:
    """Stop, reset locally, stop again: the first challenge is nobody's."""
    stage = held()
    ask(stage)
    stage.answer(LocalReset())
    stage.step(Stop())
    stage.tick(30)

    assert confirm(stage).verdict is Verdict.REJECTED


def test_a_local_reset_takes_one_step_and_needs_no_name() -> None:
    """The person can see the robot; the conditions are the same."""
    stage = held()
    answer = stage.answer(LocalReset())

    assert (answer.verdict, answer.code) == (Verdict.OK, Reason.RESET_OK)
    assert stage.state is State.IDLE


def test_the_second_of_standing_is_counted_while_driving_too() -> None:
    """A stop of a robot that stood anyway needs no extra second."""
    stage = Stage(limits=FULL, now_ns=NOW)
    stage.tick(30)
    stage.step(Stop())
    stage.step(Tick())

    assert ask(stage).verdict is Verdict.CHALLENGE
