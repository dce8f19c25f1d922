"""Loading: priorities, every fault at once, masking, and the shipped example."""

from __future__ import annotations

import re
import tomllib
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from edgetwin import config
from edgetwin.errors import Fault, RefusedError
from edgetwin.settings import Settings
from edgetwin.settings.keys import keys, section_in
from edgetwin.settings.values import Section

EXAMPLE = Path(__file__).parents[1] / "config" / "edgetwin.toml"
MINIMAL = """
[robot]
id = "robot_001"
[channels.odom]
topic = "/odom"
type = "nav_msgs/msg/Odometry"
class = "critical"
"""


def load(folder: Path, text: str = MINIMAL, **environ: str) -> config.Loaded:
    """Load `text` as robot.toml."""
    path = folder / "robot.toml"
    path.write_text(text, encoding="utf-8")
    return config.load(path, environ)


def faults(folder: Path, text: str = MINIMAL, **environ: str) -> list[Fault]:
    """Return the faults that `text` is refused with."""
    with pytest.raises(RefusedError) as caught:
        load(folder, text, **environ)
    return caught.value.faults


def credentials(folder: Path, secrets: dict[str, str]) -> str:
    """Write secrets as systemd lays them out; return the directory."""
    directory = folder / "credentials"
    directory.mkdir(exist_ok=True)
    for name, text in secrets.items():
        (directory / name).write_text(text, encoding="utf-8")
    return str(directory)


def all_keys(section: type[Section], table: str = "") -> list[tuple[str, str]]:
    """Return (table, key) of every field; channels and deadbands without the name of a channel."""
    found = []
    for key, field in keys(section).items():
        inner, _ = section_in(field)
        found += all_keys(inner, key) if inner else []
        found += [(table, key)]
    return found


def test_the_shipped_example_loads_as_it_is() -> None:
    """What is installed can be run, and what it spells out is the default."""
    loaded = config.load(EXAMPLE, {})
    plain = Settings.model_validate({"robot": {"id": "robot_001"}})

    assert list(loaded.settings.channels) == ["odom", "battery"]
    assert loaded.settings.robot == plain.robot
    assert loaded.settings.ros == plain.ros
    assert loaded.settings.mqtt == plain.mqtt
    assert loaded.settings.store == plain.store
    known = {"battery_channel": "battery", "pose_channel": "odom"}  # the defaults hold where there are such channels
    assert loaded.settings.gate.model_dump() == plain.gate.model_dump() | known


@pytest.mark.parametrize(("table", "key"), all_keys(Settings))
def test_the_shipped_example_shows_every_key(table: str, key: str) -> None:
    """Set, commented out, or, for a deadband, in the comment above it."""
    text = EXAMPLE.read_text(encoding="utf-8")

    assert re.search(rf"^(# )?\[(\w+\.)?{key}\b|^(# )?{key} =|^# .*\b{key}  |\b{key}  ", text, re.MULTILINE), (
        f"{table}.{key}"
    )


def test_the_shipped_example_explains_every_key_it_shows() -> None:
    """A key of the full channel and of each section has a comment right above it, or above its neighbour."""
    text = EXAMPLE.read_text(encoding="utf-8").partition("[channels.battery]")[0]
    paragraphs = [paragraph for paragraph in text.split("\n\n") if re.search(r"^\w+ =", paragraph, re.MULTILINE)]

    assert all("#" in paragraph for paragraph in paragraphs)
    assert text.count("efault") >= len(re.findall(r"^(?:# )?\w+ =", text, re.MULTILINE)) - 3


def test_the_commented_keys_of_the_example_load_too(tmp_path: Path) -> None:
    """Uncommenting what is shown gives a valid file; only the secrets stay out."""
    text = EXAMPLE.read_text(encoding="utf-8")
    opened = re.sub(r"^# (\w+ = .+|\[.+\])$", r"\1", text, flags=re.MULTILINE)
    settings = load(tmp_path, opened).settings

    assert settings.mqtt.tls is not None
    assert settings.channels["odom"].queue_depth == 10


def test_the_file_wins_over_defaults(tmp_path: Path) -> None:
    """And `sources` says which keys it set."""
    loaded = load(tmp_path, MINIMAL + "[mqtt]\nport = 1999\n")

    assert loaded.settings.mqtt.port == 1999
    assert loaded.sources["mqtt.port"] == "robot.toml"
    assert "mqtt.host" not in loaded.sources


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """And leaves its neighbours alone."""
    loaded = load(tmp_path, MINIMAL + '[mqtt]\nport = 1999\nprefix = "fleet"\n', EDGETWIN_MQTT__PORT="2000")

    assert loaded.settings.mqtt.port == 2000
    assert loaded.settings.mqtt.prefix == "fleet"
    assert loaded.sources["mqtt.port"] == "environment: EDGETWIN_MQTT__PORT"


def test_a_value_that_the_environment_replaces_is_not_judged(tmp_path: Path) -> None:
    """Only what would be used can be wrong."""
    assert load(tmp_path, MINIMAL + "[mqtt]\nport = 0\n", EDGETWIN_MQTT__PORT="2000").settings.mqtt.port == 2000


def test_credentials_carry_the_secrets(tmp_path: Path) -> None:
    """Each in its file, without the line end that an editor adds."""
    directory = credentials(tmp_path, {"mqtt_username": "anna\n", "mqtt_password": "s3cret\r\n"})
    loaded = load(tmp_path, CREDENTIALS_DIRECTORY=directory)
    mqtt = loaded.settings.mqtt

    assert mqtt.username is not None
    assert mqtt.password is not None
    assert mqtt.username.get_secret_value() == "anna"
    assert mqtt.password.get_secret_value() == "s3cret"
    assert loaded.sources["mqtt.password"] == "credentials: mqtt_password"


def test_what_is_loaded_is_frozen(tmp_path: Path) -> None:
    """A reload makes a new one."""
    loaded = load(tmp_path)

    with pytest.raises(FrozenInstanceError):
        loaded.settings = loaded.settings  # type: ignore[misc]


def test_all_faults_are_told_in_one_run(tmp_path: Path) -> None:
    """File, environment, credentials and the rules between fields: nothing hides anything else."""
    text = """
    host = "stray"
    [robot]
    id = "no good"
    [mqtt]
    host = "broker.example"
    port = 99999
    password = "hunter2"
    keepalive_s = "5"
    [store]
    max_bytes = 5
    [gate]
    deadman_s = 0
    [channels.gap]
    topic = "odom"
    type = "Odometry"
    class = "critical"
    fields = ["a", "a"]
    """
    found = faults(
        tmp_path,
        text,
        EDGETWIN_STORE__BACKLOG_RATE_MAX="abc",
        EDGETWIN_MQTT__PROT="1",
        CREDENTIALS_DIRECTORY=credentials(tmp_path, {"mqtt_username": ""}),
    )

    assert {fault.where for fault in found} == {
        "robot.toml: host",
        "robot.toml: robot.id",
        "robot.toml: mqtt.host",
        "robot.toml: mqtt.port",
        "robot.toml: mqtt.password",
        "robot.toml: mqtt.keepalive_s",
        "robot.toml: store.max_bytes",
        "robot.toml: gate.deadman_s",
        "robot.toml: channels.gap",
        "robot.toml: channels.gap.topic",
        "robot.toml: channels.gap.type",
        "robot.toml: channels.gap.fields",
        "environment: EDGETWIN_STORE__BACKLOG_RATE_MAX",
        "environment: EDGETWIN_MQTT__PROT",
        "credentials: mqtt_username",
    }
    assert len(found) == 15


def test_a_file_without_channels_is_refused(tmp_path: Path) -> None:
    """The daemon would have nothing to do; the cure shows a channel."""
    for text in ('robot.id = "a"', 'channels = {}\nrobot.id = "a"'):
        (fault,) = faults(tmp_path, text)
        assert str(fault).startswith(
            "robot.toml: channels: no channel is configured; add one, for example [channels.odom]"
        )


def test_an_empty_file_names_what_is_missing(tmp_path: Path) -> None:
    """The robot's id and the channels: all that has no default."""
    assert [fault.where for fault in faults(tmp_path, "")] == ["robot.toml: channels", "robot.toml: robot.id"]


def test_a_broken_file_does_not_hide_a_fault_elsewhere(tmp_path: Path) -> None:
    """What stands in the broken file is not called missing; the environment is judged all the same."""
    found = faults(tmp_path, "[mqtt]\nport = = 5\n", EDGETWIN_STORE__MAX_BYTES="5", EDGETWIN_CHANNELS__ODOM__QOS="0")

    assert [fault.where for fault in found] == [
        "robot.toml: line 2, column 8 (mqtt.port)",
        "environment: EDGETWIN_STORE__MAX_BYTES",
    ]


@pytest.mark.parametrize("secret", ["hunter2", "hunter2\nhunter2", "hunter2\x00"])
def test_no_line_shows_a_secret(tmp_path: Path, secret: str) -> None:
    """Wherever it was put by mistake, its value is not repeated."""
    text = (
        MINIMAL
        + """
    [mqtt]
    username = "hunter2"
    password = "hunter2"
    pasword = "hunter2"
    host = "mqtt://anna:hunter2@broker.example"
    tls = [{ password = "hunter2" }]
    """
    )
    environ = {
        "EDGETWIN_MQTT__PASSWORD": "hunter2",
        "EDGETWIN_MQTT__PASSWROD": "hunter2",
        "EDGETWIN_MQTT": '{"password": "hunter2", "host": {"password": "hunter2"}}',
        "EDGETWIN_STORE": '{"password": "hunter2"',
        "CREDENTIALS_DIRECTORY": credentials(tmp_path, {"mqtt_username": secret, "mqtt_password": secret * 20_000}),
    }
    for variables in ({}, environ):
        lines = "\n".join(map(str, faults(tmp_path, text, **variables)))
        assert "hunter2" not in lines
        assert "/etc/edgetwin/credentials/mqtt/password" in lines


def test_the_refusal_does_not_drag_the_values_along(tmp_path: Path) -> None:
    """The exception holds nothing of pydantic's, whose text might hold a secret."""
    with pytest.raises(RefusedError) as caught:
        load(tmp_path, MINIMAL + "[mqtt]\nport = 0\n")

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_every_fault_is_one_line(tmp_path: Path) -> None:
    """Whatever a key or a value holds: no line break, no control character."""
    text = '"k\\n\\u001B[31m" = 1\n[robot]\nid = "a\\nb\\u0007\\u202E"\n[channels."a\\nb"]\ntopic = """\n\n"""\n'

    for fault in faults(tmp_path, text):
        assert str(fault).isprintable()


def test_long_values_are_shortened(tmp_path: Path) -> None:
    """A line stays a line."""
    (fault,) = faults(tmp_path, MINIMAL.replace("robot_001", "x" * 100_000))

    assert len(str(fault)) < 200


def test_effective_settings_are_plain_and_masked(tmp_path: Path) -> None:
    """Public key names, no None, only what TOML can hold; secrets are stars."""
    directory = credentials(tmp_path, {"mqtt_username": "anna", "mqtt_password": "s3cret"})
    settings = load(tmp_path, CREDENTIALS_DIRECTORY=directory).settings
    plain = config.effective(settings)

    assert plain["mqtt"]["username"] == plain["mqtt"]["password"] == "********"
    assert plain["channels"]["odom"]["class"] == "critical"
    assert "channel_class" not in plain["channels"]["odom"]
    assert "deadband" not in plain["channels"]["odom"]
    assert plain["store"]["path"] == "/var/lib/edgetwin/outbox.db"
    assert tomllib.loads(config.to_toml(settings)) == plain
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in config.to_toml(settings)


def test_effective_settings_load_again(tmp_path: Path) -> None:
    """What `check` prints is a settings file that means the same."""
    settings = config.load(EXAMPLE, {"EDGETWIN_MQTT__TLS": "{}", "EDGETWIN_CHANNELS__ODOM__QUEUE_DEPTH": "7"}).settings

    assert load(tmp_path, config.to_toml(settings)).settings == settings


def test_the_default_path_is_the_installed_one() -> None:
    """Unless $EDGETWIN_CONFIG names another; an empty one names none."""
    assert config.default_path({}) == Path("/etc/edgetwin/edgetwin.toml")
    assert config.default_path({"EDGETWIN_CONFIG": ""}) == Path("/etc/edgetwin/edgetwin.toml")
    assert config.default_path({"EDGETWIN_CONFIG": "/opt/robot.toml"}) == Path("/opt/robot.toml")
