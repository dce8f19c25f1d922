"""Backtest: MCAP, rosbag2 and rosbag1, judged as the daemon would have judged the topics.

In: a recording, settings or none     Out: Findings; a row is a message of a judged channel
Time is the log time of the recording: when the messages came.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from edgetwin.analytics.detector import Verdicts
from edgetwin.analytics.frozen import Array
from edgetwin.analytics.methods import Method
from edgetwin.backtest.findings import Findings
from edgetwin.clock import NS_PER_S
from edgetwin.errors import Fault, FieldPathError, RefusedError, RosTypeError
from edgetwin.judging.gauge import faults, gauge
from edgetwin.judging.watch import Told, Watch
from edgetwin.records import ChannelClass
from edgetwin.ros import cdr
from edgetwin.ros.types import message_class
from edgetwin.settings import AnomalySettings, Channel, Settings
from edgetwin.sim.recorded import Recording
from edgetwin.sim.recordings import open_recording

_TOPICS_MAX = 64


def judge_bag(path: Path, settings: Settings | None, method: Method | None) -> Findings:
    """Return what the detectors say of a recording.

    Args:
        path: A .mcap, .db3 or .bag file, or a rosbag2 folder.
        settings: Detectors and their channels; None: `robust_z` on every number of every topic.
        method: Used instead of the configured ones; None: those.

    Raises:
        RefusedError: The recording or the settings cannot be used, or nothing in it is judged.
    """
    with closing(open_recording(path)) as recording:
        chosen = _defaults(recording, method) if settings is None else _configured(settings, method)
        if found := faults(chosen):
            raise RefusedError(found)
        return _judge(path, recording, chosen)


def _judge(path: Path, recording: Recording, settings: Settings) -> Findings:
    findings = Findings(iso=True)
    watches: dict[str, Watch] = {}
    heard: dict[str, list[tuple[str, Callable[[bytes, float], list[Told]]]]] = {}
    for name, anomaly in settings.anomaly.items():
        watch = watches[name] = Watch(anomaly, gauge(anomaly, settings), _hearing(findings))
        heard.setdefault(settings.channels[anomaly.channel].topic, []).append((name, watch.take))
        if anomaly.motion_channel not in {None, anomaly.channel} and anomaly.motion_channel is not None:
            motion = _motion(watch)
            heard.setdefault(settings.channels[anomaly.motion_channel].topic, []).append((name, motion))
    present = {topic.name for topic in recording.topics if not topic.obstacle}
    if not heard.keys() & present:
        cure = f"it has {', '.join(sorted(present)[:10]) or 'no topics'}"
        raise RefusedError([Fault(str(path), f"holds none of {', '.join(sorted(heard))}", cure)])
    for message in recording.messages(heard.keys() & present):
        for name, take in heard[message.topic]:
            for told in take(message.cdr, message.stamp_ns / NS_PER_S):
                findings.hear(name, _thing(name, told), told.alert)
    for name, watch in watches.items():
        for told in watch.close():
            findings.hear(name, _thing(name, told), told.alert)
        if watch.problem:
            findings.remarks.append(f"{name}: {watch.problem}")
    _sort(findings)
    return findings


def _thing(name: str, told: Told) -> str:
    return f"{name} {told.element}".strip()


def _motion(watch: Watch) -> Callable[[bytes, float], list[Told]]:
    def take(raw: bytes, time_s: float) -> list[Told]:
        del time_s
        watch.take_motion(raw)
        return []

    return take


def _hearing(findings: Findings) -> Callable[[Verdicts, Array, Array], None]:
    def hear(verdicts: Verdicts, times_s: Array, values: Array) -> None:
        del values
        findings.add([verdicts], times_s, None)

    return hear


def _sort(findings: Findings) -> None:
    """Put the rows of several topics, judged in blocks, into the order of the recording."""
    if findings.times:
        times_s, alarms = np.concatenate(findings.times), np.concatenate(findings.alarms)
        order = np.argsort(times_s, kind="stable")
        findings.times, findings.alarms = [times_s[order]], [alarms[order]]
    findings.periods.sort(key=lambda one: one.start_s)


def _configured(settings: Settings, method: Method | None) -> Settings:
    if method is None:
        return settings
    anomalies = {
        name: AnomalySettings.model_validate(
            {"channel": one.channel, "field": one.field, "label": one.label, "method": method.value}
        )
        for name, one in settings.anomaly.items()
    }
    return settings.model_copy(update={"anomaly": anomalies})


def _defaults(recording: Recording, method: Method | None) -> Settings:
    """Return settings that judge every number of every topic, whose type is installed."""
    if method not in {None, Method.ROBUST_Z, Method.RESIDUAL, Method.T_SQUARED, Method.SPECTRAL}:
        cure = "give --config with an [anomaly.NAME] that has them"
        raise RefusedError([Fault(f"--method {method}", "needs to know which elements, motion or limits", cure)])
    channels: dict[str, Channel] = {}
    anomalies: dict[str, AnomalySettings] = {}
    for topic in recording.topics[:_TOPICS_MAX]:
        try:
            paths = [] if topic.obstacle else cdr.numeric_paths(message_class(topic.type_name))
        except (RosTypeError, FieldPathError):
            continue
        name = topic.name.strip("/").replace("/", "_")[:64]
        values = {"topic": topic.name, "type": topic.type_name, "class": ChannelClass.CRITICAL.value}
        channels[name] = Channel.model_validate(values)
        for path in paths:
            label = "name" if topic.type_name == "sensor_msgs/msg/JointState" else None
            choice = {"channel": name, "field": path, "label": label, "method": (method or Method.ROBUST_Z).value}
            anomalies[f"{name}.{path}"] = AnomalySettings.model_validate(choice)
    return Settings.model_construct(channels=channels, anomaly=anomalies)
