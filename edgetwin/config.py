"""Floor: the settings file, the environment and the credentials into Settings.

In: a path, the environment     Out: Settings and where each key came from, or every fault of one run.
Reads files; writes none, logs nothing. Later sources win: file, environment, credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgetwin.errors import Fault, RefusedError
from edgetwin.settings import Settings, credentials, document, environment
from edgetwin.settings.faults import faults_of
from edgetwin.settings.keys import Given, KeyPath, dotted, leaves, plain
from edgetwin.settings.tree import CREDENTIALS

DEFAULT_PATH = Path("/etc/edgetwin/edgetwin.toml")
MASK = "********"
_FIRST_CHANNEL = (
    'add one, for example [channels.odom] with topic = "/odom", type = "nav_msgs/msg/Odometry", class = "critical"'
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings that may be used.

    Attributes:
        settings: The tree.
        sources: For each dotted key that was given, where it stands; every other key has its default.
    """

    settings: Settings
    sources: Mapping[str, str]


def default_path(environ: Mapping[str, str]) -> Path:
    """Return the settings file where no `--config` names one."""
    return Path(environ.get(environment.CONFIG) or DEFAULT_PATH)


def load(path: Path, environ: Mapping[str, str], *, guarded: bool = True) -> Loaded:
    """Return the settings of the file, the environment and the credentials, in rising priority.

    Args:
        path: Of the settings file.
        environ: The environment; it names the credentials.
        guarded: Refuse a file that others than its owner may change.

    Raises:
        RefusedError: They cannot be used; it holds every fault of this run.
    """
    layers = _Layers(plain(path.name))
    try:
        layers.add_document(document.read(path, guarded=guarded))
    except RefusedError as refused:
        layers.faults += refused.faults
    for given, faults in (environment.read(environ, layers.channels()), credentials.read(environ)):
        layers.faults += faults
        for item in given:
            layers.add(item)
    return layers.judged()


@dataclass(slots=True)
class _Layers:
    """The sources, laid one over the other.

    Attributes:
        name: Of the settings file.
        readable: The file could be read; else what seems to be missing may well stand in it.
        origins: Where the keys stand that are not in the file.
    """

    name: str
    readable: bool = False
    tree: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)
    in_file: set[KeyPath] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)

    def add_document(self, tables: dict[str, Any]) -> None:
        """Lay the settings file, less the secrets that have no place in it."""
        self.readable = True
        self.tree = tables
        for section, key in CREDENTIALS:
            table = tables.get(section)
            fault = credentials.misplaced((section, key), f"{self.name}: {section}.{key}")
            if isinstance(table, dict) and key in table and fault:
                del table[key]
                self.faults.append(fault)
        self.in_file = {key for key, _ in leaves(tables)}

    def channels(self) -> list[str]:
        """Return the names of the channels so far."""
        table = self.tree.get("channels")
        return list(table) if isinstance(table, dict) else []

    def add(self, item: Given) -> None:
        """Lay one value; not below something in the file that is no table: that is a fault of its own."""
        if self.readable and item.path[0] == "channels" and item.path[1:2] and item.path[1] not in self.channels():
            self.origins.setdefault(item.path[:2], item.where)  # a new channel, or a slip: name the variable
        table: Any = self.tree
        for step in item.path[:-1]:
            table = table.setdefault(step, {})
            if not isinstance(table, dict):
                return
        last = item.path[-1]
        if item.value != {} or not isinstance(table.get(last), dict):  # an empty table adds nothing to a table
            table[last] = item.value
        self.origins[item.path] = item.where

    def judged(self) -> Loaded:
        """Return the settings, if nothing at all is wrong."""
        self.tree.setdefault("robot", {})  # so that the fault names robot.id
        if self.readable and self.tree.setdefault("channels", {}) == {}:
            self.faults.append(Fault(f"{self.name}: channels", "no channel is configured", _FIRST_CHANNEL))
        try:
            settings = Settings.model_validate(self.tree)
        except ValidationError as error:
            found = faults_of(error, self._where)
            self.faults += [fault for path, fault in found if self.readable or self._origin(path)]
            raise RefusedError(self.faults) from None  # pydantic's own text says less, and might say a secret
        if self.faults:
            raise RefusedError(self.faults)
        sources = {dotted(path): self.name for path in self.in_file}
        sources |= {dotted(path): where for path, where in self.origins.items()}
        return Loaded(settings, dict(sorted(sources.items())))

    def _origin(self, path: KeyPath) -> KeyPath:
        return next((path[:cut] for cut in range(len(path), 0, -1) if path[:cut] in self.origins), ())

    def _where(self, path: KeyPath) -> str:
        known = self._origin(path)
        rest = dotted(path[len(known) :])
        return ": ".join(filter(None, (self.origins.get(known, self.name), rest)))


def effective(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain TOML values under their public keys, without unset ones; secrets masked."""
    values: dict[str, Any] = settings.model_dump(mode="json", by_alias=True, exclude_none=True)
    for section, key in CREDENTIALS:
        if key in values[section]:
            values[section][key] = MASK
    return values


def to_toml(settings: Settings) -> str:
    """Return the settings as a TOML file, secrets masked."""
    import tomli_w  # noqa: PLC0415  # `check` only: not on the start path

    return tomli_w.dumps(effective(settings))
