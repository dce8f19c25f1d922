"""The values settings are made of: what each name may look like, and what a refusal says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from edgetwin.settings import values

GOOD: list[tuple[Any, list[str]]] = [
    (values.RobotId, ["robot_001", "A-b_9", "x", "a" * 64]),
    (values.ChannelName, ["odom", "Left-arm_2", "0", "a" * 64]),
    (values.TopicPrefix, ["robot", "my fleet", "a$b", "flotte-é", "a" * 64]),
    (values.NodeName, ["edgetwin", "_private", "Node9", "a" * 255]),
    (values.TopicName, ["/odom", "/robot1/base/odom", "/_hidden/x9", "/" + "a" * 246]),
    (values.TypeName, ["nav_msgs/msg/Odometry", "a/msg/A", "my_pkg2/msg/Thing3D"]),
    (values.FieldPath, ["voltage", "pose.pose.position.x", "_a.b9"]),
    (values.HostName, ["localhost", "broker.example.", "my_broker", "a-b.c", "10.0.0.1", "::1", "fe80::1%eth0", "x"]),
    (values.FilePath, ["/var/lib/edgetwin/outbox.db", "outbox.db", "/with space/é", "/a~b"]),
]
BAD: list[tuple[Any, list[Any]]] = [
    (values.RobotId, ["", "a b", "a/b", "a.b", "a" * 65, "ä", "a\n", "\x00", 5, None, True]),
    (values.ChannelName, ["", "a b", "odom/x", "a" * 65, "gap", "link", 5]),
    (values.TopicPrefix, ["", "a/b", "+", "#", "a+", "$SYS", "a" * 65, "a\x00", "a\n", "\ud800", "\uffff", 5]),
    (values.NodeName, ["", "9a", "a-b", "a/b", "ä", "a" * 256, 5]),
    (values.TopicName, ["", "odom", "/", "/odom/", "//odom", "/9a", "/a-b", "/a b", "~/a", "/{a}", "/" + "a" * 247, 5]),
    (
        values.TypeName,
        ["", "Odometry", "nav_msgs/Odometry", "nav_msgs/srv/A", "nav_msgs/msg/", "A/msg/B", "a/msg/b", "a/msg/B\n"],
    ),
    (values.FieldPath, ["", ".", "a.", ".a", "a..b", "a[0]", "9a", "a b", "a" * 248, 5]),
    (
        values.HostName,
        [
            "",
            "mqtt://x",
            "x:1883",
            "dead:1883",
            "10.0.0.1:1883",
            "::g",
            "user@x",
            "a b",
            "-a",
            "a-",
            ".a",
            "[::1]",
            "a" * 254,
            "x/",
            "ä.example",
            "x\n",
            5,
        ],
    ),
    (values.FilePath, ["", ".", "~/outbox.db", "~", "a\x00b", "/a\n", "/\udcff", 5, None, ["/a"], b"/a\x00"]),
]


def flat(table: list[tuple[Any, list[Any]]]) -> list[tuple[Any, Any]]:
    """Return one pair per value."""
    return [(kind, value) for kind, listed in table for value in listed]


@pytest.mark.parametrize(("kind", "value"), flat(GOOD))
def test_a_good_name_passes_untouched(kind: Any, value: str) -> None:
    """What is accepted is not changed."""
    assert str(TypeAdapter(kind).validate_python(value)) == value


@pytest.mark.parametrize(("kind", "value"), flat(BAD))
def test_a_bad_name_is_refused(kind: Any, value: Any) -> None:
    """What ROS, MQTT or the file system would choke on does not get that far."""
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value, strict=None if kind is values.FilePath else True)


def test_a_path_becomes_a_path() -> None:
    """TOML has no paths: the text is taken for one."""
    assert TypeAdapter(values.FilePath).validate_python("/a/b") == Path("/a/b")


def test_a_refusal_carries_what_and_cure() -> None:
    """The context has both, so that the line can be worded elsewhere."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(values.TopicName).validate_python("odom")

    (detail,) = caught.value.errors()
    assert detail["type"] == values.REFUSED
    assert detail["ctx"] == {
        "what": "is not an absolute ROS topic name",
        "cure": "write it from the root, such as /robot1/odom",
    }


def test_a_refusal_takes_braces_for_what_they_are() -> None:
    """Nothing in a text is expanded as a template."""
    error = values.refusal("names {field} twice", "remove {field}")

    assert error.context == {"what": "names {field} twice", "cure": "remove {field}"}


@pytest.mark.parametrize("host", ["localhost", "Localhost", "127.0.0.1", "127.255.255.254", "::1"])
def test_loopback_is_this_machine(host: str) -> None:
    """The whole of 127.0.0.0/8 is."""
    assert values.is_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.example", "127.0.0.1.nip.io", "127.1", "0.0.0.0", "::", "1.0.0.127"])
def test_all_else_is_another_machine(host: str) -> None:
    """Names that merely look like loopback are not."""
    assert not values.is_loopback(host)
