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

FILE_NAME = "status.json"
VERSION = 1
_MODE = 0o644  # no secret is in it, and `edgetwin status` is for every user; the unit's umask says 0600
SYSTEM_DIRECTORY = Path("/run/edgetwin")


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

    def open(self) -> None:
        """Make the directory.

        Raises:
            OSError: It cannot be made.
        """
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)

    def write(self, figures: Mapping[str, Any]) -> None:
        """Replace the file; a reader sees the old or the new one, whole.

        Raises:
            OSError: The directory is gone or full.
        """
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


def show(environ: Mapping[str, str], *, as_json: bool) -> int:
    """Print what the running daemon says; return the exit code."""
    directory = find(environ)
    try:
        figures = read(directory)
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        sys.stderr.write(
            f"edgetwin: no running daemon is seen in {directory} ({words}); start it, or set RUNTIME_DIRECTORY\n"
        )
        return 1
    sys.stdout.write(orjson.dumps(figures).decode() + "\n" if as_json else _table(figures))
    return 0


def _table(figures: Mapping[str, Any]) -> str:
    link, outbox = figures["link"], figures["outbox"]
    lines = [
        f"{figures['robot_id']} {figures['state']}, edgetwin {figures['version']}, boot {figures['boot']}",
        f"link   {link['state']} for {link['since_s']:.0f} s, {link['reconnects']} reconnects"
        + (f" ({link['last_error']})" if link["last_error"] else ""),
        f"outbox {outbox['records']} records on disk, {outbox['waiting']} waiting, {outbox['in_flight']} in flight",
        *_gate(figures.get("gate")),
        f"{'channel':<20} {'in/s':>8} {'out/s':>8} {'received':>10} {'published':>10} {'held back':>10} {'backlog':>8}",
    ]
    for name, channel in figures["channels"].items():
        problem = channel["problem"] or ("" if channel["publishers"] else "waiting for a publisher")
        lines.append(
            f"{name:<20} {channel['in_hz']:>8.1f} {channel['out_hz']:>8.1f} {channel['received']:>10} "
            f"{channel['published']:>10} {channel['held_back']:>10} {channel['backlog']:>8} {problem}".rstrip()
        )
    return "\n".join(lines) + "\n"


def _gate(gate: Mapping[str, Any] | None) -> list[str]:
    if gate is None:
        return []
    motion = "" if gate.get("remote_motion") else ", remote motion is off"
    latch = f", latched as {gate['stop_id']}" if gate.get("stop_id") else ""
    trouble = [f"foreign publishers: {', '.join(gate['foreign_publishers'])}"] if gate.get("foreign_publishers") else []
    trouble += [gate["latch_problem"]] if gate.get("latch_problem") else []
    return ["; ".join([f"gate   {gate['state']} ({gate.get('reason', '-')}){latch}{motion}", *trouble])]
