"""Disks in trouble under the real daemon: live goes on, one event tells of each change, nothing is lost."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from edgetwin.errors import StoreError
from edgetwin.records import Parcel
from edgetwin.sim.broker import LocalBroker
from edgetwin.sim.faulty_link import Fault
from tests.integration.lab import Daemon, Robot, Witness, until
from tests.integration.test_link import faulty_link
from tests.proofs.keeper import ODOM, Keeper
from tests.proofs.ledger_of_arrivals import Arrivals
from tests.proofs.load import RATE_HZ, Load, settings
from tests.proofs.mounts import Ext4, ext4, tmpfs

TROUBLE_S = 2.0
PAUSE_MAX_S = 1.0  # the publishers, the broker and the tracer share two cores
DISK_BYTES = 6_000_000
TROUBLED, MENDED = "The outbox cannot write", "The outbox works again"


@contextmanager
def failing(daemon: Daemon, fault: str) -> Iterator[None]:
    """Let system calls of a running daemon fail: `fault` as strace's `inject` takes it."""
    strace = shutil.which("strace")
    assert strace is not None, "strace is not installed: apt-get install strace"
    assert daemon.process is not None
    calls = fault.split(":", 1)[0]
    tracer = subprocess.Popen(
        [strace, "-qq", "-f", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={fault}",
         "-p", str(daemon.process.pid)],
    )  # fmt: skip
    try:
        yield
        assert tracer.poll() is None, "strace could not attach"
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(timeout=10)


def heard(witness: Witness) -> None:
    """Wait until live samples arrive."""
    until(lambda: len(witness.on("/telemetry/pose")) > RATE_HZ["pose"], "a second of live samples")


def live_goes_on(witness: Witness) -> None:
    """Live samples arrive for some seconds, without a pause that anybody would notice."""
    start = time.monotonic()
    time.sleep(TROUBLE_S)
    moments = [arrival.at_s for arrival in witness.on("/telemetry/pose") if arrival.at_s > start]
    pauses = [after - before for before, after in pairwise([start, *moments, time.monotonic()])]

    assert max(pauses) < PAUSE_MAX_S


def store_states(witness: Witness) -> list[str]:
    """Return what the store events said, each once, in order."""
    states = {
        record["seq"]: record["data"]["state"] for arrival in witness.on("/events/store") for record in arrival.records
    }
    return [state for _, state in sorted(states.items())]


def nothing_is_lost(witness: Witness, daemon: Daemon) -> None:
    """The outbox empties, every number came, and no gap is told."""
    until(lambda: daemon.status()["outbox"]["backlog"] == 0, lambda: f"an empty outbox: {daemon.status()}", 30)
    until(lambda: witness.continuity().lost == 0, lambda: f"{witness.continuity().lost} numbers", 30)

    arrivals = Arrivals(witness)
    assert arrivals.altered == []
    assert arrivals.gaps == []


def one_event_per_change(witness: Witness, daemon: Daemon) -> None:
    """One line and one event when it begins, one when it ends."""
    until(lambda: store_states(witness) == ["trouble", "ok"], lambda: f"the events: {store_states(witness)}")

    assert (daemon.log.count(TROUBLED), daemon.log.count(MENDED)) == (1, 1)
    assert daemon.log.count("ERROR") == 1


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("sync", "fdatasync,fsync:error=EIO:when=3+"),
        ("write", "pwrite64:error=EIO:when=3+"),
        ("full", "pwrite64:error=ENOSPC:when=5+"),
        ("open", "openat:error=EMFILE:when=1+"),
    ],
)
def test_calls_that_fail_for_a_while_cost_nothing(
    name: str, fault: str, broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """From the nth call on, for some seconds; then the disk works again."""
    topic = f"/calls/{name}"
    with (
        Load(robot, topic),
        Witness(broker.port) as witness,
        Daemon(tmp_path, settings(broker.port, tmp_path, topic)) as daemon,
    ):
        heard(witness)
        with failing(daemon, fault):
            if name != "open":  # a file that is open already is not opened
                until(lambda: TROUBLED in daemon.log, "the trouble")
            live_goes_on(witness)
        if TROUBLED in daemon.log:
            until(lambda: MENDED in daemon.log, "the end of the trouble")
            one_event_per_change(witness, daemon)
        nothing_is_lost(witness, daemon)


def test_a_full_disk_that_others_fill_and_free_costs_nothing(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """Full while the link is down; the link comes back first, the space later."""
    with (
        tmpfs(tmp_path / "disk", DISK_BYTES) as disk,
        Load(robot, "/full"),
        faulty_link(broker.port) as link,
        Witness(broker.port) as witness,
        Daemon(tmp_path, settings(link.port, disk, "/full", store="max_bytes = 4_000_000")) as daemon,
    ):
        heard(witness)
        link.set(Fault.REFUSE)
        hog = Hog(disk / "ballast")
        hog.start()
        until(lambda: TROUBLED in daemon.log, "the trouble")
        time.sleep(TROUBLE_S)
        link.set(Fault.PASS)
        until(lambda: daemon.status()["link"]["state"] == "up", "the link")
        live_goes_on(witness)
        hog.free()
        until(lambda: MENDED in daemon.log, "the end of the trouble")

        one_event_per_change(witness, daemon)
        nothing_is_lost(witness, daemon)


class Hog(threading.Thread):
    """Somebody else on the disk, who takes every byte that comes free."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._stopped = threading.Event()

    def run(self) -> None:
        """Fill, and keep full."""
        with self._path.open("wb", buffering=0) as file:
            while not self._stopped.wait(0.002):
                with suppress(OSError):
                    while file.write(bytes(4096)):
                        pass

    def free(self) -> None:
        """Go, and take it all along."""
        self._stopped.set()
        self.join()
        self._path.unlink()


def test_a_disk_that_turns_read_only_costs_nothing(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """As ext4 does that meets an error; later it is mounted anew over the old one."""
    with (
        ext4(tmp_path / "image", tmp_path / "disk") as disk,
        Load(robot, "/readonly"),
        Witness(broker.port) as witness,
        Daemon(tmp_path, settings(broker.port, disk.folder, "/readonly")) as daemon,
    ):
        heard(witness)
        disk.abort()
        until(lambda: TROUBLED in daemon.log, "the trouble")
        live_goes_on(witness)
        disk.mount_copy()
        until(lambda: MENDED in daemon.log, "the end of the trouble")

        one_event_per_change(witness, daemon)
        nothing_is_lost(witness, daemon)


def test_the_end_on_a_disk_that_turned_read_only_is_no_crash(tmp_path: Path) -> None:
    """All is delivered, nothing has to be written: the outbox closes, whatever its file of numbers can or cannot do."""

    async def story(disk: Ext4) -> None:
        keeper = Keeper(disk.folder / "outbox.db", "boot")
        await keeper.open()
        (record,) = keeper.put(ODOM)
        keeper.outbox.acked(Parcel("live", b"", 1, records=[record]))
        disk.abort()
        with suppress(StoreError):  # this it may say
            await keeper.outbox.close()

    with ext4(tmp_path / "image", tmp_path / "disk") as disk:
        asyncio.run(story(disk))
