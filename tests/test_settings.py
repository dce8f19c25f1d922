"""The tree of settings: defaults, bounds, and the rules between fields."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgetwin.records import ChannelClass, Encoding, EventKind
from edgetwin.settings import Channel, MqttSettings, Settings
from edgetwin.settings.keys import keys, section_in
from edgetwin.settings.values import Section

ODOM = {"topic": "/odom", "type": "nav_msgs/msg/Odometry", "class": "critical"}


def settings(**tables: Any) -> Settings:
    """Return a valid tree with the given tables laid over it."""
    return Settings.model_validate({"robot": {"id": "robot_001"}, **tables})


def channel(**fields: Any) -> Channel:
    """Return the odometry channel with the given keys laid over it."""
    return Channel.model_validate(ODOM | fields)


def refused(section: type[Section], **fields: Any) -> list[tuple[str, str]]:
    """Return (key, kind of error) of everything pydantic refuses, without defaults that fail in consequence."""
    with pytest.raises(ValidationError) as caught:
        section.model_validate(fields)
    found = [(".".join(map(str, detail["loc"])), detail["type"]) for detail in caught.value.errors()]
    return [(key, kind) for key, kind in found if kind != "default_factory_not_called"]


def sections(section: type[Section]) -> list[type[Section]]:
    """Return a section and all sections below it."""
    inner = [found for field in keys(section).values() if (found := section_in(field)[0])]
    return [section, *(deep for found in inner for deep in sections(found))]


def test_everything_has_a_default_but_the_robot_and_the_channels() -> None:
    """The smallest tree has the defaults of the contract."""
    tree = settings()

    assert tree.ros.model_dump() == {
        "node_name": "edgetwin",
        "cmd_vel_topic": "/cmd_vel",
        "cmd_vel_type": "geometry_msgs/msg/Twist",
    }
    assert tree.mqtt.model_dump() == {
        "tls": None,
        "allow_plaintext": False,
        "host": "127.0.0.1",
        "port": 1883,
        "username": None,
        "password": None,
        "prefix": "robot",
        "keepalive_s": 5,
        "ack_timeout_s": 10.0,
        "reconnect_max_s": 60.0,
        "heartbeat_s": 5.0,
        "coalesce_s": 0.0,
    }
    assert tree.store.model_dump() == {
        "path": Path("/var/lib/edgetwin/outbox.db"),
        "max_bytes": 1_000_000_000,
        "commit_interval_s": 0.2,
        "backlog_rate_max": 0,
    }
    assert tree.channels == {}


def test_a_channel_has_the_defaults_of_the_contract() -> None:
    """Topic, type and class are all a channel needs."""
    odom = channel()

    assert odom.channel_class is ChannelClass.CRITICAL
    assert odom.encoding is Encoding.JSON
    assert (odom.heartbeat_s, odom.settle_s, odom.qos) == (1.0, 1.0, 1)
    assert (odom.deadband, odom.fields, odom.queue_depth) == (None, None, None)
    assert refused(Channel) == [("topic", "missing"), ("type", "missing"), ("class", "missing")]


@pytest.mark.parametrize(("channel_class", "rate_hz"), [("critical", 50.0), ("slow", 1.0), ("event", 50.0)])
def test_the_rate_of_a_channel_follows_its_class(channel_class: str, rate_hz: float) -> None:
    """Absent, the rate is that of the class; given, it stands."""
    assert channel(**{"class": channel_class}).rate_hz_max == rate_hz
    assert channel(**{"class": channel_class, "rate_hz_max": 7}).rate_hz_max == 7.0


def test_a_channel_class_has_one_name() -> None:
    """The key is `class`; the name of the attribute is not accepted for it."""
    assert refused(Channel, **ODOM, channel_class="slow") == [("channel_class", "extra_forbidden")]


def test_the_tree_is_frozen_at_every_level() -> None:
    """Nothing can be changed after loading, the table of channels included."""
    tree = settings(channels={"odom": ODOM})

    with pytest.raises(ValidationError):
        tree.mqtt.port = 1
    with pytest.raises(ValidationError):
        tree.channels["odom"].qos = 0
    with pytest.raises(TypeError):
        tree.channels["scan"] = channel()  # type: ignore[index]


@pytest.mark.parametrize("section", sections(Settings), ids=lambda section: section.__name__)
def test_every_section_is_closed(section: type[Section]) -> None:
    """A key that is not known is refused in every section."""
    assert ("no_such_key", "extra_forbidden") in refused(section, no_such_key=1)


@pytest.mark.parametrize("section", sections(Settings), ids=lambda section: section.__name__)
def test_every_field_says_in_one_sentence_what_follows(section: type[Section]) -> None:
    """Descriptions are public text: present, one sentence, no line breaks."""
    for key, field in keys(section).items():
        assert field.description, key
        assert field.description.endswith("."), key
        assert "\n" not in field.description, key
        assert ". " not in field.description, key


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("port", [1, 65_535], [0, 65_536, -1]),
        ("keepalive_s", [1, 65_535], [0, 65_536]),
        ("ack_timeout_s", [0.1, 600], [0.09, 601]),
        ("reconnect_max_s", [1, 3600.0], [0.9, 3601]),
        ("heartbeat_s", [0.1, 3600], [0, 3601]),
        ("coalesce_s", [0, 60], [-0.1, 61]),
    ],
)
def test_bounds_of_the_mqtt_section(key: str, good: list[float], bad: list[float]) -> None:
    """The ends are inside; the next values are refused."""
    for value in good:
        assert getattr(MqttSettings.model_validate({key: value}), key) == value
    for value in bad:
        assert [found for found, _ in refused(MqttSettings, **{key: value})] == [key]


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("max_bytes", [1_000_000, 10**15], [999_999, 10**15 + 1, 10**400]),
        ("commit_interval_s", [0.01, 60], [0.009, 60.1]),
        ("backlog_rate_max", [0, 1_000_000], [-1, 1_000_001]),
    ],
)
def test_bounds_of_the_store_section(key: str, good: list[float], bad: list[float]) -> None:
    """The ends are inside; the next values are refused."""
    for value in good:
        assert getattr(settings(store={key: value}).store, key) == value
    for value in bad:
        with pytest.raises(ValidationError):
            settings(store={key: value})


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("rate_hz_max", [0.001, 1000], [0, -1, 1000.1]),
        ("heartbeat_s", [0.001, 3600], [0, 3600.1]),
        ("settle_s", [0.001, 3600], [0, 3600.1]),
        ("qos", [0, 1], [-1, 2]),
        ("queue_depth", [1, 5000], [0, 5001]),
    ],
)
def test_bounds_of_a_channel(key: str, good: list[float], bad: list[float]) -> None:
    """The ends are inside; the next values are refused."""
    for value in good:
        assert getattr(channel(**{key: value}), key) == value
    for value in bad:
        assert [found for found, _ in refused(Channel, **ODOM, **{key: value})] == [key]


@pytest.mark.parametrize("value", [True, False, "50", [50], {"s": 50}, None, float("nan"), float("inf"), 1979.5j])
@pytest.mark.parametrize("key", ["rate_hz_max", "heartbeat_s", "settle_s", "qos"])
def test_a_number_is_nothing_but_a_number(key: str, value: Any) -> None:
    """Booleans, texts and non-finite values are no numbers."""
    assert [found for found, _ in refused(Channel, **ODOM, **{key: value})] == [key]


@pytest.mark.parametrize("value", [0, 1, "true", "yes", 1.0, None])
def test_a_boolean_is_nothing_but_a_boolean(value: Any) -> None:
    """Numbers and texts are no booleans."""
    assert refused(MqttSettings, allow_plaintext=value) == [("allow_plaintext", "bool_type")]


@pytest.mark.parametrize("value", [1883.0, 1883.5, True, "1883"])
def test_a_whole_number_is_written_as_one(value: Any) -> None:
    """A float is refused where a whole number belongs, even when it has no fraction."""
    assert refused(MqttSettings, port=value) == [("port", "int_type")]


def test_the_port_follows_tls() -> None:
    """8883 with the TLS table, even an empty one; a port that is given stands."""
    assert settings(mqtt={"tls": {}}).mqtt.port == 8883
    assert settings(mqtt={"tls": {}, "port": 1883}).mqtt.port == 1883


def test_certificate_and_key_go_together() -> None:
    """Both or none; the fault stands at key_file."""
    both = {"cert_file": "/a.pem", "key_file": "/a.key"}

    assert settings(mqtt={"tls": both}).mqtt.tls is not None
    for half in both:
        assert refused(MqttSettings, tls={half: "/a"}) == [("tls.key_file", "refused")]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.8.7", "::1", "0:0:0:0:0:0:0:1"])
def test_plaintext_to_this_machine_is_fine(host: str) -> None:
    """Loopback needs neither TLS nor permission."""
    assert settings(mqtt={"host": host}).mqtt.host == host


@pytest.mark.parametrize("host", ["broker.example", "10.0.0.1", "0.0.0.0", "127.0.0.1.example", "::2", "128.0.0.1"])
def test_plaintext_to_another_machine_needs_permission(host: str) -> None:
    """It is refused at the host, unless TLS or allow_plaintext is given."""
    assert refused(MqttSettings, host=host) == [("host", "refused")]
    assert settings(mqtt={"host": host, "allow_plaintext": True}).mqtt.host == host
    assert settings(mqtt={"host": host, "tls": {}}).mqtt.host == host


def test_a_broken_tls_table_is_not_blamed_on_the_host() -> None:
    """One fault, one error: what cannot be judged is not judged."""
    assert refused(MqttSettings, host="broker.example", tls={"ca_file": 5}) == [("tls.ca_file", "path_type")]


@pytest.mark.parametrize(
    ("deadband", "key"),
    [
        ({}, "deadband"),
        ({"position_m": 0}, "deadband.position_m"),
        ({"angle_rad": -0.1}, "deadband.angle_rad"),
        ({"value": 0.0}, "deadband.value"),
        ({"field": "voltage"}, "deadband.field"),
        ({"position_m": 0.1, "field": "voltage"}, "deadband.field"),
        ({"value": 1, "field": "a..b"}, "deadband.field"),
        (0.5, "deadband"),
    ],
)
def test_a_deadband_needs_a_threshold(deadband: Any, key: str) -> None:
    """At least one threshold, each above 0; `field` only beside `value`."""
    assert [found for found, _ in refused(Channel, **ODOM, deadband=deadband)] == [key]


@pytest.mark.parametrize("fields", [["pose.pose", "twist.twist"], ["a"], ["a.b", "a.c", "ab"], ["pose", "pose_2"]])
def test_fields_are_kept_in_their_order(fields: list[str]) -> None:
    """What is selected is a tuple, as given; a shared start of a name is no nesting."""
    assert channel(fields=fields).fields == tuple(fields)


@pytest.mark.parametrize(
    "fields",
    [[], ["a", "a"], ["a.b", "a"], ["a", "a.b.c"], [""], ["a b"], ["a."], [".a"], ["a", 1], "a", [["a"]], {"a": 1}],
)
def test_fields_that_make_no_sense_are_refused(fields: Any) -> None:
    """Empty, twice, one inside another, malformed, or no array at all."""
    assert {found.split(".")[0] for found, _ in refused(Channel, **ODOM, fields=fields)} == {"fields"}


def test_fields_and_cdr_exclude_each_other() -> None:
    """CDR is the message untouched; no field can be taken out of it."""
    assert channel(encoding="cdr").encoding is Encoding.CDR
    assert refused(Channel, **ODOM, encoding="cdr", fields=["pose"]) == [("fields", "refused")]


@pytest.mark.parametrize("name", list(EventKind))
def test_a_channel_cannot_be_named_like_an_event(name: str) -> None:
    """The names of edgetwin's own events are taken."""
    assert refused(Settings, robot={"id": "a"}, channels={name: ODOM}) == [(f"channels.{name}.[key]", "refused")]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a" * 65, "ä", "a\n", "+"])
def test_a_channel_has_a_plain_name(name: str) -> None:
    """Names are one level of an MQTT topic and one word of a shell."""
    assert refused(Settings, robot={"id": "a"}, channels={name: ODOM}) == [(f"channels.{name}.[key]", "refused")]
