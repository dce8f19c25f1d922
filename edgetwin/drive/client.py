"""Drive wing: a client for one robot's command lane, for dashboards, scripts and tests.

In: a broker, a robot, what to do     Out: its acks; LinkError when nobody answers
One connection and no second try: control that was lost is never resumed by itself. Leaving the block without `rest`
or `stop` leaves the robot to its deadman.

    async with connect(address, requests, clock) as client:
        await client.acquire()
        await client.follow(lambda: Twist(0.2, 0.0))
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiomqtt

from edgetwin import wire
from edgetwin.clock import NS_PER_S, Clock
from edgetwin.drive.acks import Ack
from edgetwin.drive.exchange import ANSWER_S, Exchange
from edgetwin.drive.pacing import Pacing
from edgetwin.drive.requests import Admission, Requests
from edgetwin.drive.robot_clock import RobotClock
from edgetwin.errors import LinkError
from edgetwin.motion import ZERO, Reason, Twist, Verdict

RATE_HZ = 10.0
_STOP_PATIENCE_S = 10.0
_STOP_EVERY_S = 0.2
_PINGS = 4
_PING_GAP_S = 0.05
_PING_EVERY_S = 10.0
_RENEW_EVERY_S = 1.0
_KEEPALIVE_S = 5
_LEASE_GONE = frozenset({Reason.NO_LEASE, Reason.LEASE_STALE})


@dataclass(frozen=True, slots=True)
class Address:
    """Where the robot's broker is, and who we are to it."""

    host: str
    port: int
    topics: wire.Topics
    identifier: str
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class DriveClient:
    """One robot, driven.

    Attributes:
        robot_clock: What its clock says.
        lease_lost: Why the lease that we held is gone; None as long as it is not.
    """

    def __init__(
        self, mqtt: aiomqtt.Client, topics: wire.Topics, requests: Requests, clock: Clock, heard: Callable[[Ack], None]
    ) -> None:
        """Use `connect`."""
        self.robot_clock = RobotClock()
        self.lease_lost: str | None = None
        self._requests = requests
        self._clock = clock
        self._heard = heard
        self._exchange = Exchange(mqtt, topics.acks, clock, self._take)

    @property
    def can_move(self) -> bool:
        """Whether moves can be made: a lease is held, or none is needed."""
        return bool(self._requests.epoch) or self._requests.admission is not Admission.LEASE

    async def ping(self) -> Ack:
        """Ask for the robot's time."""
        sent_ns = self._clock.now_ns()
        ack = await self._exchange.ask(self._requests.ping())
        robot_ms = ack.keys.get("robot_ms")
        if ack.good and isinstance(robot_ms, (int, float)):
            self.robot_clock.note(sent_ns, self._clock.now_ns(), robot_ms)
        return ack

    async def acquire(self, *, take: bool = False) -> Ack | None:
        """Ask for the lease, or take it from its holder; None where the admission knows no leases."""
        if self._requests.admission is not Admission.LEASE:
            return None
        ack = await self._exchange.ask(self._requests.lease("take" if take else "acquire"))
        epoch = ack.keys.get("epoch")
        if ack.good and isinstance(epoch, str):
            self._requests.epoch = epoch
            self.lease_lost = None
        return ack

    async def release(self) -> Ack | None:
        """Give the lease back; None where there is none."""
        if not self._requests.epoch:
            return None
        request = self._requests.lease("release")
        self._requests.epoch = ""
        return await self._exchange.ask(request)

    async def move(self, twist: Twist) -> bool:
        """Send one move; its ack goes to `heard`. False without a lease."""
        request = self._requests.move(twist, self.robot_clock)
        if request is None:
            return False
        await self._exchange.send(request)
        return True

    def check(self) -> None:
        """Pass while the robot answers.

        Raises:
            LinkError: The broker has gone, or the robot has not answered for two seconds.
        """
        self._exchange.check()

    async def follow(self, wanted: Callable[[], Twist | None], *, rate_hz: float = RATE_HZ) -> None:
        """Send what is wanted, again and again, until that is None or the lease is gone; then zero, once.

        Raises:
            LinkError: The robot has not answered for two seconds, or the broker has gone.
        """
        pacing = Pacing(rate_hz, self._clock.now_ns())
        while self.can_move and (twist := wanted()) is not None:
            self.check()
            await self.move(twist)
            await asyncio.sleep(pacing.wait_s(self._clock.now_ns()))
        await self.move(ZERO)

    async def rest(self) -> None:
        """Come to a standstill and give the lease back; a stop, where the robot does not say that it heard.

        Raises:
            LinkError: It does not answer to the stop either.
        """
        request = self._requests.move(ZERO, self.robot_clock)
        try:
            if request is not None:
                await self._exchange.ask(request)
            await self.release()
        except LinkError:
            await self.stop()

    async def stop(self, *, patience_s: float = _STOP_PATIENCE_S) -> Ack:
        """Stop and latch, again and again until the robot says that it has.

        Raises:
            LinkError: It has not said so in time; somebody must go there.
        """
        request = self._requests.stop()
        answer = self._exchange.expect(request)
        self._requests.epoch = ""
        deadline_ns = self._clock.now_ns() + round(patience_s * NS_PER_S)
        while not (answer.done() or self._exchange.gone) and self._clock.now_ns() < deadline_ns:
            with suppress(LinkError):
                await self._exchange.publish(request, timeout_s=_STOP_EVERY_S)
            await asyncio.wait((answer,), timeout=_STOP_EVERY_S)
        self._exchange.forget(request)
        if answer.done() and answer.exception() is None:
            return answer.result()
        msg = "THE STOP WAS NOT CONFIRMED; the robot's own deadman brakes it, but go and look"
        raise LinkError(msg)

    async def reset(self, stop_id: str = "") -> Ack:
        """Release the latched stop in two steps; return the last answer. It moves nothing.

        Args:
            stop_id: Of the stop that is meant; without it, whichever is latched now.
        """
        if not stop_id:
            stop_id = (await self._exchange.ask(self._requests.reset("?"))).stop_id or "?"
        first = await self._exchange.ask(self._requests.reset(stop_id))
        nonce = first.keys.get("nonce")
        if first.verdict != Verdict.CHALLENGE or not isinstance(nonce, str):
            return first
        return await self._exchange.ask(self._requests.reset(stop_id, nonce))

    async def begin(self, group: asyncio.TaskGroup, *, synchronise: bool) -> list[asyncio.Task[None]]:
        """Subscribe, learn the time, and start what runs beside; `connect` calls this."""
        await self._exchange.subscribe()
        tasks = [group.create_task(self._exchange.listen())]
        try:
            for _ in range(_PINGS if synchronise else 0):
                await self.ping()
                await asyncio.sleep(_PING_GAP_S)
        except BaseException:
            tasks[0].cancel()
            raise
        return [*tasks, group.create_task(self._keep_time()), group.create_task(self._keep_lease())]

    def _take(self, ack: Ack, ours: bool) -> None:  # noqa: FBT001  # as Exchange calls it
        stopped = ack.verdict == Verdict.STOPPED
        if self._requests.epoch and (stopped or (ours and ack.code in _LEASE_GONE)):
            self._requests.epoch = ""
            self.lease_lost = ack.detail or ack.code
        if ours or stopped:
            self._heard(ack)

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(_PING_EVERY_S)
            with suppress(LinkError):  # `follow` notices the silence
                await self.ping()

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY_S)
            if self._requests.epoch:
                with suppress(LinkError):
                    await self._exchange.ask(self._requests.lease("renew"))


@asynccontextmanager
async def connect(
    address: Address, requests: Requests, clock: Clock, *, heard: Callable[[Ack], None] = lambda _: None,
    synchronise: bool = True,
) -> AsyncIterator[DriveClient]:  # fmt: skip
    """Connect, learn the robot's time, and keep both until the end of the block.

    Args:
        address: The broker.
        requests: Makes our commands.
        clock: Ours.
        heard: Told of every ack to us, and of stops that others asked for.
        synchronise: Ping before the block begins; a stop need not wait for that.

    Raises:
        LinkError: The broker cannot be reached, or the robot does not answer.
    """
    mqtt = aiomqtt.Client(
        address.host, address.port, identifier=address.identifier, protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True, keepalive=_KEEPALIVE_S, timeout=ANSWER_S, tls_context=address.tls,
        username=address.username, password=address.password,
    )  # fmt: skip
    try:
        await mqtt.__aenter__()
    except (aiomqtt.MqttError, OSError) as error:
        msg = f"{address.host}:{address.port}: {error or 'no answer'}; check --broker"
        raise LinkError(msg) from error
    client = DriveClient(mqtt, address.topics, requests, clock, heard)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = await client.begin(group, synchronise=synchronise)
            try:
                yield client
            finally:
                for task in tasks:
                    task.cancel()
    except BaseExceptionGroup as only:  # what the block raised: the tasks beside it raise nothing
        raise only.exceptions[0] from None
    finally:
        with suppress(aiomqtt.MqttError):
            await mqtt.__aexit__(None, None, None)
