"""The link goes down in every way a link can: nothing is lost, and live is back before the backlog is."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
from geometry_msgs.msg import PointStamped

from edgetwin.sim.broker import LocalBroker
from edgetwin.sim.faulty_link import Fault, FaultyLink
from tests.integration.lab import Daemon, Robot, Witness, channel, configuration, matched, until

OUTAGE_S = float(os.environ.get("TEST_OUTAGE_S", "12"))  # longer than twice the keepalive
RATE_HZ = 200
SILENT = {"frozen", "blackhole"}  # only a time-out tells


class Source(threading.Thread):
    """Publishes a counter at a steady rate until stopped; as a context manager it is stopped in any case.

    Each message is stamped by the schedule, so that a source that stalls and catches up keeps its rate.
    """

    def __init__(self, robot: Robot, topic: str) -> None:
        super().__init__(daemon=True)
        self.publisher = robot.publisher(PointStamped, topic, 1000)
        self.count = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        """Publish."""
        start = time.monotonic()
        while not self.stopped.wait(max(0.0, start + self.count / RATE_HZ - time.monotonic())):
            message = PointStamped()
            message.header.stamp.sec, rest = divmod(1000 * RATE_HZ + self.count, RATE_HZ)
            message.header.stamp.nanosec = rest * 1_000_000_000 // RATE_HZ
            message.point.x = float(self.count)
            self.publisher.publish(message)
            self.count += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        if self.ident is not None:
            self.join()

    def finish(self) -> int:
        """Stop; return how many were published."""
        self.stopped.set()
        self.join()
        return self.count


class LinkThread:
    """A FaultyLink on a loop of its own."""

    def __init__(self, upstream_port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._link = asyncio.run_coroutine_threadsafe(self._open(upstream_port), self._loop).result(5)
        self.port = self._link.port

    async def _open(self, upstream_port: int) -> FaultyLink:
        return await FaultyLink(upstream_port).__aenter__()

    def set(self, fault: Fault) -> None:
        """Make the link behave so."""
        asyncio.run_coroutine_threadsafe(self._link.set(fault), self._loop).result(5)

    def reset(self) -> None:
        """Reset all connections."""
        self._loop.call_soon_threadsafe(self._link.reset_connections)

    def close(self) -> None:
        """End it."""
        asyncio.run_coroutine_threadsafe(self._link.__aexit__(None, None, None), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def faulty_link(port: int) -> Iterator[LinkThread]:
    """A link with a switch."""
    link = LinkThread(port)
    try:
        yield link
    finally:
        link.close()


@pytest.mark.parametrize("fault", ["stopped", "frozen", "blackhole", "refused"])
def test_an_outage_loses_nothing_and_live_is_back_within_3_s_of_the_brokers_return(
    fault: str, broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """Broker stopped, frozen (SIGSTOP), black-holed, or refusing, under 200 messages a second."""
    topic = f"/outage/{fault}"
    section = channel("value", topic, "geometry_msgs/msg/PointStamped", [f"rate_hz_max = {RATE_HZ}"])
    with (
        Source(robot, topic) as source,
        faulty_link(broker.port) as link,
        Witness(broker.port) as witness,
        Daemon(tmp_path, configuration(link.port, tmp_path, section)) as daemon,
    ):
        matched(source.publisher)
        source.start()
        until(lambda: len(witness.records("value")) > RATE_HZ, "a second of live records")
        if fault == "stopped":
            broker.stop()
        elif fault == "frozen":
            broker.pause()
        else:
            link.set(Fault.BLACKHOLE if fault == "blackhole" else Fault.REFUSE)
        time.sleep(OUTAGE_S if fault in SILENT else min(OUTAGE_S, 4.0))
        assert daemon.status()["outbox"]["records"] > RATE_HZ, daemon.status()["outbox"]
        before = len(witness.arrivals)
        if fault == "stopped":
            broker.start()
        elif fault == "frozen":
            broker.resume()
        else:
            link.set(Fault.PASS)
        returned_s = time.monotonic()
        # A frozen or black-holed link lets old bytes through first: a live record of after the return counts.
        newest = source.count

        def fresh() -> bool:
            arrivals = [a for a in witness.arrivals[before:] if a.topic.endswith("/telemetry/value")]
            return any(record["data"]["point"]["x"] >= newest for a in arrivals for record in a.records)

        until(fresh, "a live record")
        first_live_s = time.monotonic() - returned_s
        until(lambda: daemon.status()["outbox"]["records"] == 0, f"the backlog drained: {daemon.status()['outbox']}")
        count = source.finish()
        until(
            lambda: len(witness.in_order("value")) >= count,
            lambda: f"{witness.missing('value', count)}; {daemon.status()}",
        )

        assert first_live_s < 3.0
        assert [record["data"]["point"]["x"] for record in witness.in_order("value")] == [
            float(i) for i in range(count)
        ]
        continuity = witness.continuity()
        assert continuity.lost == 0
        assert continuity.reordered == 0
        assert witness.on("/backlog/value"), "nothing went through the backlog: the outage did not happen"
        link_events = [a.records[0]["data"] for a in witness.on("/events/link")]
        assert [event["state"] for event in link_events] == ["up"] * len(link_events) != []
    assert daemon.log.count("No link to the broker") == len(link_events)


def test_two_hundred_cuts_at_random_points_lose_nothing(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """Connections are reset again and again; repeats have the same identity, and there are few of them."""
    topic = "/flapping/value"
    section = channel("value", topic, "geometry_msgs/msg/PointStamped", [f"rate_hz_max = {RATE_HZ}"])
    source = Source(robot, topic)
    cuts = int(os.environ.get("TEST_CUTS", "30"))
    with (
        faulty_link(broker.port) as link,
        Witness(broker.port) as witness,
        Daemon(tmp_path, configuration(link.port, tmp_path, section)) as daemon,
    ):
        matched(source.publisher)
        source.start()
        for index in range(cuts):
            time.sleep(0.05 + (index * 37 % 100) / 250)
            link.reset()
        count = source.finish()
        until(
            lambda: len(witness.in_order("value")) >= count,
            lambda: f"{witness.missing('value', count)}; {daemon.status()}",
            patience_s=30,
        )

        assert [record["data"]["point"]["x"] for record in witness.in_order("value")] == [
            float(i) for i in range(count)
        ]
        assert witness.continuity().reordered == 0
        window = 20
        assert witness.continuity().duplicates <= window * (cuts + 1)
        until(lambda: daemon.status()["outbox"]["records"] == 0, "an empty outbox")


def test_while_the_link_is_healthy_nothing_is_written_to_disk(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """What is acknowledged within the commit interval never touches the flash."""
    topic = "/healthy/value"
    section = channel("value", topic, "geometry_msgs/msg/PointStamped", [f"rate_hz_max = {RATE_HZ}"])
    with (
        Source(robot, topic) as source,
        Witness(broker.port) as witness,
        Daemon(tmp_path, configuration(broker.port, tmp_path, section)) as daemon,
    ):
        matched(source.publisher)
        source.start()
        until(lambda: len(witness.records("value")) > RATE_HZ, "a second of live records")
        assert daemon.process is not None
        before = _written(tmp_path)
        until(lambda: len(witness.records("value")) > 4 * RATE_HZ, "three more")
        source.finish()

        assert _written(tmp_path) == before
        assert not witness.on("/backlog/value")


def _written(folder: Path) -> list[tuple[str, int, int]]:
    """Database and WAL; the small file of numbers is rewritten in the page cache, and never synced."""
    files = (folder / "outbox.db", folder / "outbox.db-wal")
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.exists()]


def test_the_backlog_of_an_earlier_run_is_delivered_by_the_next(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """Stopped without a broker, started with one: the old boot's records arrive, on the backlog topic."""
    topic = "/earlier/value"
    section = channel("value", topic, "geometry_msgs/msg/PointStamped", [f"rate_hz_max = {RATE_HZ}"])
    broker.stop()
    with Source(robot, topic) as source, Daemon(tmp_path, configuration(broker.port, tmp_path, section)):
        matched(source.publisher)
        source.start()
        time.sleep(1.0)
        count = source.finish()
        time.sleep(0.1)
    broker.start()
    with Witness(broker.port) as witness, Daemon(tmp_path, configuration(broker.port, tmp_path, section)):
        until(lambda: len(witness.in_order("value")) >= count, f"{count} records of the earlier run")

        assert [record["data"]["point"]["x"] for record in witness.in_order("value")] == [
            float(i) for i in range(count)
        ]
        assert {arrival.topic.split("/")[2] for arrival in witness.on("/value")} == {"backlog"}


def test_the_last_records_of_a_busy_robot_are_acknowledged_and_not_kept(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """Stopped while messages are collected at ticks: their PUBACKs are heard, the next run repeats nothing."""
    topic = "/last/value"
    section = channel("value", topic, "geometry_msgs/msg/PointStamped", [f"rate_hz_max = {2 * RATE_HZ}"])
    config = configuration(broker.port, tmp_path, section)
    with Source(robot, topic) as source, Source(robot, topic) as other:
        for attempt in range(3):  # a machine that is held up for a second may keep some, rightly
            with Witness(broker.port) as witness, Daemon(tmp_path, config) as daemon:
                matched(source.publisher)
                if not attempt:
                    source.start()
                    other.start()
                until(lambda: len(witness.records("value")) > 2 * RATE_HZ, "a second of live records")
                before = daemon.log.count("records of earlier runs")
            with Daemon(tmp_path, config) as daemon:
                kept = daemon.log.count("records of earlier runs") - before
            if not kept:
                break

        assert not kept
