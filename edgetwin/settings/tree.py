"""Floor: the settings of one robot, as a frozen and closed tree.

In: plain values, already merged (config does that)     Out: Settings, or pydantic's ValidationError.
Pure. A key that is not here is refused; so are a number in quotes, a bool for a number, NaN and
infinity. Descriptions are public text: messages and documentation reuse them. A field that is
judged by another one is declared after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainSerializer, SecretStr, ValidationInfo, field_validator

from edgetwin.settings.anomaly import AnomalySettings, DetectorName
from edgetwin.settings.channel import Channel
from edgetwin.settings.gate import GateSettings, judged_beside
from edgetwin.settings.prognosis import PrognosisName, PrognosisSettings
from edgetwin.settings.status import StatusSettings
from edgetwin.settings.values import (
    ChannelName,
    FilePath,
    HostName,
    NodeName,
    RobotId,
    Section,
    TopicName,
    TopicPrefix,
    is_loopback,
    refusal,
)
from edgetwin.wire import DEFAULT_PREFIX

MQTT_PORT = 1883
MQTT_TLS_PORT = 8883
CREDENTIALS = {("mqtt", "username"): "mqtt_username", ("mqtt", "password"): "mqtt_password"}  # key -> name of its file
_MQTT_TEXT_MAX = 65_535


class RobotSettings(Section):
    """Who this robot is."""

    id: RobotId = Field(
        description="Name of this robot in every topic and record; two robots of one name disconnect each other.",
        examples=["robot_001"],
    )


class RosSettings(Section):
    """How edgetwin appears in the ROS graph."""

    node_name: NodeName = Field(
        default="edgetwin",
        description="Name of the ROS node; two nodes of one name confuse every ROS tool.",
    )
    cmd_vel_topic: TopicName = Field(
        default="/cmd_vel",
        description="Topic of motion commands; on a wrong one the base does not hear edgetwin.",
    )
    cmd_vel_type: Literal["geometry_msgs/msg/Twist", "geometry_msgs/msg/TwistStamped"] = Field(
        default="geometry_msgs/msg/Twist",
        description="Message type of that topic; a base that takes the other one does not hear edgetwin.",
    )


class TlsSettings(Section):
    """TLS of the broker connection; the table alone, even empty, switches it on."""

    ca_file: FilePath | None = Field(
        default=None,
        description="PEM file of the authorities that may vouch for the broker; absent, the system's are trusted.",
        examples=["/etc/edgetwin/ca.pem"],
    )
    cert_file: FilePath | None = Field(
        default=None,
        description="PEM file of this robot's certificate; absent, brokers that demand one (mutual TLS) refuse us.",
        examples=["/etc/edgetwin/robot.pem"],
    )
    key_file: FilePath | None = Field(
        default=None,
        validate_default=True,
        description="PEM file of the private key of cert_file, without passphrase; one without the other is refused.",
        examples=["/etc/edgetwin/robot.key"],
    )

    @field_validator("key_file", mode="after")
    @classmethod
    def _both_or_none(cls, key_file: Path | None, info: ValidationInfo) -> Path | None:
        if "cert_file" in info.data and (key_file is None) is not (info.data["cert_file"] is None):
            what = "is missing beside cert_file" if key_file is None else "stands without cert_file"
            raise refusal(what, "give both cert_file and key_file, or neither")
        return key_file


def _default_port(validated: dict[str, Any]) -> int:
    return MQTT_PORT if validated.get("tls") is None else MQTT_TLS_PORT


class MqttSettings(Section):
    """The broker, and how patient we are with it."""

    tls: TlsSettings | None = Field(
        default=None,
        description="Encrypts the connection and makes the broker prove its name; absent, it is plaintext.",
    )
    allow_plaintext: bool = Field(
        default=False,
        description="Permits plaintext to another machine; whoever is on the way can then read and forge everything.",
    )
    host: HostName = Field(
        default="127.0.0.1",
        description="Name or address of the broker; another machine needs [mqtt.tls] or allow_plaintext.",
    )
    port: int = Field(
        default_factory=_default_port,
        ge=1,
        le=65_535,
        description="TCP port of the broker; absent, 1883, or 8883 with [mqtt.tls].",
    )
    username: SecretStr | None = Field(
        default=None,
        min_length=1,
        max_length=_MQTT_TEXT_MAX,
        description="User name for the broker, only ever from the credential mqtt_username; absent, none is sent.",
    )
    password: SecretStr | None = Field(
        default=None,
        min_length=1,
        max_length=_MQTT_TEXT_MAX,
        description="Password for the broker, only ever from the credential mqtt_password, so that no file leaks it.",
    )
    prefix: TopicPrefix = Field(
        default=DEFAULT_PREFIX,
        description="First level of every topic; subscribers and the broker's access rules must use the same.",
    )
    keepalive_s: int = Field(
        default=5,
        ge=1,
        le=65_535,
        description="An idle connection is probed this often; longer saves traffic and notices a dead link later.",
    )
    ack_timeout_s: float = Field(
        default=10.0,
        ge=0.1,
        le=600.0,
        description="A publish unacknowledged for this long means a dead link; too short, a slow link never stays up.",
    )
    reconnect_max_s: float = Field(
        default=60.0,
        ge=1.0,
        le=3600.0,
        description="Longest pause between attempts to connect; longer spares the broker and returns later.",
    )
    heartbeat_s: float = Field(
        default=5.0,
        ge=0.1,
        le=3600.0,
        description="The status topic is refreshed this often; its figures are at most this old.",
    )
    coalesce_s: float = Field(
        default=0.0,
        ge=0.0,
        le=60.0,
        description="Records of a channel gather this long into one message; 0 sends at once, more saves traffic.",
    )

    @field_validator("host", mode="after")
    @classmethod
    def _plaintext_stays_on_this_machine(cls, host: str, info: ValidationInfo) -> str:
        unjudged = not {"tls", "allow_plaintext"} <= info.data.keys()  # they have faults of their own
        if unjudged or info.data["tls"] is not None or info.data["allow_plaintext"] or is_loopback(host):
            return host
        what = "is another machine, and the connection would be plaintext"
        raise refusal(what, "add the table [mqtt.tls], or accept the risk with mqtt.allow_plaintext = true")


class StoreSettings(Section):
    """The outbox on disk: what waits while the link is down."""

    path: FilePath = Field(
        default=Path("/var/lib/edgetwin/outbox.db"),
        description="Outbox file, on a disk that survives a restart; on any other, what waits is lost with the power.",
    )
    max_bytes: int = Field(
        default=1_000_000_000,
        ge=1_000_000,
        le=1_000_000_000_000_000,
        description="Disk space of the database and its side files together; beyond it the least important is shed.",
    )
    commit_interval_s: float = Field(
        default=0.2,
        ge=0.01,
        le=60.0,
        description="A sample is acknowledged or on disk after this long; longer spares flash, a power cut loses more.",
    )
    backlog_rate_max: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Most backlog records per second after an outage; 0 is as fast as the live lane allows.",
    )


class Settings(Section):
    """Everything edgetwin can be told."""

    robot: RobotSettings = Field(description="Who this robot is.")
    ros: RosSettings = Field(default=RosSettings(), description="How edgetwin appears in the ROS graph.")
    mqtt: MqttSettings = Field(default=MqttSettings(), description="The broker, and how patient we are with it.")
    store: StoreSettings = Field(default=StoreSettings(), description="The outbox on disk.")
    status: StatusSettings = Field(default=StatusSettings(), description="How the daemon tells how it goes.")
    channels: Annotated[
        Mapping[ChannelName, Channel],
        AfterValidator(MappingProxyType),  # frozen, as all else is
        PlainSerializer(dict, return_type=dict[str, Channel]),
    ] = Field(
        default_factory=lambda: MappingProxyType({}), description="The ROS topics that leave, each by its name in MQTT."
    )
    anomaly: Annotated[
        Mapping[DetectorName, AnomalySettings],
        AfterValidator(MappingProxyType),
        PlainSerializer(dict, return_type=dict[str, AnomalySettings]),
    ] = Field(default_factory=lambda: MappingProxyType({}), description="The anomaly detectors, each by its name.")
    gate: GateSettings = Field(
        default_factory=GateSettings, validate_default=True, description="Everything between a command and the wheels."
    )
    prognosis: Annotated[
        Mapping[PrognosisName, PrognosisSettings],
        AfterValidator(MappingProxyType),
        PlainSerializer(dict, return_type=dict[str, PrognosisSettings]),
    ] = Field(default_factory=lambda: MappingProxyType({}), description="The failure models, each by its name.")

    @field_validator("gate", mode="after")
    @classmethod
    def _gate_fits_broker_and_channels(cls, gate: GateSettings, info: ValidationInfo) -> GateSettings:
        mqtt = info.data.get("mqtt")
        return judged_beside(gate, host=None if mqtt is None else mqtt.host, channels=info.data.get("channels"))
