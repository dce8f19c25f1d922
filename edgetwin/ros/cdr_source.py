"""ROS room: the text of a generated decoder while it grows, and its compilation.

In: "read this scalar", "align", "from here on the place is in `o`"
Out: statements in which neighbouring scalars are one struct call; at last a function

In the generated code `b` is the buffer, `end` its length and `o` the last place that only the
message itself could tell. XCDR1 counts alignment from byte 4, after the encapsulation header.
"""

from __future__ import annotations

import linecache
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edgetwin.errors import MalformedMessageError
from edgetwin.ros.cdr_layout import COUNT, Scalar
from edgetwin.ros.cdr_runtime import FAULTS, OverrunError

BODY = 4  # where the message begins [bytes]: behind the encapsulation header
_LITTLE_ENDIAN = int.from_bytes(b"\x00\x01", "little")  # that header, as the first struct call reads it
_HEADER = "header"


@dataclass(frozen=True, slots=True)
class Read:
    """One scalar that the next struct call fetches: its distance from the base, its kind, its variable."""

    offset: int
    scalar: Scalar
    name: str


class Source:
    """Statements, and a cursor in the buffer that they will read.

    The cursor stands `delta` bytes after a base: the start of the buffer, or `o`. The base is known
    to be aligned to so many bytes; stricter alignment costs a statement.

    Attributes:
        bindings: Objects that the statements call, by name.
        pending: Scalars whose struct call is not written yet.
        delta: Distance of the cursor from its base [bytes].
    """

    def __init__(self) -> None:
        self.bindings: dict[str, Any] = {"Overrun": OverrunError}
        self.pending = [Read(0, Scalar("H", 2), _HEADER)]
        self.delta = BODY
        self._lines: list[str] = []
        self._indent = ""
        self._names = 0
        self._origin = BODY
        self._modulus = 8
        self._dynamic = False

    @property
    def looping(self) -> bool:
        """Whether statements now go into a loop."""
        return bool(self._indent)

    def write(self, statement: str) -> None:
        """Add one statement."""
        self._lines.append(self._indent + statement)

    def refuse_if(self, overrun: str) -> None:
        """Add the check of a length against the buffer."""
        self.write(f"if {overrun}:")
        self.write("    raise Overrun")

    @contextmanager
    def loop(self, number: str) -> Iterator[None]:
        """Repeat what is written meanwhile; nothing is known of the alignment of a turn, or after the last."""
        self.write(f"for _ in range({number}):")
        outside, self._indent = self._indent, self._indent + "    "
        self.rebase(modulus=1)
        yield
        self.flush()
        if self.delta:
            self.write(f"o = {self.here}")
        self._indent = outside
        self.rebase(modulus=1)

    def name(self, kind: str) -> str:
        """Return a variable that is not in use."""
        self._names += 1
        return f"{kind}{self._names}"

    def bind(self, kind: str, value: Any) -> str:
        """Return the name under which the statements can call `value`."""
        name = f"{kind}_{len(self.bindings)}"
        self.bindings[name] = value
        return name

    @property
    def here(self) -> str:
        """The cursor as an expression."""
        return self._place(self.delta)

    def _place(self, offset: int) -> str:
        if not self._dynamic:
            return str(offset)
        return f"o + {offset}" if offset else "o"

    def read(self, scalar: Scalar) -> str:
        """Read a scalar in the next struct call; return its variable."""
        self.align(scalar.size)
        name = self.name("v")
        self.pending.append(Read(self.delta, scalar, name))
        self.delta += scalar.size
        return name

    def read_count(self) -> str:
        """Read a length now, because everything after it depends on it."""
        name = self.read(COUNT)
        self.flush()
        return name

    def skip(self, scalar: Scalar, count: int = 1) -> None:
        """Pass over scalars; it costs the generated code nothing."""
        self.align(scalar.size)
        self.delta += count * scalar.size

    def align(self, size: int) -> None:
        """Move the cursor to the next multiple of `size`, now if that is known, else when it runs."""
        if size <= self._modulus:
            self.delta += -(self.delta - self._origin) % size
            return
        self.flush()
        self.write(f"o = {aligned(self.here, size)}")
        self.rebase(modulus=size)

    def rebase(self, *, modulus: int) -> None:
        """Count from `o` from now on, of which no more is known than that it is a multiple of `modulus`."""
        self._dynamic, self.delta, self._origin, self._modulus = True, 0, 0, modulus

    def flush(self) -> None:
        """Write the struct call for the scalars gathered so far."""
        if not self.pending:
            return
        first = self.pending[0].offset
        unpack = self.bind("unpack", struct.Struct("<" + struct_format(self.pending, first)).unpack_from)
        names = ", ".join(read.name for read in self.pending)
        self.write(f"{names}, = {unpack}(b, {self._place(first)})")
        if self.pending[0].name == _HEADER:
            self.write(f"if header != {_LITTLE_ENDIAN}:")
            self.write("    return foreign(b)")
        self.pending = []

    def text(self, result: str) -> str:
        """Return the whole function; `result` is what it returns."""
        self.flush()
        body = ["end = len(b)", *self._lines, f"return {result}"]
        outside = ["def read(b):", "    try:", *("        " + line for line in body)]
        return "\n".join([*outside, "    except FAULTS as error:", "        raise malformed(b, error) from error", ""])


def aligned(place: str, size: int) -> str:
    """Return the expression of the first place at or after `place` that is aligned to `size`."""
    if size > BODY:
        return f"({place} + {size - 1 - BODY} & -{size}) + {BODY}"
    return f"{place} + {size - 1} & -{size}"


def struct_format(reads: list[Read], start: int) -> str:
    """Return the struct format of the reads from `start` on, with padding for what lies between them."""
    letters = ""
    for read in reads:
        letters += f"{read.offset - start}x{read.scalar.code}"
        start = read.offset + read.scalar.size
    return letters


def compile_reader(type_name: str, source: Source, result: str, foreign: Callable[[bytes], Any]) -> Any:
    """Return the statements as a function from bytes to the expression `result`.

    Args:
        type_name: For error texts and tracebacks.
        source: The statements.
        result: An expression of the variables they set.
        foreign: Takes over where the bytes are not little endian CDR.
    """

    def malformed(buffer: bytes, error: Exception) -> MalformedMessageError:
        return MalformedMessageError(f"{len(buffer)} bytes are not a {type_name}: {error}")

    text = source.text(result)
    bound = source.bindings | {"FAULTS": FAULTS, "foreign": foreign, "malformed": malformed}
    file_name = f"<cdr {type_name} {zlib.crc32(text.encode()):08x}>"
    linecache.cache[file_name] = (len(text), None, text.splitlines(keepends=True), file_name)  # for tracebacks
    exec(compile(text, file_name, "exec"), bound)  # noqa: S102  # our own text; the names in it come from the class
    bound["read"].__source__ = text
    return bound["read"]
