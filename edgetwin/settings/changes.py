"""Floor: what differs between the settings that run and those that are wanted, and which of it needs no restart.

In: two trees     Out: Change for each key; the tree that results when all that may change does
Pure. What a key means while running is for the roof; here stands which one may: a table, and nothing of [gate] is in
it. Limits, fence and who may ask change by a restart alone, with the robot at a stand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr

from edgetwin.settings.keys import KeyPath, dotted, plain
from edgetwin.settings.tree import Settings

_ANY = "*"
_VALUE_SHOWN_MAX = 80
CHANGEABLE: tuple[KeyPath, ...] = (
    ("channels", _ANY, "rate_hz_max"),
    ("channels", _ANY, "deadband"),
    ("channels", _ANY, "heartbeat_s"),
    ("channels", _ANY, "settle_s"),
    ("anomaly", _ANY, "threshold"),
    ("anomaly", _ANY, "clear_after_s"),
    ("anomaly", _ANY, "cooldown_s"),
    ("store", "backlog_rate_max"),
    ("mqtt", "tls", "ca_file"),
    ("mqtt", "tls", "cert_file"),
    ("mqtt", "tls", "key_file"),
)
_GATE = "a gate is changed by a restart only, with the robot at a stand"
_RESTART = "restart to use it"


@dataclass(frozen=True, slots=True)
class Change:
    """One key that differs.

    Attributes:
        path: The key; a whole table where it comes or goes.
        before: As it runs, in words; a secret is never shown.
        after: As it is wanted, likewise.
        allowed: Whether it may change while running.
    """

    path: KeyPath
    before: str
    after: str
    allowed: bool

    @property
    def key(self) -> str:
        """The key as TOML writes it."""
        return dotted(self.path)

    @property
    def cure(self) -> str:
        """What to do where it may not change."""
        return _GATE if self.path[0] == "gate" else _RESTART


def changes(running: Settings, wanted: Settings) -> list[Change]:
    """Return every key that differs, in the order of the tree."""
    return [
        Change(path, _shown(before), _shown(after), _allowed(path))
        for path, before, after in _differing((), _plain(running), _plain(wanted))
    ]


def adopted(running: Settings, wanted: Settings) -> Settings:
    """Return what runs, with all of `wanted` that may change while running.

    Raises:
        pydantic.ValidationError: These do not go together: what may change hangs on what may not.
    """
    tree = _plain(running)
    for path, _, after in _differing((), tree, _plain(wanted)):
        if _allowed(path):
            table: dict[Any, Any] = tree
            for step in path[:-1]:
                table = table[step]
            table[path[-1]] = after
    return Settings.model_validate(tree)


def _allowed(path: KeyPath) -> bool:
    return any(
        len(path) == len(pattern) and all(want in {_ANY, step} for step, want in zip(path, pattern, strict=True))
        for pattern in CHANGEABLE
    )


def _plain(value: BaseModel) -> dict[str, Any]:
    """Return a section under its public keys; tables of tables too, but a value stays what it is."""
    tree: dict[str, Any] = value.model_dump(by_alias=True)
    return tree


def _differing(path: KeyPath, before: Any, after: Any) -> Iterator[tuple[KeyPath, Any, Any]]:
    """Yield the keys that differ; what may change as a whole (a deadband) is not looked into."""
    if before == after:
        return
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)) or _allowed(path):
        yield path, before, after
        return
    for key in [*before, *(key for key in after if key not in before)]:
        yield from _differing((*path, key), before.get(key), after.get(key))


def _shown(value: Any) -> str:
    """Return a value in words, short and printable."""
    if value is None:
        return "none"
    if isinstance(value, SecretStr):
        return "a secret"
    if isinstance(value, Mapping):
        value = {key: inner for key, inner in value.items() if inner is not None}
    return plain(json.dumps(value, default=str), _VALUE_SHOWN_MAX)
