"""ROS room: the shape of a message type on the wire.

In: a message class (its own introspection)     Out: a tree of nodes, and how long they are
It reads no bytes and never imports rclpy: a message class carries all that is asked here.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, TypeAlias

from edgetwin.errors import RosTypeError
from edgetwin.ros.types import message_class


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number, boolean or octet: `code` is its struct letter, `size` its length and alignment [bytes]."""

    code: str
    size: int

    @property
    def real(self) -> bool:
        """Whether struct gives a float for it."""
        return self.code in "fd"


@dataclass(frozen=True, slots=True)
class Text:
    """A string, bounded or not: the bound is not on the wire."""


@dataclass(frozen=True, slots=True)
class Opaque:
    """A type whose wire form depends on the vendor (wstring, long double); rclpy reads it."""

    name: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """A fixed array (`count` elements) or, with `count` None, a sequence with its length on the wire."""

    element: Node
    count: int | None


@dataclass(frozen=True, slots=True)
class Layout:
    """A message: its fields in wire order. Without fields it is still one (dummy) byte."""

    type_name: str
    fields: tuple[tuple[str, Node], ...]


Node: TypeAlias = Scalar | Text | Opaque | Repeated | Layout

OCTET = Scalar("B", 1)
COUNT = Scalar("I", 4)  # stands before a string (bytes, with the NUL) and before a sequence (elements)
_SCALARS = {
    "boolean": Scalar("?", 1),
    "octet": OCTET,
    "char": OCTET,
    "uint8": OCTET,
    "int8": Scalar("b", 1),
    "uint16": Scalar("H", 2),
    "int16": Scalar("h", 2),
    "uint32": Scalar("I", 4),
    "int32": Scalar("i", 4),
    "uint64": Scalar("Q", 8),
    "int64": Scalar("q", 8),
    "float": Scalar("f", 4),
    "double": Scalar("d", 8),
}


@functools.cache
def layout(cls: Any) -> Layout:
    """Return the layout of a message class, down to the last field."""
    package = cls.__module__.partition(".")[0]
    fields = tuple((name, _node(text)) for name, text in cls.get_fields_and_field_types().items())
    return Layout(f"{package}/msg/{cls.__name__}", fields)


def _node(text: str) -> Node:
    """Read one type as the generated classes spell it, for example `sequence<string<22>, 5>`."""
    if text.startswith("sequence<"):
        return Repeated(_node(text[len("sequence<") : -1].partition(", ")[0]), None)
    if text.endswith("]"):
        element, _, count = text[:-1].rpartition("[")
        return Repeated(_node(element), int(count))
    if text in _SCALARS:
        return _SCALARS[text]
    if text == "string" or text.startswith("string<"):
        return Text()
    package, slash, name = text.partition("/")
    try:
        return layout(message_class(f"{package}/msg/{name}")) if slash else Opaque(text)
    except RosTypeError:  # nested in an action or a service: rclpy has its class, we do not
        return Opaque(text)


def scalars(node: Node) -> list[Scalar] | None:
    """Return the scalars that make up a node, or None where it has anything else in it."""
    if isinstance(node, Scalar):
        return [node]
    if not isinstance(node, Layout):
        return None
    found: list[Scalar] = []
    for _, field in node.fields:
        inner = scalars(field)
        if inner is None:
            return None
        found += inner
    return found or [OCTET]


def span(flat: list[Scalar]) -> int:
    """Return the length of scalars in a row that begin aligned [bytes]."""
    length = 0
    for scalar in flat:
        length += -length % scalar.size + scalar.size
    return length


def least(node: Node) -> int:
    """Return the fewest bytes that a node can take on the wire."""
    if isinstance(node, Scalar):
        return node.size
    if isinstance(node, Repeated):
        return COUNT.size if node.count is None else node.count * least(node.element)
    if isinstance(node, Layout):
        return sum(least(field) for _, field in node.fields) or OCTET.size
    return 1 if isinstance(node, Opaque) else COUNT.size
