"""States: newest by boot and number, whatever comes late, twice, backward or from another year."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.twin.age import Age
from edgetwin.twin.channel import Fate
from edgetwin.twin.quality import quality
from edgetwin.twin.seen import Seen, Way
from tests.twin.stage import BUMP, MS, ODOM, WALL_US, S, Stage, moment


@given(st.lists(st.tuples(st.sampled_from([Way.LIVE, Way.BACKLOG]), st.integers(0, 40)), min_size=1, max_size=120))
def test_the_state_never_moves_back_and_every_number_counts_once(arrivals: list[tuple[Way, int]]) -> None:
    """Any order, any repeats, both lanes: the state is the largest number so far, distinct records are counted once."""
    stage = Stage()
    stage.announce()
    shown = []
    for index, (way, seq) in enumerate(arrivals):
        fate = stage.record(seq, index * MS, way=way)
        assert (fate is Fate.REPEATED) == (seq in [number for _, number in arrivals[:index]])
        shown.append(stage.shown)

    assert shown == [("b1", max(number for _, number in arrivals[: index + 1])) for index in range(len(arrivals))]
    channel = stage.twin.channels["odom"]
    distinct = {number for _, number in arrivals}
    assert channel.live + channel.backlog == len(distinct)
    assert channel.duplicates == len(arrivals) - len(distinct)
    assert channel.lost == len(set(range(arrivals[0][1], max(distinct))) - distinct)


def test_backlog_fills_history_beside_a_live_state() -> None:
    """Ten records of an outage come after the first live one: none is shown, none is missing."""
    stage = Stage()
    stage.announce()
    stage.record(0, 0)
    live = stage.record(11, 11 * S)
    lost_before = stage.twin.channels["odom"].lost
    fates = [stage.record(seq, seq * S, after_ns=20 * S, way=Way.BACKLOG) for seq in range(1, 11)]

    assert live is Fate.NEWEST
    assert fates == [Fate.HISTORY] * 10
    assert stage.shown == ("b1", 11)
    assert (lost_before, stage.twin.channels["odom"].lost) == (10, 0)
    assert [note.seq for note in stage.twin.channels["odom"].history] == [0, 11, *range(1, 11)]


def test_a_new_boot_replaces_the_old_and_its_late_backlog_is_history() -> None:
    """Numbers begin at 0 again; what the outbox kept of the run before changes nothing that is shown."""
    stage = Stage()
    stage.announce()
    stage.record(900, 0)
    stage.boot = "b2"
    stage.status(1 * S)
    fresh = stage.record(0, 1 * S)
    late = stage.record(901, S // 2, after_ns=S, way=Way.BACKLOG, boot="b1")
    very_late = stage.record(902, S // 2, after_ns=S, boot="b1")

    assert (fresh, late, very_late) == (Fate.NEWEST, Fate.HISTORY, Fate.HISTORY)
    assert stage.shown == ("b2", 0)


def test_a_live_record_of_an_unheard_of_boot_is_a_new_run() -> None:
    """The status may come after it; a backlog of an unheard-of boot is an old run."""
    stage = Stage()
    stage.record(5, 0)
    old = stage.record(70, 0, after_ns=S, way=Way.BACKLOG, boot="b0")
    new = stage.record(0, 2 * S, boot="b2")

    assert (old, new) == (Fate.HISTORY, Fate.NEWEST)
    assert (stage.twin.boot, stage.shown) == ("b2", ("b2", 0))


def test_one_stray_record_does_not_replace_a_robot_for_good() -> None:
    """Somebody publishes a record of a boot that never says anything else: the robot's next status takes it back."""
    stage = Stage()
    stage.announce()
    stage.status(0)
    stage.record(5, 0)
    stage.record(0, S, boot="stray")
    replaced = stage.twin.boot
    stage.status(2 * S)
    back = stage.record(6, 2 * S)

    assert (replaced, stage.twin.boot) == ("stray", "b1")
    assert (back, stage.shown) == (Fate.NEWEST, ("b1", 6))


def test_the_will_of_an_earlier_run_does_not_take_the_new_one_offline() -> None:
    """A broker may publish it long after the robot has come back."""
    stage = Stage()
    stage.status(0)
    stage.boot = "b2"
    stage.status(S)
    stage.boot = "b1"
    stage.status(S, state="offline")

    assert stage.twin.age(moment(2 * S), linked=True) is Age.LIVE


def test_a_gap_event_explains_what_is_missing() -> None:
    """Four numbers were shed: told, so not lost; two others neither came nor were told."""
    stage = Stage()
    stage.record(0, 0)
    stage.record(7, 7 * MS)
    gap = Seen("b1", 0, WALL_US, WALL_US, Way.LIVE, {"channel": "odom", "boot": "b1", "from_seq": 1, "to_seq": 4})
    stage.twin.event("gap", gap, moment(8 * MS), late=False)

    assert (stage.twin.channels["odom"].lost, stage.twin.channels["odom"].explained) == (2, 4)


def test_what_was_sent_before_we_listened_is_not_missed() -> None:
    """The first number is 5,000; a backlog below it is new, and repeats of it are repeats."""
    stage = Stage()
    stage.record(5_000, 0)
    fates = [stage.record(seq, 0, after_ns=S, way=Way.BACKLOG) for seq in (10, 11, 10)]

    assert fates == [Fate.HISTORY, Fate.HISTORY, Fate.REPEATED]
    assert stage.twin.channels["odom"].lost == 0


def test_memory_is_bounded_under_any_loss() -> None:
    """Every second number is lost, 20,000 times: the loss stays exact, what is remembered stays small."""
    stage = Stage()
    for seq in range(0, 40_000, 2):
        stage.record(seq, seq * MS)
    channel = stage.twin.channels["odom"]

    assert channel.lost == 19_999
    assert len(channel._numbers["b1"]._known.missing()) <= 1_000
    assert len(channel.history) == 256


def test_a_channel_is_live_late_stale_by_its_own_promise() -> None:
    """Heartbeat 1 s, 50 Hz: live up to 1.29 s, late up to three times that; never better than its robot."""
    stage = Stage()
    stage.announce()
    stage.status(0)
    stage.ping(0)
    stage.record(0, 0)
    ages = []
    for tenths in range(1, 60):
        now_ns = tenths * S // 10
        stage.status(now_ns)
        ages.append(stage.twin.channel_age("odom", moment(now_ns), linked=True)[0])

    words = {age: [round(0.1 * (index + 1), 1) for index, word in enumerate(ages) if word is age] for age in set(ages)}
    assert (words[Age.LIVE][-1], words[Age.LATE][-1], words[Age.STALE][0]) == (1.2, 3.8, 3.9)


def test_nothing_is_live_while_the_robot_is_gone_or_we_are() -> None:
    """A will, an orderly end, no broker: offline at once, however fresh the last record is."""
    words = []
    for state, linked in (("offline", True), ("stopping", True), ("online", False)):
        stage = Stage()
        stage.announce()
        stage.status(0)
        stage.record(0, 0)
        stage.status(0, state=state)
        words.append(stage.twin.channel_age("odom", moment(MS), linked=linked)[0])

    assert words == [Age.OFFLINE] * 3


def test_a_retained_status_does_not_make_a_silent_robot_live() -> None:
    """The broker kept `online` of a robot that has long been dead: only its stamp tells how old that is."""
    stage = Stage()
    stage.status(0, after_ns=3_600 * S, retained=True)

    assert stage.twin.age(moment(3_600 * S), linked=True) is Age.STALE


def test_an_event_channel_is_as_fresh_as_its_robot() -> None:
    """A bumper that was not touched for a minute says nothing wrong; when the robot falls silent it ages."""
    stage = Stage()
    stage.announce(bump=BUMP)
    stage.record(0, 0, channel="bump")
    words = []
    for last_s, now_s in ((60, 61), (60, 72), (60, 90)):
        stage.status(last_s * S)
        words.append(stage.twin.channel_age("bump", moment(now_s * S), linked=True)[0])

    assert words == [Age.LIVE, Age.LATE, Age.STALE]


def test_twenty_minutes_of_delay_are_twenty_minutes_of_age() -> None:
    """A steady 50 Hz that is 20 minutes late: all of it arrives, in order, its age is right, and it is never live."""
    stage = Stage(ahead_us=-7_000_000)
    delay_ns = 1_200 * S
    stage.announce()
    stage.ping(0, there_ns=delay_ns, back_ns=delay_ns)
    words, ages_s = set(), []
    for seq in range(3_000):
        at_ns = seq * 20 * MS
        if seq % 250 == 0:
            stage.status(at_ns, after_ns=delay_ns)
        assert stage.record(seq, at_ns, after_ns=delay_ns) is Fate.NEWEST
        word, age_s = stage.twin.channel_age("odom", moment(at_ns + delay_ns), linked=True)
        words.add(word)
        ages_s.append(age_s or 0.0)
    at_end = moment(2_999 * 20 * MS + delay_ns)
    figures = quality(stage.twin, at_end, linked=True)

    assert words == {Age.STALE}
    assert max(abs(age_s - 1_200) for age_s in ages_s) < 0.001
    assert (figures.channels[0].lost, figures.channels[0].live) == (0, 3_000)
    assert abs((figures.channels[0].latency_p50_ms or 0) / 1_200_000 - 1) < 0.05
    assert figures.clock_uncertainty_ms is not None
    assert figures.clock_uncertainty_ms >= 1_200_000


def test_a_robot_in_1970_is_rebased_and_purges_nothing() -> None:
    """It boots at 0, sends, and its clock steps to today: order by number, ages right, all of it kept and marked."""
    stage = Stage(ahead_us=-WALL_US)
    stage.announce()
    stage.ping(0)
    early = [stage.record(seq, (10 + seq) * MS) for seq in range(5)]
    early_age_s = stage.twin.channel_age("odom", moment(15 * MS), linked=True)[1]
    stage.ahead_us = 0
    step = Seen("b1", 0, WALL_US, WALL_US, Way.LIVE, {"step_us": WALL_US, "after_us": stage.wall_us(20 * MS)})
    stage.twin.event("clock", step, moment(21 * MS), late=False)
    later = [stage.record(seq, (20 + seq) * MS) for seq in range(5, 10)]
    stage.ahead_us = -WALL_US
    backlog = stage.record(10, 18 * MS, after_ns=20 * MS, way=Way.BACKLOG)

    assert early + later == [Fate.NEWEST] * 10
    assert early_age_s is not None
    assert abs(early_age_s - 0.001) < 0.002
    assert (backlog, stage.twin.rebased) == (Fate.NEWEST, 6)
    assert stage.twin.time.steps == 1
    note = stage.twin.channels["odom"].history[-1]
    assert abs(note.measured_ns - 18 * MS) < 3 * MS


def test_a_stamp_of_another_clock_does_not_make_its_record_old() -> None:
    """Simulated time: 15 minutes after 0, while the robot's own clock is right. The daemon's reception counts."""
    stage = Stage()
    stage.announce(odom=ODOM)
    stage.ping(0)
    seen = Seen("b1", 0, 900_000_000, stage.wall_us(5 * MS), Way.LIVE, {})
    stage.twin.take("odom", seen, moment(6 * MS))

    word, age_s = stage.twin.channel_age("odom", moment(6 * MS), linked=True)
    assert word is Age.LIVE
    assert age_s == pytest.approx(0.001, abs=1e-5)
    assert stage.twin.rebased == 1
