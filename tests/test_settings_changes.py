"""What differs between two sets of settings, and which of it may change while running."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgetwin import config
from edgetwin.settings import Settings
from edgetwin.settings.changes import CHANGEABLE, adopted, changes
from edgetwin.settings.keys import dotted, field_at

EXAMPLE = Path(__file__).parents[1] / "config" / "edgetwin.toml"
ODOM = {"topic": "/odom", "type": "nav_msgs/msg/Odometry", "class": "critical"}
EFFORT = {"channel": "odom", "field": "twist.twist.linear.x"}
TLS = {"ca_file": "/ca.pem", "cert_file": "/a.pem", "key_file": "/a.key"}


def settings(**sections: Any) -> Settings:
    """Return settings with one channel."""
    tree: dict[str, Any] = {"robot": {"id": "r"}, "channels": {"odom": ODOM}}
    return Settings.model_validate(tree | sections)


def test_the_table_names_keys_that_there_are_and_none_of_the_gate() -> None:
    """A renamed key would silently need a restart; a gate's limits always do."""
    for path in CHANGEABLE:
        real = tuple("odom" if step == "*" else step for step in path)
        assert field_at(real) is not None, dotted(path)
        assert path[0] != "gate"


def test_nothing_differs_from_itself() -> None:
    """Every key of the shipped settings, read twice."""
    one, other = (config.load(EXAMPLE, {}).settings for _ in range(2))

    assert changes(one, other) == []
    assert adopted(one, other) == one


def test_each_key_is_told_with_both_values() -> None:
    """In the order of the tree; a deadband is one value."""
    before = settings(channels={"odom": ODOM | {"rate_hz_max": 50.0}})
    after = settings(
        channels={"odom": ODOM | {"rate_hz_max": 5.0, "deadband": {"position_m": 0.5}}},
        store={"backlog_rate_max": 10, "max_bytes": 2_000_000},
        gate={"linear_max_mps": 0.4},
    )
    found = changes(before, after)

    assert [(one.key, one.before, one.after, one.allowed) for one in found] == [
        ("store.max_bytes", "1000000000", "2000000", False),
        ("store.backlog_rate_max", "0", "10", True),
        ("channels.odom.rate_hz_max", "50.0", "5.0", True),
        ("channels.odom.deadband", "none", '{"position_m": 0.5}', True),
        ("gate.linear_max_mps", "0.5", "0.4", False),
    ]
    assert "restart only" in found[-1].cure


def test_only_what_is_allowed_is_adopted() -> None:
    """The rest stays as it runs, and is told again the next time."""
    before = settings(mqtt={"tls": TLS}, anomaly={"one": EFFORT})
    after = settings(
        mqtt={"tls": TLS | {"ca_file": "/other.pem"}, "keepalive_s": 9},
        anomaly={"one": EFFORT | {"threshold": 9.0, "warmup_s": 3.0}, "two": EFFORT},
        channels={"odom": ODOM | {"heartbeat_s": 3.0, "qos": 0}, "pose": ODOM},
        gate={"remote_motion": True},
    )
    taken = adopted(before, after)

    assert taken.mqtt.tls is not None
    assert taken.mqtt.tls.ca_file == Path("/other.pem")
    assert (taken.channels["odom"].heartbeat_s, taken.channels["odom"].qos) == (3.0, 1)
    assert (taken.anomaly["one"].threshold, taken.anomaly["one"].warmup_s) == (9.0, None)
    assert (list(taken.channels), list(taken.anomaly)) == (["odom"], ["one"])
    assert not taken.gate.remote_motion
    assert {one.key for one in changes(taken, after)} == {
        "mqtt.keepalive_s",
        "anomaly.one.warmup_s",
        "anomaly.two",
        "channels.odom.qos",
        "channels.pose",
        "gate.remote_motion",
    }
    assert not any(one.allowed for one in changes(taken, after))


@pytest.mark.parametrize("which", ["username", "password"])
def test_a_secret_is_never_shown(which: str) -> None:
    """That it changed is told, and that a restart is needed: systemd hands out credentials at the start."""
    (change,) = changes(settings(mqtt={which: "hunter1"}), settings(mqtt={which: "hunter2"}))

    assert (change.key, change.before, change.after, change.allowed) == (f"mqtt.{which}", "a secret", "a secret", False)


def test_a_table_that_comes_or_goes_is_one_change() -> None:
    """TLS itself is not switched on or off while running."""
    (change,) = changes(settings(), settings(mqtt={"port": 1883, "tls": TLS}))

    assert (change.key, change.before, change.allowed) == ("mqtt.tls", "none", False)
    assert adopted(settings(), settings(mqtt={"port": 1883, "tls": TLS})) == settings()


def test_what_may_change_is_judged_with_what_stays() -> None:
    """The tree that results is judged as a whole, like any other."""
    before = settings(anomaly={"one": EFFORT | {"method": "robust_z"}})
    broken = before.model_copy(update={"store": before.store.model_copy(update={"backlog_rate_max": -1})})
    with pytest.raises(ValidationError):
        adopted(before, broken)
