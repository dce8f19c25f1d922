"""ROS room: dotted paths into a message type.

In: a layout, dotted field paths     Out: selections; paths by kind (numeric, pose, stamp)
A wrong path is refused here, when the channel is built, with the nearest one that exists.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from edgetwin.errors import FieldPathError
from edgetwin.ros.cdr_layout import Layout, Node, Repeated, Scalar, scalars

Selection: TypeAlias = "bool | Mapping[str, Selection]"  # everything, nothing, or some of the fields

_HEADER = "std_msgs/msg/Header"
_TIME = "builtin_interfaces/msg/Time"


@dataclass(frozen=True, slots=True)
class PosePaths:
    """Where a type keeps its pose. `position` is None where it has an orientation alone (Imu)."""

    position: str | None
    orientation: str


def part(chosen: Selection, name: str) -> Selection:
    """Return what of the field `name` is chosen."""
    return chosen if isinstance(chosen, bool) else chosen.get(name, False)


def select(root: Layout, paths: Iterable[str] | None) -> Selection:
    """Return the selection of these dotted paths; None selects everything.

    A path may lead through a sequence of messages: it then selects from each element.

    Raises:
        FieldPathError: A path does not exist.
    """
    if paths is None:
        return True
    tree: dict[str, Any] = {}
    for path in paths:
        find(root, path)
        *parents, leaf = path.split(".")
        branch = tree
        for name in parents:
            branch = branch.setdefault(name, {})
            if branch is True:  # a longer path under one that was chosen whole
                break
        else:
            branch[leaf] = True
    return tree


def find(root: Layout, path: str) -> Node:
    """Return the node at a dotted path.

    Raises:
        FieldPathError: There is none; the cure names the nearest path that exists.
    """
    node: Node = root
    names = path.split(".")
    for depth, name in enumerate(names):
        inside = _message_in(node)
        fields = dict(inside.fields) if inside else {}
        if name not in fields:
            above = ".".join(names[:depth])
            below = walk(inside, f"{above}." if above else "") if inside else ()
            near = nearest(path, [known for known, _ in below] or [above], count=1)
            cure = f"the nearest path is {near}" if near else "this type has no fields; leave the path out"
            raise FieldPathError(path, f"{root.type_name} has no such field", cure)
        node = fields[name]
    return node


def nearest(path: str, known: Sequence[str], *, count: int) -> str:
    """Return those of the known paths that look most like `path`, or nothing where there are none."""
    return ", ".join(difflib.get_close_matches(path, known, n=count, cutoff=0.0))


def _message_in(node: Node | None) -> Layout | None:
    if isinstance(node, Repeated):
        node = node.element
    return node if isinstance(node, Layout) else None


def walk(root: Layout, prefix: str = "") -> Iterator[tuple[str, Node]]:
    """Yield every path below `root` with its node, parents first, also inside sequences of messages."""
    for name, node in root.fields:
        yield prefix + name, node
        inside = _message_in(node)
        if inside:
            yield from walk(inside, f"{prefix}{name}.")


def numeric(node: Node) -> bool:
    """Whether a node is a number, a boolean, or an array or sequence of those."""
    return isinstance(node.element if isinstance(node, Repeated) else node, Scalar)


def numeric_leaves(root: Layout, chosen: Selection, prefix: str = "") -> Iterator[str]:
    """Yield the chosen numeric paths in wire order; not headers, stamps, or anything in a sequence of messages."""
    for name, node in root.fields:
        wanted = part(chosen, name)
        if wanted is False or (isinstance(node, Layout) and node.type_name in {_HEADER, _TIME}):
            continue
        if numeric(node):
            yield prefix + name
        elif isinstance(node, Layout):
            yield from numeric_leaves(node, wanted, f"{prefix}{name}.")


def find_pose(root: Layout) -> PosePaths | None:
    """Return the first pose, breadth first; failing that the first lone orientation; else None."""
    lone: PosePaths | None = None
    level: Sequence[tuple[str, Layout]] = [("", root)]
    while level:
        for prefix, message in level:
            fields = dict(message.fields)
            for position, orientation in (("position", "orientation"), ("translation", "rotation")):
                if _has(fields.get(position), "xyz") and _has(fields.get(orientation), "xyzw"):
                    return PosePaths(prefix + position, prefix + orientation)
            turned = next((name for name, node in message.fields if _has(node, "xyzw")), None)
            if lone is None and turned:
                lone = PosePaths(None, prefix + turned)
        level = [
            (f"{prefix}{name}.", node)
            for prefix, message in level
            for name, node in message.fields
            if isinstance(node, Layout)
        ]
    return lone


def _has(node: Node | None, names: str) -> bool:
    return isinstance(node, Layout) and "".join(name for name, _ in node.fields) == names and bool(scalars(node))


def stamp_path(root: Layout) -> str | None:
    """Return the path of the time a message was measured at, or None; "" where the message is that time.

    It is the stamp of a top-level header, or a top-level time that is called `stamp` or comes first.
    """
    if root.type_name == _TIME:
        return ""
    for index, (name, node) in enumerate(root.fields):
        known = node.type_name if isinstance(node, Layout) else ""
        if known == _HEADER:
            return f"{name}.stamp"
        if known == _TIME and (name == "stamp" or index == 0):
            return name
    return None
