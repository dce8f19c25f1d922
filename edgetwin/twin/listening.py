"""Twin wing: the mirror's connection to the broker, made again whenever it breaks.

In: where the broker is, what to subscribe     Out: messages, each by a plain call; up and down; pings out
QoS 1 and a session that outlives a broken connection by five minutes: what robots send meanwhile waits at the broker.
When we leave, it ends with us.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edgetwin.twin.client import Client, Take

_SESSION_EXPIRY_S = 300
_KEEPALIVE_S = 5
_TIMEOUT_S = 10.0
_REDIAL_MIN_S = 0.1
_REDIAL_MAX_S = 5.0
_PING_EXPIRY_S = 1
_FAILURE = 0x80

_log = logging.getLogger("edgetwin.mirror.mqtt")
_log.setLevel(logging.CRITICAL)  # paho's own lines: changes of state are told once, in words


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is, and who we are to it."""

    host: str
    port: int
    identifier: str
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class Listening:
    """One mirror's connection.

    Attributes:
        linked: Whether there is one now.
        sessions: How many there have been.
    """

    def __init__(
        self, address: Address, filters: Sequence[Sequence[str]], take: Take, told: Callable[[str], None]
    ) -> None:
        """Nothing happens before `run`.

        Args:
            address: The broker.
            filters: Topic filters, one SUBSCRIBE for each group, in this order.
            take: Takes each message, on the loop.
            told: Takes a line whenever the link changes.
        """
        self.linked = False
        self.sessions = 0
        self._address = address
        self._filters = filters
        self._take = take
        self._told = told
        self._client: Client | None = None
        self._random = Random()  # noqa: S311  # jitter, not a secret

    async def run(self) -> None:
        """Listen until cancelled.

        Raises:
            Exception: A defect in what takes the messages.
        """
        failures = 0
        said = ""
        while True:
            before = self.sessions
            try:
                await self._listen()
            except (aiomqtt.MqttError, OSError) as error:
                if self.linked or str(error) != said:
                    said = str(error)
                    self._told(f"no link to the broker {self._address.host}:{self._address.port}: {error or 'lost'}")
                self.linked = False  # not when we are cancelled: the last look is at how it was
            self._client = None
            failures = 0 if self.sessions > before else failures + 1
            ceiling_s = min(_REDIAL_MAX_S, _REDIAL_MIN_S * 2.0 ** min(failures, 10))
            await asyncio.sleep(ceiling_s * self._random.uniform(0.5, 1.0))

    def send(self, topic: str, payload: bytes) -> None:
        """Hand a ping to the broker, at most once; dropped while there is no link."""
        if self._client is not None and self.linked:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = _PING_EXPIRY_S
            self._client.publish_nowait(topic, payload, properties)

    async def _listen(self) -> None:
        address = self._address
        connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        connect.SessionExpiryInterval = _SESSION_EXPIRY_S
        client = Client(
            self._take,
            hostname=address.host,
            port=address.port,
            identifier=address.identifier,
            username=address.username,
            password=address.password,
            tls_context=address.tls,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=self.sessions == 0,
            properties=connect,
            keepalive=_KEEPALIVE_S,
            timeout=_TIMEOUT_S,
            logger=_log,
        )
        async with client:
            for group in self._filters:
                await self._subscribe(client, group)
            self._client, self.linked = client, True
            self.sessions += 1
            self._told(f"connected to {address.host}:{address.port}")
            await asyncio.wait((client.ended, client.failure), return_when=asyncio.FIRST_COMPLETED)
            if client.failure.done():
                client.failure.result()
            client.ended.result()

    async def _subscribe(self, client: Client, group: Sequence[str]) -> None:
        options = SubscribeOptions(qos=1, retainAsPublished=False)
        codes = await client.subscribe([(topic, options) for topic in group])
        refused = [topic for topic, code in zip(group, codes, strict=False) if _value(code) >= _FAILURE]
        if refused:
            self._told(f"the broker does not let us hear {', '.join(refused)}; check its ACL")


def _value(code: Any) -> int:
    return int(getattr(code, "value", code))
