"""Train: bags (MCAP, rosbag2, rosbag1) as history: read as the daemon would read the topics.

In: a settings file with [prognosis.*]; bags     Out: Machine, one per bag.
A message is a row in which the sources of other channels are NaN, which no window takes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

from edgetwin import config
from edgetwin.analytics.window import Value
from edgetwin.errors import Fault, MalformedMessageError, RefusedError
from edgetwin.prognosis.sources import Reader, faults, reader
from edgetwin.ros.types import message_class
from edgetwin.settings import PrognosisSettings, Settings
from edgetwin.sim.recordings import open_recording
from edgetwin.train.history import Machine

_CHUNK = 1 << 20


def read(paths: Sequence[Path], settings_path: Path | None, name: str | None) -> tuple[list[Machine], str]:
    """Return the machines in some bags, and the hash of their files.

    Args:
        paths: Bags; each is one machine.
        settings_path: Settings that say what the topics mean.
        name: Which prognosis; None: the only one.

    Raises:
        RefusedError: Settings or a bag cannot be used.
    """
    if settings_path is None:
        cure = "give --config FILE: its [prognosis.*] says which fields of which channels they are"
        raise RefusedError([Fault("train", "a bag does not say what the sources are", cure)])
    settings = config.load(settings_path, {}).settings
    if found := faults(settings):
        raise RefusedError([Fault(f"{settings_path.name}: {one.where}", one.what, one.cure) for one in found])
    prognosis = _chosen(settings, settings_path, name)
    digest = hashlib.sha256()
    machines = []
    for path in paths:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            with file.open("rb") as content:
                while chunk := content.read(_CHUNK):
                    digest.update(chunk)
        machines.append(_machine(path, settings, prognosis))
    return machines, digest.hexdigest()


def _chosen(settings: Settings, path: Path, name: str | None) -> PrognosisSettings:
    if name is None and len(settings.prognosis) == 1:
        return next(iter(settings.prognosis.values()))
    if name is None or name not in settings.prognosis:
        known = ", ".join(settings.prognosis) or "none"
        cure = f"choose one with --prognosis NAME; there are: {known}"
        raise RefusedError([Fault(path.name, "does not say which prognosis to train", cure)])
    return settings.prognosis[name]


def _machine(path: Path, settings: Settings, prognosis: PrognosisSettings) -> Machine:
    by_topic: dict[str, list[tuple[str, Reader]]] = {}
    for source, one in prognosis.sources.items():
        channel = settings.channels[one.channel]
        by_topic.setdefault(channel.topic, []).append((source, reader(message_class(channel.type), one)))
    recording = open_recording(path)
    try:
        present = {topic.name for topic in recording.topics if not topic.obstacle}
        if missing := sorted(by_topic.keys() - present):
            cure = f"it has {', '.join(sorted(present)[:10])}"
            raise RefusedError([Fault(str(path), f"holds no {', '.join(missing)}", cure)])
        machine = Machine(path.stem, samples={source: [] for source in prognosis.sources})
        for message in recording.messages(by_topic.keys()):
            values = _values(by_topic[message.topic], message.cdr)
            machine.times_ns.append(message.stamp_ns)
            for source, column in machine.samples.items():
                column.append(values.get(source, math.nan))
        return machine
    finally:
        recording.close()


def _values(readers: list[tuple[str, Reader]], cdr: bytes) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for source, read_source in readers:
        try:
            value = read_source(cdr)
        except MalformedMessageError:
            continue
        if value is not None:
            values[source] = value
    return values
