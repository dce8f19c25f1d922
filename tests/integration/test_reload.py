"""SIGHUP on the real daemon: what may change does, what may not is told, and a file with a fault changes nothing."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from std_msgs.msg import Float64

from edgetwin.sim.broker import LocalBroker
from tests.integration.lab import Daemon, Robot, Witness, channel, configuration, matched, paced, until

VALUE = channel("value", "/reload/value", "std_msgs/msg/Float64", ["rate_hz_max = 1000"])
GATE = "[gate]\nlinear_max_mps = 0.3\n"


def reloaded(daemon: Daemon, text: str, words: str) -> str:
    """Write these settings, have them read, wait for these words; return what was said."""
    said = len(daemon.log)
    daemon.config.write_text(text, encoding="utf-8")
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: words in daemon.log[said:], lambda: f"{words!r} in {daemon.log[said:]!r}")
    return daemon.log[said:]


def flows(daemon: Daemon) -> dict[str, int]:
    """Received, published, held back on the channel."""
    found: dict[str, int] = daemon.status()["channels"]["value"]
    return found


def published(publisher: Any, daemon: Daemon, values: Sequence[float]) -> int:
    """Publish these at 100 Hz; return how many left by the time that the daemon has all."""
    before = flows(daemon)
    for index in paced(100, len(values)):
        publisher.publish(Float64(data=float(values[index])))
    until(lambda: flows(daemon)["received"] == before["received"] + len(values), "every message")
    return flows(daemon)["published"] - before["published"]


def test_another_pace_holds_at_once_and_no_number_is_lost(broker: LocalBroker, robot: Robot, tmp_path: Path) -> None:
    """A deadband and a slow heartbeat come and go between messages; one link, one boot, numbers without a hole."""
    publisher = robot.publisher(Float64, "/reload/value", 500)
    config = configuration(broker.port, tmp_path, VALUE)
    still = config.replace("rate_hz_max = 1000", "rate_hz_max = 1000\nheartbeat_s = 3600\ndeadband = { value = 0.5 }")
    with Witness(broker.port) as witness, Daemon(tmp_path, config) as daemon:

        def newest() -> float | None:
            return next((record["data"]["data"] for record in reversed(witness.in_order("value"))), None)

        matched(publisher)
        free = published(publisher, daemon, range(30))
        until(lambda: newest() == 29.0, "the last one, so that nothing is held")
        said = reloaded(daemon, still, "deadband is now")
        resting = published(publisher, daemon, [7.0] * 30)
        reloaded(daemon, config, "deadband is now none")
        free_again = published(publisher, daemon, range(30))
        until(lambda: newest() == 29.0, "the last one")
        link, announced = daemon.status()["link"], [json.loads(one.payload) for one in witness.on("/channels")]

    assert 'Reload: channels.value.deadband is now {"value": 0.5}, and was none.' in said
    assert "Reload: channels.value.heartbeat_s is now 3600.0, and was 1.0." in said
    assert resting == 1
    assert min(free, free_again) > 1
    seqs = [record["seq"] for record in witness.in_order("value")]
    assert seqs == list(range(len(seqs)))
    assert len({record["boot"] for record in witness.in_order("value")}) == 1
    assert link["reconnects"] == 0
    assert [one["channels"]["value"]["heartbeat_s"] for one in announced] == [1.0, 3600.0, 1.0]
    robot.node.destroy_publisher(publisher)


def test_a_gate_is_never_changed_and_the_rest_is(broker: LocalBroker, tmp_path: Path) -> None:
    """One line for each key; told again as long as the file says so; a restart uses it."""
    config = configuration(broker.port, tmp_path, VALUE + GATE)
    other = config.replace("linear_max_mps = 0.3", "linear_max_mps = 0.2\nremote_motion = true")
    other = other.replace("rate_hz_max = 1000", "rate_hz_max = 10").replace("[mqtt]", "[mqtt]\nkeepalive_s = 9")
    with Daemon(tmp_path, config) as daemon:
        first = reloaded(daemon, other, "gate.remote_motion stays")
        second = reloaded(daemon, other, "gate.remote_motion stays")
        third = reloaded(daemon, config, "rate_hz_max is now 1000")
        same = reloaded(daemon, config, "nothing has changed")

    restart = "a gate is changed by a restart only, with the robot at a stand"
    told = [
        "Reload: mqtt.keepalive_s stays 5, not 9; restart to use it.",
        f"Reload: gate.linear_max_mps stays 0.3, not 0.2; {restart}.",
        f"Reload: gate.remote_motion stays false, not true; {restart}.",
    ]
    assert [line for line in told if line not in first] == []
    assert "Reload: channels.value.rate_hz_max is now 10.0, and was 1000.0." in first
    assert [line for line in told if line not in second] == []
    assert "is now" not in second
    assert "stays" not in third + same


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("nonsense", "Reload refused: robot.toml: line 1"),
        ("angular_max_radps = -1.0", "Reload refused: robot.toml: gate.angular_max_radps: -1.0 is out of range"),
        ('[channels.more]\ntopic = "/more"\ntype = "no_msgs/msg/Such"\nclass = "slow"', "channels.more.type"),
        ("[mqtt.tls]\nca_file = '/no/such.pem'", "mqtt.tls.ca_file"),
    ],
)
def test_a_file_with_a_fault_changes_nothing(broker: LocalBroker, tmp_path: Path, broken: str, words: str) -> None:
    """Not even what is right in it; and the daemon goes on."""
    config = configuration(broker.port, tmp_path, VALUE + GATE)
    slower = config.replace("rate_hz_max = 1000", "rate_hz_max = 5")
    with Daemon(tmp_path, config) as daemon:
        said = reloaded(daemon, slower + broken, words)
        after = reloaded(daemon, config, "nothing has changed")

    assert "is now" not in said + after
    assert "Traceback" not in said + after


def test_a_file_that_everybody_may_change_is_not_read_again(broker: LocalBroker, tmp_path: Path) -> None:
    """What was refused at the start is refused later too."""
    config = configuration(broker.port, tmp_path, VALUE)
    with Daemon(tmp_path, config) as daemon:
        daemon.config.chmod(0o666)
        reloaded(daemon, config.replace("rate_hz_max = 1000", "rate_hz_max = 5"), "may be changed by everybody")
        daemon.config.chmod(0o644)
        reloaded(daemon, config, "nothing has changed")


def test_detectors_and_the_backlogs_rate_change_too(broker: LocalBroker, tmp_path: Path) -> None:
    """Threshold, times of an alert, records a second."""
    detector = '[anomaly.one]\nchannel = "value"\nfield = "data"\nwarmup_s = 1.0\n'
    config = configuration(broker.port, tmp_path, VALUE + detector, store="backlog_rate_max = 50")
    other = config.replace("warmup_s = 1.0", "warmup_s = 1.0\nthreshold = 9.0\nclear_after_s = 1.0")
    with Daemon(tmp_path, config) as daemon:
        said = reloaded(daemon, other.replace("= 50", "= 500"), "anomaly.one.clear_after_s is now 1.0")
        more = reloaded(daemon, other.replace("= 50", "= 500").replace("warmup_s = 1.0", "warmup_s = 2.0"), "warmup_s")

    assert "Reload: store.backlog_rate_max is now 500, and was 50." in said
    assert "Reload: anomaly.one.threshold is now 9.0, and was 6.0." in said
    assert "anomaly.one.warmup_s stays 1.0, not 2.0; restart to use it" in more
