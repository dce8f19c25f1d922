"""For how long certificates hold: our own, the broker's, and the authorities between them and the root."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edgetwin.clock import NS_PER_S, SystemClock
from edgetwin.doctor.certificates import ours, sent, theirs
from edgetwin.doctor.findings import Case, Level
from edgetwin.settings import TlsSettings
from tests.doctor.stage import case_at

_KEY = ec.generate_private_key(ec.SECP256R1())
_NOW = dt.datetime.fromtimestamp(SystemClock().stamp_ns() / NS_PER_S, tz=dt.UTC)


def certificate(name: str, days: float, *, since_days: float = -1000.0) -> x509.Certificate:
    """Return one that signs itself: only its name and its dates are looked at here."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(_KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW + dt.timedelta(days=since_days))
        .not_valid_after(_NOW + dt.timedelta(days=days))
        .sign(_KEY, hashes.SHA256())
    )


def case_with(folder: Path, **files: Sequence[x509.Certificate]) -> Case:
    """Return a case whose settings name these PEM files."""
    for name, chain in files.items():
        content = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain)
        (folder / name).write_bytes(content)
    case = case_at(folder)
    tls = TlsSettings.model_construct(None, **{name: folder / name for name in files})
    mqtt = case.settings.mqtt.model_copy(update={"tls": tls})
    return Case(case.path, case.settings.model_copy(update={"mqtt": mqtt}), {}, SystemClock())


@pytest.mark.parametrize(
    ("days", "level", "words"),
    [
        (400.5, Level.OK, "holds for 400 days"),
        (9.5, Level.WARN, "expires in 9 days"),
        (-1.0, Level.FAIL, "expired on"),
    ],
)
def test_every_certificate_of_every_file_is_judged(tmp_path: Path, days: float, level: Level, words: str) -> None:
    """Two authorities, ours, the one that stands between them: each by name, and only the one that ages is told so."""
    robot, middle = certificate("robot_001", 500.0), certificate("middle", days)
    root, other = certificate("root", 900.0), certificate("other root", 900.0)
    found = list(ours(case_with(tmp_path, ca_file=[root, other], cert_file=[robot, middle])))

    assert [finding.level for finding in found] == [Level.OK] * 3 + [level]
    assert ["root" in found[0].what, "other root" in found[1].what] == [True, True]
    assert found[2].what.startswith(f"our certificate {tmp_path}/cert_file holds")
    assert found[3].what.startswith(f"the intermediate CN=middle in {tmp_path}/cert_file")
    assert words in found[3].what


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_brokers_chain_is_judged_up_to_the_root(tmp_path: Path, place: int) -> None:
    """Whichever of them expires first ends every connection."""
    days = [9.0 if number == place else 500.0 for number in range(3)]
    chain = [certificate(name, one) for name, one in zip(("broker", "middle", "root"), days, strict=True)]
    found = list(theirs(case_with(tmp_path, ca_file=[certificate("another", 500.0)]), "broker.example", chain))

    assert [finding.level is Level.WARN for finding in found] == [number == place for number in range(3)]
    assert "the certificate of broker.example" in found[0].what
    assert "the authority CN=middle that vouches for broker.example" in found[1].what


def test_an_authority_is_told_once(tmp_path: Path) -> None:
    """The root that the settings name is in the broker's chain too."""
    root = certificate("root", 500.0)
    case = case_with(tmp_path, ca_file=[root])
    again = theirs(case, "b", [certificate("b", 500.0), root])

    assert [finding.what for finding in again if "root" in finding.what] == []
    assert len(list(ours(case))) == 1


def test_a_certificate_of_the_future_is_a_clock_that_is_wrong(tmp_path: Path) -> None:
    """A robot without a battery for its clock starts in 1970."""
    (found,) = theirs(case_with(tmp_path), "b", [certificate("b", 500.0, since_days=3.0)])

    assert found.level is Level.FAIL
    assert "set the clock" in found.cure


def test_without_tls_nothing_is_looked_at(tmp_path: Path) -> None:
    """Plaintext to this machine."""
    assert list(ours(case_at(tmp_path))) == []


def test_the_whole_chain_of_a_real_handshake_is_seen() -> None:
    """The broker's own, the one between, and the root that we trust, in this order; a plain socket has none."""
    root = trustme.CA()
    issued = root.create_child_ca().issue_cert("localhost", common_name="broker")
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    issued.configure_cert(server)
    root.configure_trust(client)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            plain, _ = listening.accept()
            with server.wrap_socket(plain, server_side=True) as met:
                met.recv(1)

        serving = threading.Thread(target=serve)
        serving.start()
        plain = socket.create_connection(listening.getsockname())
        none = sent(plain)
        with client.wrap_socket(plain, server_hostname="localhost") as met:
            chain = sent(met)
            met.send(b".")
        serving.join(10)

    wanted = [x509.load_pem_x509_certificate(blob.bytes()) for blob in (*issued.cert_chain_pems, root.cert_pem)]
    assert chain == wanted
    assert none == []
