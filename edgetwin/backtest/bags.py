"""Backtest: MCAP, rosbag2 and rosbag1, judged by detectors and models as the daemon would have judged the topics.

In: a recording, settings or none     Out: Findings; a row is a message of a judged channel
Time is the log time of the recording: when the messages came.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import numpy as np

from edgetwin.analytics.detector import Verdicts
from edgetwin.analytics.frozen import Array
from edgetwin.analytics.methods import Method
from edgetwin.backtest.findings import Findings
from edgetwin.backtest.plot import Trace
from edgetwin.backtest.rehearsal import Rehearsal, rehearsals
from edgetwin.backtest.wishes import configured, defaults
from edgetwin.clock import NS_PER_S
from edgetwin.errors import Fault, MalformedMessageError, RefusedError
from edgetwin.judging.gauge import faults, gauge
from edgetwin.judging.watch import Told, Watch
from edgetwin.prognosis.sources import Reader, reader
from edgetwin.prognosis.sources import faults as source_faults
from edgetwin.ros.types import message_class
from edgetwin.settings import PrognosisSettings, Settings
from edgetwin.sim.recorded import Recording
from edgetwin.sim.recordings import open_recording

Take: TypeAlias = Callable[[bytes, int], None]  # raw CDR, log time [ns]
Traces: TypeAlias = dict[tuple[str, int], Trace]  # by detector and column


def judge_bag(
    path: Path, settings: Settings | None, method: Method | None, *, draw_too: bool = False
) -> tuple[Findings, list[Trace]]:
    """Return what detectors and models say of a recording, and what can be drawn.

    Args:
        path: A .mcap, .db3 or .bag file, or a rosbag2 folder.
        settings: Detectors, models and their channels; None: `robust_z` on every number of every topic.
        method: Used instead of the configured ones; None: those.
        draw_too: Keep every value, for a picture.

    Raises:
        RefusedError: The recording, the settings or a model cannot be used, or nothing in it is judged.
    """
    with closing(open_recording(path)) as recording:
        chosen = defaults(recording, method) if settings is None else configured(settings, method)
        if found := faults(chosen) + source_faults(chosen):
            raise RefusedError(found)
        traces: Traces | None = {} if draw_too else None
        return _judge(path, recording, chosen, traces), list((traces or {}).values())


def _judge(path: Path, recording: Recording, settings: Settings, traces: Traces | None) -> Findings:
    present = {topic.name for topic in recording.topics if not topic.obstacle}
    wanted = _topics(settings)
    if not wanted & present:
        cure = f"it has {', '.join(sorted(present)[:10]) or 'no topics'}"
        raise RefusedError([Fault(str(path), f"holds none of {', '.join(sorted(wanted))}", cure)])
    offered = {name: _offered(one, settings, present) for name, one in settings.prognosis.items()}
    findings = Findings(iso=True, rehearsals=rehearsals(settings, offered))
    watches: dict[str, Watch] = {}
    takes: dict[str, list[Take]] = {}
    for name, anomaly in settings.anomaly.items():
        watch = watches[name] = Watch(anomaly, gauge(anomaly, settings), _hearing(findings, name, watches, traces))
        takes.setdefault(settings.channels[anomaly.channel].topic, []).append(_judging(findings, name, watch))
        if anomaly.motion_channel not in {None, anomaly.channel} and anomaly.motion_channel is not None:
            takes.setdefault(settings.channels[anomaly.motion_channel].topic, []).append(_motion(watch))
    unjudged = _feed_models(settings, findings, takes)
    for message in recording.messages(takes.keys() & present):
        for take in takes[message.topic]:
            take(message.cdr, message.stamp_ns)
    for name, watch in watches.items():
        for told in watch.close():
            findings.hear(name, _thing(name, told), told.alert)
        if watch.problem:
            findings.remarks.append(f"{name}: {watch.problem}")
    findings.add([], np.array(unjudged), None)
    _sort(findings)
    return findings


def _topics(settings: Settings) -> set[str]:
    """Return the topics that something judges."""
    names = {one for anomaly in settings.anomaly.values() for one in (anomaly.channel, anomaly.motion_channel) if one}
    names |= {source.channel for prognosis in settings.prognosis.values() for source in prognosis.sources.values()}
    return {settings.channels[name].topic for name in names}


def _offered(prognosis: PrognosisSettings, settings: Settings, present: set[str]) -> list[str]:
    return [name for name, one in prognosis.sources.items() if settings.channels[one.channel].topic in present]


def _feed_models(settings: Settings, findings: Findings, takes: dict[str, list[Take]]) -> array[float]:
    """Let the models hear their topics; return where the times [s] of messages go that no detector judges."""
    judged = {settings.channels[anomaly.channel].topic for anomaly in settings.anomaly.values()}
    unjudged = array("d")
    for rehearsal in findings.rehearsals:
        for source, one in settings.prognosis[rehearsal.name].sources.items():
            channel = settings.channels[one.channel]
            wanting = takes.setdefault(channel.topic, [])
            if channel.topic not in judged:
                judged.add(channel.topic)
                wanting.append(lambda _, stamp_ns: unjudged.append(stamp_ns / NS_PER_S))
            wanting.append(_feeding(findings, rehearsal, source, reader(message_class(channel.type), one)))
    return unjudged


def _judging(findings: Findings, name: str, watch: Watch) -> Take:
    def take(raw: bytes, stamp_ns: int) -> None:
        for told in watch.take(raw, stamp_ns / NS_PER_S):
            findings.hear(name, _thing(name, told), told.alert)

    return take


def _feeding(findings: Findings, rehearsal: Rehearsal, source: str, read: Reader) -> Take:
    told = False

    def take(raw: bytes, stamp_ns: int) -> None:
        nonlocal told
        try:
            value = read(raw)
        except MalformedMessageError:
            if not told:
                told = True
                findings.remarks.append(f"{rehearsal.name}: messages for {source} are not of the declared type")
            return
        if value is not None:
            rehearsal.take(source, value, stamp_ns)

    return take


def _thing(name: str, told: Told) -> str:
    return f"{name} {told.element}".strip()


def _motion(watch: Watch) -> Take:
    def take(raw: bytes, stamp_ns: int) -> None:
        del stamp_ns
        watch.take_motion(raw)

    return take


def _hearing(
    findings: Findings, name: str, watches: Mapping[str, Watch], traces: Traces | None
) -> Callable[[Verdicts, Array, Array], None]:
    def hear(verdicts: Verdicts, times_s: Array, values: Array) -> None:
        findings.add([verdicts], times_s, None)
        if traces is None:
            return
        watch = watches[name]
        for column in range(values.shape[1]):
            trace = traces.setdefault((name, column), Trace(f"{name} {watch.element(column)}".strip()))
            trace.add(times_s, values[:, column], watch.detector, column)

    return hear


def _sort(findings: Findings) -> None:
    """Put the rows of several topics, judged in blocks, into the order of the recording."""
    if findings.times:
        times_s, alarms = np.concatenate(findings.times), np.concatenate(findings.alarms)
        order = np.argsort(times_s, kind="stable")
        findings.times, findings.alarms = [times_s[order]], [alarms[order]]
    findings.periods.sort(key=lambda one: one.start_s)
