"""A link that is slow, or hardly watched: what is fresh stays fresh, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any

from edgetwin.sim.broker import LocalBroker
from edgetwin.sim.faulty_link import FaultyLink
from edgetwin.sim.slow_link import SlowLink
from edgetwin.uplink.dial import dial
from edgetwin.uplink.live import PARCEL_BYTES_MAX
from edgetwin.uplink.session import Session
from tests.integration.lab import Arrival, Daemon, Robot, Witness, channel, configuration, matched, until
from tests.integration.test_link import RATE_HZ, Source

LANES = ("left", "right")
ONE_WAY_S = 0.5
ROUND_TRIP_S = 2 * ONE_WAY_S
SETTLED = 3 * RATE_HZ  # records of a lane: the first round trips teach how long one is
JUDGED = 4 * RATE_HZ
PATIENCE_S = 60.0
KEEPALIVE_S = 1
PINGREQ = b"\xc0\x00"
_TYPE = "geometry_msgs/msg/PointStamped"


@contextmanager
def slow_link(port: int, delay_s: float) -> Iterator[int]:
    """A long cable to the broker, on a loop of its own; the port of its near end."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def opened() -> SlowLink:
        return await SlowLink(port, delay_s).__aenter__()

    link = asyncio.run_coroutine_threadsafe(opened(), loop).result(5)
    try:
        yield link.port
    finally:
        asyncio.run_coroutine_threadsafe(link.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _stamp_s(record: dict[str, Any]) -> float:
    return float(record["stamp_us"]) / 1e6


def _waited_long(arrivals: Sequence[Arrival]) -> float:
    """Share of the records that travelled with others which were measured more than a quarter of a round trip apart."""
    waited = alone = 0
    for arrival in arrivals:
        records = arrival.records
        if _stamp_s(records[-1]) - _stamp_s(records[0]) > ROUND_TRIP_S / 4:
            waited += len(records)
        else:
            alone += len(records)
    return waited / (waited + alone)


def test_a_stream_stays_live_at_a_round_trip_of_a_second(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """400 messages a second through 20 places: what waits leaves together, soon, on the live topic; none is late."""
    sections = "".join(channel(name, f"/slow/{name}", _TYPE, [f"rate_hz_max = {RATE_HZ}"]) for name in LANES)
    with (
        slow_link(broker.port, ONE_WAY_S) as port,
        Witness(broker.port) as witness,
        Daemon(tmp_path, configuration(port, tmp_path, sections)) as daemon,
        ExitStack() as stack,
    ):
        sources = [stack.enter_context(Source(robot, f"/slow/{name}")) for name in LANES]
        for source in sources:
            matched(source.publisher)
        until(lambda: daemon.status()["link"]["state"] == "up", "a link")
        for source in sources:
            source.start()
        until(lambda: min(len(witness.records(name)) for name in LANES) > SETTLED, "it settles", PATIENCE_S)
        first = len(witness.arrivals)
        until(lambda: min(len(witness.records(name)) for name in LANES) > SETTLED + JUDGED, "the rest", PATIENCE_S)
        judged = witness.arrivals[first:]
        counts = [source.finish() for source in sources]
        for name, count in zip(LANES, counts, strict=True):
            until(lambda: len(witness.in_order(name)) >= count, lambda: witness.missing(name, count), PATIENCE_S)  # noqa: B023
        live = [arrival for arrival in judged if "/telemetry/" in arrival.topic]

        assert {arrival.topic.split("/")[2] for arrival in judged} - {"status"} == {"telemetry"}
        assert max(len(arrival.records) for arrival in live) > 1
        assert max(len(arrival.payload) for arrival in live) <= PARCEL_BYTES_MAX + 1024  # and its envelope
        assert _waited_long(live) < 0.5
        assert witness.continuity().lost == witness.continuity().reordered == 0
    assert "No link to the broker" not in daemon.log


def test_with_a_keepalive_of_a_second_a_frozen_broker_costs_nothing(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """SIGSTOP: the link is told down, the outbox takes over, the link comes back by itself, all arrives in order."""
    section = channel("value", "/keepalive/value", _TYPE, [f"rate_hz_max = {RATE_HZ}"])
    config = configuration(broker.port, tmp_path, section, mqtt=f"keepalive_s = {KEEPALIVE_S}")
    with (
        Source(robot, "/keepalive/value") as source,
        Witness(broker.port) as witness,
        Daemon(tmp_path, config) as daemon,
    ):
        matched(source.publisher)
        source.start()
        until(lambda: len(witness.records("value")) > RATE_HZ, "a second of live records", PATIENCE_S)
        broker.pause()
        try:
            until(lambda: daemon.status()["link"]["state"] != "up", "the link told down", PATIENCE_S)
            until(lambda: daemon.status()["outbox"]["backlog"] > RATE_HZ, "a second on disk", PATIENCE_S)
        finally:
            broker.resume()
        until(lambda: daemon.status()["link"]["state"] == "up", lambda: str(daemon.status()["link"]), PATIENCE_S)
        count = source.finish()
        until(lambda: len(witness.in_order("value")) >= count, lambda: witness.missing("value", count), PATIENCE_S)
        until(lambda: daemon.status()["outbox"]["records"] == 0, "an empty outbox", PATIENCE_S)
        until(lambda: witness.on("/events/link"), "the event", PATIENCE_S)

        assert [record["data"]["point"]["x"] for record in witness.in_order("value")] == [
            float(index) for index in range(count)
        ]
        assert witness.continuity().lost == witness.continuity().reordered == 0
        assert witness.on("/backlog/value")
        assert {arrival.records[0]["data"]["state"] for arrival in witness.on("/events/link")} == {"up"}
    assert "No link to the broker" in daemon.log


class Ear(FaultyLink):
    """A cable that notes when a PINGREQ passes."""

    def __init__(self, upstream_port: int) -> None:
        super().__init__(upstream_port)
        self.pings_s: list[float] = []

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(4096):
            if chunk == PINGREQ:
                self.pings_s.append(asyncio.get_running_loop().time())
            writer.write(chunk)


def test_with_a_keepalive_of_a_second_the_pings_come_before_the_broker_gives_up(broker: LocalBroker) -> None:
    """Nothing is published: MQTT lets the broker wait for one keepalive and a half, and no longer."""

    async def quiet() -> list[float]:
        async with asyncio.timeout(PATIENCE_S), Ear(broker.port) as ear:
            sock = await dial("127.0.0.1", ear.port, None)
            session = Session("127.0.0.1", ear.port, sock, lambda *_: None, keepalive=KEEPALIVE_S)
            await session.__aenter__()
            while len(ear.pings_s) < 6 and not session.over:  # noqa: ASYNC110  # as pings come
                await asyncio.sleep(0.05)
            session.goodbye()
            return ear.pings_s

    pings_s = asyncio.run(quiet())
    gaps_s = [later - earlier for earlier, later in pairwise(pings_s)]

    # A machine that holds us up for a moment makes one of them late, not most.
    assert len(gaps_s) == 5
    assert median(gaps_s) < 1.5 * KEEPALIVE_S
