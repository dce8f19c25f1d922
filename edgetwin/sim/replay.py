"""`edgetwin replay FILE`: play a recording into live ROS 2 topics.

In: options     Out: ROS topics, a summary on stdout, remarks on stderr, an exit code.
It wires a reader (sim.recordings) to a player (sim.player) and owns the signals and the terminal.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edgetwin.clock import NS_PER_S, Clock, SystemClock
from edgetwin.errors import EdgeTwinError, Fault, RefusedError
from edgetwin.ros.context import close_node, import_rclpy, open_node
from edgetwin.sim.heartbeat import frequent_heartbeats
from edgetwin.sim.player import Player, obstacle
from edgetwin.sim.recorded import TOPIC_NAME, Recording, Topic
from edgetwin.sim.recordings import open_recording
from edgetwin.sim.replay_report import Screen, summary

_NODE_NAME = "edgetwin_replay"
_EXIT_FAILED, _EXIT_REFUSED, _EXIT_INTERRUPTED = 1, 2, 130


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What to play, and how.

    Attributes:
        path: Recording (see sim.recordings.open_recording).
        rate: 1 = as recorded; 0 = as fast as the subscribers acknowledge.
        topics: Only these recorded topics; empty = all.
        remap: Recorded topic name -> name to publish it under.
        mapping: What the columns of a CSV mean.
        start_s: Skip this much of the recording [s].
        duration_s: Play this much of it [s]; None = to the end.
        wait_for_subscribers_s: Wait at most this long for a subscriber on every topic [s].
        loop: Start again at the end, until stopped.
        quiet: No progress, no summary.
        as_json: The summary is one line of JSON.
    """

    path: Path
    rate: float = 1.0
    topics: tuple[str, ...] = ()
    remap: Mapping[str, str] = field(default_factory=dict)
    mapping: Path | None = None
    start_s: float = 0.0
    duration_s: float | None = None
    wait_for_subscribers_s: float = 0.0
    loop: bool = False
    quiet: bool = False
    as_json: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `edgetwin replay`."""
    parser.add_argument(
        "path",
        metavar="FILE",
        type=Path,
        help=".bag, .mcap, .db3, rosbag2 folder, or CSV (file, folder, quoted pattern)",
    )
    parser.add_argument(
        "--rate",
        type=_amount,
        default=1.0,
        metavar="X",
        help="speed; 0 = as fast as subscribers acknowledge (default 1)",
    )
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        dest="topics",
        metavar="NAME",
        help="play only this topic; may be repeated",
    )
    parser.add_argument(
        "--remap",
        action="append",
        default=[],
        type=_remap,
        metavar="OLD:=NEW",
        help="publish OLD as NEW; may be repeated",
    )
    parser.add_argument(
        "--mapping", type=Path, metavar="FILE.toml", help="what the columns of a CSV mean; see config/replay"
    )
    parser.add_argument(
        "--start", type=_amount, default=0.0, dest="start_s", metavar="S", help="skip the first S seconds"
    )
    parser.add_argument(
        "--duration", type=_amount, dest="duration_s", metavar="S", help="play S seconds of the recording"
    )
    parser.add_argument(
        "--wait-for-subscribers",
        type=_amount,
        default=0.0,
        dest="wait_for_subscribers_s",
        metavar="S",
        help="wait at most S seconds for a subscriber on every topic",
    )
    parser.add_argument("--loop", action="store_true", help="start again at the end, until stopped")
    parser.add_argument("--quiet", action="store_true", help="no progress, no summary")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print the summary as one line of JSON")


def from_arguments(namespace: argparse.Namespace) -> ReplayOptions:
    """Return the options that `add_arguments` parsed."""
    given = {name: getattr(namespace, name) for name in ReplayOptions.__slots__}
    return ReplayOptions(**given | {"topics": tuple(given["topics"]), "remap": dict(given["remap"])})


def main(options: ReplayOptions, clock: Clock | None = None) -> int:
    """Play the recording; return the exit code.

    0 = played to the end, or stopped by SIGTERM; 1 = failed while playing; 2 = refused; 130 = Ctrl-C.
    """
    with _signals() as caught:
        try:
            with closing(open_recording(options.path, options.mapping)) as recording:
                _replay(options, recording, clock or SystemClock(), caught)
        except RefusedError as error:
            return _complain(str(error), _EXIT_REFUSED)
        except EdgeTwinError as error:
            return _complain(str(error), _EXIT_FAILED)
        return _EXIT_INTERRUPTED if signal.SIGINT in caught else 0


def _replay(options: ReplayOptions, recording: Recording, clock: Clock, caught: list[int]) -> None:
    topics = _playable(options, _chosen(options, recording))
    names = {topic.name: options.remap.get(topic.name, topic.name) for topic in topics}
    with frequent_heartbeats():
        node = open_node(_NODE_NAME)
    try:
        screen = Screen(clock, show=sys.stderr.isatty() and not options.quiet)
        player = Player(node, topics, names, clock=clock, stopping=lambda: bool(caught), progress=screen.note)
        if options.wait_for_subscribers_s and (lonely := player.await_subscribers(options.wait_for_subscribers_s)):
            _remark(f"Nobody subscribes to {', '.join(lonely)}; playing all the same.")
        begun_ns = clock.now_ns()
        while not caught:
            messages = recording.messages(list(names), start_s=options.start_s, duration_s=options.duration_s)
            player.play(messages, options.rate)
            if not options.loop:
                break
        late = [] if caught else player.farewell()
        screen.clear()
        if late:
            _remark(f"The last messages on {', '.join(late)} were not acknowledged within 5 s; a subscriber hangs.")
        if not options.quiet:
            print(summary(player.tallies, (clock.now_ns() - begun_ns) / NS_PER_S, as_json=options.as_json))
    finally:
        close_node(node)


def _chosen(options: ReplayOptions, recording: Recording) -> list[Topic]:
    """Return the topics the user wants; refuse names that the recording does not have."""
    held = {topic.name for topic in recording.topics}
    wanted = ["/" + name.lstrip("/") for name in options.topics]
    cure = f"it has {', '.join(sorted(held)) or 'no messages at all'}"
    unknown = [name for name in (*wanted, *options.remap) if name not in held]
    if unknown or not held:
        faults = [Fault(str(options.path), f"has no topic {name}", cure) for name in unknown]
        raise RefusedError(faults or [Fault(str(options.path), "holds no messages", "play another recording")])
    return [topic for topic in recording.topics if not wanted or topic.name in wanted]


def _playable(options: ReplayOptions, chosen: list[Topic]) -> list[Topic]:
    """Return what can be published here; name the rest on stderr, and refuse when nothing is left."""
    import_rclpy()  # a missing ROS is one error, not one per type
    types: dict[str, str] = {}
    playable: list[Topic] = []
    faults: list[Fault] = []
    for topic in chosen:
        name = options.remap.get(topic.name, topic.name)
        why = obstacle(topic)
        if not TOPIC_NAME.fullmatch(name):
            why = f"ROS 2 does not allow this name; give --remap {name}:=/other"
        elif not why and types.setdefault(name, topic.type_name) != topic.type_name:
            why = f"{name} carries {types[name]} already; give --remap {topic.name}:=/other"
        if why:
            faults.append(Fault(f"{options.path}: {topic.name}", "skipped", why))
        else:
            playable.append(topic)
    if not playable:
        raise RefusedError(faults)
    for fault in faults:
        _remark(str(fault))
    return playable


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of dying of them; yields the list they are put into."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # Python allows handlers there only
        yield caught
        return
    before = {
        number: signal.signal(number, lambda got, _: caught.append(got)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield caught
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _complain(text: str, code: int) -> int:
    for line in text.splitlines():
        _remark(line)
    return code


def _remark(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _amount(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        msg = f"{text!r} is not a number from 0 up"
        raise argparse.ArgumentTypeError(msg)
    return value


def _remap(text: str) -> tuple[str, str]:
    old, sign, new = text.partition(":=")
    if not (sign and old.startswith("/") and TOPIC_NAME.fullmatch(new)):
        msg = f"{text!r} is not /old:=/new"
        raise argparse.ArgumentTypeError(msg)
    return old, new
