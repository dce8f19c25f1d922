"""What a person is told of: stops in a row once, late ticks seldom."""

from __future__ import annotations

from edgetwin.gate.memory import Memory
from edgetwin.lane.alarms import Alarms
from edgetwin.lane.ledger import DecisionEntry, Ledger, Notice
from edgetwin.lane.moment import Moments
from edgetwin.motion import State

S = 1_000_000_000
HELD = Memory(state=State.HELD, stop_id="s-1")


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0

    def now_ns(self) -> int:
        """Monotonic."""
        return self.now

    def stamp_ns(self) -> int:
        """Wall."""
        return self.now


def told(at_s: list[int]) -> tuple[list[Notice], list[DecisionEntry]]:
    """Return what stops at these times are worth."""
    clock, ledger = Hands(), Ledger(lambda: None)
    alarms = Alarms(ledger, Moments(clock, lambda: None))
    for second in at_s:
        clock.now = second * S
        alarms.stopped(HELD)
    news = ledger.take()
    return [one for one in news if isinstance(one, Notice)], [one for one in news if isinstance(one, DecisionEntry)]


def test_three_stops_a_minute_are_nothing_to_tell() -> None:
    """For an hour."""
    notices, entries = told([20 * turn for turn in range(180)])

    assert (notices, entries) == ([], [])


def test_the_fourth_within_a_minute_is_told_once() -> None:
    """However many follow; after a quiet minute it is told again."""
    notices, entries = told([0, 1, 2, 59, 60, 61, 62, *range(100, 110)])
    again, _ = told([0, 1, 2, 3, 200, 201, 202, 203])

    assert len(notices) == len(entries) == 1
    assert (entries[0].command, entries[0].stop_id, entries[0].verdict) == ("alarm", "s-1", None)
    assert len(again) == 2


def test_late_ticks_are_told_at_the_first_and_at_every_hundredth() -> None:
    """A machine that is always too busy fills no log."""
    ledger = Ledger(lambda: None)
    alarms = Alarms(ledger, Moments(Hands(), lambda: None))
    for _ in range(250):
        alarms.late(150_000_000)

    assert [one.fields["LATE_TICKS"] for one in ledger.take() if isinstance(one, Notice)] == [1, 100, 200]


def test_a_broker_that_refuses_us_is_kept_without_a_second_line() -> None:
    """The link has told the log; the decision is for the audit and for whoever watches the events."""
    ledger = Ledger(lambda: None)
    Alarms(ledger, Moments(Hands(), lambda: None)).refused(HELD, "it takes us for another robot")
    (entry,) = ledger.take()
    (kept,), missing = ledger.take_audit()

    assert isinstance(entry, DecisionEntry)
    assert (entry.command, entry.code, entry.verdict) == ("alarm", "NOT_READY", None)
    assert (entry.before, entry.after, entry.stop_id) == ("HELD", "HELD", "s-1")
    assert entry.detail == "it takes us for another robot"
    assert kept == entry
    assert missing == 0
