"""A thousand random settings files with one fault each: a refusal that names the key, nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import tomli_w

from edgetwin import config
from edgetwin.errors import RefusedError

FILES = 1000
SEED = 20_260_101
KeyPath: TypeAlias = tuple[str, ...]
Fault: TypeAlias = tuple[str, str]  # (text of the file, the word that some line of the refusal must hold)

BASE: dict[str, Any] = {
    "robot": {"id": "robot_001"},
    "ros": {"node_name": "edgetwin", "cmd_vel_topic": "/cmd_vel", "cmd_vel_type": "geometry_msgs/msg/Twist"},
    "mqtt": {
        "host": "127.0.0.1",
        "port": 8883,
        "allow_plaintext": False,
        "prefix": "robot",
        "keepalive_s": 5,
        "ack_timeout_s": 10.0,
        "reconnect_max_s": 60.0,
        "heartbeat_s": 5.0,
        "coalesce_s": 0.0,
        "tls": {"ca_file": "/ca.pem", "cert_file": "/robot.pem", "key_file": "/robot.key"},
    },
    "store": {"path": "/data/outbox.db", "max_bytes": 10**9, "commit_interval_s": 0.2, "backlog_rate_max": 0},
    "channels": {
        "odom": {
            "topic": "/odom",
            "type": "nav_msgs/msg/Odometry",
            "class": "critical",
            "rate_hz_max": 50.0,
            "deadband": {"position_m": 0.05, "angle_rad": 0.1, "value": 1.0, "field": "pose.x"},
            "heartbeat_s": 1.0,
            "settle_s": 1.0,
            "fields": ["pose.pose", "twist.twist"],
            "encoding": "json",
            "qos": 1,
            "queue_depth": 10,
        },
        "battery": {"topic": "/battery", "type": "sensor_msgs/msg/BatteryState", "class": "slow"},
    },
}
TEXTS: dict[KeyPath, list[str]] = {
    ("robot", "id"): ["", "a b", "a/b", "x" * 65, "é"],
    ("ros", "node_name"): ["", "9", "a-b", "a/b"],
    ("ros", "cmd_vel_topic"): ["", "cmd_vel", "/", "/a/", "//a", "/9"],
    ("ros", "cmd_vel_type"): ["", "geometry_msgs/msg/Pose", "Twist"],
    ("mqtt", "host"): ["", "a b", "mqtt://a", "a:1883", "[::1]"],
    ("mqtt", "prefix"): ["", "a/b", "+", "#", "$SYS", "x" * 65],
    ("mqtt", "tls", "ca_file"): ["", "~/a"],
    ("mqtt", "tls", "cert_file"): ["", "~/a"],
    ("mqtt", "tls", "key_file"): ["", "~/a"],
    ("store", "path"): ["", ".", "~/a"],
    ("channels", "odom", "topic"): ["", "odom", "/odom/", "/a b"],
    ("channels", "odom", "type"): ["", "Odometry", "nav_msgs/Odometry", "nav_msgs/msg/odometry"],
    ("channels", "odom", "class"): ["", "fast", "Critical"],
    ("channels", "odom", "encoding"): ["", "JSON", "protobuf"],
    ("channels", "odom", "deadband", "field"): ["", ".", "a b", "a[0]"],
}
NUMBERS: dict[KeyPath, list[float]] = {
    ("mqtt", "port"): [0, -1, 65_536, 2**63, 1883.0, 1e99],
    ("mqtt", "keepalive_s"): [0, -5, 65_536, 2.5],
    ("mqtt", "ack_timeout_s"): [0, -1.0, 601, 1e300],
    ("mqtt", "reconnect_max_s"): [0, 0.5, 3601],
    ("mqtt", "heartbeat_s"): [0, -1, 3601],
    ("mqtt", "coalesce_s"): [-0.1, 61],
    ("store", "max_bytes"): [0, -1, 999_999, 10**16, 1e9],
    ("store", "commit_interval_s"): [0, 0.001, 61],
    ("store", "backlog_rate_max"): [-1, 1_000_001, 0.5],
    ("channels", "odom", "rate_hz_max"): [0, -50, 1001, 1e300],
    ("channels", "odom", "heartbeat_s"): [0, -1, 3601],
    ("channels", "odom", "settle_s"): [0, -1, 3601],
    ("channels", "odom", "qos"): [-1, 2, 1.0],
    ("channels", "odom", "queue_depth"): [0, -1, 5001, 1.5],
    ("channels", "odom", "deadband", "position_m"): [0, -1],
    ("channels", "odom", "deadband", "angle_rad"): [0, -1],
    ("channels", "odom", "deadband", "value"): [0, -1],
}
LEAVES: list[KeyPath] = [*TEXTS, *NUMBERS, ("mqtt", "allow_plaintext"), ("channels", "odom", "fields")]
TABLES: list[KeyPath] = [
    ("robot",),
    ("ros",),
    ("mqtt",),
    ("mqtt", "tls"),
    ("store",),
    ("channels",),
    ("channels", "odom"),
    ("channels", "odom", "deadband"),
]
REQUIRED = [
    ("robot", "id"),
    *(("channels", "odom", key) for key in ("topic", "type", "class")),
    ("mqtt", "tls", "key_file"),
]
FIELDS = [[], [""], ["a", "a"], ["a", "a.b"], [1], ["a", True], ["a b"], [["a"]], "pose", 5, True, {"a": 1}]
LINES = [
    "{} = = 1",
    "{} 1",
    "{} = ",
    "{} = [1",
    '{} = "a',
    "{} = nope",
    "{} = 1 2",
    "{} = 0x",
    "{} = {{ a = 1",
    "{} = 1{}",
]


def changed(path: KeyPath, value: Any) -> str:
    """Return the base file with one key set to another value."""
    return tomli_w.dumps(_with(BASE, path, value))


def _with(table: dict[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    head, *rest = path
    return table | {head: _with(table.get(head, {}), tuple(rest), value) if rest else value}


def wrong_type(dice: random.Random) -> Fault:
    """A value of a type that the key does not take."""
    path = dice.choice(LEAVES)
    others: list[Any] = [True, [1, 2], [], {"a": 1}, {}, [{"a": 1}]]
    if path in TEXTS:
        others += [5, 0.5]
    if path in NUMBERS:
        others += ["50", "", "fifty"]
    if path == ("mqtt", "allow_plaintext"):
        others = [0, 1, "true", [True], {}]
    return changed(path, dice.choice(FIELDS if path[-1] == "fields" else others)), ".".join(path)


def bad_text(dice: random.Random) -> Fault:
    """A text that is not a name, a choice or a path."""
    path = dice.choice(list(TEXTS))
    return changed(path, dice.choice(TEXTS[path])), ".".join(path)


def out_of_range(dice: random.Random) -> Fault:
    """A number beyond its bounds, or a fraction where none belongs."""
    path = dice.choice(list(NUMBERS))
    return changed(path, dice.choice(NUMBERS[path])), ".".join(path)


def not_finite(dice: random.Random) -> Fault:
    """NaN or infinity."""
    path = dice.choice(list(NUMBERS))
    return changed(path, float(dice.choice(["nan", "inf", "-inf"]))), ".".join(path)


def huge(dice: random.Random) -> Fault:
    """A whole number with more digits than Python reads, or prints."""
    path = dice.choice([path for path in NUMBERS if "deadband" not in path])  # a threshold may be as large as you like
    digits = dice.choice(["9" * 20, "9" * 400, "9" * 6000, "0x" + "f" * 20, "0x" + "f" * 9000])
    return changed(path, "HUGE").replace('"HUGE"', digits), ".".join(path)


def unknown_key(dice: random.Random) -> Fault:
    """A key that does not exist, at any level."""
    table = dice.choice([(), *[table for table in TABLES if table != ("channels",)]])
    key = dice.choice(["hots", "Port", "rate_hz", "ID", "channel_class", "x" * 300, "é", "a b", "", "gates", "topics"])
    return changed((*table, key), dice.choice([1, "a", True, {}, {"a": {"b": 1}}, [1]])), key[:20]


def bad_channel(dice: random.Random) -> Fault:
    """A channel whose name cannot be used."""
    name = dice.choice(["", "a b", "a/b", "x" * 65, "gap", "link", "store", "é", "a\nb"])
    return changed(("channels", name), BASE["channels"]["battery"]), name.splitlines()[0][:20] if name else '""'


def wrong_structure(dice: random.Random) -> Fault:
    """Something else where a table belongs."""
    table = dice.choice(TABLES)
    return changed(table, dice.choice([3, "x", True, 0.5, [], [1], [{"a": 1}], [{}, {}]])), ".".join(table)


def missing(dice: random.Random) -> Fault:
    """A key that has no default, left out."""
    path = dice.choice(REQUIRED)
    table: dict[str, Any] = BASE
    for step in path[:-1]:
        table = table[step]
    return changed(path[:-1], {key: value for key, value in table.items() if key != path[-1]}), ".".join(path)


def secret(dice: random.Random) -> Fault:
    """A secret in the file."""
    key = dice.choice(["username", "password"])
    return changed(("mqtt", key), dice.choice(["hunter2", "", 5, True, {}])), f"mqtt.{key}"


def broken(dice: random.Random) -> Fault:
    """A line that is not TOML, in any table."""
    table = dice.choice([table for table in TABLES if table != ("channels",)])
    key = f"key_{dice.randrange(1000)}"
    line = dice.choice(LINES).replace("{}", key, 1).replace("{{", "{").replace("{}", key)
    header = f"[{'.'.join(table)}]\n"
    return tomli_w.dumps(BASE).replace(header, f"{header}{line}\n", 1), f"{'.'.join(table)}.{key}"


def duplicate(dice: random.Random) -> Fault:
    """A key that is given twice."""
    path = dice.choice([path for path in LEAVES if path[-1] != "fields"])
    header = f"[{'.'.join(path[:-1])}]\n"
    return tomli_w.dumps(BASE).replace(header, f"{header}{path[-1]} = 1\n", 1), path[-1]


KINDS: list[Callable[[random.Random], Fault]] = [
    wrong_type,
    bad_text,
    out_of_range,
    not_finite,
    huge,
    unknown_key,
    bad_channel,
    wrong_structure,
    missing,
    secret,
    broken,
    duplicate,
]


def test_the_base_file_is_good(tmp_path: Path) -> None:
    """Else the faults below would prove nothing."""
    path = tmp_path / "robot.toml"
    path.write_text(tomli_w.dumps(BASE), encoding="utf-8")

    assert config.effective(config.load(path, {}).settings)["mqtt"] == BASE["mqtt"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_random_fault_is_refused_with_a_line_that_names_the_key(tmp_path: Path, kind: Callable[..., Fault]) -> None:
    """1,000 files over all kinds, one fault each: RefusedError, nothing else, printable lines."""
    dice = random.Random(f"{SEED} {kind.__name__}")
    path = tmp_path / "robot.toml"
    for _ in range(FILES // len(KINDS) + 1):
        text, word = kind(dice)
        path.write_text(text, encoding="utf-8")
        with pytest.raises(RefusedError) as caught:
            config.load(path, {})
        lines = [str(fault) for fault in caught.value.faults]

        assert any(word in line for line in lines), (word, lines, text)
        assert all(line.isprintable() and len(line) < 500 for line in lines)
        assert not any("hunter2" in line for line in lines)
