"""The lease as timelines: one holder, fresh or not, and no epoch is ever good twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.command.body import Action
from edgetwin.command.lease import Lease
from edgetwin.motion import Reason
from tests.command.stage import MS, S

TERM_NS = 3 * S
T = 50 * S


def lease(seed: str = "seed") -> Lease:
    """Return a lease that nobody holds."""
    return Lease(seed, TERM_NS)


def held(by: str = "bob", at_ns: int = T) -> Lease:
    """Return a lease that somebody acquired."""
    made = lease()
    made.do(Action.ACQUIRE, by, at_ns)
    return made


def asked(one: Lease, action: Action, client: str, now_ns: int, epoch: str | None = None) -> Reason | None:
    """Ask for something; do it if it is not refused."""
    refusal = one.refusal_of(action, client, epoch, now_ns)
    if refusal is None:
        one.do(action, client, now_ns)
    return refusal


def test_before_the_first_grant_there_is_no_lease() -> None:
    """For nobody, not even for a client and an epoch without a name."""
    made = lease()

    assert made.trouble(0) is Reason.NO_LEASE
    assert made.trouble_of("", None, 0) is Reason.NO_LEASE
    assert made.trouble_of("", "", 0) is Reason.NO_LEASE
    assert made.holder_of("") == ""
    assert (made.epoch, made.holder, made.expires_ns, made.seq, made.ended) == ("", "", 0, -1, None)


def test_a_grant_is_fresh_for_a_term_and_stale_at_its_end() -> None:
    """To the nanosecond."""
    made = held()

    assert made.trouble(T) is None
    assert made.trouble(T + TERM_NS - 1) is None
    assert made.trouble(T + TERM_NS) is Reason.LEASE_STALE
    assert made.trouble(T + 10**18) is Reason.LEASE_STALE


def test_the_ack_says_until_when() -> None:
    """On the robot's clock, in milliseconds, never later than it is."""
    made = lease()

    extra = made.do(Action.ACQUIRE, "bob", T + 999_999)

    assert extra == {"epoch": made.epoch, "robot_ms": 50_000, "expires_ms": 53_000}
    assert made.do(Action.RENEW, "bob", T + 2 * S) == {"epoch": made.epoch, "robot_ms": 52_000, "expires_ms": 55_000}


def test_only_the_holder_under_its_epoch_has_no_trouble() -> None:
    """Another name, another epoch: no lease."""
    made = held()

    assert made.trouble_of("bob", made.epoch, T) is None
    assert made.trouble_of("bob", None, T) is None
    assert made.trouble_of("bob", "other", T) is Reason.NO_LEASE
    assert made.trouble_of("eve", made.epoch, T) is Reason.NO_LEASE
    assert made.trouble_of("", made.epoch, T) is Reason.NO_LEASE
    assert made.trouble_of("bob", made.epoch, T + TERM_NS) is Reason.LEASE_STALE
    assert made.trouble_of("eve", made.epoch, T + TERM_NS) is Reason.NO_LEASE


def test_a_renewed_lease_is_fresh_for_another_term() -> None:
    """From the renewal on; the epoch stays, the numbers go on."""
    made = held()
    epoch = made.epoch
    made.rise("bob", epoch, 7)

    assert asked(made, Action.RENEW, "bob", T + TERM_NS - 1) is None
    assert made.trouble(T + 2 * TERM_NS - 2) is None
    assert made.trouble(T + 2 * TERM_NS - 1) is Reason.LEASE_STALE
    assert (made.epoch, made.seq) == (epoch, 7)


def test_a_stale_lease_is_not_renewed() -> None:
    """Loss never resumes by itself: it takes a new one."""
    made = held()
    epoch = made.epoch

    assert asked(made, Action.RENEW, "bob", T + TERM_NS) is Reason.LEASE_STALE
    assert made.trouble(T + TERM_NS) is Reason.LEASE_STALE
    assert asked(made, Action.ACQUIRE, "bob", T + TERM_NS) is None
    assert made.epoch != epoch


@pytest.mark.parametrize("action", [Action.RENEW, Action.RELEASE])
def test_nobody_renews_or_releases_what_they_do_not_hold(action: Action) -> None:
    """Nor the holder under an epoch that is over; nothing changes by asking."""
    made = held()
    before = (made.epoch, made.holder, made.expires_ns)

    assert asked(made, action, "eve", T + S) is Reason.NO_LEASE
    assert asked(made, action, "bob", T + S, epoch="1-old") is Reason.NO_LEASE
    assert asked(lease(), action, "bob", T) is Reason.NO_LEASE
    assert (made.epoch, made.holder, made.expires_ns) == before


@pytest.mark.parametrize("named", [True, False])
def test_a_released_lease_is_free_at_once(named: bool) -> None:
    """With or without its epoch in the request, fresh or stale."""
    for after_ns in (S, TERM_NS):
        made = held()
        epoch = made.epoch

        assert made.refusal_of(Action.RELEASE, "bob", epoch if named else None, T + after_ns) is None
        now_ms = (T + after_ns) // MS
        assert made.do(Action.RELEASE, "bob", T + after_ns) == {
            "epoch": epoch,
            "robot_ms": now_ms,
            "expires_ms": now_ms,
        }
        assert (made.epoch, made.holder, made.ended) == ("", "", None)
        assert made.trouble(T + after_ns) is Reason.NO_LEASE
        assert asked(made, Action.ACQUIRE, "eve", T + after_ns) is None


def test_a_held_lease_is_acquired_by_nobody_else_until_it_is_stale() -> None:
    """To the nanosecond."""
    made = held()

    assert asked(made, Action.ACQUIRE, "eve", T) is Reason.NO_LEASE
    assert asked(made, Action.ACQUIRE, "eve", T + TERM_NS - 1) is Reason.NO_LEASE
    assert made.holder == "bob"
    assert asked(made, Action.ACQUIRE, "eve", T + TERM_NS) is None
    assert made.holder == "eve"


def test_the_holder_who_acquires_again_has_a_new_epoch() -> None:
    """A client that began anew does not know its old numbers; what it sent before is void."""
    made = held()
    old = made.epoch
    made.rise("bob", old, 99)

    assert asked(made, Action.ACQUIRE, "bob", T + S) is None
    assert made.epoch != old
    assert made.seq == -1
    assert made.trouble_of("bob", old, T + S) is Reason.NO_LEASE


def test_who_loses_a_fresh_lease_is_named_in_the_ack_of_who_takes_it() -> None:
    """So that the loser reads it."""
    made = held()
    old = made.epoch

    extra = made.do(Action.TAKE, "eve", T + S)

    assert extra == {
        "lost_client": "bob",
        "lost_epoch": old,
        "epoch": made.epoch,
        "robot_ms": 51_000,
        "expires_ms": 54_000,
    }
    assert (made.holder, made.trouble(T + S)) == ("eve", None)


def test_nobody_loses_what_was_not_held() -> None:
    """Taken from oneself, when stale, and when there was none."""
    for client, now_ns in (("bob", T + S), ("eve", T + TERM_NS)):
        assert "lost_client" not in held().do(Action.TAKE, client, now_ns)
    assert "lost_client" not in lease().do(Action.TAKE, "eve", T)
    assert "lost_client" not in lease().do(Action.ACQUIRE, "eve", T)
    assert lease().refusal_of(Action.TAKE, "eve", None, T) is None
    assert held().refusal_of(Action.TAKE, "eve", None, T) is None


def test_what_was_ended_is_over_and_says_why() -> None:
    """Until somebody is granted a new one."""
    made = held()
    made.end(Reason.STOPPED)

    assert made.trouble(T) is Reason.NO_LEASE
    assert made.ended is Reason.STOPPED
    made.end(Reason.LOCAL_OVERRIDE)
    assert made.ended is Reason.STOPPED
    assert asked(made, Action.ACQUIRE, "eve", T) is None
    assert made.ended is None


def test_numbers_count_under_the_lease_in_force_alone() -> None:
    """The highest counts; those of another epoch or client change nothing."""
    made = held()
    epoch = made.epoch

    assert not made.is_replay("bob", epoch, 0)
    made.rise("bob", epoch, 5)
    made.rise("bob", epoch, 3)
    made.rise("eve", epoch, 100)
    made.rise("bob", "other", 100)
    assert made.is_replay("bob", epoch, 4)
    assert made.is_replay("bob", epoch, 5)
    assert not made.is_replay("bob", epoch, 6)
    assert not made.is_replay("eve", epoch, 1)
    assert not made.is_replay("bob", "other", 1)
    assert made.seq == 5


def test_every_grant_of_every_process_has_an_epoch_of_its_own() -> None:
    """Nobody can guess the next one, nor use one of the last start."""
    epochs = []
    for seed in ("a", "b", "", "x" * 200):
        made = lease(seed)
        for _ in range(100):
            made.do(Action.TAKE, "bob", T)
            epochs.append(made.epoch)

    assert len(set(epochs)) == 400
    assert [epoch.partition("-")[0] for epoch in epochs[:3]] == ["1", "2", "3"]
    assert len({epoch.partition("-")[2] for epoch in epochs}) == 400
    assert all(len(epoch.partition("-")[2]) == 16 for epoch in epochs)


def test_epochs_hang_on_the_whole_seed() -> None:
    """On its last character that counts, too; the same seed makes the same ones."""

    def first(seed: str) -> str:
        made = lease(seed)
        made.do(Action.ACQUIRE, "bob", T)
        return made.epoch

    assert first("x" * 63 + "a") != first("x" * 63 + "b")
    assert first("seed") == first("seed")


def test_holders_are_remembered_for_a_while() -> None:
    """So that a late move is answered as what it is; sixteen of them, and the memory does not grow."""
    made = lease()
    epochs = []
    for number in range(40):
        made.do(Action.TAKE, f"client{number}", T)
        epochs.append(made.epoch)

    assert [made.holder_of(epoch) for epoch in epochs[-16:]] == [f"client{number}" for number in range(24, 40)]
    assert [made.holder_of(epoch) for epoch in epochs[:-16]] == [""] * 24
    made.end(Reason.STOPPED)
    assert made.holder_of(epochs[-1]) == "client39"


@given(
    st.lists(
        st.tuples(st.sampled_from(Action), st.sampled_from(["bob", "eve"]), st.integers(0, 2 * TERM_NS)), max_size=30
    )
)
def test_there_is_never_more_than_one_holder_and_none_beyond_its_term(steps: list[tuple[Action, str, int]]) -> None:
    """Whoever asks for whatever, whenever: a fresh lease was granted or renewed within its term."""
    made = lease()
    now_ns = T
    kept_ns = -TERM_NS
    for action, client, pause_ns in steps:
        now_ns += pause_ns
        fresh_before = made.trouble(now_ns) is None
        holder_before = made.holder
        if asked(made, action, client, now_ns) is None and action is not Action.RELEASE:
            kept_ns = now_ns

            assert made.holder == client
            assert made.trouble(now_ns) is None
            assert action is Action.TAKE or not fresh_before or holder_before == client
        assert (made.trouble(now_ns) is None) <= (now_ns < kept_ns + TERM_NS)
