"""ROS room: decode the slow way, through rclpy, what no generated decoder reads.

In: CDR of a big endian writer, or of a type with a wstring in it
Out: the same plain values that a generated decoder gives
This is the only part of decoding that imports rclpy, and only when such a message comes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgetwin.errors import MalformedMessageError
from edgetwin.ros.cdr_paths import Selection, part
from edgetwin.ros.cdr_runtime import ARRAY_INLINE_MAX
from edgetwin.ros.context import import_rclpy

_READABLE = {b"\x00\x00", b"\x00\x01"}  # XCDR1, big and little endian; parameter lists and XCDR2 are not


def through_rclpy(cls: Any, chosen: Selection) -> Callable[[bytes], dict[str, Any]]:
    """Return a decoder of the chosen fields that asks rclpy (tens of microseconds per message).

    It raises MalformedMessageError on bytes that rclpy refuses, and RosUnavailableError without rclpy.
    """

    def decode(buffer: bytes) -> dict[str, Any]:
        if buffer[:2] not in _READABLE:
            start = buffer[:4].hex() or "nothing"
            msg = f"{cls.__name__}: {len(buffer)} bytes that begin with {start}, which is not CDR"
            raise MalformedMessageError(msg)
        import_rclpy()
        from rclpy.serialization import deserialize_message  # noqa: PLC0415  # slow, and rarely needed

        try:
            message = deserialize_message(buffer, cls)
        except Exception as error:  # the middleware's own kinds, none of them ours
            msg = f"{cls.__name__}: {len(buffer)} bytes that rclpy cannot read: {error}"
            raise MalformedMessageError(msg) from error
        values: dict[str, Any] = _plain(message, chosen)
        return values

    return decode


def _plain(value: Any, chosen: Selection) -> Any:
    """Return a message, or a value in one, as JSON can carry it."""
    if hasattr(value, "get_fields_and_field_types"):
        names = [name for name in value.get_fields_and_field_types() if part(chosen, name) is not False]
        return {name: _plain(getattr(value, name), part(chosen, name)) for name in names}
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")  # a wstring may hold half a surrogate pair
    if isinstance(value, bytes):
        return value[0]  # an octet
    if isinstance(value, np.ndarray) or hasattr(value, "tolist"):
        return value.tolist()  # also array.array; float32 is widened
    if isinstance(value, list | tuple):
        return [_plain(item, chosen) for item in value]
    return value


def at(values: dict[str, Any], path: str) -> Any:
    """Return the value at a dotted path of a decoded message."""
    return functools.reduce(lambda inner, name: inner[name], path.split("."), values)


def numbers_at(values: dict[str, Any], paths: Sequence[str]) -> tuple[Any, ...]:
    """Return what a generated number reader would: floats, tuples of floats, long arrays."""
    return tuple(_floats(at(values, path)) for path in paths)


def _floats(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(_floats(item) for item in value.values())
    if isinstance(value, list):
        return np.array(value, np.float64) if len(value) > ARRAY_INLINE_MAX else tuple(map(float, value))
    return float(value)
