"""Sim wing: the cloud's end of the demo. Subscribes to one robot and keeps the books.

In: everything under `robot/<id>/`     Out: what arrived, by which lane, how late, and what is missing; alerts, acks.

QoS 1 and a session that outlives the connection: what the robot publishes while we are away waits
at the broker. The verdict on losses is edgetwin.continuity's; nothing here is the daemon's word.
"""

from __future__ import annotations

import array
import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import aiomqtt
import numpy as np
import orjson
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgetwin import announcement
from edgetwin.clock import NS_PER_US, Clock, SystemClock
from edgetwin.continuity import Continuity
from edgetwin.drive.acks import Ack, read
from edgetwin.records import EventKind
from edgetwin.sim.ports import HOST
from edgetwin.wire import DEFAULT_PREFIX, Topics, decode

LIVE = "live"
BACKLOG = "backlog"
_SESSION_EXPIRY_S = 300
_REDIAL_S = 0.2
_US_PER_MS = 1000.0
_RAISED = "raised"

Hear: TypeAlias = Callable[[aiomqtt.Message, Sequence[tuple[str, str]]], None]


class Ledger:
    """What has arrived from one robot.

    Attributes:
        robot_id: Which robot.
        topics: Where it publishes.
        continuity: Which numbers arrived, which are missing, which came twice.
        arrived: Distinct records by (channel, lane).
        messages: MQTT messages, status included.
        payload_bytes: Their payloads.
        unreadable: Messages that are not of the wire format.
        robot_state: `state` of the last status message, "" before the first.
        newest_live_us: Latest measuring time of a record that came by the live lane [us, UTC].
        alerts: Anomalies that were raised, each once: the data of their events; `failures` the announced ones.
        acks: The robot's answers, each once.
    """

    def __init__(self, robot_id: str, prefix: str = DEFAULT_PREFIX) -> None:
        self.robot_id = robot_id
        self.topics = Topics(robot_id, prefix)
        self.continuity = Continuity()
        self.arrived: Counter[tuple[str, str]] = Counter()
        self.messages = 0
        self.payload_bytes = 0
        self.unreadable = 0
        self.robot_state = ""
        self.newest_live_us = 0
        self.alerts: list[dict[str, Any]] = []
        self.failures: list[dict[str, Any]] = []
        self.acks: list[Ack] = []
        self._answered: set[tuple[str, str, str]] = set()
        self._backlog_root = self.topics.backlog("")
        self._not_read = (f"{self.topics.root}/commands/", f"{self.topics.responses_root}/")  # not the robot's word
        self._latencies_ms = array.array("f")

    def take(self, topic: str, payload: bytes, properties: Sequence[tuple[str, str]], *, arrived_us: int) -> None:
        """Enter one MQTT message that arrived at `arrived_us` [us, UTC]."""
        self.messages += 1
        self.payload_bytes += len(payload)
        try:
            if topic == self.topics.status:
                self.robot_state = str(orjson.loads(payload)["state"])
                return
            if topic == self.topics.channels:
                announcement.decode(payload)
                return
            if topic == self.topics.acks:
                self._answer(read(payload))
                return
            if topic.startswith(self._not_read):
                return
            for record in decode(payload, properties):
                late = topic.startswith(self._backlog_root) or bool(record.get("late"))
                self._enter(record, BACKLOG if late else LIVE, arrived_us)
        except (ValueError, KeyError, TypeError):
            self.unreadable += 1

    def _enter(self, record: dict[str, Any], lane: str, arrived_us: int) -> None:
        if self.continuity.note(record, lane=lane):
            self.arrived[record["channel"], lane] += 1
            self._event(record["channel"], record["data"])
        if lane == LIVE:
            stamp_us = int(record["stamp_us"])
            self.newest_live_us = max(self.newest_live_us, stamp_us)
            self._latencies_ms.append((arrived_us - stamp_us) / _US_PER_MS)

    def _event(self, kind: str, data: Any) -> None:
        if kind == EventKind.ANOMALY and data["state"] == _RAISED:
            self.alerts.append(data)
        elif kind == EventKind.FAILURE and data["state"] == _RAISED:
            self.failures.append(data)

    def _answer(self, ack: Ack | None) -> None:
        if ack is None:
            self.unreadable += 1
            return
        key = (ack.id, ack.command, ack.verdict)
        if key not in self._answered:
            self._answered.add(key)
            self.acks.append(ack)

    def by_lane(self, lane: str) -> int:
        """Distinct records that came by `lane`, of all channels."""
        return sum(count for (_, other), count in self.arrived.items() if other == lane)

    def latency_ms(self, percentile: float, *, last: int = 0) -> float | None:
        """Return how long live records took from measurement to here [ms]; None before the first.

        Args:
            percentile: 0..100.
            last: Over this many of the newest; 0 = all.
        """
        if not self._latencies_ms:
            return None
        return float(np.percentile(self._latencies_ms[-last:], percentile))


class Subscriber:
    """Fills a ledger until it is cancelled; reconnects for ever.

    Attributes:
        ready: Set once the broker has granted the subscription.
    """

    def __init__(
        self, ledger: Ledger, port: int, *, client_id: str = "edgetwin-demo-cloud", clock: Clock | None = None,
        hear: Hear = lambda *_: None,
    ) -> None:  # fmt: skip
        """Nothing is opened yet.

        Args:
            ledger: To fill.
            port: Of the broker.
            client_id: Names the session that outlives the connection.
            clock: For arrivals.
            hear: Told of every message, after the ledger.
        """
        self.ledger = ledger
        self.ready = asyncio.Event()
        self._port = port
        self._client_id = client_id
        self._clock = clock or SystemClock()
        self._hear = hear

    async def run(self) -> None:
        """Subscribe and take what comes."""
        while True:
            try:
                await self._listen()
            except aiomqtt.MqttError:
                await asyncio.sleep(_REDIAL_S)

    async def _listen(self) -> None:
        connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        connect.SessionExpiryInterval = _SESSION_EXPIRY_S
        async with aiomqtt.Client(
            HOST,
            self._port,
            identifier=self._client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=connect,
        ) as client:
            await client.subscribe(f"{self.ledger.topics.root}/#", qos=1)
            self.ready.set()
            async for message in client.messages:
                user: list[tuple[str, str]] = getattr(message.properties, "UserProperty", [])
                arrived_us = self._clock.stamp_ns() // NS_PER_US
                self.ledger.take(str(message.topic), bytes(message.payload), user, arrived_us=arrived_us)
                self._hear(message, user)
