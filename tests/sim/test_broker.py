"""The embedded brokers: both kinds, started, frozen, killed and back on the same port."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgetwin.sim import broker as broker_module
from edgetwin.sim.broker import BrokerKind, LocalBroker, find_broker
from edgetwin.sim.child import Child, SimulationError
from edgetwin.sim.ports import HOST, HeldPort, answers

KINDS = list(BrokerKind)
_PAYLOAD = b"x" * 300_000


async def _round_trip(port: int, *, timeout_s: float = 5.0) -> tuple[bytes, list[tuple[str, str]]]:
    """Publish with MQTT 5, QoS 1 and a user property; return what a subscriber gets."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.UserProperty = [("content-encoding", "zstd")]
    async with (
        asyncio.timeout(timeout_s),
        aiomqtt.Client(HOST, port, protocol=aiomqtt.ProtocolVersion.V5, timeout=timeout_s) as client,
    ):
        await client.subscribe("robot/#", qos=1)
        await client.publish("robot/a/telemetry/odom", _PAYLOAD, qos=1, properties=properties)
        message = await anext(client.messages)
        return bytes(message.payload), getattr(message.properties, "UserProperty", [])


@pytest.mark.parametrize("kind", KINDS)
def test_a_broker_carries_mqtt_5_and_leaves_nothing_behind(kind: BrokerKind) -> None:
    """Payload and user property come back; after the context the port is closed and the files are gone."""
    with LocalBroker(kind) as broker:
        folder = Path(broker._folder.name)
        carried = asyncio.run(_round_trip(broker.port))

    assert carried == (_PAYLOAD, [("content-encoding", "zstd")])
    assert not answers(broker.port)
    assert not folder.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_broker_refuses_and_comes_back_on_its_port(kind: BrokerKind) -> None:
    """While it is dead connections are refused, not lost; afterwards everything works as before."""
    with LocalBroker(kind) as broker:
        broker.kill()
        with pytest.raises(ConnectionRefusedError):
            asyncio.run(_connect(broker.port))
        broker.start()

        assert asyncio.run(_round_trip(broker.port))[0] == _PAYLOAD


async def _connect(port: int) -> None:
    await asyncio.open_connection(HOST, port)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_broker_answers_nobody_until_it_is_resumed(kind: BrokerKind) -> None:
    """The kernel accepts the connection, no CONNACK comes; after resume() it does."""
    with LocalBroker(kind) as broker:
        broker.pause()
        with pytest.raises((TimeoutError, aiomqtt.MqttError)):
            asyncio.run(_round_trip(broker.port, timeout_s=0.5))
        broker.resume()

        assert asyncio.run(_round_trip(broker.port))[0] == _PAYLOAD


def test_a_frozen_broker_can_be_stopped() -> None:
    """Leaving the context of a paused broker does not wait for it to wake."""
    with LocalBroker() as broker:
        broker.pause()

    assert not answers(broker.port)


def test_a_broker_listens_on_loopback_alone(tmp_path: Path) -> None:
    """Both configurations name 127.0.0.1 and no other address."""
    for kind in KINDS:
        broker = LocalBroker(kind)
        config = Path(broker._argv()[-1 if kind is BrokerKind.MOSQUITTO else 4]).read_text(encoding="utf-8")
        broker._close()
        assert HOST in config
        assert "0.0.0.0" not in config


def test_no_broker_at_all_names_both_cures(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to install."""
    monkeypatch.setattr(broker_module, "find_mosquitto", lambda: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    with pytest.raises(SimulationError, match=r"apt install mosquitto.*pip install 'edgetwin\[demo\]'") as caught:
        find_broker()
    assert "\n" not in str(caught.value)


def test_iotcore_stands_in_where_mosquitto_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second choice is the wheel."""
    monkeypatch.setattr(broker_module, "find_mosquitto", lambda: None)

    assert find_broker() is BrokerKind.IOTCORE


def test_a_broker_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last words are in the error, and it is reaped."""
    monkeypatch.setattr(broker_module, "_MOSQUITTO_CONF", "nonsense {port} {host} {folder}\n")

    with pytest.raises(SimulationError, match="nonsense"):
        LocalBroker(BrokerKind.MOSQUITTO).__enter__()


def test_a_child_that_ends_early_leaves_its_last_words(tmp_path: Path) -> None:
    """The exit code and the last lines of its output are in the error."""
    script = "import sys; print('line', *range(3), sep='\\n', file=sys.stderr); sys.exit(7)"
    with Child("the part", [sys.executable, "-c", script], log_path=tmp_path / "log") as child:
        child._process.wait(10)
        with pytest.raises(SimulationError, match=r"the part ended early with exit code 7; it said:\nline\n0\n1\n2"):
            child.check()


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """stop() is bounded, and the child is reaped in any case."""
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    with Child("the deaf", [sys.executable, "-c", script], log_path=tmp_path / "log") as child:
        while "deaf" not in child.last_words():
            child.check()
        code = child.stop(0.2)

    assert code == -9


def test_a_program_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    """Neither a traceback nor a half-made child."""
    with pytest.raises(SimulationError, match="the ghost does not start"):
        Child("the ghost", [str(tmp_path / "ghost")], log_path=tmp_path / "log")


def test_a_held_port_is_refused_until_somebody_listens() -> None:
    """Bound and silent: refused; with a listener: open; and refused again when it is gone."""
    with HeldPort() as held:
        before = answers(held.number)
        with held.listener():
            during = answers(held.number)
        after = answers(held.number)

    assert (before, during, after) == (False, True, False)
