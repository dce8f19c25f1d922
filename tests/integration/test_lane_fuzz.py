"""A daemon among hostile senders, at a real broker: what reaches the wheels, what it says, what it costs."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgetwin.sim.broker import LocalBroker
from tests.integration.lab import Daemon, Robot, channel, configuration, until
from tests.integration.lane_lab import ROOT, Base, Operator
from tests.lane.hostile import Hostile, Source
from tests.proofs.scale import SCALE

SECONDS = (60.0 if os.environ.get("CI") else 12.0) * SCALE  # for both tests together
SEED = 20_261_122
RSS_GROWTH_MAX_BYTES = 12_000_000  # after the first third: what a leak of 100 B per message would not keep to
LEASE = channel("value", "/lane/value", "std_msgs/msg/Float64") + "[gate]\nremote_motion = true\n"
_PER_TURN = 40
_RESPONSES = ("", f"{ROOT}/responses/x", "elsewhere/x", f"{ROOT}/commands/stop", f"{ROOT}/responses/../x")


class Sender(threading.Thread):
    """One hostile client: floods, pauses, comes back when the broker throws it out."""

    def __init__(self, port: int, source: Source, seed: int) -> None:
        super().__init__(daemon=True)
        self._random = Random(seed)
        self._source = source
        self._ended = threading.Event()
        self.sent = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=uuid.uuid4().hex, protocol=paho.MQTTv5)
        self._client.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type]  # floats work
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def run(self) -> None:
        """Send until `close`."""
        while not self._ended.is_set():
            for _ in range(_PER_TURN):
                self._send(self._source.next())
            time.sleep(self._random.choice((0.0, 0.01, 0.05, 0.2)))

    def _send(self, message: Hostile) -> None:
        random, properties = self._random, Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if message.expiry_s is not None:
            properties.MessageExpiryInterval = message.expiry_s
        if message.properties:
            properties.UserProperty = list(message.properties)
        if response := random.choice(_RESPONSES):
            properties.ResponseTopic = response
            properties.CorrelationData = random.randbytes(random.choice((0, 1, 300)))
        self._client.publish(
            f"{ROOT}/commands/{message.end}", message.payload, random.choice((0, 0, 1)), message.retain, properties
        )
        self.sent += 1

    def close(self) -> None:
        """End it."""
        self._ended.set()
        self.join(5)
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def operator(broker: LocalBroker) -> Iterator[Operator]:
    """A client at the broker."""
    made = Operator(broker.port)
    yield made
    made.close()


@pytest.fixture
def base(robot: Robot) -> Iterator[Base]:
    """Wheels that listen."""
    made = Base(robot, "/cmd_vel")
    yield made
    made.close()


@pytest.fixture
def daemon(broker: LocalBroker, base: Base, tmp_path: Path) -> Iterator[Daemon]:
    """One that would drive, for whoever holds the lease."""
    with Daemon(tmp_path, configuration(broker.port, tmp_path, LEASE)) as running:
        until(lambda: gate(running, "state") == "IDLE" and gate(running, "link") == "up", "IDLE")
        yield running


def gate(daemon: Daemon, key: str) -> object:
    """What status.json says of the gate."""
    return daemon.status().get("gate", {}).get(key)


def rss_bytes(daemon: Daemon) -> int:
    """How much memory it uses."""
    assert daemon.process is not None
    status = Path("/proc", str(daemon.process.pid), "status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def sound(daemon: Daemon, operator: Operator) -> None:
    """It runs, has said nothing of a defect, answers, and stops."""
    assert daemon.process is not None
    assert daemon.process.poll() is None, daemon.log[-2000:]
    assert "Traceback" not in daemon.log
    assert gate(daemon, "guard_trips") == 0
    assert operator.ask("ping", {"t_ms": 1})["verdict"] == "OK"
    assert operator.stop()["verdict"] == "STOPPED"


def fuzzed(
    daemon: Daemon, broker: LocalBroker, sources: list[Source], seconds: float, look: Callable[[], None]
) -> tuple[int, int]:
    """Have them all sent meanwhile; return how many were sent, and how much memory grew after the first third."""
    senders = [Sender(broker.port, source, SEED + number) for number, source in enumerate(sources)]
    for sender in senders:
        sender.start()
    begin_s, early_bytes = time.monotonic(), 0
    try:
        while (spent_s := time.monotonic() - begin_s) < seconds:
            look()
            if not early_bytes and spent_s > seconds / 3:
                early_bytes = rss_bytes(daemon)
            time.sleep(0.02)
    finally:
        for sender in senders:
            sender.close()
    return sum(sender.sent for sender in senders), rss_bytes(daemon) - early_bytes


@pytest.mark.timeout(120 + int(SECONDS))
def test_while_nobody_holds_the_lease_nothing_moves(
    broker: LocalBroker, operator: Operator, base: Base, daemon: Daemon
) -> None:
    """Three senders, every topic but the stop: no twist at all but zeros, no word of a defect, no memory lost."""

    def look() -> None:
        assert all(twist.zero for twist in base.heard), base.heard[-5:]
        base.heard.clear()

    sources = [Source(SEED + number) for number in range(3)]
    sent, grown_bytes = fuzzed(daemon, broker, sources, SECONDS / 2, look)
    received = until(lambda: gate(daemon, "received"), "figures")

    assert sent > 100 * SECONDS / 2
    assert received > sent / 20, "most of it never came: the broker must have thrown the senders out"
    assert grown_bytes < RSS_GROWTH_MAX_BYTES
    sound(daemon, operator)
    look()


class Driver(threading.Thread):
    """The one honest client: acquires, renews, drives forwards; shows the others all that it sends."""

    def __init__(self, operator: Operator, sources: list[Source]) -> None:
        super().__init__(daemon=True)
        self._operator = operator
        self._sources = sources
        self._ended = threading.Event()
        self.accepted = 0

    def run(self) -> None:
        """Drive until `close`, and take the lease back from whoever took it."""
        seq = 0
        while not self._ended.wait(0.05):
            lease = self._operator.ask("lease", {"client": "honest", "action": "take"}, expiry_s=1)
            if lease["verdict"] != "OK":
                continue
            ahead_ms = lease["robot_ms"] - time.monotonic() * 1e3
            until_s = time.monotonic() + 1.0
            while time.monotonic() < until_s and not self._ended.wait(0.1):
                seq += 1
                body = {
                    "id": f"honest-{seq}", "linear": 0.25, "angular": 0.0, "epoch": lease["epoch"], "seq": seq,
                    "t_ms": time.monotonic() * 1e3 + ahead_ms, "ttl_ms": 1000,
                }  # fmt: skip
                if self._operator.ask("move", body, expiry_s=1)["verdict"] in {"ACCEPTED", "CLAMPED"}:
                    self.accepted += 1
                for source in self._sources:
                    source.show(Hostile("move", json.dumps(body).encode(), retain=False, expiry_s=1, properties=()))

    def close(self) -> None:
        """End it."""
        self._ended.set()
        self.join(20)
        assert not self.is_alive()


@pytest.mark.timeout(180 + int(SECONDS))
def test_among_hostile_senders_only_the_driver_drives(
    broker: LocalBroker, operator: Operator, base: Base, daemon: Daemon
) -> None:
    """They take the lease, and copy what it sends; the wheels hear forwards, within the limits, or zero."""
    sources = [Source(SEED + number) for number in range(2)]
    driver = Driver(operator, sources)

    def look() -> None:
        twists = list(base.heard)
        base.heard.clear()
        assert all(0.0 <= twist.linear <= 0.25 and twist.angular == 0.0 for twist in twists), twists
        del operator.acks[:-2000]

    driver.start()
    sent, grown_bytes = fuzzed(daemon, broker, sources, SECONDS / 2, look)
    until(lambda: driver.accepted > 0, "one move of the driver, now that it is alone")
    driver.close()
    until(lambda: gate(daemon, "state") != "ACTIVE" and not base.drives, "a robot that stands, without its driver")

    assert sent > 50 * SECONDS / 2
    assert grown_bytes < RSS_GROWTH_MAX_BYTES
    look()
    sound(daemon, operator)
