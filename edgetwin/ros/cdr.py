"""ROS room: raw CDR bytes into values, as few of them as are wanted.

In: a message class, field paths; then the bytes that a raw take returns
Out: functions from bytes to a stamp, a dict, numbers or strings
Each function is written and compiled once per (class, selection) and kept; its source text is in
`__source__`. Bytes that are no such message raise MalformedMessageError, never anything else.
It will not import rclpy, but for a message that only rclpy can read (see cdr_fallback).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from edgetwin.clock import NS_PER_S
from edgetwin.errors import FieldPathError
from edgetwin.ros.cdr_codegen import Emitter, UnsupportedLayoutError
from edgetwin.ros.cdr_fallback import at, numbers_at, through_rclpy
from edgetwin.ros.cdr_layout import Layout, Node, Repeated, Scalar, Text, layout, scalars
from edgetwin.ros.cdr_paths import (
    PosePaths,
    find,
    find_pose,
    nearest,
    numeric,
    numeric_leaves,
    select,
    stamp_path,
    walk,
)
from edgetwin.ros.cdr_source import compile_reader

__all__ = [
    "PosePaths",
    "dict_decoder",
    "layout",
    "number_reader",
    "numeric_paths",
    "pose_paths",
    "stamp_reader",
    "string_list_reader",
]

DictDecoder: TypeAlias = Callable[[bytes], dict[str, Any]]
NumberReader: TypeAlias = Callable[[bytes], tuple[Any, ...]]


def dict_decoder(cls: Any, fields: Sequence[str] | None = None) -> DictDecoder:
    """Return a decoder to a nested dict with the message's own field names, fit for `wire.encode`.

    Floats keep every bit (float32 is widened to double, as rclpy shows it); octets are ints; invalid
    UTF-8 is replaced. Numeric arrays are lists up to 32 elements and numpy arrays above.

    Args:
        cls: The message class.
        fields: Dotted paths to keep, nested as in the message; None keeps everything.

    Raises:
        FieldPathError: A path does not exist in this type.
    """
    return _dict_decoder(cls, None if fields is None else tuple(fields))


@functools.cache
def _dict_decoder(cls: Any, fields: tuple[str, ...] | None) -> DictDecoder:
    root = layout(cls)
    chosen = select(root, fields)
    foreign = through_rclpy(cls, chosen)
    emitter = Emitter()
    try:
        result = emitter.message(root, chosen, last=True)
    except UnsupportedLayoutError:
        return foreign
    decoder: DictDecoder = compile_reader(root.type_name, emitter.source, result, foreign)
    return decoder


def number_reader(cls: Any, paths: Sequence[str]) -> NumberReader:
    """Return a reader of the numbers at `paths`, in that order, that skips everything else.

    A number or boolean gives a float; an array, a sequence, or a message made of numbers only (a
    Vector3, a Quaternion) a tuple of floats, or above 32 elements a float64 array.

    Raises:
        FieldPathError: A path does not exist, or is not of these kinds.
    """
    return _number_reader(cls, tuple(paths))


@functools.cache
def _number_reader(cls: Any, paths: tuple[str, ...]) -> NumberReader:
    root = layout(cls)
    for path in paths:
        _require(root, path, lambda node: numeric(node) or bool(scalars(node)), "numbers")

    def result(values: dict[str, str]) -> str:
        return "(" + "".join(f"{_numbers(root, path, values)}, " for path in paths) + ")"

    reader: NumberReader = _leaves_reader(cls, paths, result, lambda values: numbers_at(values, paths), floats=True)
    return reader


def stamp_reader(cls: Any) -> Callable[[bytes], int] | None:
    """Return a reader of the header's stamp [ns since 1970, 0 where it was never set], or None without one.

    A top-level time that is called `stamp`, or comes first, counts too.
    """
    path = stamp_path(layout(cls))
    return None if path is None else _stamp_reader(cls, path)


@functools.cache
def _stamp_reader(cls: Any, path: str) -> Callable[[bytes], int]:
    prefix = f"{path}." if path else ""
    sec, nanosec = f"{prefix}sec", f"{prefix}nanosec"
    read: Callable[[bytes], int] = _leaves_reader(
        cls,
        (sec, nanosec),
        lambda values: f"{values[sec]} * {NS_PER_S} + {values[nanosec]}",
        lambda values: at(values, sec) * NS_PER_S + at(values, nanosec),
    )
    return read


@functools.cache
def string_list_reader(cls: Any, path: str) -> Callable[[bytes], list[str]]:
    """Return a reader of the list of strings at `path` (JointState's `name`).

    Raises:
        FieldPathError: The path does not exist, or is no array or sequence of strings.
    """
    _require(layout(cls), path, lambda node: isinstance(node, Repeated) and isinstance(node.element, Text), "strings")
    read: Callable[[bytes], list[str]] = _leaves_reader(
        cls, (path,), lambda values: values[path], lambda values: at(values, path)
    )
    return read


def numeric_paths(cls: Any, fields: Sequence[str] | None = None) -> list[str]:
    """Return the paths of all numbers and numeric arrays below the selection, in wire order.

    Headers and stamps are left out (they always change), and what is in a sequence of messages.

    Raises:
        FieldPathError: A path of `fields` does not exist in this type.
    """
    root = layout(cls)
    return list(numeric_leaves(root, select(root, fields)))


def pose_paths(cls: Any) -> PosePaths | None:
    """Return where the type keeps its pose, both fit for `number_reader`, or None.

    The first sub-message, breadth first, with position and orientation (or translation and rotation);
    failing that the first quaternion, with `position` None.
    """
    return find_pose(layout(cls))


def _require(root: Layout, path: str, fits: Callable[[Node], bool], what: str) -> None:
    """Refuse a path that leads to something else than `what`, or into the elements of a sequence."""
    find(root, path)
    elements = tuple(f"{known}." for known, node in walk(root) if isinstance(node, Repeated))
    fitting = [known for known, node in walk(root) if fits(node) and not known.startswith(elements)]
    if path in fitting:
        return
    near = nearest(path, [known for known in fitting if not known.startswith("header.")], count=3)
    cure = f"the nearest with {what}: {near}" if near else f"no field of this type has {what}; leave the path out"
    raise FieldPathError(path, f"in {root.type_name} this is not made of {what}", cure)


def _numbers(root: Layout, path: str, values: dict[str, str]) -> str:
    """Return the expression of a path as a float or a tuple of floats."""
    node = find(root, path)
    if isinstance(node, Layout):
        return "(" + "".join(f"{_numbers(root, f'{path}.{name}', values)}, " for name, _ in node.fields) + ")"
    whole = isinstance(node, Scalar) and not node.real
    return f"float({values[path]})" if whole else values[path]


def _leaves_reader(
    cls: Any,
    paths: Iterable[str],
    result: Callable[[dict[str, str]], str],
    pick: Callable[[dict[str, Any]], Any],
    *,
    floats: bool = False,
) -> Any:
    """Compile a reader of the leaves at `paths`.

    `result` makes the expression to return from those of the leaves; `pick` takes the same from the
    dict that the fallback gives.
    """
    root = layout(cls)
    chosen = select(root, paths)
    decode = through_rclpy(cls, chosen)
    emitter = Emitter(floats=floats)

    def foreign(buffer: bytes) -> Any:
        return pick(decode(buffer))

    try:
        emitter.message(root, chosen, last=True)
    except UnsupportedLayoutError:
        return foreign
    return compile_reader(root.type_name, emitter.source, result(emitter.values), foreign)
