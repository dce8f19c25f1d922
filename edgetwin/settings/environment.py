"""Floor: environment variables into settings.

In: the environment, the names of the channels known so far     Out: Given (path, value, where), and faults.
Pure: it reads the mapping it is given. EDGETWIN_MQTT__PORT is mqtt.port; two underscores part the
steps. Numbers and booleans are parsed here, tables and arrays are JSON; what does not parse stays a
text, for the tree to refuse. A name that leads nowhere is a fault, not a variable of someone else's.

pydantic-settings is not used: it reads os.environ alone, lets unknown variables pass, cannot say where
a value came from, and doubles the import time of pydantic.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_origin

from edgetwin.errors import Fault
from edgetwin.settings import credentials
from edgetwin.settings.faults import nearest
from edgetwin.settings.keys import Given, core, dotted, field_at, keys, leaves, plain, section_in
from edgetwin.settings.tree import Settings
from edgetwin.settings.values import Section

PREFIX = "EDGETWIN_"
CONFIG = "EDGETWIN_CONFIG"  # the path of the settings file, no setting itself
_STEP = "__"
_CHANNELS = "channels"  # the names of other tables are new ones to the environment
_NAME_SHOWN_MAX = 120
_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def read(environ: Mapping[str, str], channels: Collection[str]) -> tuple[list[Given], list[Fault]]:
    """Return what the environment sets, outer tables first, and what is wrong with its variables.

    Args:
        environ: All of the environment; variables without our prefix are nobody's business.
        channels: Names of the channels in the settings file; capitals do not tell them apart here.
    """
    given: list[Given] = []
    faults: list[Fault] = []
    for name in sorted(environ):
        if not name.upper().startswith(PREFIX) or name == CONFIG:
            continue
        where = f"environment: {plain(name, _NAME_SHOWN_MAX)}"
        paths = list(_paths(Settings, name[len(PREFIX) :], channels))
        if name != name.upper():
            faults.append(Fault(where, "is not in capitals", f"rename it {plain(name.upper(), _NAME_SHOWN_MAX)}"))
        elif not paths:
            faults.append(Fault(where, *_unknown(name, channels)))
        elif len(paths) > 1:
            cure = "rename a channel, or set this in the settings file"
            faults.append(Fault(where, f"may mean {' or '.join(map(dotted, paths))}", cure))
        else:
            try:
                given += _values(paths[0], environ[name], where)
            except (ValueError, RecursionError):
                faults.append(Fault(where, "is not valid JSON for this key", _json_cure(paths[0])))
    misplaced = [(item, credentials.misplaced(item.path, item.where)) for item in given]
    return [item for item, fault in misplaced if fault is None], faults + [fault for _, fault in misplaced if fault]


def _paths(section: type[Section], rest: str, channels: Collection[str]) -> Iterator[tuple[str, ...]]:
    for key, field in keys(section).items():
        word = key.upper()
        if rest == word:
            yield (key,)
        elif rest.startswith(word + _STEP):
            inner, named = section_in(field)
            tail = rest[len(word + _STEP) :]
            if inner is not None:
                known = channels if key == _CHANNELS else ()
                found = _named_paths(inner, tail, known) if named else _paths(inner, tail, channels)
                yield from ((key, *path) for path in found)


def _named_paths(section: type[Section], rest: str, channels: Collection[str]) -> Iterator[tuple[str, ...]]:
    known = [name for name in channels if (rest + _STEP).startswith(_folded(name) + _STEP)]
    longest = max(map(len, known), default=0)
    new = rest.partition(_STEP)[0].lower()
    for name in [name for name in known if len(name) == longest] or ([new] if new else []):
        tail = rest[len(name) :].removeprefix(_STEP)
        if tail:
            yield from ((name, *path) for path in _paths(section, tail, channels))
        elif rest == _folded(name):
            yield (name,)


def _folded(channel: str) -> str:
    return channel.upper().replace("-", "_")  # a shell takes no hyphen in a name


def _values(path: tuple[str, ...], text: str, where: str) -> Iterator[Given]:
    field = field_at(path)
    is_table = field is not None and section_in(field)[0] is not None
    if field is None or not (is_table or get_origin(core(field)) is tuple):
        yield Given(path, text if field is None else _parsed(core(field), text), where)
        return
    value = json.loads(text)
    if is_table and not isinstance(value, dict):
        msg = "a table is a JSON object"
        raise ValueError(msg)
    if not is_table or not value:
        yield Given(path, value, where)
        return
    for inner, leaf in leaves(value, path):
        yield Given(inner, leaf, f"{where}: {dotted(inner[len(path) :])}")


def _parsed(kind: Any, text: str) -> Any:
    if kind is bool:
        return _BOOLEANS.get(text.strip().lower(), text)
    if kind in {int, float}:
        try:
            return kind(text)
        except ValueError:
            return text
    return text


def _unknown(name: str, channels: Collection[str]) -> tuple[str, str]:
    near = nearest(name[len(PREFIX) :], list(_variables(Settings, channels)))
    return "is not a known variable", f"write {PREFIX}{near} if that was meant, else unset it" if near else "unset it"


def _variables(section: type[Section], channels: Collection[str]) -> Iterator[str]:
    for key, field in keys(section).items():
        inner, named = section_in(field)
        known = channels if key == _CHANNELS else ()
        heads = [f"{key}{_STEP}{_folded(name)}" for name in known] if named else [key]
        for head in heads:
            yield head.upper()
            if inner is not None:
                yield from (f"{head.upper()}{_STEP}{tail}" for tail in _variables(inner, channels))


def _json_cure(path: tuple[str, ...]) -> str:
    field = field_at(path)
    examples = field.examples if field is not None else None
    return f"write it as JSON, such as {json.dumps(examples[0]) if examples else '{...}'}"
