"""SIGKILL at any moment, again and again, under load, with and without a link: nothing that was safe is lost."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from edgetwin.clock import NS_PER_S, seconds_to_ns
from edgetwin.continuity import Continuity
from edgetwin.sim.broker import LocalBroker
from edgetwin.sim.faulty_link import Fault
from edgetwin.store.number_format import LastBoot
from edgetwin.store.numbers import read as read_numbers
from tests.integration.lab import Daemon, Robot, Witness, until
from tests.integration.test_link import LinkThread, faulty_link
from tests.proofs.ledger_of_arrivals import Arrivals, Identity, on_disk
from tests.proofs.load import RATE_HZ, SOURCES, Load, settings
from tests.proofs.scale import scaled

SEED = 3
KILLS = 25
MAX_BYTES = 1_000_000_000
COMMIT_INTERVAL_S = 0.2
RIPE_NS = {
    source.name: 0 if source.channel_class == "event" else seconds_to_ns(COMMIT_INTERVAL_S * 3 / 4)
    for source in SOURCES
}
LATE_S = 0.3  # of a loop that shares two cores with the robot, the broker and the witness: nothing to do with the disk
IN_START_SHARE = 0.2  # of the kills: before it says that it runs
LINKS = (Fault.PASS, Fault.PASS, Fault.REFUSE, Fault.BLACKHOLE)
DRAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Tail:
    """What one kill cost a channel, by the daemon's own clock.

    A count of numbers over a rate would say something else: what a starved publisher catches up on comes all at once.

    Attributes:
        age_s: Age of the oldest record that nobody answered for, when the last one was numbered.
        disk_s: For how long of that, since it was ripe, an append was under way: its own, and the one it waited for.
        overdue_s: How old it already was at the newest look of which all that was ripe is on disk; negative where it
            was born later. No loop that is late, and no disk that is slow, can make this longer.
    """

    channel: str
    age_s: float
    disk_s: float
    overdue_s: float

    @property
    def owed_s(self) -> float:
        """The daemon's own share: waiting to be looked at, and looked at late."""
        return self.age_s - self.disk_s


def tails_of(last: LastBoot) -> list[Tail]:
    """Return the tails of a boot that was killed."""
    pace = last.pace
    oldest = [(gap.lane, pace.born_ns[gap.lane]) for gap in last.gaps if gap.lane in RATE_HZ]
    return [
        Tail(
            lane,
            (pace.now_ns - born_ns) / NS_PER_S,
            pace.disk_ns(born_ns + RIPE_NS[lane]) / NS_PER_S,
            (pace.settled_ns - born_ns) / NS_PER_S,
        )
        for lane, born_ns in oldest
        if born_ns
    ]


@dataclass
class Deaths:
    """What is known of the kills."""

    random: Random
    tails: list[Tail] = field(default_factory=list)
    safe: set[Identity] = field(default_factory=set)
    boots: set[str] = field(default_factory=set)
    while_starting: int = 0

    def happen(self, daemon: Daemon, link: LinkThread, store: Path) -> None:
        """Let the daemon run a while behind some link, kill it, and look what is on disk."""
        link.set(self.random.choice(LINKS))
        daemon.start()
        if self.random.random() < IN_START_SHARE:
            self.while_starting += 1
            time.sleep(self.random.uniform(0.05, 1.2))
        else:
            numbers = Path(f"{store}.seq")
            until(lambda: self._counting(daemon, numbers), "a boot that counts", patience_s=20)
            time.sleep(self.random.uniform(0.0, 1.5))
        daemon.kill()
        (daemon.folder / "run" / "status.json").unlink(missing_ok=True)
        if (last := read_numbers(Path(f"{store}.seq"))) is not None:
            if last.boot not in self.boots:
                self.tails += tails_of(last)
            self.boots.add(last.boot)
        self.safe |= on_disk(store, MAX_BYTES)

    def _counting(self, daemon: Daemon, numbers: Path) -> bool:
        """Whether this boot has numbered samples: the robot is heard."""
        assert daemon.process is not None
        assert daemon.process.poll() is None, daemon.log[-2000:]
        last = read_numbers(numbers)
        return last is not None and last.boot not in self.boots and min(last.counted[name] for name in RATE_HZ) > 0


@pytest.mark.timeout(1_800)
def test_kills_at_random_lose_nothing_that_was_safe(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """Every number arrives or lies in a crash gap of at most the commit interval; what was on disk always arrives.

    Of the interval: whatever was that old when the daemon looked is on disk, exactly; and it looks in time, but for
    what a shared machine takes from it.
    """
    kills = scaled(KILLS)
    deaths = Deaths(Random(SEED))
    with faulty_link(broker.port) as link, Witness(broker.port) as witness, Load(robot, "/kill"):
        daemon = Daemon(tmp_path, settings(link.port, tmp_path, "/kill"))
        for _ in range(kills):
            deaths.happen(daemon, link, tmp_path / "outbox.db")
        link.set(Fault.PASS)
        with daemon:
            until(lambda: _drained(daemon), lambda: f"an empty outbox: {daemon.status()}", patience_s=DRAIN_S)
            until(lambda: not Arrivals(witness).missing(deaths.safe), "what was on disk", patience_s=DRAIN_S)
        time.sleep(0.2)
        arrivals, continuity = Arrivals(witness), witness.continuity()
    report = _report(deaths, arrivals, continuity)
    print(report)

    assert arrivals.missing(deaths.safe) == []
    assert arrivals.altered == []
    assert {stream: tally.lost for stream, tally in continuity.streams.items() if tally.lost} == {}
    assert {gap["cause"] for gap in arrivals.gaps} <= {"crash"}
    assert deaths.tails, "no kill cost anything: nothing was tried"
    assert max(tail.overdue_s for tail in deaths.tails) <= COMMIT_INTERVAL_S, report
    assert max(tail.owed_s for tail in deaths.tails) <= COMMIT_INTERVAL_S + LATE_S, report
    assert "broken" not in daemon.log


def _drained(daemon: Daemon) -> bool:
    status = daemon.status()
    return status.get("state") == "running" and status["link"]["state"] == "up" and status["outbox"]["backlog"] == 0


def _report(deaths: Deaths, arrivals: Arrivals, continuity: Continuity) -> str:
    """Say what the kills cost: acknowledged but lost, and the longest tail of each channel."""
    lost = arrivals.crash_tails()
    head = (
        f"{len(deaths.boots)} boots killed ({deaths.while_starting} kills while starting, seed {SEED}): "
        f"{continuity.records} records, {continuity.duplicates} repeats, "
        f"acknowledged but lost {len(arrivals.missing(deaths.safe))}"
    )
    lines = [head]
    for channel in RATE_HZ:
        tails = [tail for tail in deaths.tails if tail.channel == channel]
        records = max((count for (_, name), count in lost.items() if name == channel), default=0)
        if tails:
            worst = max(tails, key=lambda tail: tail.age_s)
            owed_s = max(tail.owed_s for tail in tails)
            lines.append(
                f"{channel}: longest tail {worst.age_s * 1e3:.0f} ms, of that the disk {worst.disk_s * 1e3:.0f} ms; "
                f"longest without the disk {max(0.0, owed_s) * 1e3:.0f} ms, "
                f"{sum(tail.owed_s > COMMIT_INTERVAL_S for tail in tails)} of {len(tails)} over the interval; "
                f"oldest at a look {max(0.0, *(tail.overdue_s for tail in tails)) * 1e3:.0f} ms; "
                f"most records lost at once {records}"
            )
    return "\n".join(lines)
