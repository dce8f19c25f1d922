"""Bench: the whole daemon at the reference load, with detectors and a failure model, beside the one without.

In: the site     Out: CPU per message and memory, with the goals beside them; proof that the judges were at work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import orjson

from bench.inference import forest_of
from bench.peers import COALESCED, EDGETWIN, TUTORIAL, Peer, Placement
from bench.procfs import usage
from bench.report import Rounds, Row, Section, medians, ratios
from bench.sent import read_sent
from bench.site import Load, Running, Site, wait_until
from edgetwin.clock import NS_PER_US

LOAD = "reference"
WINDOW_S, EVERY_S = 1.0, 0.1  # of the model: as often as the settings allow
_WATCHING_MAX_S = 60.0
_METHOD = """\
The daemon as in the reference section, without and with judges: `robust_z` on effort and on velocity of the seven
joints, `twin_ratio` on two of them, `spectral` on the Imu's acceleration, and a random forest of 100 trees (leaves of
ten rows, as `train` grows it) on five features of joints and Imu, asked ten times a second over windows of one second.
The window begins when the model has answered and every detector has a sample. CPU is the scheduler's time of all
threads of the process, per message that the robot published. The peers run in turn.
"""
_SETTINGS = """
[anomaly.effort]
channel = "joint_states"
field = "effort"
label = "name"
[anomaly.velocity]
channel = "joint_states"
field = "velocity"
label = "name"
[anomaly.twins]
channel = "joint_states"
field = "effort"
label = "name"
method = "twin_ratio"
pairs = ["arm_joint_1/arm_joint_2"]
[anomaly.vibration]
channel = "imu"
field = "linear_acceleration"
method = "spectral"
[prognosis.motor]
model = "{model}"
every_s = {every_s}
[prognosis.motor.sources.current]
channel = "joint_states"
field = "effort"
label = "name"
element = "arm_joint_1"
[prognosis.motor.sources.temperature]
channel = "joint_states"
field = "position"
[prognosis.motor.sources.vibration]
channel = "imu"
field = "linear_acceleration"
combine = "norm"
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of one window; NaN: this peer has none."""

    cpu_us: float
    core_percent: float
    rss_mb: float
    asked_hz: float
    alerts: float


@cache
def _model() -> bytes:
    return forest_of(10, WINDOW_S)[1]


def _analysed(without: Peer, place: Placement) -> list[str]:
    """Write the settings of the daemon without judges, and add them."""
    command = without.command(place)
    path = place.folder / "forest.onnx"
    path.write_bytes(_model())
    with Path(command[-1]).open("a", encoding="utf-8") as settings:
        settings.write(_SETTINGS.format(model=path, every_s=EVERY_S))
    return command


ANALYSED = Peer("with analytics", partial(_analysed, EDGETWIN))
ANALYSED_COALESCED = Peer("with analytics, 0.1 s", partial(_analysed, COALESCED))
PEERS = (TUTORIAL, EDGETWIN, ANALYSED, ANALYSED_COALESCED)


def measure(site: Site) -> Section:
    """Measure the peers in turn, as many rounds as the effort says."""
    _model()  # fitted before the clock runs
    rounds: dict[str, list[Sample]] = {peer.name: [] for peer in PEERS}
    with site.loaded(LOAD) as load:
        for _ in range(site.effort.rounds):
            for peer in PEERS:
                rounds[peer.name].append(_sample(site, load, peer))
    title = "Whole daemon with analytics, reference load (361 messages/s), link up"
    return Section("analysed", title, _rows(rounds), rounds, _METHOD)


def _sample(site: Site, load: Load, peer: Peer) -> Sample:
    judged = peer in {ANALYSED, ANALYSED_COALESCED}
    with site.running(peer, LOAD) as running:
        site.wait_flowing(running)
        if judged:
            wait_until(_watching(site, running), running.child, _WATCHING_MAX_S)
        answered = _answered(site, running) if judged else 0
        before, begin_us = usage(running.child.pid), time.time_ns() // NS_PER_US
        time.sleep(site.effort.window_s)
        after, end_us = usage(running.child.pid), time.time_ns() // NS_PER_US
        told = _status(site, running) if judged else {}
        asked = _answered(site, running) - answered if judged else 0
    messages = max(1, sum(begin_us <= sent_us < end_us for sent_us in read_sent(load.sent).values()))
    cpu_us, took_us = (after.cpu_ns - before.cpu_ns) / NS_PER_US, end_us - begin_us
    return Sample(
        cpu_us=cpu_us / messages,
        core_percent=100 * cpu_us / took_us,
        rss_mb=after.rss_bytes / 1e6,
        asked_hz=asked / (took_us / 1e6) if judged else float("nan"),
        alerts=sum(one["alerts"] for one in told["anomaly"].values()) if told else float("nan"),
    )


def _status(site: Site, running: Running) -> dict[str, Any]:
    """Return what this very daemon says; nothing before it has said anything."""
    try:
        told: dict[str, Any] = orjson.loads((site.runtime_directory / "status.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return told if told.get("robot_id") == running.place.robot_id else {}


def _watching(site: Site, running: Running) -> Callable[[], bool]:
    def watching() -> bool:
        told = _status(site, running)
        if not told:
            return False
        begun = all(one["phase"] != "waiting" for one in told["anomaly"].values())
        return begun and all(one.get("judged", 0) > 0 for one in told["prognosis"].values())

    return watching


def _answered(site: Site, running: Running) -> int:
    return sum(int(one.get("judged", 0)) for one in _status(site, running).get("prognosis", {}).values())


def _rows(rounds: Rounds[Sample]) -> list[Row]:
    own = {name: rounds[name] for name in (EDGETWIN.name, ANALYSED.name, ANALYSED_COALESCED.name)}
    judging = {name: rounds[name] for name in (ANALYSED.name, ANALYSED_COALESCED.name)}
    return [
        ratios(
            "CPU per message: tutorial / this", rounds, TUTORIAL.name, lambda s: s.cpu_us, ">= 10; >= 18 with 0.1 s"
        ),
        medians("CPU per message", "us", rounds, lambda s: s.cpu_us),
        medians("share of a core", "%", rounds, lambda s: s.core_percent),
        medians("memory (RSS)", "MB", own, lambda s: s.rss_mb, "<= 110"),
        medians("windows that the model judged", "1/s", judging, lambda s: s.asked_hz),
        medians("alerts raised since the start", "", judging, lambda s: s.alerts),
    ]
