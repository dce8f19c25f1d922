"""Judge room: what a detector knows, as plain JSON values, and back.

In: arrays, numbers     Out: a dict fit for a JSON file, every bit of every number kept
It will not guess: a state of another version, method or shape is refused, and learning begins anew.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgetwin.errors import EdgeTwinError

VERSION = 1

Array: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]
State: TypeAlias = dict[str, Any]


class DetectorStateError(EdgeTwinError):
    """A saved state does not fit this detector. Recovery: learn anew."""


def pack(array: npt.NDArray[Any]) -> list[Any]:
    """Return `array` as [type, shape, base64 of its bytes], little endian."""
    plain = np.ascontiguousarray(array, dtype="?" if array.dtype == np.bool_ else "<f8")
    return [plain.dtype.str, list(plain.shape), base64.b64encode(plain.tobytes()).decode("ascii")]


def unpack(value: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return what `pack` made.

    Raises:
        DetectorStateError: It is nothing of the kind, or not of this shape.
    """
    try:
        kind, found, text = value
        if kind not in {"|b1", "<f8"} or tuple(found) != shape:
            msg = f"an array of {kind} {found}, where {list(shape)} is needed"
            raise DetectorStateError(msg)
        raw = base64.b64decode(text, validate=True)
        array: npt.NDArray[Any] = np.frombuffer(raw, kind).reshape(shape).copy()
    except (TypeError, ValueError, binascii.Error) as error:
        msg = f"not a packed array: {error}"
        raise DetectorStateError(msg) from error
    return array


def fill(target: npt.NDArray[Any], value: Any) -> None:
    """Overwrite `target` with what `pack` made of an array like it.

    Raises:
        DetectorStateError: See `unpack`.
    """
    target[...] = unpack(value, target.shape)


def part(state: Any, name: str) -> Any:
    """Return one entry of a state.

    Raises:
        DetectorStateError: It is missing.
    """
    if not isinstance(state, Mapping) or name not in state:
        msg = f"{name!r} is missing"
        raise DetectorStateError(msg)
    return state[name]


def number(state: Any, name: str) -> float:
    """Return one number of a state.

    Raises:
        DetectorStateError: It is missing, or no number.
    """
    value = part(state, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{name!r} is no number"
        raise DetectorStateError(msg)
    return value
