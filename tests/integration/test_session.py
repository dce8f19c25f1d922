"""The contract between our session and aiomqtt, paho and a real mosquitto: what we reach below their surface for."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import aiomqtt
import pytest

from edgetwin.sim.broker import LocalBroker, find_mosquitto
from edgetwin.sim.ports import HeldPort, answers
from edgetwin.uplink import packets
from edgetwin.uplink.dial import dial
from edgetwin.uplink.session import Session
from tests.integration.lab import Witness, until

Result = TypeVar("Result")
TOPIC = packets.utf8_string("robot/r/telemetry/odom")
PROPERTIES = packets.publish_properties("application/json")


def run(function: Callable[[], Awaitable[Result]]) -> Result:
    """Run a coroutine with a limit."""

    async def limited() -> Result:
        async with asyncio.timeout(20):
            return await function()

    return asyncio.run(limited())


async def session_to(port: int, acks: list[tuple[int, int]], **options: str) -> Session:
    """Return an entered session."""
    sock = await dial("127.0.0.1", port, None)
    session = Session("127.0.0.1", port, sock, lambda mid, code: acks.append((mid, code)), **options)
    await session.__aenter__()
    return session


async def acknowledged(acks: list[tuple[int, int]], count: int) -> None:
    """Wait for so many acknowledgements."""
    async with asyncio.timeout(5):
        while len(acks) < count:  # noqa: ASYNC110  # the session calls back, it does not signal
            await asyncio.sleep(0.005)


@pytest.fixture
def guarded_broker(tmp_path: Path) -> Iterator[int]:
    """A mosquitto that lets us write one topic only, and announces a Receive Maximum and a packet limit."""
    with HeldPort() as held:
        (tmp_path / "acl").write_text("topic write robot/r/telemetry/odom\n")
        conf = tmp_path / "conf"
        conf.write_text(
            f"listener {held.number} 127.0.0.1\nallow_anonymous true\nacl_file {tmp_path}/acl\nuser root\n"
            "max_inflight_messages 7\nmax_packet_size 4096\n"
        )
        conf.chmod(0o644)
        with subprocess.Popen([find_mosquitto() or "mosquitto", "-c", str(conf)], stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: answers(held.number), "the broker")
                yield held.number
            finally:
                process.terminate()


def test_every_publish_is_acknowledged_once_in_order_and_arrives_in_order(broker: LocalBroker) -> None:
    """2,000 publishes in windows of 20."""

    async def publish() -> list[tuple[int, int]]:
        acks: list[tuple[int, int]] = []
        session = await session_to(broker.port, acks)
        sent: list[int] = []
        for index in range(2000):
            while len(sent) - len(acks) >= session.window:  # noqa: ASYNC110
                await asyncio.sleep(0)
            sent.append(session.publish_nowait(TOPIC, b"%d" % index, PROPERTIES))
        await acknowledged(acks, 2000)
        session.goodbye()
        assert [mid for mid, _ in acks] == sent
        return acks

    with Witness(broker.port) as witness:
        acks = run(publish)
        until(lambda: len(witness.arrivals) == 2000, "2,000 messages")

    assert {code for _, code in acks} == {0}
    assert [arrival.payload for arrival in witness.arrivals] == [b"%d" % index for index in range(2000)]


def test_packet_ids_wrap_without_zero(broker: LocalBroker) -> None:
    """After 65,535 comes 1."""

    async def publish() -> None:
        acks: list[tuple[int, int]] = []
        session = await session_to(broker.port, acks)
        session._packet_id = 65_533
        sent = [session.publish_nowait(TOPIC, b"x", PROPERTIES) for _ in range(4)]
        await acknowledged(acks, 4)
        session.goodbye()
        assert sent == [65_534, 65_535, 1, 2]
        assert [mid for mid, _ in acks] == sent

    run(publish)


def test_a_denied_publish_reports_its_reason_code_and_the_session_lives_on(guarded_broker: int) -> None:
    """Aiomqtt's own publish() would call this a success."""

    async def publish() -> list[int]:
        acks: list[tuple[int, int]] = []
        session = await session_to(guarded_broker, acks)
        session.publish_nowait(packets.utf8_string("robot/other/telemetry/odom"), b"x", PROPERTIES)
        session.publish_nowait(TOPIC, b"x", PROPERTIES)
        await acknowledged(acks, 2)
        assert not session.ended.done()
        session.goodbye()
        return [code for _, code in acks]

    denied, allowed = run(publish)
    assert denied == 0x87
    assert allowed < 0x80


def test_the_brokers_limits_are_known_after_connect(guarded_broker: int) -> None:
    """Receive Maximum and Maximum Packet Size come from CONNACK."""

    async def limits() -> tuple[int, int]:
        session = await session_to(guarded_broker, [])
        session.goodbye()
        return session.window, session.max_packet_bytes

    assert run(limits) == (7, 4096)


def test_a_broker_that_dies_ends_the_session_at_once(broker: LocalBroker) -> None:
    """Nobody waits for a time-out."""

    async def die() -> float:
        session = await session_to(broker.port, [])
        session.publish_nowait(TOPIC, b"x", PROPERTIES)
        start = time.monotonic()
        broker.kill()
        with pytest.raises(Exception, match=r"closed|reset|lost"):
            await session.ended
        return time.monotonic() - start

    assert run(die) < 1.0


def test_a_frozen_broker_is_noticed_by_the_keepalive(broker: LocalBroker) -> None:
    """SIGSTOP: the socket stays open and silent."""

    async def freeze() -> float:
        sock = await dial("127.0.0.1", broker.port, None)
        session = Session("127.0.0.1", broker.port, sock, lambda *_: None, keepalive=1)
        await session.__aenter__()
        start = time.monotonic()
        broker.pause()
        with pytest.raises(aiomqtt.MqttError):
            await session.ended
        return time.monotonic() - start

    assert run(freeze) < 4.0
    broker.resume()


def test_goodbye_keeps_the_will_unsaid_and_abort_lets_it_speak(broker: LocalBroker) -> None:
    """DISCONNECT against a dead connection."""

    async def leave(*, politely: bool) -> None:
        sock = await dial("127.0.0.1", broker.port, None)
        will = aiomqtt.Will("robot/r/will", b"gone", qos=1)
        session = Session("127.0.0.1", broker.port, sock, lambda *_: None, will=will)
        await session.__aenter__()
        if politely:
            session.goodbye()
        else:
            session.abort()
        await asyncio.sleep(0.05)

    with Witness(broker.port) as witness:
        run(lambda: leave(politely=True))
        run(lambda: leave(politely=False))
        until(lambda: witness.arrivals, "the will")
        assert [arrival.payload for arrival in witness.arrivals] == [b"gone"]


def test_nobody_who_speaks_mqtt_is_an_error_in_words_not_a_hang(tmp_path: Path) -> None:
    """Another server's port: HTTP, say."""

    async def talk() -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            with pytest.raises(aiomqtt.MqttError) as caught:
                await session_to(port, [])
            return str(caught.value)

    assert run(talk)


def test_a_large_backlog_of_bytes_is_sent_whole_when_the_peer_reads_slowly(broker: LocalBroker) -> None:
    """Partial writes: 20 payloads of 900 kB against a broker that is paused meanwhile."""

    async def publish() -> None:
        acks: list[tuple[int, int]] = []
        session = await session_to(broker.port, acks)
        broker.pause()
        for index in range(20):
            session.publish_nowait(TOPIC, bytes([index]) * 900_000, PROPERTIES)
        await asyncio.sleep(0.2)
        assert session.congested
        broker.resume()
        await acknowledged(acks, 20)
        session.goodbye()

    with Witness(broker.port) as witness:
        run(publish)
        until(lambda: len(witness.arrivals) == 20, "20 messages")
        assert [arrival.payload[:1] for arrival in witness.arrivals] == [bytes([index]) for index in range(20)]


def test_a_socket_that_never_answers_is_given_up_in_time(broker: LocalBroker) -> None:
    """TCP connects, CONNACK never comes."""

    async def wait() -> float:
        listener = socket.create_server(("127.0.0.1", 0))
        start = time.monotonic()
        with listener, pytest.raises(aiomqtt.MqttError):
            await session_to(listener.getsockname()[1], [])
        return time.monotonic() - start

    assert run(wait) < 6.0
