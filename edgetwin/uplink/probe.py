"""Uplink room: a look at the broker: does it take us, and what does it let us do.

In: where the broker is, what to try     Out: what it answered; nothing is left behind there.

A client id of its own, clean start, no will, nothing retained: a daemon that runs is not disturbed. What the broker
says to a SUBSCRIBE proves little (mosquitto grants what its access rules forbid, and then delivers nothing), so what
arrives is told too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiomqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from edgetwin.errors import LinkError
from edgetwin.uplink import packets
from edgetwin.uplink.dial import dial
from edgetwin.uplink.link import Broker, translate
from edgetwin.uplink.session import OnAck, Session

_ANSWERS_MAX_S = 1.5
_ARRIVALS_S = 0.25
_ARRIVALS_MAX = 1000
_NO_RETAINED, _RETAINED = 2, 0


@dataclass(frozen=True, slots=True)
class Trial:
    """What to try.

    Attributes:
        publishes: Topic and payload, each once, with QoS 1.
        listens: Exact topics; what the broker keeps for them is not asked for.
        retained: Topics or filters of which the broker is asked for what it keeps.
    """

    publishes: Sequence[tuple[str, bytes]] = ()
    listens: Sequence[str] = ()
    retained: Sequence[str] = ()


@dataclass(slots=True)
class Answers:
    """What the broker answered.

    Attributes:
        published: Topic -> reason code of its PUBACK; absent: none came.
        granted: Topic or filter -> reason code of its SUBACK.
        arrived: Topic -> newest payload.
        ended: Why the broker ended the connection, if it did; what came before that holds.
    """

    published: dict[str, int] = field(default_factory=dict)
    granted: dict[str, int] = field(default_factory=dict)
    arrived: dict[str, bytes] = field(default_factory=dict)
    ended: str | None = None


async def ask(broker: Broker, trial: Trial) -> Answers:
    """Connect, try everything, leave.

    Raises:
        LinkError: There is no connection; why, in words.
    """
    answers = Answers()
    waiting: dict[int, str] = {}
    done = asyncio.Event()

    def acknowledged(packet_id: int, reason_code: int) -> None:
        topic = waiting.pop(packet_id, None)
        if topic is not None:
            answers.published[topic] = reason_code
        if not waiting:
            done.set()

    session = await _connected(broker, acknowledged)
    try:
        await _subscribe(session, trial, answers)
        for topic, payload in trial.publishes:
            name, properties = packets.utf8_string(topic), packets.publish_properties()
            waiting[session.publish_nowait(name, payload, properties)] = topic
        if waiting:
            await _until(done, session)
        await _collect(session, answers.arrived)
    except (aiomqtt.MqttError, LinkError) as error:
        answers.ended = str(translate(error))
    if answers.ended is None and session.over:
        answers.ended = str(translate(session.ended.exception()))
    session.goodbye()
    return answers


async def _connected(broker: Broker, acknowledged: OnAck) -> Session:
    sock = await dial(broker.host, broker.port, broker.tls)
    session = Session(
        broker.host,
        broker.port,
        sock,
        acknowledged,
        identifier=broker.client_id,
        keepalive=broker.keepalive_s,
        username=broker.username,
        password=broker.password,
    )
    try:
        await session.__aenter__()
    except (aiomqtt.MqttError, OSError) as error:
        session.abort()
        raise translate(error) from error
    except asyncio.CancelledError:
        session.abort()
        raise
    return session


async def _subscribe(session: Session, trial: Trial, answers: Answers) -> None:
    asked = [(topic, _NO_RETAINED) for topic in trial.listens] + [(topic, _RETAINED) for topic in trial.retained]
    if not asked:
        return
    options = [(topic, SubscribeOptions(qos=1, noLocal=False, retainHandling=handling)) for topic, handling in asked]
    codes: Sequence[Any] = await session.subscribe(options, timeout=_ANSWERS_MAX_S)
    for (topic, _), code in zip(asked, codes, strict=False):
        answers.granted[topic] = getattr(code, "value", code)


async def _until(done: asyncio.Event, session: Session) -> None:
    waiter = asyncio.get_running_loop().create_task(done.wait())
    await asyncio.wait((waiter, session.ended), timeout=_ANSWERS_MAX_S, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()


async def _collect(session: Session, into: dict[str, bytes]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_ARRIVALS_S):
            async for message in session.messages:
                payload = message.payload
                into[str(message.topic)] = payload if isinstance(payload, bytes) else str(payload).encode()
                if len(into) >= _ARRIVALS_MAX:
                    break
