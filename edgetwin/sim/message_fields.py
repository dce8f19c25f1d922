"""Replay: write numbers and text into the fields of a message by path, then serialise it.

In: a type name, field paths, values     Out: CDR.
Uses rosbags' type store, so that a recording can be read where no ROS is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_typestore

from edgetwin.errors import FieldPathError
from edgetwin.sim.layouts import recorded_layout
from edgetwin.sim.recorded import Layout

Convert: TypeAlias = Callable[[str], Any]

_STORE: Any = get_typestore(Stores.ROS2_JAZZY)  # the player compares its layouts with the installed ones
_TIME = "builtin_interfaces/msg/Time"
_QUATERNION = "geometry_msgs/msg/Quaternion"
_TEXT = ("string", "wstring")
_TRUTH = {"0": False, "1": True, "false": False, "true": True}


@dataclass(frozen=True, slots=True)
class Field:
    """One leaf of a message: where it lives, and its kind.

    Attributes:
        owner: The (sub)message that has it.
        name: Its attribute there.
        kind: Primitive type, for example float32.
        length: None = a single value; 0 = a sequence; n = an array of n.
    """

    owner: Any
    name: str
    kind: str
    length: int | None

    def set(self, value: Any) -> None:
        """Store a value of the right kind, an array as any sequence.

        Raises:
            ValueError: Wrong kind or wrong length; the text says which.
        """
        if self.length is None:
            _check(value, self.kind)
            setattr(self.owner, self.name, value)
            return
        if isinstance(value, str) or not isinstance(value, Sequence):
            msg = f"is an array of {self.kind}, got {value!r}"
            raise ValueError(msg)  # noqa: TRY004  # one kind for every value that does not fit
        if self.length and len(value) != self.length:
            msg = f"has {self.length} elements, got {len(value)}"
            raise ValueError(msg)
        for element in value:
            _check(element, self.kind)
        setattr(self.owner, self.name, list(value) if self.kind in _TEXT else np.array(value, dtype=_dtype(self.kind)))


class MessageForm:
    """One message of a type, filled in again and again."""

    def __init__(self, type_name: str) -> None:
        """Start with a message of zeros.

        Raises:
            FieldPathError: rosbags does not know the type; only standard messages can be made from a CSV.
        """
        if type_name not in _STORE.types:
            raise FieldPathError(
                type_name, "is not a standard ROS 2 message", "correct the name, for example sensor_msgs/msg/Imu"
            )
        self.type_name = type_name
        self.message = _zeros(type_name)

    @property
    def layout(self) -> Layout:
        """The fields, for comparison with the installed type."""
        return recorded_layout(_STORE.fielddefs, self.type_name)

    def field(self, path: str) -> Field:
        """Return the leaf at `path`, for example `pose.pose.position.x`.

        Raises:
            FieldPathError: There is none.
        """
        owner, type_name = self.message, self.type_name
        *parents, leaf = path.split(".")
        for parent in parents:
            node, detail = self._definition(path, type_name, parent)
            if node != Nodetype.NAME:
                raise FieldPathError(path, f"{parent} is not a message", f"end the path at {parent}")
            owner, type_name = getattr(owner, parent), detail
        node, detail = self._definition(path, type_name, leaf)
        length = None
        if node in (Nodetype.ARRAY, Nodetype.SEQUENCE):
            length = detail[1] if node == Nodetype.ARRAY else 0
            node, detail = detail[0]
        if node != Nodetype.BASE:
            raise FieldPathError(path, f"{leaf} is a message ({detail})", "name one of its fields")
        return Field(owner, leaf, detail[0], length)

    def stamp(self, stamp_ns: int) -> None:
        """Write `stamp_ns` into `header.stamp` or `stamp`, where the type has one."""
        holder = getattr(self.message, "header", self.message)
        if getattr(getattr(holder, "stamp", None), "__msgtype__", "") == _TIME:
            holder.stamp.sec, holder.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)

    def serialise(self) -> bytes:
        """Return the message as little endian CDR."""
        return bytes(_STORE.serialize_cdr(self.message, self.type_name, little_endian=True))

    @staticmethod
    def _definition(path: str, type_name: str, name: str) -> tuple[Any, Any]:
        fields = dict(_STORE.fielddefs[type_name][1])
        if name not in fields:
            raise FieldPathError(path, f"{type_name} has no field {name!r}", f"it has {', '.join(fields)}")
        found: tuple[Any, Any] = fields[name]
        return found


def converter(kind: str, scale: float, offset: float) -> Convert:
    """Return what turns a CSV cell into a value: cell * scale + offset, to the last bit when these are 1 and 0.

    An empty cell is NaN in a float field; everywhere else the result raises ValueError for what does not fit.
    """
    plain = scale == 1.0 and offset == 0.0
    if kind in _TEXT:
        return str
    if kind == "bool":
        return _truth
    if kind.startswith("float"):
        if plain:
            return lambda cell: float(cell or "nan")
        return lambda cell: float(cell or "nan") * scale + offset
    if plain:
        return int
    return lambda cell: round(float(cell) * scale + offset)


def _truth(cell: str) -> bool:
    try:
        return _TRUTH[cell.strip().lower()]
    except KeyError:
        msg = f"{cell!r} is neither 0/1 nor true/false"
        raise ValueError(msg) from None


def _check(value: Any, kind: str) -> None:
    if kind in _TEXT:
        fits = isinstance(value, str)
    elif kind == "bool":
        fits = isinstance(value, bool)
    elif kind.startswith("float"):
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        limits = np.iinfo(_dtype(kind))
        fits = isinstance(value, int) and not isinstance(value, bool) and limits.min <= value <= limits.max
    if not fits:
        msg = f"is {kind}, got {value!r}"
        raise ValueError(msg)


def _dtype(kind: str) -> Any:
    return np.dtype({"byte": "uint8", "char": "uint8"}.get(kind, kind))


def _zeros(type_name: str) -> Any:
    """Return a message of zeros and empty texts, except for ROS 2's one default: the unit quaternion."""
    values = [_zero(*definition) for _, definition in _STORE.fielddefs[type_name][1]]
    message = _STORE.types[type_name](*values)
    if type_name == _QUATERNION:
        message.w = 1.0
    return message


def _zero(node: Any, detail: Any) -> Any:
    if node == Nodetype.NAME:
        return _zeros(detail)
    if node == Nodetype.BASE:
        return "" if detail[0] in _TEXT else _dtype(detail[0]).type(0).item()
    element, length = detail[0], detail[1] if node == Nodetype.ARRAY else 0
    if element[0] == Nodetype.BASE and element[1][0] not in _TEXT:
        return np.zeros(length, dtype=_dtype(element[1][0]))
    return [_zero(*element) for _ in range(length)]
