"""ROS room: the few functions that generated decoders call for arrays and strings.

In: a CDR buffer, a place in it, a count read from it     Out: values, and where they end
No length is believed before it is held against the buffer; nothing is allocated by a claimed length.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from edgetwin.ros.cdr_layout import COUNT, Scalar

ARRAY_INLINE_MAX = 32  # elements; above this numpy beats struct, and orjson takes both
_IMAGES_MAX = 16

ArrayReader: TypeAlias = Callable[[bytes, int, int], Any]
StringsReader: TypeAlias = Callable[[bytes, int, int, int], tuple[list[str], int]]

_DTYPES = {"?": "u1", "B": "u1", "b": "i1", "H": "<u2", "h": "<i2", "I": "<u4", "i": "<i4"} | {
    "Q": "<u8", "q": "<i8", "f": "<f4", "d": "<f8",
}  # fmt: skip
_SHOWN = {"?": "?", "f": "f8"}  # what rclpy shows: bool, and the double nearest to a float32

_length = struct.Struct("<I").unpack_from


class OverrunError(ValueError):
    """A length in the message points past its end."""

    def __init__(self) -> None:
        super().__init__("a length points past the end")


FAULTS = (struct.error, IndexError, ValueError, OverflowError)  # what reading a broken buffer can raise


@functools.cache
def array_reader(scalar: Scalar, *, floats: bool) -> ArrayReader:
    """Return `read(buffer, start, count)` for scalars in a row.

    Up to 32 elements give a list (with `floats` a tuple of floats), more a numpy array in native
    order: float64 for float32 (and for everything, with `floats`), else the type on the wire.
    """
    real = scalar.real
    unpackers = [struct.Struct(f"<{count}{scalar.code}").unpack_from for count in range(ARRAY_INLINE_MAX + 1)]
    long_array = _long_array_reader(scalar)

    def read(buffer: bytes, start: int, count: int) -> Any:
        if count <= ARRAY_INLINE_MAX:
            return [*unpackers[count](buffer, start)]
        return long_array(buffer, start, count)

    def read_floats(buffer: bytes, start: int, count: int) -> Any:
        if count <= ARRAY_INLINE_MAX:
            values = unpackers[count](buffer, start)
            return values if real else tuple(map(float, values))
        return long_array(buffer, start, count).astype(np.float64, copy=False)

    return read_floats if floats else read


def _long_array_reader(scalar: Scalar) -> Callable[[bytes, int, int], np.ndarray[Any, Any]]:
    """Copy, because a view of CDR is misaligned by 4 and would keep the whole message alive."""
    wire_type = np.dtype(_DTYPES[scalar.code])
    shown_type = np.dtype(_SHOWN.get(scalar.code, _DTYPES[scalar.code])).newbyteorder("=")

    def read(buffer: bytes, start: int, count: int) -> np.ndarray[Any, Any]:
        return np.frombuffer(buffer, wire_type, count, start).astype(shown_type)

    def read_widened(buffer: bytes, start: int, count: int) -> np.ndarray[Any, Any]:
        with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN, and no reason for a warning
            return read(buffer, start, count)

    return read_widened if scalar.code == "f" else read


def strings_reader() -> StringsReader:
    """Return `read(buffer, start, count, end)` for strings in a row; `start` is aligned to 4.

    Names of joints are the same in every message, so lists are kept by the bytes they stood in: the
    same count and bytes at an aligned place are the same strings. Writers leave chance bytes in the
    padding, a few kinds at a time, so a few images of the same names are kept.
    """
    known: dict[bytes, tuple[int, int, list[str]]] = {}
    size = 0

    def read(buffer: bytes, start: int, count: int, end: int) -> tuple[list[str], int]:
        nonlocal size
        found = known.get(buffer[start : start + size])
        if found is not None and found[0] == count:
            return [*found[2]], start + found[1]
        texts, stop = _strings(buffer, start, count, end)
        if len(known) >= _IMAGES_MAX:
            known.clear()
        size = stop - start
        known[buffer[start:stop]] = (count, size, texts)
        return [*texts], stop

    return read


def _strings(buffer: bytes, start: int, count: int, end: int) -> tuple[list[str], int]:
    if count * COUNT.size > end - start:
        raise OverrunError
    texts = []
    stop = start
    for _ in range(count):
        place = (stop + 3) & -4
        first = place + COUNT.size
        stop = first + _length(buffer, place)[0]
        if stop > end:
            raise OverrunError
        texts.append(buffer[first : stop - 1].decode("utf-8", "replace"))
    return texts, stop
