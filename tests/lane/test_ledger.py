"""What the lane hands over: everything that matters, nothing twice a second, never more than there is room for."""

from __future__ import annotations

from dataclasses import replace

from edgetwin.lane.ledger import DecisionEntry, Ledger, Notice
from edgetwin.motion import Reason, State, Verdict

S = 1_000_000_000
REFUSED = DecisionEntry(
    0, 0, "move", "a", "me", Verdict.REJECTED, Reason.HELD, (Reason.HELD,), State.HELD, State.HELD, stop_id="s-1"
)


def test_a_flood_of_refusals_is_one_entry_and_one_count_a_second() -> None:
    """1,000 a second for three seconds."""
    ledger = Ledger(lambda: None)
    for index in range(3000):
        now_ns = index * S // 1000
        ledger.flush(now_ns)
        ledger.enter(replace(REFUSED, now_ns=now_ns, id=str(index)))
    ledger.flush(10 * S)
    taken = [one for one in ledger.take() if isinstance(one, DecisionEntry)]

    assert len(taken) <= 7
    assert sum(one.repeat for one in taken) == 3000
    assert taken[0].id == "0"


def test_a_change_of_state_is_never_counted_away_and_keeps_its_place() -> None:
    """What was counted before it is told before it."""
    ledger = Ledger(lambda: None)
    ledger.enter(REFUSED)
    ledger.enter(REFUSED)
    ledger.enter(replace(REFUSED, verdict=Verdict.OK, after=State.IDLE))
    ledger.enter(replace(REFUSED, verdict=Verdict.OK, after=State.IDLE))
    taken = [one for one in ledger.take() if isinstance(one, DecisionEntry)]

    assert [(one.verdict, one.repeat) for one in taken] == [
        (Verdict.REJECTED, 1), (Verdict.REJECTED, 1), (Verdict.OK, 1), (Verdict.OK, 1),
    ]  # fmt: skip


def test_other_refusals_are_other_entries() -> None:
    """Another client, another code."""
    ledger = Ledger(lambda: None)
    for other in (REFUSED, replace(REFUSED, client="you"), replace(REFUSED, code=Reason.EXPIRED)):
        ledger.enter(other)

    assert len(ledger.take()) == 3


def test_the_oldest_goes_when_nobody_fetches_and_is_counted() -> None:
    """A main loop that hangs: bounded, and one wake-up for all."""
    woken = []
    ledger = Ledger(lambda: woken.append(1))
    for index in range(2000):
        ledger.note(Notice(20, "gate.x", str(index)))
    taken = ledger.take()

    assert (len(taken), ledger.dropped, len(woken)) == (1024, 976, 1)
    assert isinstance(taken[-1], Notice)
    assert taken[-1].text == "1999"
    ledger.note(Notice(20, "gate.x", "again"))
    assert len(woken) == 2


def test_many_kinds_of_refusals_at_once_stay_bounded() -> None:
    """A different client name in each."""
    ledger = Ledger(lambda: None)
    for index in range(500):
        ledger.enter(replace(REFUSED, client=str(index)))

    assert len(ledger._open) <= 32
    assert len(ledger.take()) == 500


ACCEPTED = replace(REFUSED, verdict=Verdict.ACCEPTED, code=Reason.ACCEPTED, before=State.ACTIVE, after=State.ACTIVE)


def test_the_audit_has_every_accepted_move_by_its_id() -> None:
    """Folded for the events, each by itself for the audit."""
    ledger = Ledger(lambda: None)
    for index in range(500):
        ledger.enter(replace(ACCEPTED, id=str(index), now_ns=index))
    kept, missing = ledger.take_audit()

    assert [entry.id for entry in kept] == [str(index) for index in range(500)]
    assert {entry.repeat for entry in kept} == {1}
    assert missing == 0
    assert len(ledger.take()) == 1


def test_the_audit_of_a_flood_is_bounded_and_counted_and_its_changes_are_not_lost() -> None:
    """1,000 refusals a second for three seconds, a stop among them: 200 a second, the stop, and the number missing."""
    ledger = Ledger(lambda: None)
    stop = replace(REFUSED, verdict=Verdict.STOPPED, code=Reason.STOPPED, before=State.ACTIVE, after=State.HELD)
    for index in range(3000):
        now_ns = index * S // 1000
        ledger.enter(replace(REFUSED, now_ns=now_ns, id=str(index)))
        if index == 1500:
            ledger.enter(replace(stop, now_ns=now_ns, id="stop"))
    kept, missing = ledger.take_audit()

    assert len(kept) == 601
    assert [entry.id for entry in kept].count("stop") == 1
    assert missing == ledger.unaudited == 2400
    assert ledger.take_audit() == ([], 0)


def test_the_audit_drops_its_oldest_when_nobody_fetches_and_counts_them() -> None:
    """A main loop that hangs for a long drive."""
    ledger = Ledger(lambda: None)
    for index in range(10_000):
        ledger.enter(replace(ACCEPTED, id=str(index), now_ns=index))
    kept, missing = ledger.take_audit()

    assert (len(kept), missing) == (8192, 10_000 - 8192)
    assert kept[-1].id == "9999"


def test_the_audit_is_fetched_at_the_next_tick() -> None:
    """A steady drive wakes the main loop by its ticks, not by its moves."""
    woken = []
    ledger = Ledger(lambda: woken.append(1))
    ledger.enter(ACCEPTED)
    ledger.take()
    for index in range(100):
        ledger.enter(replace(ACCEPTED, id=str(index)))
    before = len(woken)
    ledger.flush(0)
    ledger.flush(1)

    assert (before, len(woken)) == (1, 2)


def test_a_storm_of_stops_is_one_entry_and_one_count_a_second_and_bounded_in_the_audit() -> None:
    """1,000 a second for two seconds, while it is latched; refusals have a room of their own meanwhile."""
    ledger = Ledger(lambda: None)
    stop = replace(REFUSED, command="stop", verdict=Verdict.STOPPED, code=Reason.STOPPED)
    for index in range(2000):
        now_ns = index * S // 1000
        ledger.flush(now_ns)
        ledger.enter(replace(stop, now_ns=now_ns))
    ledger.enter(replace(REFUSED, now_ns=2 * S))
    ledger.flush(5 * S)
    kept, missing = ledger.take_audit()
    told = [one for one in ledger.take() if isinstance(one, DecisionEntry) and one.command == "stop"]

    assert len(told) <= 5
    assert sum(one.repeat for one in told) == 2000
    assert (len(kept), missing) == (401, 1600)
