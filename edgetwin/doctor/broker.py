"""Roof, doctor: the broker: does it take us, for how long do the certificates hold, what does it let us do.

In: a case     Out: findings. What is published says nothing: batches without a record, an ack of no command, a ping.

The client id is the robot's with -doctor behind it, so that a daemon that runs keeps its connection. The status is
tried only while a daemon runs here, with what is true then and not retained: "online", under its boot. Without one
there is no harmless message for it. No robot may read a topic that it may write (config/mosquitto.acl), so that what a
subscription delivers cannot be tried either where the rules hold: that the broker takes our own records shows that it
takes us for this robot, and the rules that let it write also let it listen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

from cryptography import x509

from edgetwin import status, wire
from edgetwin.check import broker_of
from edgetwin.clock import NS_PER_US
from edgetwin.doctor.certificates import ours, sent, theirs
from edgetwin.doctor.findings import Case, Finding, fail, ok, warn
from edgetwin.doctor.versions import debian_changelog, mosquitto
from edgetwin.errors import LinkError, RefusedError
from edgetwin.motion import Answer, Reason, State, Verb, Verdict
from edgetwin.records import LinkState
from edgetwin.settings.values import is_loopback
from edgetwin.uplink.dial import dial
from edgetwin.uplink.link import Broker
from edgetwin.uplink.probe import Answers, Trial, ask

_PATIENCE_S = 4.0
_REFUSED = 0x80
_VERSION_TOPIC = "$SYS/broker/version"
_ACL = "give the broker access rules for each robot; config/mosquitto.acl is a start"
_ID = "doctor"
_TOLD = ("link", "outbox", "gate", "clock", "flows", "audit", "anomaly", "prognosis")  # what a status says of these
_WHO_ARE_YOU = (0x86, 0x87)
_CREDENTIALS = (
    "no user name was given; where the daemon has one, run doctor with its credentials: "
    "systemd-run --pipe -p LoadCredential=mqtt:/etc/edgetwin/credentials/mqtt edgetwin doctor"
)


def broker(case: Case) -> Sequence[Finding]:
    """Connect, and try what the daemon does, and what nobody should be able to do."""
    try:
        where = replace(broker_of(case.settings), client_id=f"{case.settings.robot.id}-doctor")
    except RefusedError as refused:
        return [fail("tls", f"{fault.where}: {fault.what}", fault.cure) for fault in refused.faults]
    found, trial = [*ours(case)], _trial(case)
    try:
        answers, chain = asyncio.run(_asked(where, trial))
    except LinkError as error:
        what, _, cure = str(error).partition("; ")
        if error.reason_code in _WHO_ARE_YOU and where.username is None:
            cure = _CREDENTIALS
        return [*found, fail("broker", what, cure or f"start it, or correct [mqtt] host and port ({where.port})")]
    except TimeoutError:
        what = f"{where.host}:{where.port} does not answer within {_PATIENCE_S:g} s"
        return [*found, fail("broker", what, "check the network and the broker's firewall")]
    kind = "TLS" if where.tls is not None else "plaintext"
    found.append(ok("broker", f"{where.host}:{where.port} takes {where.client_id} (MQTT 5, {kind})"))
    found += theirs(case, where.host, chain)
    found += _rights(case, trial, answers)
    version = answers.arrived.get(_VERSION_TOPIC, b"").decode("utf-8", "replace")
    if "mosquitto" in version:
        changelog = debian_changelog() if is_loopback(where.host) else None
        found.append(mosquitto(version.rpartition(" ")[2], changelog))
    return found


async def _asked(where: Broker, trial: Trial) -> tuple[Answers, Sequence[x509.Certificate]]:
    async with asyncio.timeout(_PATIENCE_S):
        chain: Sequence[x509.Certificate] = ()
        if where.tls is not None:
            with await dial(where.host, where.port, where.tls) as sock:
                chain = sent(sock)
        return await ask(where, trial), chain


def _trial(case: Case) -> Trial:
    settings = case.settings
    mine = wire.Topics(settings.robot.id, settings.mqtt.prefix)
    nothing = wire.batch(settings.robot.id, ())
    stamp_us = case.clock.stamp_ns() // NS_PER_US
    ack = wire.ack(settings.robot.id, _ID, Verb.PING, Answer(Verdict.OK, Reason.PONG), State.INIT, stamp_us)
    channel = next(iter(settings.channels))
    publishes = [(topic, nothing) for topic in (mine.telemetry(channel), mine.backlog(channel), mine.events(_ID))]
    publishes += [(mine.acks, ack), (_strangers(case).events(_ID), nothing)]
    if said := _status(case, stamp_us):
        publishes.append((mine.status, said))
    publishes += [(mine.command(Verb.PING), wire.encode({"id": _ID, "t_ms": 0}))]
    return Trial(publishes, [mine.command(verb) for verb in Verb], [f"{settings.mqtt.prefix}/+/status", _VERSION_TOPIC])


def _status(case: Case, stamp_us: int) -> bytes:
    """Return what the daemon that runs here would say of itself now; empty: none runs, or it is not connected."""
    try:
        figures = status.read(status.find(case.environ))
    except (OSError, ValueError):
        return b""
    same = figures.get("robot_id") == case.settings.robot.id and figures.get("link", {}).get("state") == "up"
    if not same or status.silence_s(figures, case.clock.stamp_ns()) > status.SILENT_S:
        return b""
    told = {key: figures[key] for key in _TOLD if key in figures} | {"heartbeat_s": case.settings.mqtt.heartbeat_s}
    return wire.status(
        case.settings.robot.id,
        str(figures["boot"]),
        LinkState.ONLINE,
        version=str(figures["version"]),
        stamp_us=stamp_us,
        **told,
    )


def _strangers(case: Case) -> wire.Topics:
    return wire.Topics(f"{case.settings.robot.id[:50]}-not-me", case.settings.mqtt.prefix)


def _rights(case: Case, trial: Trial, answers: Answers) -> Iterator[Finding]:
    """Judge what the broker let us do."""
    mine = wire.Topics(case.settings.robot.id, case.settings.mqtt.prefix)
    ping, others = mine.command(Verb.PING), _strangers(case).events(_ID)
    tried = [topic for topic, _ in trial.publishes if topic not in {ping, others}]
    if answers.ended is not None:
        cure = "see its log; mosquitto with max_queued_messages 0 does this instead of refusing: set a number"
        yield warn("acl", f"the broker ended the connection while it was tried ({answers.ended})", cure)
    refused = [topic for topic in tried if answers.published.get(topic, 0) >= _REFUSED]
    refused += [topic for topic in answers.granted if "/commands/" in topic and answers.granted[topic] >= _REFUSED]
    if refused:
        what = f"the broker refuses this robot its own topics: {', '.join(refused)}, and no command reaches it then"
        yield fail(
            "acl",
            what,
            f"allow them (by user or certificate name; this was client id {case.settings.robot.id}-doctor); {_ACL}",
        )
    if mine.status not in tried:
        what = f"{mine.status} was not tried: no daemon runs here and is connected, so there is nothing true to say"
        yield ok("status", what)
    if answers.published.get(ping, _REFUSED) < _REFUSED and ping not in answers.arrived:
        what = f"the broker takes {ping}, lets us subscribe to it, and delivers nothing: no command would arrive"
        yield warn("acl", what, f"let this robot read {mine.root}/commands/+; {_ACL}")
    judge = warn if is_loopback(case.settings.mqtt.host) else fail
    open_doors = [words for words in _open_doors(case, answers, others, ping) if words]
    if open_doors:
        yield judge("acl", f"with this robot's access, {' and '.join(open_doors)}", _ACL)
    silent = [topic for topic in tried if topic not in answers.published]
    if silent and answers.ended is None:
        yield warn("acl", f"the broker does not acknowledge {', '.join(silent)}", "see its log")
    if not refused and not open_doors and not silent and answers.ended is None:
        yield ok("acl", f"this robot may write below {mine.root} and listen to its commands, and nothing of others")


def _open_doors(case: Case, answers: Answers, others: str, ping: str) -> Iterator[str]:
    """Yield what should be forbidden and is not, in words."""
    if answers.published.get(others, _REFUSED) < _REFUSED:
        yield "records can be forged in the name of any other robot"
    if answers.published.get(ping, _REFUSED) < _REFUSED:
        yield "commands can be sent"
    statuses = [topic.split("/") for topic in answers.arrived if topic.endswith("/status")]
    if watched := sorted({levels[-2] for levels in statuses} - {case.settings.robot.id}):
        yield f"other robots can be watched ({', '.join(watched[:3])})"
