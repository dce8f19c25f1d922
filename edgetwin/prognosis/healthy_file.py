"""Roof: what is known of a healthy machine, on disk: it survives restarts, upgrades and new models.

In: plain values     Out: one small JSON file per prognosis, replaced atomically.
A file that cannot be read stays where it is, and nothing is written over it: only a person may give up a baseline.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson

from edgetwin.errors import BaselineLostError

_BYTES_MAX = 4_000_000


class HealthyFile:
    """The file of one prognosis."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> object:
        """Return what was kept, None where nothing was.

        Raises:
            BaselineLostError: It is there and cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                content = file.read(_BYTES_MAX)
            return orjson.loads(content)
        except FileNotFoundError:
            return None
        except OSError as error:
            msg = f"cannot be read ({error.strerror})"
            raise BaselineLostError(msg) from error
        except ValueError as error:
            msg = "is not what was kept: it is no JSON"
            raise BaselineLostError(msg) from error

    def write(self, values: dict[str, Any]) -> None:
        """Replace the file; after a power cut it is the old or the new one, whole.

        Raises:
            OSError: It cannot be written.
        """
        self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        scratch = self.path.with_name(self.path.name + ".new")
        with scratch.open("wb") as file:
            file.write(orjson.dumps(values, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
