"""Roof, doctor: the broker: does it take us, for how long do the certificates hold, what does it let us do.

In: a case     Out: findings. What is published says nothing: batches without a record, an ack of no command, a ping.

The client id is the robot's with -doctor behind it, so that a daemon that runs keeps its connection. The retained
status is not tried: there is no harmless message for it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from edgetwin import wire
from edgetwin.check import broker_of
from edgetwin.clock import NS_PER_S
from edgetwin.doctor.findings import Case, Finding, fail, ok, warn
from edgetwin.doctor.versions import debian_changelog, mosquitto
from edgetwin.errors import LinkError, RefusedError
from edgetwin.motion import Answer, Reason, State, Verb, Verdict
from edgetwin.settings import TlsSettings
from edgetwin.settings.values import is_loopback
from edgetwin.uplink.dial import dial
from edgetwin.uplink.link import Broker
from edgetwin.uplink.probe import Answers, Trial, ask

_PATIENCE_S = 4.0
_DAYS_MIN = 30
_REFUSED = 0x80
_S_PER_DAY = 86_400
_VERSION_TOPIC = "$SYS/broker/version"
_ACL = "give the broker access rules for each robot; config/mosquitto.acl is a start"
_ID = "doctor"
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
    found = [] if where.tls is None else [*_own_certificates(case)]
    try:
        answers, theirs = asyncio.run(_asked(case, where))
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
    if theirs is not None:
        found.append(_expiry("tls", f"the certificate of {where.host}", theirs, case))
    found += _rights(case, answers)
    version = answers.arrived.get(_VERSION_TOPIC, b"").decode("utf-8", "replace")
    if "mosquitto" in version:
        changelog = debian_changelog() if is_loopback(where.host) else None
        found.append(mosquitto(version.rpartition(" ")[2], changelog))
    return found


async def _asked(case: Case, where: Broker) -> tuple[Answers, datetime | None]:
    async with asyncio.timeout(_PATIENCE_S):
        theirs = await _their_expiry(where) if where.tls is not None else None
        return await ask(where, _trial(case)), theirs


async def _their_expiry(where: Broker) -> datetime | None:
    sock = await dial(where.host, where.port, where.tls)
    with sock:
        raw = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
    return x509.load_der_x509_certificate(raw).not_valid_after_utc if raw else None


def _trial(case: Case) -> Trial:
    settings = case.settings
    ours = wire.Topics(settings.robot.id, settings.mqtt.prefix)
    nothing = wire.batch(settings.robot.id, ())
    stamp_us = case.clock.stamp_ns() // 1000
    ack = wire.ack(settings.robot.id, _ID, Verb.PING, Answer(Verdict.OK, Reason.PONG), State.INIT, stamp_us)
    channel = next(iter(settings.channels))
    publishes = [(topic, nothing) for topic in (ours.telemetry(channel), ours.backlog(channel), ours.events(_ID))]
    publishes += [(ours.acks, ack), (_strangers(case).events(_ID), nothing)]
    publishes += [(ours.command(Verb.PING), wire.encode({"id": _ID, "t_ms": 0}))]
    return Trial(publishes, [ours.command(verb) for verb in Verb], [f"{settings.mqtt.prefix}/+/status", _VERSION_TOPIC])


def _strangers(case: Case) -> wire.Topics:
    return wire.Topics(f"{case.settings.robot.id[:50]}-not-me", case.settings.mqtt.prefix)


def _rights(case: Case, answers: Answers) -> Iterator[Finding]:
    """Judge what the broker let us do."""
    ours = wire.Topics(case.settings.robot.id, case.settings.mqtt.prefix)
    ping, theirs = ours.command(Verb.PING), _strangers(case).events(_ID)
    tried = [topic for topic, _ in _trial(case).publishes if topic not in {ping, theirs}]
    if answers.ended is not None:
        cure = "see its log; mosquitto with max_queued_messages 0 does this instead of refusing: set a number"
        yield warn("acl", f"the broker ended the connection while it was tried ({answers.ended})", cure)
    refused = [topic for topic in tried if answers.published.get(topic, 0) >= _REFUSED]
    refused += [topic for topic in answers.granted if "/commands/" in topic and answers.granted[topic] >= _REFUSED]
    if refused:
        what = f"the broker refuses this robot its own topics: {', '.join(refused)}"
        yield fail(
            "acl",
            what,
            f"allow them (by user or certificate name; this was client id {case.settings.robot.id}-doctor); {_ACL}",
        )
    judge = warn if is_loopback(case.settings.mqtt.host) else fail
    open_doors = [words for words in _open_doors(case, answers, theirs, ping) if words]
    if open_doors:
        yield judge("acl", f"with this robot's access, {' and '.join(open_doors)}", _ACL)
    silent = [topic for topic in tried if topic not in answers.published]
    if silent and answers.ended is None:
        yield warn("acl", f"the broker does not acknowledge {', '.join(silent)}", "see its log")
    if not refused and not open_doors and not silent and answers.ended is None:
        yield ok("acl", f"this robot may write below {ours.root} and listen to its commands, and nothing of others")


def _open_doors(case: Case, answers: Answers, theirs: str, ping: str) -> Iterator[str]:
    """Yield what should be forbidden and is not, in words."""
    if answers.published.get(theirs, _REFUSED) < _REFUSED:
        yield "records can be forged in the name of any other robot"
    if answers.published.get(ping, _REFUSED) < _REFUSED:
        yield "commands can be sent"
    statuses = [topic.split("/") for topic in answers.arrived if topic.endswith("/status")]
    if others := sorted({levels[-2] for levels in statuses} - {case.settings.robot.id}):
        yield f"other robots can be watched ({', '.join(others[:3])})"


def _own_certificates(case: Case) -> Iterator[Finding]:
    tls = case.settings.mqtt.tls or TlsSettings()
    if tls.ca_file is not None:
        for certificate in _certificates(tls.ca_file):
            name = certificate.subject.rfc4514_string()
            yield _expiry("tls", f"the authority {name} in {tls.ca_file}", certificate.not_valid_after_utc, case)
    if tls.cert_file is None:
        return
    for certificate in _certificates(tls.cert_file)[:1]:
        yield _expiry("tls", f"our certificate {tls.cert_file}", certificate.not_valid_after_utc, case)
        names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
        if case.settings.robot.id not in names:
            what = f"our certificate is for {', '.join(names) or 'nobody'}, and this robot is {case.settings.robot.id}"
            yield warn(
                "tls", what, "brokers that go by the certificate's name keep us out of our topics: use one CN per robot"
            )


def _certificates(path: Path) -> list[x509.Certificate]:
    with suppress(OSError, ValueError):  # that it can be used was settled when the context was made
        return x509.load_pem_x509_certificates(path.read_bytes())
    return []


def _expiry(name: str, what: str, until: datetime, case: Case) -> Finding:
    days = (until.timestamp() - case.clock.stamp_ns() / NS_PER_S) / _S_PER_DAY
    if days < 0:
        return fail(name, f"{what} has expired on {until:%Y-%m-%d}", "renew it; or, if that is not so, set the clock")
    if days < _DAYS_MIN:
        return warn(name, f"{what} expires in {days:.0f} days, on {until:%Y-%m-%d}", "renew it")
    return ok(name, f"{what} holds for {days:.0f} days, until {until.astimezone(UTC):%Y-%m-%d}")
