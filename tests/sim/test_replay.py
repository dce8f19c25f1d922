"""Replay: what goes out is what was recorded, when it is due, until it is told to stop."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from edgetwin.ros.context import close_node, open_node
from edgetwin.ros.types import message_class
from edgetwin.sim.heartbeat import frequent_heartbeats
from edgetwin.sim.pace import Pace
from edgetwin.sim.recorded import Recorded
from edgetwin.sim.recordings import open_recording
from edgetwin.sim.replay import ReplayOptions, add_arguments, from_arguments, main

DATA = Path(os.environ.get("TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
ROBOTS = DATA / "robots"
HUSKY = ROBOTS / "husky_2015/husky_2015.bag"
TURTLEBOT = ROBOTS / "turtlebot_nav2_sim/nav2_turtlebot.mcap"
STORE = get_typestore(Stores.ROS2_KILTED)
DEADLINE_S = 30.0
Start: TypeAlias = Callable[..., subprocess.Popen[str]]
COMMAND = (
    "import argparse, sys; from edgetwin.sim import replay as r;"
    "p = argparse.ArgumentParser(); r.add_arguments(p); sys.exit(r.main(r.from_arguments(p.parse_args())))"
)
# Raised by lark, which rclpy imports with its first message.
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_(parse|constants)' is deprecated:DeprecationWarning")
needs_data = pytest.mark.skipif(not ROBOTS.is_dir(), reason="the robot recordings are not here; set TEST_DATA")


# --- pacing (pure) ----------------------------------------------------------------------------


def test_messages_keep_their_distances_divided_by_the_rate() -> None:
    """A timeline: (log time, now) -> wait, at twice the pace."""
    pace = Pace(2.0)
    timeline = [((1_000, 50), 0), ((1_100, 50), 50), ((1_100, 90), 10), ((1_100, 100), 0), ((1_300, 100), 100)]

    assert [pace.wait_ns(stamp_ns, now_ns=now_ns) for (stamp_ns, now_ns), _ in timeline] == [it for _, it in timeline]


def test_a_delay_does_not_shift_the_plan() -> None:
    """After a stall what is overdue goes at once, and the next message is on time again."""
    pace = Pace(1.0)
    pace.wait_ns(0, now_ns=0)

    assert pace.wait_ns(100, now_ns=1_000) == 0
    assert pace.wait_ns(1_500, now_ns=1_000) == 500


def test_a_log_time_that_steps_back_is_due_at_once() -> None:
    """Also before the first message's own time."""
    pace = Pace(1.0)
    pace.wait_ns(1_000, now_ns=0)

    assert pace.wait_ns(0, now_ns=10) == 0


def test_rate_0_never_waits() -> None:
    """Whatever the gap."""
    pace = Pace(0.0)

    assert [pace.wait_ns(stamp_ns, now_ns=0) for stamp_ns in (0, 10**18)] == [0, 0]


@given(st.lists(st.integers(0, 10**18), min_size=1), st.floats(0.01, 1000))
def test_waiting_as_told_never_publishes_early(stamps: list[int], rate: float) -> None:
    """A perfect sleeper is never before the plan, and late by nothing but the steps back of the log."""
    pace, now_ns = Pace(rate), 7
    for stamp_ns in stamps:
        now_ns += pace.wait_ns(stamp_ns, now_ns=now_ns)
        due_ns = 7 + round((stamp_ns - stamps[0]) / rate)

        assert now_ns >= due_ns
    assert now_ns == 7 + max(0, *(round((it - stamps[0]) / rate) for it in stamps))


# --- playing (real rclpy) ---------------------------------------------------------------------


class Listener:
    """Reliable subscriptions that are polled; keeps the raw bytes in order of arrival."""

    def __init__(self, node: Any, topics: dict[str, str], *, latched: bool = False) -> None:
        from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile  # noqa: PLC0415

        durability = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        profile = QoSProfile(history=HistoryPolicy.KEEP_ALL, durability=durability)
        self._node = node
        self._open = [
            node.create_subscription(message_class(type_name), name, lambda _: None, profile, raw=True)
            for name, type_name in topics.items()
        ]
        self.got: dict[str, list[bytes]] = {name: [] for name in topics}

    def drain(self) -> int:
        """Take what is there; return how many messages have come in all."""
        for name, subscription in zip(self.got, self._open, strict=True):
            while (taken := subscription.handle.take_message(subscription.msg_type, True)) is not None:  # noqa: FBT003
                self.got[name].append(bytes(taken[0]))
        return sum(map(len, self.got.values()))

    def until(self, count: int) -> None:
        """Poll until `count` messages have come."""
        deadline = time.monotonic() + DEADLINE_S
        while self.drain() < count:
            assert time.monotonic() < deadline, {name: len(it) for name, it in self.got.items()}
            time.sleep(0.005)

    def close(self) -> None:
        """End the subscriptions."""
        for subscription in self._open:
            self._node.destroy_subscription(subscription)


@pytest.fixture(scope="module")
def node() -> Iterator[Any]:
    """A node of our own domain, seen from this machine only; children inherit both."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", os.environ.get("ROS_DOMAIN_ID", "73"))
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        patch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
        made = open_node("replay_listener")
        yield made
        close_node(made)


@pytest.fixture
def start(node: Any) -> Iterator[Start]:
    """Starts replays in processes of their own, on the node's domain; ends what is left of them."""
    children: list[subprocess.Popen[str]] = []

    def begin(*arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        children.append(child)
        return child

    yield begin
    for child in children:
        child.kill()
        child.communicate()


def finish(child: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return (exit code, stdout, stderr)."""
    out, err = child.communicate(timeout=DEADLINE_S)
    return child.returncode, out, err


def expected(path: Path, topics: Sequence[str], **slice_s: float) -> dict[str, list[bytes]]:
    """Return the bytes of each topic as they arrive: DDS fills them up to whole 32-bit words."""
    with closing(open_recording(path)) as recording:
        found: list[Recorded] = list(recording.messages(topics, **slice_s))
    return {topic: [it.cdr + bytes(-len(it.cdr) % 4) for it in found if it.topic == topic] for topic in topics}


HUSKY_TYPES = {
    "/husky_velocity_controller/odom": "nav_msgs/msg/Odometry",
    "/imu/data": "sensor_msgs/msg/Imu",
    "/fix": "sensor_msgs/msg/NavSatFix",
}


@needs_data
def test_as_fast_as_subscribers_take_it_loses_nothing(node: Any, start: Start) -> None:
    """The whole drive at rate 0: 16,806 messages, each topic in order, every byte."""
    wanted = expected(HUSKY, list(HUSKY_TYPES))
    with closing(Listener(node, HUSKY_TYPES)) as listener:
        child = start(HUSKY, "--rate", "0", "--wait-for-subscribers", "20", "--json")
        listener.until(16_806)
        code, out, _ = finish(child)

        assert code == 0
        assert listener.got == wanted
    summary = json.loads(out)
    assert (summary["messages"], len(summary["topics"])) == (16_806, 3)


@needs_data
def test_a_slice_plays_at_the_recorded_pace(node: Any, start: Start) -> None:
    """2 s at twice the pace take 1 s; what arrives is the slice, under its new name."""
    wanted = expected(HUSKY, ["/imu/data"], start_s=10.0, duration_s=2.0)["/imu/data"]
    with closing(Listener(node, {"/imu": "sensor_msgs/msg/Imu"})) as listener:
        child = start(
            HUSKY, "--topic", "/imu/data", "--remap", "/imu/data:=/imu", "--start", "10", "--duration", "2",
            "--rate", "2", "--wait-for-subscribers", "20", "--json",
        )  # fmt: skip
        listener.until(len(wanted))
        code, out, err = finish(child)

        assert (code, err) == (0, "")
        assert listener.got["/imu"] == wanted
    assert json.loads(out)["seconds"] >= 0.95


@needs_data
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_within_a_second(node: Any, start: Start, number: signal.Signals, code: int) -> None:
    """Also in a long gap between two messages; the summary still comes."""
    with closing(Listener(node, {"/odom": "nav_msgs/msg/Odometry"})) as listener:
        child = start(TURTLEBOT, "--rate", "0.01", "--topic", "/odom", "--wait-for-subscribers", "20")
        listener.until(1)
        begun = time.monotonic()
        child.send_signal(number)
        got, out, _ = finish(child)

        assert got == code
        assert time.monotonic() - begun < 1.0
    assert "/odom" in out


@needs_data
def test_a_loop_starts_again_until_stopped(node: Any, start: Start) -> None:
    """The slice comes a third time in the same order."""
    wanted = expected(HUSKY, ["/fix"], duration_s=2.0)["/fix"]
    with closing(Listener(node, {"/fix": "sensor_msgs/msg/NavSatFix"})) as listener:
        child = start(
            HUSKY, "--topic", "/fix", "--duration", "2", "--rate", "20", "--loop", "--wait-for-subscribers", "20"
        )
        listener.until(3 * len(wanted))
        child.terminate()

        assert finish(child)[0] == 0
        assert listener.got["/fix"][: 3 * len(wanted)] == 3 * wanted


def test_a_short_replay_does_not_wait_for_a_rare_heartbeat(node: Any, start: Start, tmp_path: Path) -> None:
    """Five messages are acknowledged long before the 3 s after which DDS asks by default."""
    bag = words(tmp_path / "bag", count=5)
    with closing(Listener(node, {"/words": "std_msgs/msg/String"})) as listener:
        child = start(bag, "--rate", "0", "--wait-for-subscribers", "20", "--json")
        listener.until(5)
        code, out, err = finish(child)

    assert (code, err) == (0, "")
    assert json.loads(out)["seconds"] < 1.0


def test_a_dds_profile_of_the_user_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours is there while the node is opened, and gone afterwards."""
    name = "FASTDDS_DEFAULT_PROFILES_FILE"
    monkeypatch.delenv(name, raising=False)
    with frequent_heartbeats():
        assert "heartbeat_period" in Path(os.environ[name]).read_text(encoding="utf-8")
    assert name not in os.environ

    monkeypatch.setenv(name, "mine.xml")
    with frequent_heartbeats():
        assert os.environ[name] == "mine.xml"


def words(path: Path, name: str = "/words", *, step_ns: int = 1, count: int = 1000) -> Path:
    """Write a rosbag2 of numbered texts."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        link = writer.add_connection(name, "std_msgs/msg/String", typestore=STORE)
        for number in range(count):
            text = STORE.types["std_msgs/msg/String"](data=f"word {number}")
            writer.write(link, number * step_ns, STORE.serialize_cdr(text, "std_msgs/msg/String"))
    return path


@needs_data
@pytest.mark.skipif(find_spec("tf2_msgs") is not None, reason="tf2_msgs is installed here")
def test_types_that_are_not_installed_are_skipped_in_one_line_each(start: Start) -> None:
    """tf2_msgs is not among the PyPI packages; the rest plays."""
    code, out, err = finish(start(TURTLEBOT, "--rate", "0", "--duration", "1"))

    assert code == 0
    assert [line.split(": ")[1] for line in err.splitlines()] == ["/tf", "/tf_static"]
    assert err.count("skipped; tf2_msgs/msg/TFMessage: the package tf2_msgs is not installed; install") == 2
    assert "/odom" in out


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (["--topic", "/other"], "it has /words"),
        (["--remap", "/other:=/new"], "it has /words"),
        (["--mapping", "none.toml"], "config/replay"),
    ],
)
def test_what_cannot_be_played_is_refused_with_exit_2(
    arguments: list[str], cure: str, start: Start, tmp_path: Path
) -> None:
    """One line, with the cure."""
    code, out, err = finish(start(words(tmp_path / "bag", count=3), *arguments))

    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert cure in err


def test_a_name_that_ros_2_forbids_needs_a_remap(start: Start, tmp_path: Path) -> None:
    """ROS 1 allowed a digit at the start; the refusal says what to write."""
    bag = words(tmp_path / "bag", "/camera/0", count=3)
    refused, played = finish(start(bag)), finish(start(bag, "--remap", "/camera/0:=/camera/a", "--json"))

    assert (refused[0], "--remap /camera/0:=" in refused[2]) == (2, True)
    assert json.loads(played[1])["topics"][0]["topic"] == "/camera/a"


def test_nobody_listening_is_said_once_and_quiet_says_nothing_else(start: Start, tmp_path: Path) -> None:
    """The wait is bounded; the recording is played all the same."""
    code, out, err = finish(start(words(tmp_path / "bag"), "--quiet", "--rate", "0", "--wait-for-subscribers", "0.2"))

    assert (code, out) == (0, "")
    assert err.splitlines() == ["Nobody subscribes to /words; playing all the same."]


def test_a_recording_that_turns_out_damaged_exits_1_with_one_line(start: Start, tmp_path: Path) -> None:
    """The length of a message inside the chunk is nonsense: noticed while playing only."""
    bag = words(tmp_path / "bag", count=3)
    (file,) = bag.glob("*.mcap")
    raw = bytearray(file.read_bytes())
    length_at = raw.index(b"word 1") - 38  # length 8, channel 2, sequence 4, times 16, CDR header and size 8
    raw[length_at : length_at + 8] = b"\xff" * 8
    file.write_bytes(raw)
    code, _, err = finish(start(bag, "--rate", "0"))

    assert (code, len(err.splitlines())) == (1, 1)
    assert "damaged" in err


# --- options ----------------------------------------------------------------------------------


def parse(*arguments: str) -> ReplayOptions:
    """Return what the command line makes of the arguments."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return from_arguments(parser.parse_args(arguments))


def test_every_option_reaches_the_record() -> None:
    """Defaults are those of the dataclass."""
    given_all = parse(
        "a.bag", "--rate", "0", "--topic", "/a", "--topic", "/b", "--remap", "/a:=/c", "--mapping", "m.toml",
        "--start", "1", "--duration", "2", "--wait-for-subscribers", "3", "--loop", "--quiet", "--json",
    )  # fmt: skip

    assert parse("a.bag") == ReplayOptions(Path("a.bag"))
    assert given_all == ReplayOptions(
        Path("a.bag"),
        0.0,
        ("/a", "/b"),
        {"/a": "/c"},
        Path("m.toml"),
        1.0,
        2.0,
        3.0,
        loop=True,
        quiet=True,
        as_json=True,
    )


@pytest.mark.parametrize(
    "wrong", [["--rate", "-1"], ["--rate", "nan"], ["--start", "x"], ["--remap", "/a=/b"], ["--remap", "/a:=/0"]]
)
def test_wrong_arguments_exit_2(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The parser says which one."""
    with pytest.raises(SystemExit) as caught:
        parse("a.bag", *wrong)

    assert caught.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_main_gives_the_signals_back(tmp_path: Path) -> None:
    """Also when it refuses."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    assert main(ReplayOptions(tmp_path / "none.bag")) == 2
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
