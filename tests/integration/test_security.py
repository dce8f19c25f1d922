"""Who is kept out: certificates, the shipped access rules, plaintext, open doors, secrets; with a real mosquitto.

Wrong authority, a stranger's certificate and a wrong host name are in test_tls.py.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
import pytest
import trustme
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from std_msgs.msg import Float64

from edgetwin.sim.broker import LocalBroker, find_mosquitto
from edgetwin.sim.ports import HeldPort, answers
from tests.integration.lab import ROBOT_ID, Daemon, Robot, Witness, channel, configuration, matched, until

SHIPPED = Path(__file__).parents[2] / "config" / "mosquitto.acl"
SECTION = channel("value", "/security/value", "std_msgs/msg/Float64", channel_class="event")
OTHER_ID = "robot_002"
USERS = (ROBOT_ID, OTHER_ID, "operator", "viewer")
SAYS = ("telemetry/odom", "backlog/odom", "events/gate", "status", "acks", "channels", "responses/a/b")
COMMANDS = ("stop", "move", "lease", "reset", "ping")
NOT_AUTHORISED = 0x87
HIDDEN_USER = "a-name-nobody-may-see"
HIDDEN_WORD = "hunter2-and-twenty-characters"
_LISTENS = "0A"
_UNIX_ACCEPTS = 0x10000


@dataclass(frozen=True, slots=True)
class Walled:
    """A broker with the shipped rules; the plain port, without any, is the witness's."""

    port: int
    plain_port: int
    folder: Path

    def mqtt(self, certificate: str | None) -> str:
        """The [mqtt] settings of a robot that has this certificate, or none."""
        lines = ['host = "localhost"', "[mqtt.tls]", f'ca_file = "{self.folder}/ca.pem"']
        if certificate is not None:
            lines.append(f'cert_file = "{self.folder}/{certificate}.pem"')
            lines.append(f'key_file = "{self.folder}/{certificate}.key"')
        return "\n".join(lines)


@pytest.fixture
def days(request: pytest.FixtureRequest) -> float:
    """For how long the broker's certificate holds, in days from now."""
    return float(getattr(request, "param", 30.0))


@pytest.fixture
def walled(tmp_path: Path, days: float) -> Iterator[Walled]:
    """Mutual TLS, a certificate for everybody, the rules as they are shipped."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    now = dt.datetime.now(tz=dt.UTC)
    for name in ("server", *USERS):
        certificate = authority.issue_cert(
            "localhost",
            common_name=name,
            not_before=now - dt.timedelta(days=60),
            not_after=now + dt.timedelta(days=days if name == "server" else 30),
        )
        certificate.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        (tmp_path / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    with HeldPort() as tls, HeldPort() as plain:
        conf = tmp_path / "conf"
        conf.write_text(
            f"per_listener_settings true\nuser root\n"
            f"listener {tls.number} 127.0.0.1\ncafile {tmp_path}/ca.pem\ncertfile {tmp_path}/server.pem\n"
            f"keyfile {tmp_path}/server.key\nrequire_certificate true\nuse_identity_as_username true\n"
            f"allow_anonymous false\nacl_file {SHIPPED}\n"
            f"listener {plain.number} 127.0.0.1\nallow_anonymous true\n",
            encoding="utf-8",
        )
        with subprocess.Popen([find_mosquitto() or "mosquitto", "-c", str(conf)], stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: answers(plain.number) and answers(tls.number), "the broker")
                yield Walled(tls.number, plain.number, tmp_path)
            finally:
                process.terminate()


class Person:
    """Somebody with a certificate at the walled broker."""

    def __init__(self, walled: Walled, name: str) -> None:
        self.heard: set[str] = set()
        self._codes: dict[int, int] = {}
        self._subscribed = threading.Event()
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"security-{name}", protocol=paho.MQTTv5
        )
        pem = walled.folder / name
        client.tls_set(str(walled.folder / "ca.pem"), f"{pem}.pem", f"{pem}.key")
        client.on_message = lambda _client, _userdata, message: self.heard.add(message.topic)
        client.on_connect = self._on_connect
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_publish = self._on_publish
        client.connect("localhost", walled.port)
        client.loop_start()
        assert self._subscribed.wait(5), f"{name} cannot subscribe"

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        client.subscribe("robot/#", options=SubscribeOptions(qos=1))

    def _on_publish(self, _client: object, _userdata: object, packet_id: int, code: ReasonCode, *_: object) -> None:
        self._codes[packet_id] = code.value

    def write(self, topics: set[str]) -> set[str]:
        """Publish on each; return those that the broker did not refuse."""
        sent = {topic: self._client.publish(topic, b"{}", qos=1).mid for topic in sorted(topics)}
        until(lambda: all(packet_id in self._codes for packet_id in sent.values()), "the acknowledgements")
        codes = {topic: self._codes[packet_id] for topic, packet_id in sent.items()}
        assert {code for code in codes.values() if code >= 0x80} <= {NOT_AUTHORISED}
        return {topic for topic, code in codes.items() if code < 0x80}

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


def said_by(robot_id: str) -> set[str]:
    """Topics that are a robot's to write."""
    return {f"robot/{robot_id}/{topic}" for topic in SAYS}


def commands_of(robot_id: str) -> set[str]:
    """Topics on which a robot is commanded."""
    return {f"robot/{robot_id}/commands/{verb}" for verb in COMMANDS}


ALL_SAID = said_by(ROBOT_ID) | said_by(OTHER_ID)
ALL_COMMANDS = commands_of(ROBOT_ID) | commands_of(OTHER_ID)
STRAY = {"robot", "elsewhere/odom", f"robot/{ROBOT_ID}/other", f"robot/{ROBOT_ID}/commands/stop/deeper"}
ALL = ALL_SAID | ALL_COMMANDS | STRAY


@pytest.mark.parametrize(
    ("name", "writes"),
    [
        (ROBOT_ID, said_by(ROBOT_ID)),
        (OTHER_ID, said_by(OTHER_ID)),
        ("operator", ALL_COMMANDS),
        ("viewer", {f"robot/{ROBOT_ID}/commands/ping", f"robot/{OTHER_ID}/commands/ping"}),
    ],
)
def test_the_shipped_rules_let_everybody_write_their_own_and_nothing_else(
    walled: Walled, name: str, writes: set[str]
) -> None:
    """Every topic of two robots, and some that are nobody's: by the broker's own reason codes."""
    person = Person(walled, name)
    allowed = person.write(ALL)
    person.close()

    assert allowed == writes


def test_the_shipped_rules_let_a_robot_hear_its_own_commands_and_operators_hear_all(walled: Walled) -> None:
    """Everybody subscribes to everything; each topic is published once where no rules are."""
    people = {name: Person(walled, name) for name in USERS}
    everything = {topic for topic in ALL if topic.startswith("robot")}
    with Witness(walled.plain_port) as witness:
        for topic in sorted(everything):
            witness._client.publish(topic, b"{}", qos=1)
        ends = {*commands_of(ROBOT_ID), *commands_of(OTHER_ID)}
        until(lambda: ends <= people["operator"].heard, "the commands at the operator")
        until(lambda: everything <= people["viewer"].heard, "everything at the viewer")
        last = f"robot/{ROBOT_ID}/commands/last", f"robot/{OTHER_ID}/commands/last"
        for topic in last:
            witness._client.publish(
                topic, b"{}", qos=1
            )  # in order: what came before it has been delivered, or never is
        until(lambda: all(set(last) & person.heard for person in people.values()), "the last word at everybody")
    for person in people.values():
        person.close()

    assert people[ROBOT_ID].heard == commands_of(ROBOT_ID) | {last[0]}
    assert people[OTHER_ID].heard == commands_of(OTHER_ID) | {last[1]}
    assert people["operator"].heard >= everything


def no_link(daemon: Daemon) -> str:
    """Return the one line about the link."""
    until(lambda: "No link to the broker" in daemon.log, "a word about the link")
    (line,) = [line for line in daemon.log.splitlines() if "No link to the broker" in line]
    return line


@pytest.mark.parametrize("days", [-1.0], indirect=True)
def test_an_expired_certificate_of_the_broker_is_told_in_one_line(walled: Walled, tmp_path: Path) -> None:
    """As what it is; samples wait on disk."""
    with Daemon(tmp_path, configuration(walled.port, tmp_path, SECTION, mqtt=walled.mqtt(ROBOT_ID))) as daemon:
        line = no_link(daemon)

        assert (
            f"certificate of localhost:{walled.port} refused: certificate has expired; renew the broker's certificate"
            in line
        )
        assert daemon.status()["link"]["state"] == "down"


def test_a_robot_without_a_certificate_is_told_in_one_line(walled: Walled, tmp_path: Path) -> None:
    """Under TLS 1.3 the broker says it after the handshake; it must not look like silence."""
    with Daemon(tmp_path, configuration(walled.port, tmp_path, SECTION, mqtt=walled.mqtt(None))) as daemon:
        line = no_link(daemon)

        assert "the broker refuses our certificate" in line
        assert "CERTIFICATE_REQUIRED" in line
        assert "check [mqtt.tls] cert_file" in line


def test_with_the_certificate_of_another_robot_records_are_refused_and_wait(
    walled: Walled, robot: Robot, tmp_path: Path
) -> None:
    """One line names the topic and the reason; the right certificate then brings all of them."""
    publisher = robot.publisher(Float64, "/security/value")
    with Witness(walled.plain_port) as witness:
        config = configuration(walled.port, tmp_path, SECTION, mqtt=walled.mqtt(OTHER_ID))
        with Daemon(tmp_path, config) as daemon:
            matched(publisher)
            for index in range(20):
                publisher.publish(Float64(data=float(index)))
            told = f"The broker refuses robot/{ROBOT_ID}/telemetry/value with reason 0x87"
            until(lambda: told in daemon.log, "a word about the refusal")
            until(
                lambda: daemon.status()["outbox"]["backlog"] >= 20, lambda: f"20 on disk: {daemon.status()['outbox']}"
            )
            lines = daemon.log.count(told)
        arrived = list(witness.arrivals)
        right = configuration(walled.port, tmp_path, SECTION, mqtt=walled.mqtt(ROBOT_ID))
        with Daemon(tmp_path, right):
            until(lambda: len(witness.in_order("value")) == 20, lambda: witness.missing("value", 20))
    robot.node.destroy_publisher(publisher)

    assert lines == 1
    assert arrived == []


@pytest.mark.parametrize("command", ["run", "check"])
def test_plaintext_to_another_machine_is_refused(tmp_path: Path, command: str) -> None:
    """Before anything is sent: exit code 2, one line with the two cures."""
    path = tmp_path / "robot.toml"
    path.write_text(configuration(1883, tmp_path, SECTION, mqtt='host = "192.0.2.1"'), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "edgetwin", command, "--config", str(path)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "robot.toml: mqtt.host" in line
    assert "would be plaintext; add the table [mqtt.tls], or accept the risk with mqtt.allow_plaintext = true" in line


def doors(pid: int) -> tuple[list[str], list[int]]:
    """Return where a process accepts connections (TCP, Unix), and its UDP ports."""
    proc = Path(f"/proc/{pid}")
    inodes = set()
    for link in (proc / "fd").iterdir():
        target = str(link.readlink())
        if target.startswith("socket:"):
            inodes.add(target.removeprefix("socket:[").removesuffix("]"))

    def rows(name: str, inode_at: int) -> list[list[str]]:
        lines = [line.split() for line in (proc / "net" / name).read_text(encoding="utf-8").splitlines()[1:]]
        return [line for line in lines if line[inode_at] in inodes]

    open_to = [row[1] for name in ("tcp", "tcp6") for row in rows(name, 9) if row[3] == _LISTENS]
    open_to += [" ".join(row) for row in rows("unix", 6) if int(row[3], 16) & _UNIX_ACCEPTS]
    udp = [int(row[1].rpartition(":")[2], 16) for name in ("udp", "udp6") for row in rows(name, 9)]
    return open_to, udp


def test_the_daemon_listens_on_nothing_unless_it_is_asked_to(broker: LocalBroker, tmp_path: Path) -> None:
    """No TCP, no Unix socket; DDS has its UDP. With the Prometheus endpoint that one port, on loopback."""
    default, asked = tmp_path / "default", tmp_path / "asked"
    default.mkdir()
    asked.mkdir()
    first = 7400 + 250 * int(os.environ["ROS_DOMAIN_ID"])
    with Daemon(default, configuration(broker.port, default, SECTION)) as daemon:
        until(lambda: daemon.status()["link"]["state"] == "up", "the link")
        assert daemon.process is not None
        open_to, udp = doors(daemon.process.pid)
    with HeldPort() as port:
        endpoint = f"[status]\nprometheus_port = {port.number}\n"
        with Daemon(asked, configuration(broker.port, asked, SECTION + endpoint)) as daemon:
            assert daemon.process is not None
            pid = daemon.process.pid
            until(lambda: doors(pid)[0], "the endpoint")
            open_with_endpoint, _ = doors(pid)

    assert open_to == []
    assert [port for port in udp if first <= port < first + 250]
    assert open_with_endpoint == [f"0100007F:{port.number:04X}"]


def descendants(pid: int) -> list[int]:
    """Return a process and all below it."""
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text(encoding="utf-8").split()
    ]
    return [pid, *(below for child in children for below in descendants(child))]


@pytest.mark.parametrize("let_in", [True, False])
def test_secrets_are_seen_nowhere(tmp_path: Path, *, let_in: bool) -> None:
    """User name and password: let in or refused, not in processes, log, status, `check` or any file the daemon made."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "mqtt_username").write_text(HIDDEN_USER, encoding="utf-8")
    (secrets / "mqtt_password").write_text(HIDDEN_WORD, encoding="utf-8")
    environ = {"CREDENTIALS_DIRECTORY": str(secrets)}
    folder = tmp_path / "robot"
    folder.mkdir()
    with HeldPort() as port:
        conf = tmp_path / "conf"
        words = tmp_path / "passwords"
        words.touch(mode=0o600)
        if let_in:
            subprocess.run(["mosquitto_passwd", "-b", str(words), HIDDEN_USER, HIDDEN_WORD], check=True, timeout=10)
        conf.write_text(
            f"listener {port.number} 127.0.0.1\nuser root\nallow_anonymous false\npassword_file {words}\n",
            encoding="utf-8",
        )
        with subprocess.Popen([find_mosquitto() or "mosquitto", "-c", str(conf)], stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: answers(port.number), "the broker")
                with Daemon(folder, configuration(port.number, folder, SECTION), environ) as daemon:
                    wanted = "Connected to the broker" if let_in else "check the credentials mqtt_username"
                    until(lambda: wanted in daemon.log, lambda: f"{wanted}: {daemon.log}")
                    assert daemon.process is not None
                    seen = b"".join(
                        Path(f"/proc/{pid}/{name}").read_bytes()
                        for pid in descendants(daemon.process.pid)
                        for name in ("environ", "cmdline", "comm")
                    )
                    checks = [
                        subprocess.run(
                            [sys.executable, "-m", "edgetwin", "check", "--config", str(daemon.config), *more],
                            env=os.environ | environ, capture_output=True, timeout=30, check=True,
                        ).stdout
                        for more in ((), ("--json",))
                    ]  # fmt: skip
                    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
                files |= {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            finally:
                process.terminate()

    assert b"CREDENTIALS_DIRECTORY" in seen  # it is what was looked for that is not there, not everything
    assert all(b"password" in check for check in checks)
    assert {"daemon.log", "status.json", "outbox.db"} <= {path.name for path in files}
    for secret in (HIDDEN_USER.encode(), HIDDEN_WORD.encode()):
        assert secret not in seen
        assert [check for check in checks if secret in check] == []
        assert [path.name for path, content in files.items() if secret in content] == []
