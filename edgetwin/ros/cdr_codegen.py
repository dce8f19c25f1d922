"""ROS room: write, once per type and selection, the Python function that reads it from CDR.

In: a layout, a selection     Out: statements, and the expression of each selected value
What is not selected becomes padding in a struct call, or a jump over a length.
"""

from __future__ import annotations

import struct

from edgetwin.ros.cdr_layout import OCTET, Layout, Node, Repeated, Scalar, Text, least, scalars, span
from edgetwin.ros.cdr_paths import Selection, part
from edgetwin.ros.cdr_runtime import ARRAY_INLINE_MAX, array_reader, strings_reader
from edgetwin.ros.cdr_source import BODY, Source, aligned, struct_format

_COUNT_ALIGNMENT = 4  # what is known of a place behind a length, whether or not elements follow


class UnsupportedLayoutError(Exception):
    """A selected field is, or stands behind, a type whose wire form is not known here."""


class Emitter:
    """Walks a layout once and writes the statements that read it.

    Attributes:
        source: The statements so far.
        values: Expression of each selected leaf outside sequences of messages, by path.
    """

    def __init__(self, *, floats: bool = False) -> None:
        self.source = Source()
        self.values: dict[str, str] = {}
        self._floats = floats

    def message(self, node: Layout, chosen: Selection, path: str = "", *, last: bool = False) -> str:
        """Write what reads the chosen fields; return the expression of their dict.

        With `last` nothing that matters follows, so the walk ends at the last chosen field.
        """
        if not node.fields:
            self.source.skip(OCTET)
        wanted = [index for index, (name, _) in enumerate(node.fields) if part(chosen, name) is not False]
        walked = node.fields[: max(wanted, default=-1) + 1] if last else node.fields
        items = []
        for index, (name, field) in enumerate(walked):
            ending = last and index == len(walked) - 1
            expression = self._node(field, part(chosen, name), f"{path}{name}", last=ending)
            if index in wanted:
                items.append(f"{name!r}: {expression}")
        return "{" + ", ".join(items) + "}"

    def _node(self, node: Node, chosen: Selection, path: str, *, last: bool) -> str:
        if isinstance(node, Layout):
            return self.message(node, chosen, f"{path}.", last=last)
        expression = self._repeated(node, chosen) if isinstance(node, Repeated) else self._single(node, chosen)
        if chosen is not False and not self.source.looping:
            self.values[path] = expression
        return expression

    def _single(self, node: Node, chosen: Selection) -> str:
        wanted = chosen is not False
        if isinstance(node, Text):
            return self._text(wanted=wanted)
        if not isinstance(node, Scalar):
            raise UnsupportedLayoutError
        if wanted:
            return self.source.read(node)
        self.source.skip(node)
        return ""

    def _repeated(self, node: Repeated, chosen: Selection) -> str:
        wanted = chosen is not False
        if isinstance(node.element, Text):
            return self._texts(node.count)
        if isinstance(node.element, Layout):
            return self._messages(node.element, node.count, chosen)
        if not isinstance(node.element, Scalar):
            raise UnsupportedLayoutError
        if node.count is None:
            return self._sequence(node.element, wanted=wanted)
        return self._array(node.element, node.count, wanted=wanted)

    def _text(self, *, wanted: bool) -> str:
        length = self.source.read_count()
        name = self.source.name("s")
        self.source.write(f"p = {self.source.here}")
        self.source.write(f"o = p + {length}")
        self.source.refuse_if("o > end")
        if wanted:
            self.source.write(f'{name} = b[p : o - 1].decode("utf-8", "replace")')
        self.source.rebase(modulus=1)
        return name

    def _array(self, element: Scalar, count: int, *, wanted: bool) -> str:
        """Numbers, as many as the type says: their place is known, so they are read at once."""
        self.source.align(element.size)
        name = self.source.name("a")
        if wanted and count <= ARRAY_INLINE_MAX:
            unpack = self.source.bind("unpack", struct.Struct(f"<{count}{element.code}").unpack_from)
            values = f"{unpack}(b, {self.source.here})"
            numbers = values if element.real else f"tuple(map(float, {values}))"
            self.source.write(f"{name} = {numbers if self._floats else f'[*{values}]'}")
        elif wanted:
            read = self.source.bind("array", array_reader(element, floats=self._floats))
            self.source.write(f"{name} = {read}(b, {self.source.here}, {count})")
        self.source.skip(element, count)
        return name

    def _sequence(self, element: Scalar, *, wanted: bool) -> str:
        """Numbers, as many as the message says."""
        number = self.source.read_count()
        self._run(number, element.size, element.size)
        name = self.source.name("a")
        if wanted:
            read = self.source.bind("array", array_reader(element, floats=self._floats))
            self.source.write(f"{name} = {read}(b, p, {number})")
        return name

    def _texts(self, count: int | None) -> str:
        """Strings in a row: wanted or not, the reader knows those of the last messages by their bytes."""
        number = self.source.read_count() if count is None else str(count)
        self.source.align(_COUNT_ALIGNMENT)
        self.source.flush()
        name = self.source.name("l")
        read = self.source.bind("strings", strings_reader())
        self.source.write(f"{name}, o = {read}(b, {self.source.here}, {number}, end)")
        self.source.rebase(modulus=1)
        return name

    def _messages(self, element: Layout, count: int | None, chosen: Selection) -> str:
        number = self.source.read_count() if count is None else str(count)
        flat = scalars(element) or []
        alignment = max((scalar.size for scalar in flat), default=0)
        # Equal distances: the strictest scalar comes first, and the length is a multiple of it.
        if element.fields and flat and flat[0].size == alignment and span(flat) % alignment == 0:
            if count is not None:
                self.source.align(alignment)
            return self._strided(element, number, chosen, alignment)
        return self._each(element, number, chosen)

    def _strided(self, element: Layout, number: str, chosen: Selection, alignment: int) -> str:
        """Messages of scalars that stand at equal distances: one struct reads them all."""
        inner = Emitter()
        inner.source.pending.clear()
        value = inner.message(element, chosen)
        length = inner.source.delta - BODY
        self._run(number, length, alignment)
        name = self.source.name("l")
        if chosen is not False:
            letters = struct_format(inner.source.pending, BODY)
            rest = length - struct.calcsize("<" + letters)
            unpack = self.source.bind("unpack", struct.Struct(f"<{letters}{rest}x").iter_unpack)
            names = "".join(f"{read.name}, " for read in inner.source.pending)
            self.source.write(f"{name} = [{value} for ({names}) in {unpack}(b[p:o])]")
        return name

    def _each(self, element: Layout, number: str, chosen: Selection) -> str:
        """Messages of varying length: a loop."""
        self.source.flush()
        name = self.source.name("l")
        self.source.write(f"o = {self.source.here}")
        self.source.refuse_if(f"{number} * {least(element)} > end - o")
        if chosen is not False:
            self.source.write(f"{name} = []")
        with self.source.loop(number):
            value = self.message(element, chosen)
            self.source.flush()
            if chosen is not False:
                self.source.write(f"{name}.append({value})")
        return name

    def _run(self, number: str, size: int, alignment: int) -> None:
        """Set `p` and `o` to the start and the end of elements in a row; without any there is no padding."""
        self.source.flush()
        here = self.source.here
        padded = alignment > _COUNT_ALIGNMENT
        self.source.write(f"p = {aligned(here, alignment)} if {number} else {here}" if padded else f"p = {here}")
        self.source.write(f"o = p + {number} * {size}")
        self.source.refuse_if("o > end")
        self.source.rebase(modulus=min(_COUNT_ALIGNMENT, alignment))
