"""What real robots said, through replay, daemon and broker into the mirror's domain, against the file."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

from nav_msgs.msg import Odometry
from sensor_msgs.msg import Imu

from edgetwin.sim.broker import LocalBroker
from tests.integration.lab import ROBOT_ID, Daemon, configuration, until
from tests.integration.mirror_lab import Heard, MirrorProcess, OtherDomain
from tests.integration.recordings_lab import Replay, Said, _plain, bag, needs_data
from tests.integration.test_recordings import EVERY_SAMPLE, HUSKY, HUSKY_CHANNELS, sections

pytestmark = needs_data

CHOSEN = {name: HUSKY_CHANNELS[name] for name in ("odom", "imu")}
DEADBAND_M = 0.4


def test_a_husky_is_mirrored_as_recorded(broker: LocalBroker, tmp_path: Path) -> None:
    """60 s of a drive at ten times its pace: every message of two channels, in order, every value; nothing lost."""
    recorded = bag(HUSKY, [topic for topic, _ in CHOSEN.values()], start_s=200.0, duration_s=60.0)
    config = configuration(broker.port, tmp_path, sections(CHOSEN, EVERY_SAMPLE))
    options = ("--start", "200", "--duration", "60", "--rate", "10")
    with OtherDomain() as other, MirrorProcess(broker.port) as mirror, Daemon(tmp_path, config):
        heard = {
            "odom": other.listen(Odometry, f"/virtual/{ROBOT_ID}/odom"),
            "imu": other.listen(Imu, f"/virtual/{ROBOT_ID}/imu"),
        }
        with Replay(HUSKY, [topic for topic, _ in CHOSEN.values()], *options) as player:
            player.finish()
        for name, (topic, _) in CHOSEN.items():
            _arrived(mirror, name, len(recorded[topic]))
            _assert_shown(heard[name], recorded[topic])
        lost = [mirror.channel(ROBOT_ID, name)["lost"] for name in CHOSEN]

    assert lost == [0, 0]


def test_the_twin_is_no_farther_from_its_robot_than_the_deadband_and_the_way_explain(
    broker: LocalBroker, tmp_path: Path
) -> None:
    """A deadband of 40 cm at the recorded pace: the error at each record is within it, plus one step of the robot."""
    topic = HUSKY_CHANNELS["odom"][0]
    recorded = bag(HUSKY, [topic], start_s=200.0, duration_s=20.0)[topic]
    extra = (*EVERY_SAMPLE, f"deadband = {{ position_m = {DEADBAND_M} }}")
    config = configuration(broker.port, tmp_path, sections({"odom": CHOSEN["odom"]}, extra))
    with MirrorProcess(broker.port) as mirror, Daemon(tmp_path, config):
        with Replay(HUSKY, [topic], "--start", "200", "--duration", "20") as player:
            player.finish()
        until(lambda: (_figure(mirror, "held_back") or 0) > 0, lambda: str(mirror.reports[-1]), 20)
        error_m, latency_ms = _figure(mirror, "position_error_max_m"), _figure(mirror, "transport_p50_ms")

    step_m = max(math.dist(_place(before), _place(after)) for before, after in pairwise(recorded))
    period_s = min(after.stamp_us - before.stamp_us for before, after in pairwise(recorded)) / 1e6
    assert error_m is not None
    assert latency_ms is not None
    assert 0 < error_m <= DEADBAND_M + 2 * step_m + step_m / period_s * latency_ms / 1000


def _arrived(mirror: MirrorProcess, name: str, count: int) -> None:
    def all_there() -> bool:
        channel = mirror.channel(ROBOT_ID, name)
        return bool(channel.get("live", 0) + channel.get("backlog", 0) == count)

    until(all_there, lambda: str(mirror.reports[-1]), 30)


def _figure(mirror: MirrorProcess, name: str) -> float | None:
    value: float | None = mirror.channel(ROBOT_ID, "odom").get(name)
    return value


def _place(said: Said) -> tuple[float, float]:
    position = said.data["pose"]["pose"]["position"]
    return position["x"], position["y"]


def _assert_shown(heard: Heard, recorded: list[Said]) -> None:
    """What was shown is what the file says, in its order; the first may have come before our reader was matched."""
    until(lambda: heard.messages and _plain(heard.messages[-1]) == recorded[-1].data, "the last message")
    shown = [_plain(message) for message in heard.messages]
    expected = [said.data for said in recorded]

    assert shown == expected[len(expected) - len(shown) :]
    assert len(shown) >= len(expected) - 10
