"""Floor: what the tree of settings says about its own keys.

In: a section, a field, a path of keys     Out: fields, and in words what they expect.
Pure. Keys are the public ones ("class", not channel_class).
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from edgetwin.settings.tree import Settings
from edgetwin.settings.values import Section

KeyPath: TypeAlias = tuple[str | int, ...]  # ("channels", "odom", "fields", 0)

_BARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_KINDS = {
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a text",
    SecretStr: "a text",
}


@dataclass(frozen=True, slots=True)
class Given:
    """One value for the tree: the key it is for, and in words where it stands."""

    path: tuple[str, ...]
    value: Any
    where: str


def keys(section: type[Section]) -> dict[str, FieldInfo]:
    """Return the keys that may stand in a section."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def core(field: FieldInfo) -> Any:
    """Return the type of a field, without "or None" and annotations."""
    kind: Any = field.annotation
    if get_origin(kind) in {Union, types.UnionType}:
        kind = next(part for part in get_args(kind) if part is not type(None))
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def section_in(field: FieldInfo) -> tuple[type[Section] | None, bool]:
    """Return the section that a field holds, or None; and whether it holds many, each under a name."""
    kind = core(field)
    if get_origin(kind) is Mapping:
        return get_args(kind)[1], True
    return (kind if isinstance(kind, type) and issubclass(kind, Section) else None), False


def _walk(path: KeyPath) -> tuple[FieldInfo | None, type[Section] | None, bool]:
    section: type[Section] | None = Settings
    field: FieldInfo | None = None
    named = False
    for step in path:
        if named or isinstance(step, int):
            named = False
            continue
        field = keys(section).get(step) if section else None
        section, named = section_in(field) if field else (None, False)
    return field, section, named


def field_at(path: KeyPath) -> FieldInfo | None:
    """Return the field at a path, or None; a channel's name and an index belong to the field before them."""
    return _walk(path)[0]


def keys_below(path: KeyPath) -> list[str]:
    """Return the keys that may stand in the table at a path; none where any name may."""
    _, section, named = _walk(path)
    return list(keys(section)) if section and not named else []


def kind_of(field: FieldInfo, within: int = 0) -> str:
    """Return in words what sort of value a field takes, or its arrays so many levels `within`: "a whole number"."""
    return "a table" if section_in(field)[0] else _kind_in_words(_element(core(field), within))


def _kind_in_words(kind: Any) -> str:
    if get_origin(kind) is not tuple:
        return _KINDS.get(kind, "a text")
    element = _element(kind, 1)
    if get_origin(element) is not tuple:
        return "a point, [x, y] in metres" if element is float else "an array of texts"
    corners = get_origin(_element(element, 1)) is not tuple
    return "an array of points, [[x, y], ...]" if corners else "an array of polygons, [[[x, y], ...], ...]"


def _element(kind: Any, within: int) -> Any:
    """Return the type of what stands in an array, so many levels deep."""
    for _ in range(within if get_origin(kind) is tuple else 0):
        kind = get_args(kind)[0] if get_origin(kind) is tuple else kind
        kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return kind


def expected(field: FieldInfo, within: int = 0) -> str:
    """Return in words what a field takes, with its bounds: "a whole number from 1 to 65535"."""
    kind = _element(core(field), within)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return "one of " + ", ".join(kind)
    if kind is bool:
        return "true or false"
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(get_args(kind))
    if within:
        return _kind_in_words(kind)
    limits = {
        name: getattr(mark, name) for mark in field.metadata for name in ("ge", "gt", "le") if hasattr(mark, name)
    }
    low = {"ge": "from {}" if "le" in limits else "of at least {}", "gt": "above {}"}
    words = low | {"le": "and at most {}" if "gt" in limits else "to {}"}
    bounds = [words[name].format(f"{limits[name]:_}".removesuffix(".0")) for name in words if name in limits]
    return " ".join([kind_of(field), *bounds])


def leaves(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path and value of all that stands in a table at `path` and is no section with keys of its own."""
    for key, value in table.items():
        here = (*path, key)
        if isinstance(value, dict) and value and _walk(here)[1] is not None:
            yield from leaves(value, here)
        else:
            yield here, value


def dotted(path: KeyPath) -> str:
    """Return a path as TOML writes it, in printable characters: `channels."left arm".fields[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if step and set(step) <= _BARE else quoted(step))
    return text


def quoted(text: str) -> str:
    """Return `plain` text in double quotes."""
    return f'"{plain(text)}"'


def plain(text: str, limit: int = 60) -> str:
    """Return text shortened to `limit` characters, and with nothing in it that a terminal would obey."""
    cut = text if len(text) <= limit else text[: limit - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
