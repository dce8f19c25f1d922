"""What integration tests are made of: a daemon, a robot that says what it is told, and a witness at the broker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edgetwin import wire
from edgetwin.continuity import Continuity
from edgetwin.ros.context import close_node, open_node

ROBOT_ID = "robot_001"
PATIENCE_S = 15.0


def until(condition: Callable[[], Any], what: str | Callable[[], str], patience_s: float = PATIENCE_S) -> Any:
    """Return the first true value of `condition`; fail with `what` when it never comes."""
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {patience_s:g} s: {what() if callable(what) else what}"
        time.sleep(0.01)
    return value


@dataclass(frozen=True, slots=True)
class Arrival:
    """One MQTT message as the witness saw it."""

    topic: str
    payload: bytes
    properties: tuple[tuple[str, str], ...]
    retain: bool
    at_s: float

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records in it."""
        return wire.decode(self.payload, self.properties)


@dataclass
class Witness:
    """A subscriber that misses nothing: MQTT 5, QoS 1, a session that outlives its connection."""

    port: int
    pattern: str = "robot/#"
    arrivals: list[Arrival] = field(default_factory=list)
    options: Callable[[paho.Client], None] = lambda _client: None

    def __enter__(self) -> Self:
        self._subscribed = threading.Event()
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"witness-{os.getpid()}-{id(self)}", protocol=paho.MQTTv5
        )
        self.options(client)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type]  # floats work
        session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        session.SessionExpiryInterval = 600
        client.connect("127.0.0.1", self.port, keepalive=60, clean_start=False, properties=session)
        client.loop_start()
        assert self._subscribed.wait(5), "the witness cannot subscribe"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe(self.pattern, options=SubscribeOptions(qos=1, retainAsPublished=True))

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        properties = tuple(getattr(message.properties, "UserProperty", ()))
        arrival = Arrival(message.topic, message.payload, properties, message.retain, time.monotonic())
        self.arrivals.append(arrival)

    def on(self, topic: str) -> list[Arrival]:
        """Arrivals on topics that end so."""
        return [arrival for arrival in list(self.arrivals) if arrival.topic.endswith(topic)]

    def records(self, channel: str) -> list[dict[str, Any]]:
        """All records of a channel, live and backlog, repeats and all, in order of arrival."""
        return [
            record
            for arrival in list(self.arrivals)
            if arrival.topic.endswith((f"/telemetry/{channel}", f"/backlog/{channel}"))
            for record in arrival.records
        ]

    def in_order(self, channel: str) -> list[dict[str, Any]]:
        """Distinct records of a channel by number; only for one boot."""
        return [record for _, record in sorted({record["seq"]: record for record in self.records(channel)}.items())]

    def continuity(self) -> Continuity:
        """What the receiver's half says of everything that arrived."""
        continuity = Continuity()
        for arrival in list(self.arrivals):
            kind = arrival.topic.split("/")[2]
            if kind in {"telemetry", "backlog", "events"}:
                for record in arrival.records:
                    continuity.note(record, lane=kind)
        return continuity

    def missing(self, channel: str, count: int) -> str:
        """Words for a failure: which of 0..count-1 have not arrived."""
        seqs = {record["seq"] for record in self.records(channel)}
        absent = [seq for seq in range(count) if seq not in seqs]
        return (
            f"{len(absent)} of {count} records are missing: {absent[:5]}..{absent[-5:]}"
            if absent
            else "none is missing"
        )

    def states(self) -> list[str]:
        """What the status topic said, in order."""
        return [json.loads(arrival.payload)["state"] for arrival in self.on("/status")]


class Robot:
    """Publishers in this process, made on demand."""

    def __init__(self) -> None:
        self.node = open_node(f"lab_{os.getpid()}")

    def publisher(self, message_class: Any, topic: str, qos: Any = 200) -> Any:
        """Return a publisher."""
        return self.node.create_publisher(message_class, topic, qos)

    def close(self) -> None:
        """Leave the graph."""
        close_node(self.node)


def matched(publisher: Any, count: int = 1) -> None:
    """Wait until a subscription hears this publisher."""
    until(lambda: publisher.get_subscription_count() >= count, f"a subscription on {publisher.topic_name}")
    time.sleep(0.15)  # matched here is not yet matched there; DDS offers no sign of that


def paced(rate_hz: float, count: int) -> Iterator[int]:
    """Yield 0..count-1 on an absolute schedule."""
    start = time.monotonic()
    for index in range(count):
        time.sleep(max(0.0, start + index / rate_hz - time.monotonic()))
        yield index


class Daemon:
    """`edgetwin run` as a child process."""

    def __init__(self, folder: Path, config: str, environ: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.config = folder / "robot.toml"
        self.config.write_text(config, encoding="utf-8")
        self._environ = os.environ | {"RUNTIME_DIRECTORY": str(folder / "run")} | (environ or {})
        self._log = folder / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it; it is not ready yet."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edgetwin", "run", "--config", str(self.config)],
                env=self._environ,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        return self

    def ready(self) -> Self:
        """Wait until it runs."""

        def running() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"it ended: {self.log[-2000:]}"
            status = self.status()  # a daemon that was killed has left its own
            return status.get("state") == "running" and status.get("pid") == self.process.pid

        until(running, "the daemon running")
        return self

    def status(self) -> dict[str, Any]:
        """What status.json says, or nothing."""
        try:
            value: dict[str, Any] = json.loads((self.folder / "run" / "status.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return value

    @property
    def log(self) -> str:
        """What it said."""
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    def stop(self, number: int = signal.SIGTERM, patience_s: float = 5.0) -> int:
        """Stop it in order; return its exit code. More than 5 s is a failure of the promise."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout=patience_s)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait(timeout=5)

    def __enter__(self) -> Self:
        return self.start().ready()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.process is not None and self.process.poll() is None and kind is None:
                assert self.stop() == 0, self.log[-2000:]
        finally:
            self.kill()


def configuration(port: int, folder: Path, channels: str, *, mqtt: str = "", store: str = "") -> str:
    """Return a settings file."""
    return f"""
[robot]
id = "{ROBOT_ID}"
[mqtt]
port = {port}
{mqtt}
[store]
path = "{folder}/outbox.db"
{store}
{channels}
"""


def channel(name: str, topic: str, type_name: str, extra: Sequence[str] = (), channel_class: str = "critical") -> str:
    """Return one channel's section."""
    lines = [f"[channels.{name}]", f'topic = "{topic}"', f'type = "{type_name}"', f'class = "{channel_class}"', *extra]
    return "\n".join(lines) + "\n"
