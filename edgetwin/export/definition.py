"""Export: the text that says what a ROS message is made of, as MCAP and rosbag2 want it.

In: the name of an installed type     Out: its .msg file, and those of all that is in it. Reads files only.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from edgetwin.errors import RosTypeError
from edgetwin.ros.cdr_layout import Layout, Node, Repeated, layout
from edgetwin.ros.types import message_class

_RULE = "=" * 80


def definition(type_name: str) -> str:
    """Return the definition of `package/msg/Name` (encoding `ros2msg`); empty where it cannot be had."""
    try:
        whole = layout(message_class(type_name))
    except RosTypeError:
        return ""
    parts: list[str] = []
    for name in dict.fromkeys(_names(whole)):
        text = _text(name)
        if text is None:
            return ""
        package, _, message = name.split("/")
        parts.append(f"{_RULE}\nMSG: {package}/{message}\n{text}" if parts else text)
    return "\n".join(parts)


def _names(node: Node) -> Iterator[str]:
    """Yield the name of a message, and of all messages in it."""
    if isinstance(node, Repeated):
        yield from _names(node.element)
    elif isinstance(node, Layout):
        yield node.type_name
        for _, field in node.fields:
            yield from _names(field)


def _text(type_name: str) -> str | None:
    """Return the .msg file of an installed type, which lies in `share` above the Python package."""
    package, _, message = type_name.split("/")
    origin = importlib.import_module(package).__file__
    for above in Path(origin or "/").resolve().parents:
        file = above / "share" / package / "msg" / f"{message}.msg"
        if file.is_file():
            return file.read_text(encoding="utf-8")
    return None
