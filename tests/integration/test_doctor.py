"""`edgetwin doctor` against a real broker with access rules, a real graph, a store that a daemon holds."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from geometry_msgs.msg import Twist, TwistStamped
from paho.mqtt import publish
from paho.mqtt.enums import MQTTProtocolVersion
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Float64

from edgetwin.ros.context import import_rclpy
from edgetwin.sim.broker import LocalBroker, find_mosquitto
from edgetwin.sim.ports import HeldPort, answers
from tests.integration.lab import Daemon, Robot, Witness, channel, configuration, until

VALUE = channel("value", "/doctor/value", "std_msgs/msg/Float64", channel_class="event")
ROBOT_RULES = (Path(__file__).parents[2] / "config" / "mosquitto.acl").read_text(encoding="utf-8").splitlines()
WITH_RECORDS_OF_OTHERS = "pattern readwrite robot/#"


@dataclass(frozen=True, slots=True)
class Report:
    """What doctor said."""

    code: int
    findings: list[dict[str, str]]
    error: str

    def of(self, name: str) -> list[tuple[str, str]]:
        """Level and words of the findings of one check."""
        return [(one["level"], one["what"]) for one in self.findings if one["name"] == name]

    def failed(self) -> list[str]:
        """Names of what failed."""
        return [one["name"] for one in self.findings if one["level"] == "fail"]


def examined(config: Path, *options: str, environ: dict[str, str] | None = None) -> Report:
    """Run doctor as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "edgetwin", "doctor", "--config", str(config), "--json", *options],
        env=os.environ | {"RUNTIME_DIRECTORY": str(config.parent / "run")} | (environ or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    report: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"findings": []}
    return Report(done.returncode, report["findings"], done.stderr)


def examined_until(config: Path, seen: Callable[[Report], bool]) -> Report:
    """Run doctor until discovery, which DDS gives no term for, was quick enough for it; thrice at most."""
    report = examined(config)
    for _ in range(2):
        if seen(report):
            break
        report = examined(config)
    return report


def written(folder: Path, text: str) -> Path:
    """Write a settings file that only its owner may change."""
    path = folder / "robot.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o640)
    return path


@dataclass(frozen=True, slots=True)
class Walled:
    """A broker that goes by certificates and access rules; the plain port is for witnesses."""

    port: int
    plain_port: int
    folder: Path

    def mqtt(self, certificate: str = "robot_001") -> str:
        """The [mqtt] settings of a robot."""
        folder = self.folder
        return (
            f'host = "localhost"\n[mqtt.tls]\nca_file = "{folder}/ca.pem"\n'
            f'cert_file = "{folder}/{certificate}.pem"\nkey_file = "{folder}/{certificate}.key"'
        )


@pytest.fixture(params=[ROBOT_RULES])
def walled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Walled]:
    """Mutual TLS, one certificate per robot, the rules of the test."""
    rules: Sequence[str] = request.param
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    soon = dt.datetime.now(tz=dt.UTC) + dt.timedelta(days=9.5)
    for name, until_date in (("server", None), ("robot_001", None), ("robot_002", None), ("ageing", soon)):
        identity = "robot_001" if name == "ageing" else name
        certificate = authority.issue_cert("localhost", common_name=identity, not_after=until_date)
        certificate.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        (tmp_path / f"{name}.key").chmod(0o600)
        (tmp_path / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (tmp_path / "acl").write_text("\n".join(rules) + "\n", encoding="utf-8")
    with HeldPort() as tls, HeldPort() as plain:
        conf = tmp_path / "conf"
        conf.write_text(
            f"per_listener_settings true\nuser root\n"
            f"listener {tls.number} 127.0.0.1\ncafile {tmp_path}/ca.pem\ncertfile {tmp_path}/server.pem\n"
            f"keyfile {tmp_path}/server.key\nrequire_certificate true\nuse_identity_as_username true\n"
            f"allow_anonymous false\nacl_file {tmp_path}/acl\n"
            f"listener {plain.number} 127.0.0.1\nallow_anonymous true\n"
        )
        with subprocess.Popen([find_mosquitto() or "mosquitto", "-c", str(conf)], stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: answers(plain.number) and answers(tls.number), "the broker")
                yield Walled(tls.number, plain.number, tmp_path)
            finally:
                process.terminate()


def test_a_robot_in_order_passes(walled: Walled, robot: Robot, tmp_path: Path) -> None:
    """TLS, the rules of the robot alone, a publisher of the right type: nothing fails, and each part was looked at."""
    publisher = robot.publisher(Float64, "/doctor/value")
    config = written(tmp_path, configuration(walled.port, tmp_path, VALUE, mqtt=walled.mqtt()))
    report = examined_until(config, lambda report: report.of("channel value")[0][0] == "ok")
    robot.node.destroy_publisher(publisher)

    assert (report.code, report.failed()) == (0, [])
    assert report.of("acl") == [
        ("ok", "this robot may write below robot/robot_001 and listen to its commands, and nothing of others")
    ]
    assert [level for level, _ in report.of("tls")] == ["ok"] * 3
    assert report.of("channel value")[0][0] == "ok"
    assert "std_msgs/msg/Float64" in report.of("channel value")[0][1]
    assert {"settings", "permissions", "clock", "disk", "store", "audit", "broker", "ros", "cmd_vel", "sqlite"} <= {
        one["name"] for one in report.findings
    }


def test_what_it_tries_at_the_broker_is_harmless(walled: Walled, tmp_path: Path) -> None:
    """A witness sees batches without a record and an ack of no command; nothing retained, nothing moves."""
    config = written(tmp_path, configuration(walled.port, tmp_path, VALUE, mqtt=walled.mqtt()))
    with Witness(walled.plain_port, "#") as witness:
        examined(config)
        until(lambda: witness.on("/acks"), "the last of what it tries")

        assert [arrival for arrival in witness.arrivals if arrival.retain] == []
        assert sorted(arrival.topic for arrival in witness.arrivals) == [
            "robot/robot_001/acks",
            "robot/robot_001/backlog/value",
            "robot/robot_001/events/doctor",
            "robot/robot_001/telemetry/value",
        ]
        assert [arrival.records for arrival in witness.arrivals if not arrival.topic.endswith("acks")] == [[], [], []]


@pytest.mark.parametrize("walled", [(WITH_RECORDS_OF_OTHERS,)], indirect=True)
def test_a_broker_without_walls_is_told(walled: Walled, tmp_path: Path) -> None:
    """Records of others can be forged, commands sent, others watched; with the cure."""
    with LastWords(walled.plain_port, "robot/robot_077/status"):
        config = written(tmp_path, configuration(walled.port, tmp_path, VALUE, mqtt=walled.mqtt()))
        report = examined(config)

    ((level, what),) = report.of("acl")
    assert level == "warn"  # the broker is on this machine; elsewhere it fails
    assert "forged" in what
    assert "commands can be sent" in what
    assert "robot_077" in what


@pytest.mark.parametrize("walled", [("pattern read robot/%u/commands/#",)], indirect=True)
def test_a_robot_kept_out_of_its_own_topics_fails(walled: Walled, tmp_path: Path) -> None:
    """Its records would wait on disk for ever."""
    config = written(tmp_path, configuration(walled.port, tmp_path, VALUE, mqtt=walled.mqtt()))
    report = examined(config)

    ((level, what),) = report.of("acl")
    assert (report.code, level) == (1, "fail")
    for topic in ("telemetry/value", "backlog/value", "events/doctor", "acks"):
        assert f"robot/robot_001/{topic}" in what

    assert "no command reaches it then" in what


@pytest.mark.parametrize("certificate", ["robot_002"])
def test_the_certificate_of_another_robot_fails_whatever_a_subscription_says(
    walled: Walled, tmp_path: Path, certificate: str
) -> None:
    """Mosquitto grants what its rules forbid and delivers nothing: our own records are what it is judged by."""
    config = written(tmp_path, configuration(walled.port, tmp_path, VALUE, mqtt=walled.mqtt(certificate)))
    report = examined(config)

    ((level, what),) = report.of("acl")
    assert (report.code, level) == (1, "fail")
    assert "no command reaches it then" in what


@pytest.mark.parametrize("walled", [("pattern write robot/%u/#",)], indirect=True)
def test_a_subscription_that_delivers_nothing_is_told(walled: Walled, tmp_path: Path) -> None:
    """Granted, and our own ping, which these rules let us send, does not come."""
    report = examined(written(tmp_path, configuration(walled.port, tmp_path, VALUE, mqtt=walled.mqtt())))

    assert any(
        level == "warn" and "delivers nothing: no command would arrive" in what for level, what in report.of("acl")
    )


def test_the_status_is_tried_with_what_the_daemon_that_runs_would_say(walled: Walled, tmp_path: Path) -> None:
    """Online, under its boot, with its figures, not retained; without a daemon it is not tried, and that is said."""
    config = written(tmp_path, configuration(walled.port, tmp_path, VALUE, mqtt=walled.mqtt()))
    alone = examined(config)
    text = config.read_text(encoding="utf-8")
    with Witness(walled.plain_port, "#") as witness, Daemon(tmp_path, text) as daemon:
        until(lambda: daemon.status()["link"]["state"] == "up", "the link")
        until(lambda: daemon.status()["gate"]["link"] == "up", "the command lane's")
        before = len(witness.on("/status"))
        report = examined(daemon.config)
        until(lambda: [one for one in witness.on("/status")[before:] if not one.retain], "the status that doctor tried")
        said = [json.loads(one.payload) for one in witness.on("/status")]

    assert ("status", "ok") in [(one["name"], one["level"]) for one in alone.findings]
    assert report.of("status") == []
    assert [level for level, _ in report.of("acl")] == ["ok"]
    assert {(one["state"], one["boot"]) for one in said[before:]} == {("online", said[0]["boot"])}
    assert all(one["link"]["state"] == "up" and "outbox" in one for one in said[before:])


def test_certificates_are_looked_at_before_they_expire(walled: Walled, tmp_path: Path) -> None:
    """Nine days left, and another one that names another robot."""
    ageing = examined(written(tmp_path, configuration(walled.port, tmp_path, VALUE, mqtt=walled.mqtt("ageing"))))
    foreign = examined(written(tmp_path, configuration(walled.port, tmp_path, VALUE, mqtt=walled.mqtt("robot_002"))))

    assert any(level == "warn" and "expires in 9 days" in what for level, what in ageing.of("tls"))
    assert any(level == "warn" and "for robot_002" in what for level, what in foreign.of("tls"))


def test_a_key_that_everybody_may_read_fails(walled: Walled, tmp_path: Path) -> None:
    """So does a settings file that others may change; and each names its chmod."""
    config = written(tmp_path, configuration(walled.port, tmp_path, VALUE, mqtt=walled.mqtt()))
    (tmp_path / "robot_001.key").chmod(0o644)
    config.chmod(0o666)
    report = examined(config)

    assert report.code == 1
    assert report.failed() == ["permissions", "permissions"]
    assert all("chmod" in one["cure"] for one in report.findings if one["level"] == "fail")


def test_nobody_at_the_port_fails_in_words(tmp_path: Path) -> None:
    """Refused at once; everything else is still looked at."""
    with HeldPort() as port:
        report = examined(written(tmp_path, configuration(port.number, tmp_path, VALUE)))

    assert report.code == 1
    ((level, what),) = report.of("broker")
    assert level == "fail"
    assert "cannot be reached" in what
    assert report.of("ros")


def test_bad_settings_are_refused_as_check_refuses_them(tmp_path: Path) -> None:
    """Exit code 2, a line per fault, nothing is looked at."""
    report = examined(written(tmp_path, configuration(1883, tmp_path, VALUE) + "\nnonsense = 1\n"))

    assert report.code == 2
    assert report.findings == []
    assert "nonsense" in report.error


def test_it_leaves_a_daemon_that_runs_alone(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """Same connection, same numbers, nothing lost; and it says what the daemon says."""
    config = configuration(broker.port, tmp_path, VALUE)
    publisher = robot.publisher(Float64, "/doctor/value")
    with Witness(broker.port) as witness, Daemon(tmp_path, config) as daemon:
        until(lambda: daemon.status()["channels"]["value"]["publishers"] == 1, "the publisher")
        before = daemon.status()["link"]
        daemon.config.chmod(0o640)
        report = examined(daemon.config)
        for index in range(50):
            publisher.publish(Float64(data=float(index)))
        until(lambda: len(witness.in_order("value")) == 50, "50 records")
        after = daemon.status()["link"]

        assert report.failed() == []
        assert report.of("daemon")[0] == ("ok", "robot_001 is running, 0 records wait on disk")
        assert "the daemon holds it" in report.of("store")[0][1]
        assert (after["state"], after["reconnects"]) == ("up", before["reconnects"])
        assert witness.continuity().lost == 0
    robot.node.destroy_publisher(publisher)


def test_after_the_daemon_its_store_is_checked_and_damage_is_found(broker: LocalBroker, tmp_path: Path) -> None:
    """Sound after an orderly end; a page overwritten in the middle shows."""
    with Daemon(tmp_path, configuration(broker.port, tmp_path, VALUE)) as daemon:
        config = daemon.config
    config.chmod(0o640)
    sound = examined(config)
    outbox = tmp_path / "outbox.db"
    content = bytearray(outbox.read_bytes())
    content[4096:8192] = b"\xa5" * 4096
    outbox.write_bytes(content)
    damaged = examined(config)

    assert sound.of("store")[0][0] == "ok"
    assert "is sound" in sound.of("store")[0][1]
    assert damaged.code == 1
    assert damaged.of("store")[0][0] == "fail"


@dataclass
class LastWords:
    """Somebody who leaves a retained message, and takes it back."""

    port: int
    topic: str

    def __enter__(self) -> None:
        self._say("{}")

    def __exit__(self, *_: object) -> None:
        self._say("")

    def _say(self, words: str) -> None:
        publish.single(self.topic, words, qos=1, retain=True, port=self.port, protocol=MQTTProtocolVersion.MQTTv5)


class Base:
    """A base: a node of its own that listens to the motion topic, and has parameters."""

    def __init__(self, name: str, topic: str, message: Any, parameters: dict[str, float]) -> None:
        rclpy = import_rclpy()
        self.node = rclpy.create_node(name, use_global_arguments=False)
        for key, value in parameters.items():
            self.node.declare_parameter(key, value)
        self.node.create_subscription(message, topic, lambda _message: None, 1)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)

    def serve(self, process: subprocess.Popen[str]) -> str:
        """Answer until a process has ended; return what it wrote."""
        while process.poll() is None:
            self._executor.spin_once(timeout_sec=0.05)
        out, _ = process.communicate()
        return out

    def close(self) -> None:
        """Leave."""
        self._executor.shutdown()
        self.node.destroy_node()


@pytest.mark.parametrize(
    ("message", "parameters", "motion", "level", "words"),
    [
        (Twist, {"cmd_vel_timeout": 0.5}, True, "ok", "cmd_vel_timeout is 0.5 s"),
        (Twist, {"cmd_vel_timeout": 0.0}, True, "fail", "goes on for ever"),
        (Twist, {"cmd_vel_timeout": 0.0}, False, "warn", "goes on for ever"),
        (Twist, {"cmd_vel_timeout": 2.0}, True, "warn", "so long it goes on"),
        (Twist, {"cmd_vel_timeout": 0.5, "linear.x.max_velocity": float("nan")}, True, "warn", "takes any speed"),
        (Twist, {}, True, "warn", "does not say whether it stops"),
        (TwistStamped, {"cmd_vel_timeout": 0.5}, True, "fail", "geometry_msgs/msg/TwistStamped"),
    ],
)
def test_the_base_is_asked_whether_it_stops_by_itself(
    robot: Robot, tmp_path: Path, message: Any, parameters: dict[str, float], motion: bool, level: str, words: str
) -> None:
    """Through its parameter service; the type of what it listens to comes from discovery."""
    topic = f"/doctor/{tmp_path.name}/cmd_vel"
    settings = configuration(1, tmp_path, VALUE) + (
        f'[ros]\ncmd_vel_topic = "{topic}"\n[gate]\nremote_motion = {str(motion).lower()}\n'
    )
    base = Base("base", topic, message, parameters)
    config = written(tmp_path, settings)
    command = [sys.executable, "-m", "edgetwin", "doctor", "--config", str(config), "--json"]
    name = "cmd_vel" if message is TwistStamped else "base /base"
    findings: list[dict[str, str]] = []
    for _ in range(3):  # DDS gives no term for discovery
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            findings = json.loads(base.serve(process))["findings"]
        if any(one["name"] == name and one["level"] == level for one in findings):
            break
    base.close()

    assert any(one["name"] == name and one["level"] == level and words in one["what"] for one in findings), findings


def test_somebody_else_who_drives_is_named(robot: Robot, tmp_path: Path) -> None:
    """Unless the settings allow that node; and with remote motion, that nobody listens is a failure."""
    topic = "/doctor/foreign/cmd_vel"
    publisher = robot.publisher(Twist, topic)
    motion = f'[ros]\ncmd_vel_topic = "{topic}"\n[gate]\nremote_motion = true\n'
    text = configuration(1, tmp_path, VALUE)
    stranger = examined_until(written(tmp_path, text + motion), lambda report: len(report.of("cmd_vel")) > 1)
    allowed = examined(written(tmp_path, text + motion + f'allowed_publishers = ["{robot.node.get_name()}"]\n'))
    robot.node.destroy_publisher(publisher)

    assert [level for level, _ in stranger.of("cmd_vel")] == ["fail", "fail"]
    assert "nobody listens" in stranger.of("cmd_vel")[0][1]
    assert robot.node.get_name() in stranger.of("cmd_vel")[1][1]
    assert len(allowed.of("cmd_vel")) == 1


def test_a_topic_of_another_type_fails(robot: Robot, tmp_path: Path) -> None:
    """Both types are named."""
    publisher = robot.publisher(Twist, "/doctor/other_type")
    section = channel("value", "/doctor/other_type", "std_msgs/msg/Float64", channel_class="event")
    config = written(tmp_path, configuration(1, tmp_path, section))
    report = examined_until(config, lambda report: report.of("channel value")[0][0] == "fail")
    robot.node.destroy_publisher(publisher)

    ((level, what),) = report.of("channel value")
    assert level == "fail"
    assert "geometry_msgs/msg/Twist" in what
    assert "std_msgs/msg/Float64" in what


def test_a_store_that_was_not_closed_is_checked_without_being_touched(
    broker: LocalBroker, robot: Robot, tmp_path: Path
) -> None:
    """After kill -9 its log is still there: doctor reads a copy, and every file stays as it was."""
    publisher = robot.publisher(Float64, "/doctor/value")
    folder = tmp_path / "state"
    with Daemon(tmp_path, configuration(broker.port, folder, VALUE)) as daemon:
        until(lambda: daemon.status()["channels"]["value"]["publishers"] == 1, "the publisher")
        broker.kill()
        for index in range(20):
            publisher.publish(Float64(data=float(index)))
        until(lambda: daemon.status()["outbox"]["records"] >= 20, "records on disk")
        until(lambda: daemon.status()["outbox"]["oldest_age_s"] is not None, "the age of the oldest")
        daemon.kill()
    daemon.config.chmod(0o640)
    robot.node.destroy_publisher(publisher)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    report = examined(daemon.config)

    assert (folder / "outbox.db-wal").stat().st_size > 0
    assert report.of("store")[0][0] == "ok"
    assert "is sound" in report.of("store")[0][1]
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("ROS_DOMAIN_ID", "300", "ROS_DOMAIN_ID is '300'"), ("RMW_IMPLEMENTATION", "rmw_none_cpp", "rmw_none_cpp")],
)
def test_an_environment_that_would_end_ros_is_told(tmp_path: Path, name: str, value: str, words: str) -> None:
    """These make rclpy end the process; doctor goes on without it, and says what is wrong."""
    config = written(tmp_path, configuration(1, tmp_path, VALUE))
    report = examined(config, environ={name: value, "_ROS_WHEELS_BOOTSTRAP_COMPLETE": ""})

    assert report.code == 1
    ((level, what),) = report.of("ros")
    assert level == "fail"
    assert words in what
    assert report.of("broker")
    assert report.of("sqlite")


def test_it_prints_a_line_for_each_finding(tmp_path: Path) -> None:
    """Level, name, what was seen, and the cure where there is something to mend."""
    config = written(tmp_path, configuration(1, tmp_path, VALUE))
    command = [sys.executable, "-m", "edgetwin", "doctor", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    lines = done.stdout.splitlines()

    assert done.returncode == 1
    assert all(line[:6] in {"ok    ", "warn  ", "fail  "} and ": " in line for line in lines)
    assert all("; " in line for line in lines if not line.startswith("ok"))
    assert done.stderr == ""
