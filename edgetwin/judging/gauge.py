"""Roof: what a detector looks at in a message: its field, the names of its elements, its motion.

In: [anomaly.*] settings, a message class     Out: functions from CDR to numbers and names
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from edgetwin.errors import Fault, FieldPathError, RosTypeError
from edgetwin.ros import cdr
from edgetwin.ros.cdr_layout import Layout
from edgetwin.ros.cdr_paths import find
from edgetwin.ros.types import message_class
from edgetwin.settings import AnomalySettings, Settings

Numbers: TypeAlias = Callable[[bytes], tuple[Any, ...]]
Names: TypeAlias = Callable[[bytes], list[str]]


@dataclass(frozen=True, slots=True)
class Gauge:
    """How one detector reads its messages.

    Attributes:
        read: CDR of the channel -> (values, motion, ...), each a float or a row of floats.
        names: CDR -> names of the values; None: see `labels`.
        labels: Names that the type itself gives: x, y, z of a Vector3; empty: indices.
        motion: CDR of the motion's own channel -> (motion, ...); None: it is in the same message, or there is none.
    """

    read: Numbers
    names: Names | None
    labels: tuple[str, ...]
    motion: Numbers | None


def gauge(anomaly: AnomalySettings, settings: Settings) -> Gauge:
    """Return the readers of one detector.

    Raises:
        RosTypeError: A message type is not installed.
        FieldPathError: A path does not exist, or is not of numbers or texts.
    """
    cls = message_class(settings.channels[anomaly.channel].type)
    elsewhere = anomaly.motion_channel not in {None, anomaly.channel}
    here = () if elsewhere else anomaly.motion
    motion = None
    if elsewhere and anomaly.motion_channel is not None:
        motion = cdr.number_reader(message_class(settings.channels[anomaly.motion_channel].type), anomaly.motion)
    names = None if anomaly.label is None else cdr.string_list_reader(cls, anomaly.label)
    node = find(cdr.layout(cls), anomaly.field)
    labels = tuple(name for name, _ in node.fields) if isinstance(node, Layout) else ()
    return Gauge(cdr.number_reader(cls, [anomaly.field, *here]), names, labels, motion)


def faults(settings: Settings) -> list[Fault]:
    """Return what is wrong with [anomaly.*] that only the channels and their types can tell."""
    found: list[Fault] = []
    for name, anomaly in settings.anomaly.items():
        where = f"anomaly.{name}"
        missing = _missing_channels(where, anomaly, settings.channels)
        found += missing
        if missing:
            continue
        try:
            gauge(anomaly, settings)
        except FieldPathError as error:
            found.append(Fault(where, f"{error.path} {error.what}", error.cure))
        except RosTypeError:
            continue  # the channel has this fault, and tells it
    return found


def _missing_channels(where: str, anomaly: AnomalySettings, channels: Mapping[str, Any]) -> list[Fault]:
    wanted = {"channel": anomaly.channel, "motion_channel": anomaly.motion_channel}
    known = ", ".join(channels) or "none"
    return [
        Fault(f"{where}.{key}", f"'{name}' is no channel", f"name one of [channels]: {known}")
        for key, name in wanted.items()
        if name is not None and name not in channels
    ]
