"""TLS and mutual TLS from settings against a real mosquitto; what is wrong is said as what it is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from std_msgs.msg import Float64

from edgetwin.sim.broker import find_mosquitto
from edgetwin.sim.ports import HeldPort, answers
from tests.integration.lab import Daemon, Robot, Witness, channel, configuration, matched, until
from tests.integration.test_reload import reloaded

SECTION = channel("value", "/tls/value", "std_msgs/msg/Float64", channel_class="event")


@dataclass(frozen=True, slots=True)
class Guarded:
    """A broker that wants certificates on one port; the plain one is the witness's."""

    tls_port: int
    plain_port: int


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    """Mutual TLS, the identity from the certificate."""
    authority = trustme.CA()
    other = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    other.cert_pem.write_to_path(str(tmp_path / "other_ca.pem"))
    for name, signer in (("server", authority), ("robot", authority), ("stranger", other)):
        certificate = signer.issue_cert("localhost", common_name="robot_001")
        certificate.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        (tmp_path / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    with HeldPort() as tls, HeldPort() as plain:
        conf = tmp_path / "conf"
        conf.write_text(
            f"per_listener_settings true\nuser root\n"
            f"listener {tls.number} 127.0.0.1\ncafile {tmp_path}/ca.pem\ncertfile {tmp_path}/server.pem\n"
            f"keyfile {tmp_path}/server.key\nrequire_certificate true\nuse_identity_as_username true\n"
            f"allow_anonymous false\n"
            f"listener {plain.number} 127.0.0.1\nallow_anonymous true\n"
        )
        with subprocess.Popen([find_mosquitto() or "mosquitto", "-c", str(conf)], stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: answers(plain.number) and answers(tls.number), "the broker")
                yield Guarded(tls.number, plain.number)
            finally:
                process.terminate()


def _settings(folder: Path, port: int, *, ca: str, certificate: str, host: str = "localhost") -> str:
    tls = (
        f'host = "{host}"\n[mqtt.tls]\nca_file = "{folder}/{ca}.pem"\n'
        f'cert_file = "{folder}/{certificate}.pem"\nkey_file = "{folder}/{certificate}.key"'
    )
    return configuration(port, folder, SECTION, mqtt=tls)


def test_mutual_tls_from_settings_carries_records(guarded: Guarded, robot: Robot, tmp_path: Path) -> None:
    """Right authority, right host name, right certificate."""
    publisher = robot.publisher(Float64, "/tls/value")
    config = _settings(tmp_path, guarded.tls_port, ca="ca", certificate="robot")
    with Witness(guarded.plain_port) as witness, Daemon(tmp_path, config):
        matched(publisher)
        for index in range(300):
            publisher.publish(Float64(data=float(index)))
        until(lambda: len(witness.in_order("value")) == 300, "300 records over TLS")
    robot.node.destroy_publisher(publisher)


@pytest.mark.parametrize(
    ("ca", "certificate", "host", "words"),
    [
        ("other_ca", "robot", "localhost", "certificate of localhost"),
        ("ca", "stranger", "localhost", "the broker refuses our certificate"),
        ("ca", "robot", "127.0.0.1", "IP address mismatch"),
    ],
)
def test_a_wrong_certificate_is_reported_as_what_it_is(
    guarded: Guarded, tmp_path: Path, ca: str, certificate: str, host: str, words: str
) -> None:
    """Wrong authority, a stranger's certificate, a wrong host name: each in words, and samples wait on disk."""
    config = _settings(tmp_path, guarded.tls_port, ca=ca, certificate=certificate, host=host)
    with Daemon(tmp_path, config) as daemon:
        until(lambda: "No link to the broker" in daemon.log, "a word about the link")
        assert words in daemon.log


def test_a_renewed_certificate_is_used_by_the_next_connection(guarded: Guarded, robot: Robot, tmp_path: Path) -> None:
    """The same paths, other content: telemetry and the command lane get in without a restart."""
    for end in ("pem", "key"):
        shutil.copy(tmp_path / f"stranger.{end}", tmp_path / f"ours.{end}")
    config = _settings(tmp_path, guarded.tls_port, ca="ca", certificate="ours")
    publisher = robot.publisher(Float64, "/tls/value")
    with Witness(guarded.plain_port) as witness, Daemon(tmp_path, config) as daemon:
        until(lambda: "the broker refuses our certificate" in daemon.log, "a refusal")
        for end in ("pem", "key"):
            shutil.copy(tmp_path / f"robot.{end}", tmp_path / f"ours.{end}")
        reloaded(daemon, config, "the files of [mqtt.tls] have another content")
        until(lambda: daemon.status()["link"]["state"] == "up", "the link", patience_s=60)
        until(lambda: daemon.status()["gate"]["link"] == "up", "the command lane's", patience_s=60)
        matched(publisher)
        publisher.publish(Float64(data=1.0))
        until(lambda: witness.in_order("value"), "a record")
    robot.node.destroy_publisher(publisher)

    assert daemon.log.count("No link to the broker") == 1
