"""Environment variables into settings: names, values, and whom a fault is blamed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgetwin import config
from edgetwin.errors import RefusedError
from edgetwin.settings import environment

MINIMAL = """
[robot]
id = "robot_001"
[channels.odom]
topic = "/odom"
type = "nav_msgs/msg/Odometry"
class = "critical"
deadband = { position_m = 0.5 }
[channels.left-arm]
topic = "/arm"
type = "sensor_msgs/msg/JointState"
class = "slow"
"""


def load(folder: Path, text: str = MINIMAL, **environ: str) -> config.Loaded:
    """Load `text` as robot.toml."""
    path = folder / "robot.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, environ)


def lines(folder: Path, text: str = MINIMAL, **environ: str) -> list[str]:
    """Return the lines that `text` is refused with."""
    with pytest.raises(RefusedError) as caught:
        load(folder, text, **environ)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("EDGETWIN_ROBOT__ID", "r2", {"robot": {"id": "r2"}}),
        ("EDGETWIN_MQTT__PORT", "1999", {"mqtt": {"port": 1999}}),
        ("EDGETWIN_MQTT__COALESCE_S", "0.25", {"mqtt": {"coalesce_s": 0.25}}),
        ("EDGETWIN_MQTT__ACK_TIMEOUT_S", "3", {"mqtt": {"ack_timeout_s": 3.0}}),
        ("EDGETWIN_MQTT__ALLOW_PLAINTEXT", "true", {"mqtt": {"allow_plaintext": True}}),
        ("EDGETWIN_MQTT__ALLOW_PLAINTEXT", "No", {"mqtt": {"allow_plaintext": False}}),
        ("EDGETWIN_MQTT__ALLOW_PLAINTEXT", "1", {"mqtt": {"allow_plaintext": True}}),
        ("EDGETWIN_MQTT__TLS", "{}", {"mqtt": {"tls": {}, "port": 8883}}),
        ("EDGETWIN_MQTT__TLS__CA_FILE", "/ca.pem", {"mqtt": {"tls": {"ca_file": "/ca.pem"}}}),
        ("EDGETWIN_MQTT", '{"port": 5, "tls": {"ca_file": "/c"}}', {"mqtt": {"port": 5, "tls": {"ca_file": "/c"}}}),
        ("EDGETWIN_STORE__PATH", "/data/a.db", {"store": {"path": "/data/a.db"}}),
        ("EDGETWIN_CHANNELS__ODOM__CLASS", "event", {"channels": {"odom": {"class": "event"}}}),
        ("EDGETWIN_CHANNELS__ODOM__RATE_HZ_MAX", "7", {"channels": {"odom": {"rate_hz_max": 7.0}}}),
        ("EDGETWIN_CHANNELS__ODOM__QUEUE_DEPTH", "7", {"channels": {"odom": {"queue_depth": 7}}}),
        ("EDGETWIN_CHANNELS__ODOM__FIELDS", '["a", "b"]', {"channels": {"odom": {"fields": ["a", "b"]}}}),
        (
            "EDGETWIN_CHANNELS__ODOM__DEADBAND__ANGLE_RAD",
            "0.1",
            {"channels": {"odom": {"deadband": {"angle_rad": 0.1}}}},
        ),
        (
            "EDGETWIN_CHANNELS__ODOM__DEADBAND",
            '{"angle_rad": 1}',
            {"channels": {"odom": {"deadband": {"position_m": 0.5, "angle_rad": 1.0}}}},
        ),
        ("EDGETWIN_CHANNELS__LEFT_ARM__QOS", "0", {"channels": {"left-arm": {"qos": 0}}}),
        ("EDGETWIN_CHANNELS__ODOM", '{"qos": 0}', {"channels": {"odom": {"qos": 0, "class": "critical"}}}),
    ],
)
def test_a_variable_sets_its_key(tmp_path: Path, name: str, text: str, value: dict[str, Any]) -> None:
    """Parsed as the type of the field; tables and arrays as JSON, laid over what the file has."""

    def part(whole: Any, wanted: Any) -> bool:
        if not isinstance(wanted, dict):
            return bool(whole == wanted and type(whole) is type(wanted))
        return all(key in whole and part(whole[key], inner) for key, inner in wanted.items())

    assert part(config.effective(load(tmp_path, **{name: text}).settings), value)


def test_the_environment_alone_can_define_a_channel(tmp_path: Path) -> None:
    """Its name is written small; with the file's channels it has nothing to do."""
    loaded = load(
        tmp_path,
        EDGETWIN_CHANNELS__SCAN__TOPIC="/scan",
        EDGETWIN_CHANNELS__SCAN__TYPE="sensor_msgs/msg/LaserScan",
        EDGETWIN_CHANNELS__SCAN__CLASS="slow",
    )

    assert loaded.settings.channels["scan"].topic == "/scan"
    assert list(loaded.settings.channels) == ["odom", "left-arm", "scan"]


def test_a_variable_can_take_a_value_back(tmp_path: Path) -> None:
    """JSON has a null, which TOML has not."""
    loaded = load(tmp_path, EDGETWIN_CHANNELS__ODOM='{"deadband": null}')

    assert loaded.settings.channels["odom"].deadband is None


def test_longer_names_of_channels_win(tmp_path: Path) -> None:
    """A channel's name may hold the two underscores that part the steps."""
    text = MINIMAL + '[channels.odom__raw]\ntopic = "/raw"\ntype = "a/msg/A"\nclass = "slow"\n'
    channels = load(tmp_path, text, EDGETWIN_CHANNELS__ODOM__RAW__QOS="0").settings.channels

    assert channels["odom__raw"].qos == 0
    assert channels["odom"].qos == 1


def test_a_variable_that_may_mean_two_channels_is_refused(tmp_path: Path) -> None:
    """Capitals and hyphens do not tell channels apart in a variable."""
    text = MINIMAL + '[channels.left_arm]\ntopic = "/raw"\ntype = "a/msg/A"\nclass = "slow"\n'
    (line,) = lines(tmp_path, text, EDGETWIN_CHANNELS__LEFT_ARM__QOS="0")

    assert (
        "environment: EDGETWIN_CHANNELS__LEFT_ARM__QOS: may mean channels.left-arm.qos or channels.left_arm.qos" in line
    )


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("EDGETWIN_MQTT__PROT", "write EDGETWIN_MQTT__PORT if that was meant, else unset it"),
        ("EDGETWIN_MQTT_PORT", "write EDGETWIN_MQTT__PORT if that was meant, else unset it"),
        ("EDGETWIN_CHANNELS__ODOM__RATE_MAX_HZ", "write EDGETWIN_CHANNELS__ODOM__RATE_HZ_MAX if that was meant"),
        (
            "EDGETWIN_CHANNELS__ODOM__DEADBAND__VALUES",
            "write EDGETWIN_CHANNELS__ODOM__DEADBAND__VALUE if that was meant",
        ),
        ("EDGETWIN_MQTT__PORT__X", "write EDGETWIN_MQTT__PORT if that was meant"),
        ("EDGETWIN_CHANNELS__", "if that was meant, else unset it"),
        ("EDGETWIN_CHANNELS____QOS", "unset it"),
        ("EDGETWIN_GATE__REMOTE_MOTIONS", "is not a known variable; write EDGETWIN_GATE__REMOTE_MOTION if"),
        ("EDGETWIN_", "unset it"),
        ("EDGETWIN_XYZZY_PLUGH", "is not a known variable; unset it"),
        ("edgetwin_mqtt__port", "is not in capitals; rename it EDGETWIN_MQTT__PORT"),
        ("EDGETWIN_MQTT__Port", "is not in capitals; rename it EDGETWIN_MQTT__PORT"),
        ("EDGETWIN_MQTT__USERNAME", "/etc/edgetwin/credentials/mqtt/username"),
    ],
)
def test_an_unknown_variable_is_refused(tmp_path: Path, name: str, cure: str) -> None:
    """At any depth, with the nearest known one."""
    (line,) = lines(tmp_path, **{name: "1"})

    assert line.startswith(f"environment: {name}: ")
    assert cure in line


def test_variables_of_others_are_nobodys_business(tmp_path: Path) -> None:
    """Only our prefix counts; the path of the file is known and no setting."""
    others = {"EDGETWINX": "1", "MQTT__PORT": "x", "XEDGETWIN_A": "1", "EDGETWIN_CONFIG": "/elsewhere"}

    assert load(tmp_path, **others).settings == load(tmp_path).settings


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("EDGETWIN_MQTT__PORT", "abc", '"abc" is a text, not a whole number'),
        ("EDGETWIN_MQTT__PORT", "", '"" is a text, not a whole number'),
        ("EDGETWIN_MQTT__PORT", "0", "0 is out of range"),
        ("EDGETWIN_MQTT__PORT", "9" * 5000, "is a text, not a whole number"),
        ("EDGETWIN_MQTT__COALESCE_S", "nan", "nan is not a finite number"),
        ("EDGETWIN_MQTT__COALESCE_S", "1e999", "inf is not a finite number"),
        ("EDGETWIN_MQTT__ALLOW_PLAINTEXT", "maybe", '"maybe" is a text, not a boolean; set it to true or false'),
        ("EDGETWIN_MQTT__HOST", "", '"" is neither a host name nor an IP address'),
        ("EDGETWIN_MQTT__HOST", "broker.example", "is another machine"),
        ("EDGETWIN_STORE__PATH", "/data/\udcff", "is not the path of a file"),
        (
            "EDGETWIN_CHANNELS__ODOM__FIELDS",
            "a,b",
            'is not valid JSON for this key; write it as JSON, such as ["pose.pose"',
        ),
        ("EDGETWIN_CHANNELS__ODOM__FIELDS", "5", "5 is a whole number, not an array of texts"),
        ("EDGETWIN_CHANNELS__ODOM__DEADBAND", "5", "is not valid JSON for this key"),
        ("EDGETWIN_CHANNELS__ODOM__DEADBAND", "[" * 100_000, "is not valid JSON for this key"),
        ("EDGETWIN_CHANNELS__ODOM__DEADBAND", '{"value": -1}', "value: -1 is out of range"),
        ("EDGETWIN_CHANNELS__ODOM__DEADBAND", '{"valu": 1}', "valu: is not a known key; write value"),
        ("EDGETWIN_CHANNELS__ODOM", '{"topic": {"a": {"b": 1}}}', "topic: it is a table, not a text"),
        ("EDGETWIN_CHANNELS__ODOMM__QOS", "1", 'topic: is missing; add topic = "/odom" under [channels.odomm]'),
    ],
)
def test_a_bad_value_is_blamed_on_its_variable(tmp_path: Path, name: str, text: str, what: str) -> None:
    """Not on the file, which may say something else."""
    found = lines(tmp_path, **{name: text})

    assert found[0].startswith(f"environment: {name}: ")
    assert what in found[0]


def test_a_variable_below_something_else_than_a_table_leaves_the_fault_to_the_file(tmp_path: Path) -> None:
    """The file is wrong first; mending it brings the variable back."""
    (line,) = lines(tmp_path, "mqtt = 5\n" + MINIMAL, EDGETWIN_MQTT__PORT="1999")

    assert line.startswith("robot.toml: mqtt: 5 is a whole number, not a table")


def test_reading_variables_is_pure() -> None:
    """What comes out says where it stands; outer tables come first, so that the precise one wins."""
    given, faults = environment.read({"EDGETWIN_MQTT__PORT": "2", "EDGETWIN_MQTT": '{"port": 1}'}, [])

    assert not faults
    assert [(item.path, item.value, item.where) for item in given] == [
        (("mqtt", "port"), 1, "environment: EDGETWIN_MQTT: port"),
        (("mqtt", "port"), 2, "environment: EDGETWIN_MQTT__PORT"),
    ]
