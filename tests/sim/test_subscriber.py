"""The cloud's books: lanes, losses, repeats, latency; and the subscriber on a real broker."""

from __future__ import annotations

import asyncio

import aiomqtt
import orjson
import pytest

from edgetwin.records import ChannelClass, Encoding, EventKind, LinkState
from edgetwin.sim.broker import BrokerKind, LocalBroker
from edgetwin.sim.ports import HOST
from edgetwin.sim.subscriber import BACKLOG, LIVE, Ledger, Subscriber
from edgetwin.wire import CONTENT_ENCODING, Numbering, Topics, batch, compress, mark_late, status

_TOPICS = Topics("r1")


def _odom(encoding: Encoding = Encoding.JSON) -> Numbering:
    return Numbering("r1", "boot", _TOPICS.channel_lane("odom", ChannelClass.CRITICAL, encoding, 1))


def _bodies(numbering: Numbering, count: int) -> list[bytes]:
    return [numbering.number(b"{}", stamp_us=1_000 * i, recv_us=0, now_ns=0).body for i in range(count)]


def test_live_and_backlog_are_told_apart() -> None:
    """Three records live, four from a compressed batch, one of them twice: seven distinct, nothing lost."""
    ledger, bodies = Ledger("r1"), _bodies(_odom(), 7)
    for body in bodies[4:]:
        ledger.take(_TOPICS.telemetry("odom"), body, (), arrived_us=10_000)
    payload, encoding = compress(batch("r1", bodies[:5]))
    lost_before = ledger.continuity.lost
    ledger.take(_TOPICS.backlog("odom"), payload, [(CONTENT_ENCODING, encoding)], arrived_us=20_000)

    assert lost_before == 4
    assert (ledger.continuity.records, ledger.continuity.lost, ledger.continuity.duplicates) == (7, 0, 1)
    assert (ledger.by_lane(LIVE), ledger.by_lane(BACKLOG)) == (3, 4)
    assert ledger.arrived["odom", LIVE] == 3


def test_latency_is_that_of_live_records_only() -> None:
    """From stamp to arrival in milliseconds; a backlog would only tell how long the outage was."""
    ledger, bodies = Ledger("r1"), _bodies(_odom(), 3)
    ledger.take(_TOPICS.telemetry("odom"), bodies[0], (), arrived_us=4_000)
    ledger.take(_TOPICS.telemetry("odom"), bodies[1], (), arrived_us=3_000)
    ledger.take(_TOPICS.backlog("odom"), bodies[2], (), arrived_us=60_000_000)

    assert ledger.latency_ms(50) == pytest.approx(3.0)
    assert ledger.latency_ms(100) == pytest.approx(4.0)
    assert ledger.latency_ms(100, last=1) == pytest.approx(2.0)
    assert ledger.newest_live_us == 1_000


def test_without_a_live_record_there_is_no_latency() -> None:
    """None, not zero and not an error."""
    assert Ledger("r1").latency_ms(50) is None


def test_a_cdr_record_is_read_from_its_properties() -> None:
    """Its payload is not JSON; the envelope travels beside it."""
    ledger, numbering = Ledger("r1"), _odom(Encoding.CDR)
    record = numbering.number(b"\x00\x01\x00\x00raw", stamp_us=1, recv_us=2, now_ns=0)
    ledger.take(_TOPICS.telemetry("odom"), record.body, numbering.properties(record), arrived_us=10)

    assert (ledger.continuity.records, ledger.unreadable) == (1, 0)


def test_a_late_event_came_by_the_backlog() -> None:
    """Events share one topic; only their mark tells that they waited."""
    ledger, numbering = Ledger("r1"), Numbering("r1", "boot", _TOPICS.event_lane(EventKind.LINK))
    body = numbering.number(b"{}", stamp_us=1, recv_us=2, now_ns=0).body
    ledger.take(_TOPICS.events(EventKind.LINK), mark_late(body), (), arrived_us=10)

    assert ledger.arrived["link", BACKLOG] == 1


def test_the_status_topic_is_no_record() -> None:
    """It says what state the robot is in, and nothing is counted."""
    ledger = Ledger("r1")
    payload = status("r1", "boot", LinkState.ONLINE, version="0", stamp_us=0)
    ledger.take(_TOPICS.status, payload, (), arrived_us=0)

    assert ledger.robot_state == LinkState.ONLINE
    assert (ledger.messages, ledger.continuity.records) == (1, 0)


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"{}", b'{"v":1}', b'{"v":1,"records":[{}]}', b'{"v":1,"records":3}']
)
def test_what_is_not_of_the_format_is_counted_not_raised(payload: bytes) -> None:
    """The cloud's end outlives anything that is published under its topics."""
    ledger = Ledger("r1")
    for topic in (_TOPICS.telemetry("odom"), _TOPICS.backlog("odom"), _TOPICS.status):
        ledger.take(topic, payload, (), arrived_us=0)

    assert ledger.unreadable == 3
    assert ledger.continuity.records == 0


async def _publish(port: int, bodies: list[bytes]) -> None:
    async with aiomqtt.Client(HOST, port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        for body in bodies:
            await client.publish(_TOPICS.telemetry("odom"), body, qos=1)


async def _wait_for(ledger: Ledger, count: int) -> None:
    async with asyncio.timeout(10):
        while ledger.continuity.records < count:  # noqa: ASYNC110  # a ledger has no event, and needs none
            await asyncio.sleep(0.01)


async def _present(ledger: Ledger, port: int, bodies: list[bytes]) -> None:
    """Be subscribed while `bodies` are published, and until all that were due have come."""
    subscriber = Subscriber(ledger, port)
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(subscriber.run())
        await subscriber.ready.wait()
        await _publish(port, bodies)
        await _wait_for(ledger, int(orjson.loads(bodies[-1])["seq"]) + 1)
        listening.cancel()


@pytest.mark.parametrize("kind", list(BrokerKind))
def test_nothing_published_during_an_absence_is_missed(kind: BrokerKind) -> None:
    """What the robot publishes while the subscriber is away waits for it at the broker."""

    async def main(port: int) -> Ledger:
        ledger, bodies = Ledger("r1"), _bodies(_odom(), 20)
        await _present(ledger, port, bodies[:5])
        await _publish(port, bodies[5:15])
        await _present(ledger, port, bodies[15:])
        return ledger

    with LocalBroker(kind) as broker:
        ledger = asyncio.run(main(broker.port))

    assert (ledger.continuity.records, ledger.continuity.lost) == (20, 0)
