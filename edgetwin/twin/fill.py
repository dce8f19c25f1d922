"""Twin wing: the JSON of a record into a ROS message, or its CDR into bytes that are one.

In: a message class; then `data` of its records     Out: functions that give what a publisher takes
What a record does not have keeps the message's default; null in a float is NaN (the wire knows no other, so an infinity
comes back as NaN, too). Anybody may publish on a broker: values are converted, never trusted, and bytes are read
to their end before they are passed on. It imports the ros room's `types` and `cdr`, which turn names and bytes into
values; the rules of the wire format are nowhere else.
"""

from __future__ import annotations

import array
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from edgetwin.errors import MalformedMessageError
from edgetwin.ros import cdr
from edgetwin.ros.types import message_class

Convert: TypeAlias = Callable[[Any], Any]
Publishable: TypeAlias = Any  # a message, or serialised bytes

_SEQUENCE = re.compile(r"sequence<(.+?)(?:, \d+)?>")
_ARRAY = re.compile(r"(.+)\[(\d+)\]")
_CODES = {
    "float": "f", "double": "d", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I",
    "int64": "q", "uint64": "Q", "char": "B",
}  # fmt: skip
_DTYPES = {
    "float": "float32", "double": "float64", "int8": "int8", "uint8": "uint8", "int16": "int16", "uint16": "uint16",
    "int32": "int32", "uint32": "uint32", "int64": "int64", "uint64": "uint64", "char": "uint8",
}  # fmt: skip


def json_maker(cls: Any) -> Callable[[Any], Publishable]:
    """Return what makes a message of `cls` from the `data` of a JSON record.

    What it returns raises MalformedMessageError where the data does not fit the type.
    """
    fill = _filler(cls)

    def make(data: Any) -> Publishable:
        message = cls()
        try:
            fill(message, data)
        except (TypeError, ValueError, AttributeError, OverflowError, AssertionError) as error:
            msg = f"not a {cls.__name__}: {error}"
            raise MalformedMessageError(msg) from error
        return message

    return make


def cdr_maker(cls: Any) -> Callable[[Any], Publishable]:
    """Return what checks the raw CDR of a record and passes it on untouched; the same errors."""
    read = cdr.dict_decoder(cls)

    def make(data: Any) -> Publishable:
        if not isinstance(data, bytes):
            msg = f"not the CDR of a {cls.__name__}"
            raise MalformedMessageError(msg)
        read(data)
        return data

    return make


def _filler(cls: Any) -> Callable[[Any, Any], None]:
    """Return what writes the fields of a record into a message that is there: making messages is what costs."""
    kinds: dict[str, str] = cls.get_fields_and_field_types()
    inner = {name: _filler(_class_of(kind)) for name, kind in kinds.items() if _is_message(kind)}
    plain = {name: _convert(kind) for name, kind in kinds.items() if name not in inner}

    def fill(message: Any, data: Any) -> None:
        if not isinstance(data, dict):
            msg = f"{data!r} is no message"
            raise TypeError(msg)
        for name, value in data.items():
            if name in plain:
                setattr(message, name, plain[name](value))
            elif name in inner:
                inner[name](getattr(message, name), value)
            else:
                msg = f"{cls.__name__} has no field {name!r}; both ends must use the same definition"
                raise ValueError(msg)

    return fill


def _is_message(kind: str) -> bool:
    return "/" in kind and not _ARRAY.fullmatch(kind) and not _SEQUENCE.fullmatch(kind)


def _class_of(kind: str) -> Any:
    return message_class("/msg/".join(kind.split("/")))


def _new(cls: Any) -> Convert:
    fill = _filler(cls)

    def make(data: Any) -> Any:
        message = cls()
        fill(message, data)
        return message

    return make


def _convert(kind: str) -> Convert:
    """Return the converter of one field, by its type as the generated classes spell it."""
    if found := _ARRAY.fullmatch(kind):
        return _repeated(found[1], int(found[2]))
    if found := _SEQUENCE.fullmatch(kind):
        return _repeated(found[1], None)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if "string" in kind:
        return _text
    return _new(_class_of(kind))


def _repeated(kind: str, count: int | None) -> Convert:
    if kind in _CODES:
        code, dtype = _CODES[kind], _DTYPES[kind]
        reals = code in "fd"

        def numbers(value: Any) -> Any:
            values = _elements(value, count)
            if reals and None in values:
                values = [math.nan if element is None else element for element in values]
            return array.array(code, values) if count is None else np.array(values, dtype=dtype)

        return numbers
    convert = _convert(kind)
    return lambda value: [convert(element) for element in _elements(value, count)]


def _elements(value: Any, count: int | None) -> Sequence[Any]:
    if not isinstance(value, list):
        msg = f"{value!r} is no list"
        raise TypeError(msg)
    if count is not None and len(value) != count:
        msg = f"{len(value)} elements instead of {count}"
        raise ValueError(msg)
    return value


def _real(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{value!r} is no number"
        raise TypeError(msg)
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"{value!r} is no whole number"
        raise TypeError(msg)
    return value


def _within(value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        msg = f"{value} is not within {low} to {high}"
        raise ValueError(msg)
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        msg = f"{value!r} is neither true nor false"
        raise TypeError(msg)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        msg = f"{value!r} is no text"
        raise TypeError(msg)
    return value


def _whole_of(kind: str) -> Convert:
    limits = np.iinfo(_DTYPES[kind])
    low, high = int(limits.min), int(limits.max)
    return lambda value: _within(_whole(value), low, high)


_PLAIN: dict[str, Convert] = {kind: _whole_of(kind) for kind in _DTYPES if kind not in {"float", "double"}}
_PLAIN |= {"float": _real, "double": _real, "boolean": _truth, "octet": lambda value: bytes((_whole(value),))}
