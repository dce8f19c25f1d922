"""Replay: is a recorded type the installed type? Same name is not enough, CDR carries no field names.

In: rosbags' field definitions, or an installed message class     Out: Layout (see sim.recorded).
Pure: asks the class, never touches the ROS graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from edgetwin.ros.types import message_class
from edgetwin.sim.recorded import Layout

_FILLER = "structure_needs_at_least_one_member"  # how IDL writes an empty message
_SEQUENCE = re.compile(r"sequence<(.+?)(?:, *\d+)?>")
_ARRAY = re.compile(r"(.+)\[(\d+)\]")
_BOUNDED_STRING = re.compile(r"(w?string)<\d+>")
# rclpy speaks IDL, rosbags speaks .msg; a bound changes nothing on the wire.
_ONE_NAME = {"double": "float64", "float": "float32", "boolean": "bool", "octet": "byte", "char": "uint8"}


def recorded_layout(definitions: Mapping[str, Any], type_name: str) -> Layout:
    """Return the layout of a type in a rosbags type store (its `fielddefs`)."""
    return tuple(_recorded(definitions, type_name, ""))


def installed_layout(type_name: str) -> Layout:
    """Return the layout of an installed message type.

    Raises:
        RosTypeError: It is not installed.
    """
    return tuple(_installed(type_name, ""))


def difference(recorded: Layout, installed: Layout) -> str:
    """Return what differs, in a few words; empty when both have the same wire format."""
    for (path, kind), (other_path, other_kind) in zip(recorded, installed, strict=False):
        if (path, kind) != (other_path, other_kind):
            return f"recorded with {path} ({kind}) where the installed type has {other_path} ({other_kind})"
    if len(recorded) != len(installed):
        longer, side = (recorded, "recording") if len(recorded) > len(installed) else (installed, "installed type")
        return f"only the {side} has {longer[min(len(recorded), len(installed))][0]}"
    return ""


def _recorded(definitions: Mapping[str, Any], type_name: str, prefix: str) -> Iterator[tuple[str, str]]:
    for name, (node, detail) in definitions[type_name][1]:
        if name == _FILLER:
            continue
        mark = ""
        if node in (3, 4):  # Nodetype.ARRAY, Nodetype.SEQUENCE
            mark = f"[{detail[1]}]" if node == 3 else "[]"  # noqa: PLR2004  # see the line above
            node, detail = detail[0]  # noqa: PLW2901  # the element stands for the array from here
        path = f"{prefix}{name.lower()}{mark}"
        if node == 2:  # noqa: PLR2004  # Nodetype.NAME
            yield from _recorded(definitions, detail, path + ".")
        else:
            yield path, _ONE_NAME.get(detail[0], detail[0])


def _installed(type_name: str, prefix: str) -> Iterator[tuple[str, str]]:
    for name, declared in message_class(type_name).get_fields_and_field_types().items():
        if name == _FILLER:
            continue
        kind, mark = declared, ""
        if match := _SEQUENCE.fullmatch(declared):
            kind, mark = match[1], "[]"
        elif match := _ARRAY.fullmatch(declared):
            kind, mark = match[1], f"[{match[2]}]"
        if match := _BOUNDED_STRING.fullmatch(kind):
            kind = match[1]
        path = f"{prefix}{name.lower()}{mark}"
        if "/" in kind:
            package, _, message = kind.partition("/")
            yield from _installed(f"{package}/msg/{message}", path + ".")
        else:
            yield path, _ONE_NAME.get(kind, kind)
