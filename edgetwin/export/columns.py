"""Export: the nested values of a record as the cells of one row.

In: values as JSON has them, or as `ros.cdr` decodes them     Out: name of the column -> cell. Pure.
Columns are called `<channel>.<field>` and `<channel>.<field>.<element>`, as `edgetwin backtest --config` wants them; an
element is called by the list `name` beside it where there is one of that length (JointState), else by its place.
A header's stamp is one cell of text: no measurement, though it is made of numbers.
Arrays of more than `array_max` elements are left out but for their length: a laser scan is no table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from edgetwin.clock import NS_PER_S
from edgetwin.errors import FieldPathError, MalformedMessageError, RosTypeError
from edgetwin.export.entry import Entry, Stream
from edgetwin.export.times import iso
from edgetwin.ros import cdr
from edgetwin.ros.types import message_class

Cell: TypeAlias = str | int | float | None
ARRAY_MAX = 64
_LABELS = "name"
_LABEL_CHARS = 64
_DEPTH_MAX = 20
_STAMP, _TIME = "stamp", {"sec", "nanosec"}


@dataclass(slots=True)
class Flattener:
    """Makes rows of the records of one channel.

    Attributes:
        stream: The channel.
        array_max: The most elements of an array that get columns of their own.
        left_out: Field -> elements, of arrays that are longer.
        obstacle: Why records of this channel have no columns; empty: they have.
        unreadable: Records that are no message of their type.
    """

    stream: Stream
    array_max: int = ARRAY_MAX
    left_out: dict[str, int] = field(default_factory=dict)
    obstacle: str = ""
    unreadable: int = 0
    _decode: cdr.DictDecoder | None = None

    def row(self, entry: Entry) -> dict[str, Cell] | None:
        """Return the cells of a record; None where it has no columns: see `obstacle`, `unreadable`."""
        content = entry.content
        if isinstance(content, bytes) and (content := self._decoded(content)) is None:
            return None
        cells: dict[str, Cell] = {}
        self._walk(self.stream.name, content, cells, 0)
        return cells

    def _decoded(self, content: bytes) -> Any:
        if self._decode is None and not self.obstacle:
            try:
                self._decode = cdr.dict_decoder(message_class(self.stream.type_name))
            except (RosTypeError, FieldPathError) as error:
                self.obstacle = str(error) if self.stream.type_name else "no settings say what type its messages are"
        if self._decode is None:
            return None
        try:
            return self._decode(content)
        except MalformedMessageError:
            self.unreadable += 1
            return None

    def _walk(self, path: str, value: Any, cells: dict[str, Cell], depth: int) -> None:
        if isinstance(value, dict):
            if path.endswith(_STAMP) and value.keys() == _TIME and all(isinstance(one, int) for one in value.values()):
                cells[path] = iso(value["sec"] * NS_PER_S + value["nanosec"])
            elif depth < _DEPTH_MAX:
                self._fields(path, value, cells, depth)
        elif _is_array(value):
            self._elements(path, value, cells, depth, None)
        elif isinstance(value, bool):
            cells[path] = int(value)  # as `train` and `backtest` read it
        elif value is None or isinstance(value, (str, int, float)):
            cells[path] = value

    def _fields(self, path: str, value: Mapping[str, Any], cells: dict[str, Cell], depth: int) -> None:
        labels = _labels(value.get(_LABELS), value)
        for name, inner in value.items():
            inside = f"{path}.{name}"
            if labels is None or not _is_array(inner) or len(inner) != len(labels):
                self._walk(inside, inner, cells, depth + 1)
            elif name != _LABELS:
                self._elements(inside, inner, cells, depth + 1, labels)

    def _elements(
        self, path: str, value: Any, cells: dict[str, Cell], depth: int, labels: Sequence[str] | None
    ) -> None:
        if len(value) > self.array_max:
            self.left_out[path] = max(self.left_out.get(path, 0), len(value))
            cells[f"{path}.length"] = len(value)
            return
        for place, inner in enumerate(value.tolist() if isinstance(value, np.ndarray) else value):
            self._walk(f"{path}.{place if labels is None else labels[place]}", inner, cells, depth + 1)


def _is_array(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))


def _labels(names: Any, beside: Mapping[str, Any]) -> list[str] | None:
    """Return what the elements of the arrays beside a list are called; None where there are none, or it names none."""
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        return None
    if not any(one is not names and _is_array(one) and len(one) == len(names) for one in beside.values()):
        return None
    labels = ["".join(char if char.isprintable() else "_" for char in name)[:_LABEL_CHARS] for name in names]
    return labels if len(set(labels)) == len(labels) else None
