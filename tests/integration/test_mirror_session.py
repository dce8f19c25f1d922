"""The mirror's own connection against real mosquitto: what reaches below aiomqtt still does what MQTT promises."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import trustme
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgetwin.sim.broker import LocalBroker, find_mosquitto
from edgetwin.sim.faulty_link import Fault, FaultyLink
from edgetwin.sim.ports import HeldPort, answers
from edgetwin.twin.listening import Address, Listening
from edgetwin.twin.packets import Publish
from edgetwin.uplink.tls import client_context
from tests.integration.lab import until

PATIENCE_S = 10.0


def run(told: Coroutine[Any, Any, None]) -> None:
    """Run it, a minute at most."""

    async def limited() -> None:
        async with asyncio.timeout(60):
            await told

    asyncio.run(limited())


async def reached(condition: Callable[[], Any], what: str) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # a fact of another process
            await asyncio.sleep(0.01)
    assert condition(), what


def publisher(port: int) -> paho.Client:
    """Somebody who publishes."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="publisher", protocol=paho.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def session_is_kept(port: int, identifier: str) -> bool:
    """Whether the broker knows a session of this name; it is gone afterwards."""
    found: list[bool] = []
    told = threading.Event()

    def on_connect(_client: paho.Client, _userdata: Any, flags: Any, *_: Any) -> None:
        found.append(flags.session_present)
        told.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=identifier, protocol=paho.MQTTv5)
    client.on_connect = on_connect
    client.connect("127.0.0.1", port, clean_start=False)
    client.loop_start()
    assert told.wait(PATIENCE_S)
    client.disconnect()
    client.loop_stop()
    return found[0]


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel it and wait."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_messages_arrive_as_they_were_sent(broker: LocalBroker) -> None:
    """QoS 0 and 1, retained, of no bytes and of a hundred thousand, with properties: each once, in its QoS's order."""

    async def told() -> None:
        client, got = publisher(broker.port), list[Publish]()
        client.publish("robot/r1/status", b"before", qos=1, retain=True).wait_for_publish(PATIENCE_S)
        listening = Listening(Address("127.0.0.1", broker.port, "m"), [["robot/#"]], got.append, lambda _line: None)
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = [("seq", "1"), ("boot", "ä")]
        properties.ContentType = "application/cdr"
        sizes = [0, 1, 127, 128, 16_384, 100_000, *range(200, 700)]
        of_qos = [sizes[::5], [size for number, size in enumerate(sizes) if number % 5]]
        async with asyncio.TaskGroup() as group:
            task = group.create_task(listening.run())
            await reached(lambda: len(got) == 1, "the retained one")
            for number, size in enumerate(sizes):
                payload = bytes((number % 256,)) * size
                client.publish("robot/r1/telemetry/odom", payload, qos=number % 5 > 0, properties=properties)
            await reached(lambda: len(got) == 1 + len(sizes), f"{len(got)} of {len(sizes)}")
            await ended(task)
        client.disconnect()
        client.loop_stop()

        assert (got[0].payload, got[0].retain, got[0].user) == (b"before", True, ())
        came = [len(message.payload) for message in got[1:]]
        assert [[size for size in came if size in sent] for sent in of_qos] == of_qos
        assert {message.user for message in got[1:]} == {(("seq", "1"), ("boot", "ä"))}

    run(told())


def test_a_broken_connection_keeps_its_session_and_an_ended_one_does_not(broker: LocalBroker) -> None:
    """What is sent while the cable is out waits, once; after a farewell the broker keeps nothing for nobody."""

    async def told() -> None:
        client, got = publisher(broker.port), list[Publish]()
        async with FaultyLink(broker.port) as link, asyncio.TaskGroup() as group:
            address = Address("127.0.0.1", link.port, "m")
            listening = Listening(address, [["robot/#"]], got.append, lambda _line: None)
            task = group.create_task(listening.run())
            await reached(lambda: listening.linked, "a link")
            await link.set(Fault.REFUSE)
            await reached(lambda: not listening.linked, "no link")
            for number in range(50):
                client.publish("robot/r1/telemetry/odom", b"%d" % number, qos=1)
            client.publish("robot/flush", b"", qos=1).wait_for_publish(PATIENCE_S)
            await link.set(Fault.PASS)
            await reached(lambda: len(got) == 51, f"{len(got)} of 51")
            await ended(task)
        client.disconnect()
        client.loop_stop()

        assert [message.payload for message in got[:50]] == [b"%d" % number for number in range(50)]
        assert listening.sessions == 2
        assert not session_is_kept(broker.port, "m")

    run(told())


def test_a_defect_in_what_takes_messages_is_raised_and_no_broken_link(broker: LocalBroker) -> None:
    """It ends the mirror with its own error, instead of a reconnect that hides it."""

    async def told() -> None:

        def take(_message: Publish) -> None:
            raise ZeroDivisionError

        client = publisher(broker.port)
        listening = Listening(Address("127.0.0.1", broker.port, "m"), [["robot/#"]], take, lambda _line: None)
        task = asyncio.get_running_loop().create_task(listening.run())
        await reached(lambda: listening.linked, "a link")
        client.publish("robot/r1/status", b"x", qos=1)
        async with asyncio.timeout(PATIENCE_S):
            raised = (await asyncio.gather(task, return_exceptions=True))[0]
        client.disconnect()
        client.loop_stop()

        assert isinstance(raised, ZeroDivisionError)

    run(told())


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """A broker with TLS on its first port, plain on its second; its authority is in ca.pem."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(tmp_path / "server.key"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "server.pem"))
    with HeldPort() as tls, HeldPort() as plain:
        conf = tmp_path / "conf"
        conf.write_text(
            f"user root\nallow_anonymous true\nlistener {plain.number} 127.0.0.1\nlistener {tls.number} 127.0.0.1\n"
            f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key\n"
        )
        with subprocess.Popen([find_mosquitto() or "mosquitto", "-c", str(conf)], stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: answers(plain.number) and answers(tls.number), "the broker")
                yield tls.number, plain.number
            finally:
                process.terminate()


def test_messages_over_tls_leave_nothing_behind_in_its_buffer(guarded: tuple[int, int], tmp_path: Path) -> None:
    """Larger and smaller than a TLS record, in bursts: what was decrypted is read though the socket says nothing."""

    async def told() -> None:
        client, got = publisher(guarded[1]), list[Publish]()
        tls = client_context(tmp_path / "ca.pem", None, None)
        address = Address("localhost", guarded[0], "m", tls)
        listening = Listening(address, [["robot/#"]], got.append, lambda _line: None)
        sizes = [16_383, 16_384, 16_385, 300_000, 5, *range(100, 400), 200_000, 3]
        async with asyncio.TaskGroup() as group:
            task = group.create_task(listening.run())
            await reached(lambda: listening.linked, "a link")
            for size in sizes:
                client.publish("robot/r1/telemetry/odom", b"x" * size, qos=1)
            await reached(lambda: len(got) == len(sizes), f"{len(got)} of {len(sizes)}")
            await ended(task)
        client.disconnect()
        client.loop_stop()

        assert [len(message.payload) for message in got] == sizes

    run(told())
