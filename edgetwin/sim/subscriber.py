"""Sim wing: the cloud's end of the demo. Subscribes to one robot and keeps the books.

In: everything under `robot/<id>/`     Out: what arrived, by which lane, how late, and what is missing.

QoS 1 and a session that outlives the connection: what the robot publishes while we are away waits
at the broker. The verdict on losses is edgetwin.continuity's; nothing here is the daemon's word.
"""

from __future__ import annotations

import array
import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import aiomqtt
import numpy as np
import orjson
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgetwin.clock import NS_PER_US, Clock, SystemClock
from edgetwin.continuity import Continuity
from edgetwin.sim.ports import HOST
from edgetwin.wire import DEFAULT_PREFIX, Topics, decode

LIVE = "live"
BACKLOG = "backlog"
_SESSION_EXPIRY_S = 300
_REDIAL_S = 0.2
_US_PER_MS = 1000.0


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
        self._backlog_root = self.topics.backlog("")
        self._latencies_ms = array.array("f")

    def take(self, topic: str, payload: bytes, properties: Sequence[tuple[str, str]], *, arrived_us: int) -> None:
        """Enter one MQTT message that arrived at `arrived_us` [us, UTC]."""
        self.messages += 1
        self.payload_bytes += len(payload)
        try:
            if topic == self.topics.status:
                self.robot_state = str(orjson.loads(payload)["state"])
                return
            for record in decode(payload, properties):
                late = topic.startswith(self._backlog_root) or bool(record.get("late"))
                self._enter(record, BACKLOG if late else LIVE, arrived_us)
        except (ValueError, KeyError, TypeError):
            self.unreadable += 1

    def _enter(self, record: dict[str, Any], lane: str, arrived_us: int) -> None:
        if self.continuity.note(record, lane=lane):
            self.arrived[record["channel"], lane] += 1
        if lane == LIVE:
            stamp_us = int(record["stamp_us"])
            self.newest_live_us = max(self.newest_live_us, stamp_us)
            self._latencies_ms.append((arrived_us - stamp_us) / _US_PER_MS)

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
        self, ledger: Ledger, port: int, *, client_id: str = "edgetwin-demo-cloud", clock: Clock | None = None
    ) -> None:
        self.ledger = ledger
        self.ready = asyncio.Event()
        self._port = port
        self._client_id = client_id
        self._clock = clock or SystemClock()

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
