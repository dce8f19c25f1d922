"""What the tree says about its keys, and how a fault is worded."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from edgetwin.settings import Settings, faults
from edgetwin.settings.keys import KeyPath, dotted, expected, field_at, keys_below, kind_of, leaves, plain, quoted


def fault_lines(tree: dict[str, Any]) -> list[str]:
    """Return the lines that a tree of plain values is refused with."""
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"robot": {"id": "a"}} | tree)
    return [str(fault) for _, fault in faults.faults_of(caught.value, dotted)]


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        (("mqtt", "port"), "a whole number", "a whole number from 1 to 65_535"),
        (("mqtt", "allow_plaintext"), "a boolean", "true or false"),
        (("mqtt", "username"), "a text", "a text"),
        (("mqtt", "tls"), "a table", "a table"),
        (("mqtt", "tls", "ca_file"), "a text", "a text"),
        (("store", "max_bytes"), "a whole number", "a whole number from 1_000_000 to 1_000_000_000_000_000"),
        (("store", "commit_interval_s"), "a number", "a number from 0.01 to 60"),
        (("ros", "cmd_vel_type"), "a text", "one of geometry_msgs/msg/Twist, geometry_msgs/msg/TwistStamped"),
        (("channels",), "a table", "a table"),
        (("channels", "odom"), "a table", "a table"),
        (("channels", "odom", "class"), "a text", "one of critical, slow, event"),
        (("channels", "odom", "rate_hz_max"), "a number", "a number above 0 and at most 1_000"),
        (("channels", "odom", "deadband", "value"), "a number", "a number above 0"),
        (("channels", "odom", "fields"), "an array of texts", "an array of texts"),
        (("channels", "odom", "fields", 0), "an array of texts", "an array of texts"),
    ],
)
def test_a_key_says_what_it_expects(path: KeyPath, kind: str, words: str) -> None:
    """The words come from the field itself: type, choices, bounds."""
    field = field_at(path)

    assert field is not None
    assert kind_of(field) == kind
    assert expected(field) == words


@pytest.mark.parametrize("path", [("gates",), ("mqtt", "prt"), ("mqtt", "port", "x"), ("channels", "odom", "x"), ()])
def test_no_field_stands_where_there_is_no_key(path: KeyPath) -> None:
    """Unknown keys have no field, nor has the root."""
    assert field_at(path) is None


def test_keys_below_a_table() -> None:
    """Sections list their keys; below `channels` any name may stand."""
    assert keys_below(()) == ["robot", "ros", "mqtt", "store", "status", "channels", "anomaly", "gate", "prognosis"]
    assert keys_below(("channels",)) == []
    assert "class" in keys_below(("channels", "odom"))
    assert keys_below(("channels", "odom", "deadband")) == ["position_m", "angle_rad", "value", "field"]
    assert keys_below(("mqtt", "port")) == []


def test_leaves_stop_at_what_is_no_section() -> None:
    """Tables under unknown keys and under values are one leaf each, however deep."""
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"x": deep}
    tree = {"mqtt": {"port": 1, "host": {"a": 1}}, "channels": {"odom": {"deadband": {"value": 1}}, "b": {}}, "x": deep}

    found = {path: value for path, value in leaves(tree) if path != ("x",)}
    assert found == {
        ("mqtt", "port"): 1,
        ("mqtt", "host"): {"a": 1},
        ("channels", "odom", "deadband", "value"): 1,
        ("channels", "b"): {},
    }


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("mqtt", "port"), "mqtt.port"),
        (("channels", "left arm", "fields", 2), 'channels."left arm".fields[2]'),
        (("a.b", ""), '"a.b".""'),
        (("\x1b[31m",), '"\\x1b[31m"'),
        ((), ""),
    ],
)
def test_paths_are_written_as_toml_writes_them(path: KeyPath, text: str) -> None:
    """Bare where TOML allows it, else quoted and printable."""
    assert dotted(path) == text


def test_text_is_made_harmless() -> None:
    """Short, printable, one line, whatever it held."""
    assert quoted("a b") == '"a b"'
    assert plain("a\nb\x00\u202e\ud800é") == "a\\nb\\x00\\u202e\\ud800é"
    assert plain("x" * 61) == "x" * 57 + "..."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (5, "5"),
        (0.5, "0.5"),
        (float("nan"), "nan"),
        ("a", '"a"'),
        (2**200, "a number of 201 bits"),
        ([1], "it"),
        ({"password": "x"}, "it"),
        ("mqtt://anna:hunter2@broker", '"mqtt://***@broker"'),
    ],
)
def test_a_value_is_shown_short_and_without_secrets(value: object, text: str) -> None:
    """Tables and arrays are never opened; the user part of an address is masked."""
    assert faults.shown(value) == text


@pytest.mark.parametrize(
    ("tree", "line"),
    [
        (
            {"mqtt": {"port": "50"}},
            'mqtt.port: "50" is a text, not a whole number; set it to a whole number from 1 to 65_535',
        ),
        (
            {"mqtt": {"port": True}},
            "mqtt.port: true is a boolean, not a whole number; set it to a whole number from 1 to 65_535",
        ),
        ({"mqtt": {"port": 0}}, "mqtt.port: 0 is out of range; set it to a whole number from 1 to 65_535"),
        ({"mqtt": {"prt": 0}}, "mqtt.prt: is not a known key; write port if that was meant, else remove it"),
        ({"mqtt": {"zzz": "hunter2"}}, "mqtt.zzz: is not a known key; remove it"),
        ({"mqtt": 5}, "mqtt: 5 is a whole number, not a table; write it as a table, [mqtt]"),
        ({"mqtt": [{}]}, "mqtt: it is an array, not a table; write it as a table, [mqtt]"),
        ({"channels": 3}, "channels: 3 is a whole number, not a table; write it as a table, [channels.NAME]"),
        ({"channels": {"a": 3}}, "channels.a: 3 is a whole number, not a table; write it as a table, [channels.a]"),
        ({"[key]": {}}, '"[key]": is not a known key; remove it'),
        ({"anomaly": {"a": 1}}, "anomaly.a: 1 is a whole number, not a table; write it as a table, [anomaly.a]"),
        ({"robot": {}}, 'robot.id: is missing; add id = "robot_001" under [robot]'),
        ({"robot": {"id": dt.date(1979, 5, 27)}}, "robot.id: it is a date, not a text; set it to a text"),
        ({"robot": {"id": None}}, "robot.id: it is nothing, not a text; set it to a text"),
        ({"robot": {"id": "\ud800"}}, 'robot.id: "\\ud800" is not a robot id; use 1 to 64 letters, digits, _ and -'),
        ({"mqtt": {"password": ""}}, "mqtt.password: its value is empty; set it to a text"),
        ({"mqtt": {"password": 12345}}, "mqtt.password: its value is a whole number, not a text; set it to a text"),
        (
            {"store": {"commit_interval_s": float("nan")}},
            "store.commit_interval_s: nan is not a finite number; set it to a number from 0.01 to 60",
        ),
    ],
)
def test_a_fault_is_worded_in_one_plain_line(tree: dict[str, Any], line: str) -> None:
    """Where it stands, what it is, what to do."""
    assert fault_lines(tree) == [line]


def test_a_default_that_hangs_on_a_faulty_field_is_no_fault_of_its_own() -> None:
    """The port depends on tls, the rate on the class: one mistake, one line."""
    assert len(fault_lines({"mqtt": {"tls": 5}})) == 1
    assert len(fault_lines({"channels": {"a": {"topic": "/a", "type": "a/msg/A", "class": "slwo"}}})) == 1


def test_a_channel_may_be_called_what_pydantic_calls_a_name() -> None:
    """The step "[key]" is a bad name for a channel, and no more than that."""
    found = fault_lines({"channels": {"[key]": 3}})

    assert [line.partition(": ")[0] for line in found] == ['channels."[key]"'] * 2
