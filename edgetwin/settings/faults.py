"""Floor: what pydantic found wrong, as one plain line per fault.

In: ValidationError, and where each key came from     Out: Fault (where, what, cure).
Pure. No line ever shows a secret: not a credential's value, not the value of an unknown key, not
the inside of a table, not the user part of an address.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from edgetwin.errors import Fault
from edgetwin.settings.keys import KeyPath, dotted, expected, field_at, keys_below, kind_of, quoted
from edgetwin.settings.tree import CREDENTIALS
from edgetwin.settings.values import REFUSED

_NAME_DEPTHS = {3, 4, 5}  # channels.odom, gate.operators.anna, prognosis.motor.sources.current, each with "[key]"
_UNREADABLE_BITS = 200
_ADDRESS_USER = re.compile(r"//[^/@]*@")
_ECHO = "default_factory_not_called"  # a default that hangs on a field with a fault of its own
_WORDS = {
    "finite_number": "is not a finite number",
    "enum": "is not one of the choices",
    "literal_error": "is not one of the choices",
    "string_too_long": "is too long",
    "too_long": "is too long",
    "too_short": "is empty",
    "greater_than": "is out of range",
    "greater_than_equal": "is out of range",
    "less_than": "is out of range",
    "less_than_equal": "is out of range",
}
_SORTS: tuple[tuple[type, str], ...] = (
    (bool, "a boolean"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "a text"),
    (dict, "a table"),
    (list, "an array"),
    (dt.date, "a date"),  # a datetime is one too
    (dt.time, "a time"),
)


def faults_of(error: ValidationError, where: Callable[[KeyPath], str]) -> Iterator[tuple[KeyPath, Fault]]:
    """Yield every fault that pydantic found, with the path of its key; `where` words a path."""
    for detail in error.errors(include_url=False):
        if detail["type"] == _ECHO:
            continue
        path = _path(detail)
        what, cure = _judge(detail, path)
        yield path, Fault(where(path), what, cure)


def _path(detail: ErrorDetails) -> KeyPath:
    """Return the path of a key; where the name of a channel is at fault, pydantic adds a step "[key]" to it."""
    path = detail["loc"]
    if detail["type"] == REFUSED and "key" in detail["ctx"]:
        return (*path, detail["ctx"]["key"])
    is_name = len(path) in _NAME_DEPTHS and path[-1] == "[key]"
    return path[:-1] if is_name and detail["type"] != "extra_forbidden" else path


def _judge(detail: ErrorDetails, path: KeyPath) -> tuple[str, str]:
    sort, value = detail["type"], detail["input"]
    if sort == "missing":
        return "is missing", _example(path)
    if sort == "extra_forbidden":
        return unknown_key(path)
    subject = "its value" if path[:2] in CREDENTIALS else shown(value)
    if sort == REFUSED:
        context = detail["ctx"]
        subject = shown(context["value"]) if "key" in context else subject
        return f"{subject} {context['what']}", context["cure"]
    field = field_at(path)
    if field is None:  # pydantic found more than we asked of it
        return f"{subject} cannot be used", f"correct it: {detail['msg']}"
    within = sum(isinstance(step, int) for step in path)
    cure = f"{'write' if within else 'set it to'} {expected(field, within)}"
    if kind_of(field) == "a table":
        cure = f"write it as a table, [{dotted(path if keys_below(path) else (*path, 'NAME'))}]"
    if sort in _WORDS:
        return f"{subject} {_WORDS[sort]}", cure
    return f"{subject} is {_sort_of(value)}, not {kind_of(field, within)}", cure


def unknown_key(path: KeyPath) -> tuple[str, str]:
    """Return what is wrong with a key that does not exist, and the cure: the nearest one that does."""
    key = str(path[-1])
    near = nearest(key, keys_below(path[:-1]))
    return "is not a known key", f"write {near} if that was meant, else remove it" if near else "remove it"


def nearest(word: str, known: list[str]) -> str | None:
    """Return the one of `known` that `word` was probably meant to be, or None."""
    import difflib  # noqa: PLC0415  # only ever after a fault: not on the start path

    found = difflib.get_close_matches(word[:100], known, n=1)
    return found[0] if found else None


def shown(value: Any) -> str:
    """Return a value fit for a line of text: short, printable, without secrets; "it" for a table or an array."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):  # Python refuses to print the very long ones
        return str(value) if value.bit_length() <= _UNREADABLE_BITS else f"a number of {value.bit_length()} bits"
    if isinstance(value, float):
        return repr(value)
    return quoted(_ADDRESS_USER.sub("//***@", value)) if isinstance(value, str) else "it"


def _sort_of(value: Any) -> str:
    return next((words for sort, words in _SORTS if isinstance(value, sort)), "nothing")


def _example(path: KeyPath) -> str:
    field = field_at(path)
    example = field.examples[0] if field and field.examples else "..."
    return f"add {path[-1]} = {quoted(str(example))} under [{dotted(path[:-1])}]"
