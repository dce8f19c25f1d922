"""Roof, doctor: the certificates: for how long they hold, ours and the broker's, up to the authorities.

In: a case; the chain that a handshake has settled     Out: findings. Reads the PEM files that the settings name.

One authority or intermediate that expires ends the connection of every robot below it, and it does so later than the
certificates that people watch: so each of a chain is a line.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from socket import socket

from cryptography import x509

from edgetwin.clock import NS_PER_S
from edgetwin.doctor.findings import Case, Finding, fail, ok, warn

_DAYS_MIN = 30
_S_PER_DAY = 86_400


def ours(case: Case) -> Iterator[Finding]:
    """Judge what the settings name: the authorities, our certificate, and those between them; nothing without TLS."""
    tls = case.settings.mqtt.tls
    if tls is None:
        return
    for certificate in _read(tls.ca_file):
        yield _judged(f"the authority {_name(certificate)} in {tls.ca_file}", certificate, case)
    chain = _read(tls.cert_file)
    for certificate in chain[:1]:
        yield _judged(f"our certificate {tls.cert_file}", certificate, case)
        names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
        if case.settings.robot.id not in names:
            what = f"our certificate is for {', '.join(names) or 'nobody'}, and this robot is {case.settings.robot.id}"
            cure = "brokers that go by the certificate's name keep us out of our topics: use one CN per robot"
            yield warn("tls", what, cure)
    for certificate in chain[1:]:
        yield _judged(f"the intermediate {_name(certificate)} in {tls.cert_file}", certificate, case)


def theirs(case: Case, host: str, chain: Sequence[x509.Certificate]) -> Iterator[Finding]:
    """Judge the broker's chain, its own certificate first; what `ours` has told already is left out."""
    tls = case.settings.mqtt.tls
    told = _read(tls.ca_file) if tls is not None else []
    for place, certificate in enumerate(chain):
        if place == 0:
            yield _judged(f"the certificate of {host}", certificate, case)
        elif certificate not in told:
            yield _judged(f"the authority {_name(certificate)} that vouches for {host}", certificate, case)


def sent(sock: socket) -> list[x509.Certificate]:
    """Return the verified chain of a TLS connection, the broker's own certificate first; empty: no TLS.

    Python has no public way to it before 3.13; where the one below is missing too, the broker's own is all.
    """
    if not isinstance(sock, ssl.SSLSocket):
        return []
    inner = getattr(sock, "_sslobj", None)
    ask = getattr(sock, "get_verified_chain", None) or getattr(inner, "get_verified_chain", None)
    found = ask() if ask is not None else [sock.getpeercert(binary_form=True)]
    return [x509.load_der_x509_certificate(_der(one)) for one in found or () if one]


def _der(certificate: object) -> bytes:
    """Return a certificate's bytes, whichever way Python hands it out."""
    if isinstance(certificate, bytes):
        return certificate
    text: str = certificate.public_bytes()  # type: ignore[attr-defined]  # of _ssl.Certificate: PEM
    return ssl.PEM_cert_to_DER_cert(text)


def _read(path: Path | None) -> list[x509.Certificate]:
    with suppress(OSError, ValueError):  # that it can be used was settled when the context was made
        return x509.load_pem_x509_certificates(path.read_bytes()) if path is not None else []
    return []


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "without a name"


def _judged(what: str, certificate: x509.Certificate, case: Case) -> Finding:
    now_s = case.clock.stamp_ns() / NS_PER_S
    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    days = (until.timestamp() - now_s) / _S_PER_DAY
    if since.timestamp() > now_s:
        return fail("tls", f"{what} is valid only from {_day(since)} on", "set the clock; or wait, or issue it anew")
    if days < 0:
        return fail("tls", f"{what} has expired on {_day(until)}", "renew it; or, if that is not so, set the clock")
    if days < _DAYS_MIN:
        return warn("tls", f"{what} expires in {days:.0f} days, on {_day(until)}", "renew it")
    return ok("tls", f"{what} holds for {days:.0f} days, until {_day(until)}")


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
