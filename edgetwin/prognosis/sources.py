"""Roof: the sources of a prognosis: raw CDR of a channel into one quantity.

In: the settings of a source, the message class of its channel; then raw messages
Out: a number, an array of successive ones, or None where the message has no such element
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from edgetwin.analytics.window import Value
from edgetwin.errors import Fault, FieldPathError, RosTypeError
from edgetwin.ros import cdr
from edgetwin.ros.types import message_class
from edgetwin.settings import Channel, Combine, Settings, SourceSettings

Reader: TypeAlias = Callable[[bytes], Value | None]


def reader(cls: Any, source: SourceSettings) -> Reader:
    """Return what reads the source out of a message.

    Raises:
        FieldPathError: `field` has no numbers, or `label` no texts, in this type.
    """
    read = cdr.number_reader(cls, [source.field])
    if source.rate_hz is not None:
        return lambda raw: np.asarray(read(raw)[0], np.float64)
    if source.element is None:
        combine = _COMBINE[source.combine]
        return lambda raw: combine(read(raw)[0])
    if source.label is None:
        index = int(source.element)
        return lambda raw: _at(read(raw)[0], index)
    return _Labelled(read, cdr.string_list_reader(cls, source.label), source.element)


class _Labelled:
    """Finds the element by its name; looks first where it was last time."""

    def __init__(self, read: cdr.NumberReader, names: Callable[[bytes], list[str]], element: str) -> None:
        self._read = read
        self._names = names
        self._element = element
        self._index = 0

    def __call__(self, raw: bytes) -> float | None:
        names = self._names(raw)
        if self._index >= len(names) or names[self._index] != self._element:
            if self._element not in names:
                return None
            self._index = names.index(self._element)
        return _at(self._read(raw)[0], self._index)


def combined(values: Sequence[float], how: Combine) -> float:
    """Return several numbers, at least one, as one; NaN where they cannot be."""
    found = _COMBINE[how](values)
    return math.nan if found is None else found


def faults(settings: Settings) -> list[Fault]:
    """Return what is wrong with the sources of all prognoses that only channels and message types can tell."""
    found: list[Fault] = []
    for name, prognosis in settings.prognosis.items():
        for source_name, source in prognosis.sources.items():
            where = f"prognosis.{name}.sources.{source_name}"
            channel = settings.channels.get(source.channel)
            if channel is None:
                known = ", ".join(settings.channels)
                found.append(Fault(f"{where}.channel", f"there is no channel {source.channel}", f"there are {known}"))
            else:
                found += _field_faults(where, source, channel)
    return found


def _field_faults(where: str, source: SourceSettings, channel: Channel) -> list[Fault]:
    try:
        cls = message_class(channel.type)
        cdr.number_reader(cls, [source.field])
    except RosTypeError:
        return []  # the channel's own fault says so
    except FieldPathError as error:
        return [Fault(f"{where}.field", f"{error.path} {error.what}", error.cure)]
    try:
        if source.label is not None:
            cdr.string_list_reader(cls, source.label)
    except FieldPathError as error:
        return [Fault(f"{where}.label", f"{error.path} {error.what}", error.cure)]
    return []


def _at(values: float | Sequence[float], index: int) -> float | None:
    if isinstance(values, float):
        return values if index == 0 else None
    return float(values[index]) if index < len(values) else None


def _mean(values: float | Sequence[float]) -> float | None:
    if isinstance(values, float):
        return values
    return math.fsum(values) / len(values) if len(values) and _finite(values) else _unknown(values)


def _max(values: float | Sequence[float]) -> float | None:
    if isinstance(values, float):
        return values
    return float(max(values)) if len(values) and _finite(values) else _unknown(values)


def _norm(values: float | Sequence[float]) -> float | None:
    if isinstance(values, float):
        return abs(values)
    return math.hypot(*values) if len(values) and _finite(values) else _unknown(values)


def _finite(values: Sequence[float]) -> bool:
    return math.isfinite(sum(map(abs, values)))


def _unknown(values: Sequence[float]) -> float | None:
    """Nothing of an empty array; of one with a NaN in it, or too large to be added up, a NaN that is counted."""
    return math.nan if len(values) else None


_COMBINE: dict[Combine, Callable[[float | Sequence[float]], float | None]] = {
    Combine.MEAN: _mean,
    Combine.MAX: _max,
    Combine.NORM: _norm,
}
