"""Roof: what the running daemon says of itself.

In: figures     Out: `status.json` in the runtime directory, rewritten atomically; and the way to read it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from edgetwin.clock import NS_PER_US, Clock
from edgetwin.status_table import table

FILE_NAME = "status.json"
VERSION = 1
_MODE = 0o644  # no secret is in it, and `edgetwin status` is for every user; the unit's umask says 0600
SYSTEM_DIRECTORY = Path("/run/edgetwin")
SILENT_S = 10.0  # it writes every second, or it does not get on
_US_PER_S = 1_000_000


def runtime_directory(environ: Mapping[str, str]) -> Path:
    """Return where the status lives: systemd's choice, else the user's runtime directory, else the system's."""
    if given := environ.get("RUNTIME_DIRECTORY"):
        return Path(given.split(":", 1)[0])
    if user := environ.get("XDG_RUNTIME_DIR"):
        return Path(user) / "edgetwin"
    return SYSTEM_DIRECTORY


class StatusFile:
    """The file that `edgetwin status` and the demo read."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._scratch = directory / (FILE_NAME + ".new")

    def write(self, figures: Mapping[str, Any]) -> None:
        """Replace the file, and make its directory where there is none; a reader sees the old file or the new, whole.

        Raises:
            OSError: The directory cannot be made, or is full.
        """
        try:
            self._scratch.write_bytes(orjson.dumps(figures))
        except FileNotFoundError:
            self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._scratch.write_bytes(orjson.dumps(figures))
        self._scratch.chmod(_MODE)
        os.replace(self._scratch, self._path)  # noqa: PTH105  # Path.replace costs a Path each second

    def remove(self) -> None:
        """The daemon ends in order: there is nothing to say any more."""
        self._path.unlink(missing_ok=True)


def read(directory: Path) -> dict[str, Any]:
    """Return the last status.

    Raises:
        OSError: There is none, or it may not be read.
        ValueError: It is not ours.
    """
    value = orjson.loads((directory / FILE_NAME).read_bytes())
    if not isinstance(value, dict) or value.get("v") != VERSION:
        msg = f"{directory / FILE_NAME} is not a status file of version {VERSION}"
        raise ValueError(msg)  # the file's value, not an argument's type
    return value


def find(environ: Mapping[str, str]) -> Path:
    """Return where a running daemon's status is: this user's own, else the system's."""
    directory = runtime_directory(environ)
    if not environ.get("RUNTIME_DIRECTORY") and not (directory / FILE_NAME).exists():
        return SYSTEM_DIRECTORY
    return directory


def show(environ: Mapping[str, str], clock: Clock, *, as_json: bool) -> int:
    """Print what the running daemon says; return the exit code: 1 where none is seen, or it has gone silent."""
    directory = find(environ)
    try:
        figures = read(directory)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"edgetwin: {unseen(directory, error)}; start it, or set RUNTIME_DIRECTORY\n")
        return 1
    sys.stdout.write(orjson.dumps(figures).decode() + "\n" if as_json else table(figures, clock.stamp_ns()))
    if (silent_s := silence_s(figures, clock.stamp_ns())) > SILENT_S:
        sys.stderr.write(f"edgetwin: {silent(silent_s)}\n")
        return 1
    return 0


def unseen(directory: Path, error: OSError | ValueError) -> str:
    """Return in words that no daemon is seen, and why."""
    words = error.strerror if isinstance(error, OSError) else str(error)
    return f"no running daemon is seen in {directory} ({words})"


def silence_s(figures: Mapping[str, Any], stamp_ns: int) -> float:
    """Return how old figures are at wall time `stamp_ns` [s]."""
    stamp_us = figures.get("stamp_us")
    return (stamp_ns / NS_PER_US - stamp_us) / _US_PER_S if isinstance(stamp_us, int) else 0.0


def silent(silent_s: float) -> str:
    """Return in words that the daemon says nothing any more."""
    return f"the daemon has said nothing for {silent_s:.0f} s: it was killed, hangs, or the clock was set"
