"""Drive wing: commands out, acks in, matched by id.

In: Requests, messages of the ack topic     Out: Ack for whoever waits for it, and for `heard`
Bounded: what was never answered is forgotten. Silence is a fact of its own: `check` raises on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgetwin.clock import NS_PER_S, Clock
from edgetwin.drive.acks import Ack, read
from edgetwin.drive.requests import Request
from edgetwin.errors import LinkError

ANSWER_S = 2.0
_PENDING_MAX = 256


class Exchange:
    """One conversation with one robot, over one connection."""

    def __init__(self, mqtt: aiomqtt.Client, acks: str, clock: Clock, heard: Callable[[Ack, bool], None]) -> None:
        """Nothing is sent yet.

        Args:
            mqtt: Connected.
            acks: Topic of the robot's answers.
            clock: Ours.
            heard: Told of every ack, and whether it is one of ours.
        """
        self._mqtt = mqtt
        self._acks = acks
        self._clock = clock
        self._heard = heard
        self._pending: dict[str, asyncio.Future[Ack] | None] = {}
        self._asked_ns: int | None = None  # since when nothing of ours has been answered
        self._lost: LinkError | None = None

    @property
    def gone(self) -> bool:
        """Whether the broker has left: nothing will be answered any more."""
        return self._lost is not None

    async def subscribe(self) -> None:
        """Ask the broker for the acks."""
        try:
            await self._mqtt.subscribe(self._acks, qos=1)
        except aiomqtt.MqttError as error:
            msg = f"the broker does not let us hear {self._acks}: {error}; check its ACL"
            raise LinkError(msg) from error

    async def listen(self) -> None:
        """Take acks until the broker leaves, or for ever."""
        try:
            async for message in self._mqtt.messages:
                ack = read(bytes(message.payload))
                if ack is not None:
                    self._take(ack)
        except aiomqtt.MqttError as error:
            self._lost = LinkError(f"the broker has gone: {error}")
            for answer in self._pending.values():
                if answer is not None and not answer.done():
                    answer.set_exception(self._lost)

    def check(self) -> None:
        """Pass while the robot answers.

        Raises:
            LinkError: The broker has gone, or nothing of ours has been answered for two seconds.
        """
        if self._lost is not None:
            raise self._lost
        if self._asked_ns is not None and self._clock.now_ns() - self._asked_ns > ANSWER_S * NS_PER_S:
            raise self._silence()

    def expect(self, request: Request) -> asyncio.Future[Ack]:
        """Return what the ack of a request will be given to; drop it with `forget`."""
        answer: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._note(request.id, answer)
        return answer

    def forget(self, request: Request) -> None:
        """Nobody waits for this any more."""
        self._pending.pop(request.id, None)

    async def ask(self, request: Request) -> Ack:
        """Send a command and return its ack.

        Raises:
            LinkError: There is none.
        """
        answer = self.expect(request)
        try:
            await self.publish(request)
            return await asyncio.wait_for(answer, ANSWER_S)
        except TimeoutError:
            raise self._silence() from None
        finally:
            self.forget(request)

    async def send(self, request: Request) -> None:
        """Send a command whose ack nobody waits for; `heard` is told of it."""
        self._note(request.id, None)
        await self.publish(request)

    async def publish(self, request: Request, *, timeout_s: float = ANSWER_S) -> None:
        """Hand a command to the broker.

        Raises:
            LinkError: It does not take it.
        """
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if request.expiry_s is not None:
            properties.MessageExpiryInterval = request.expiry_s
        if request.properties:
            properties.UserProperty = list(request.properties)
        try:
            await self._mqtt.publish(
                request.topic, request.payload, qos=request.qos, properties=properties, timeout=timeout_s
            )
        except aiomqtt.MqttError as error:
            msg = f"the broker does not take commands: {error}"
            raise LinkError(msg) from error

    def _silence(self) -> LinkError:
        return LinkError(f"no answer on {self._acks} within {ANSWER_S:g} s; is edgetwin running there, with this id?")

    def _note(self, id_: str, answer: asyncio.Future[Ack] | None) -> None:
        self._pending[id_] = answer
        if len(self._pending) > _PENDING_MAX:
            del self._pending[next(iter(self._pending))]
        if self._asked_ns is None:
            self._asked_ns = self._clock.now_ns()

    def _take(self, ack: Ack) -> None:
        ours = ack.id in self._pending
        answer = self._pending.pop(ack.id, None)
        if ours:
            self._asked_ns = None
        if answer is not None and not answer.done():
            answer.set_result(ack)
        self._heard(ack, ours)
