"""Floor: one settings file into a dict.

In: a path     Out: the tables as they stand, or one fault that says where the file breaks.
Reads one file, at most 1 MiB of it. Knows nothing of the keys. A file that others may change or replace is not read:
whoever may write it sets every limit of the robot.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from edgetwin.errors import Fault, RefusedError
from edgetwin.settings.keys import plain
from edgetwin.settings.ownership import others_may_replace, others_may_write

_FILE_MAX_BYTES = 1_048_576
_PATH_SHOWN_MAX = 200
_POSITION = re.compile(r" *\(at (?:line (\d+), column (\d+)|end of document)\)$")
_KEY = re.compile(r"""\s*([A-Za-z0-9_."'-]+)\s*=""")
_OPEN = re.compile(_KEY.pattern + r"""\s*(?:\'{3}|"{3}|'[^']*$|"[^"]*$|[^"'#]*[\[{][^\]}]*$)""")  # and does not close
_NEVER_CLOSED = ("Unclosed", "Unterminated", "Expected \"'")  # tomllib says so where it gave up, often much later
_WORD = re.compile(r"""\s*([A-Za-z0-9_."'-]+)""")
_HEADER = re.compile(r"""\s*\[{1,2}([A-Za-z0-9_."' -]+)(?:\]|$)""")


def read(path: Path, *, guarded: bool = True) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Args:
        path: Of the file.
        guarded: Refuse a file that others may change or replace; `doctor` looks at more than that, and tells it too.

    Raises:
        RefusedError: With one fault: the file cannot be read, is not only its owner's, or where it is not TOML.
    """
    content = _content(path, guarded=guarded)
    name = plain(path.name)
    try:
        text = content.decode("utf-8-sig")
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        where = f"{name}: line {line}"
        raise _refused(where, "is not UTF-8", "save the file as UTF-8") from error
    except RecursionError as error:
        raise RefusedError([_placeless_fault(name, text, "it is nested too deeply")]) from error
    except ValueError as error:  # TOMLDecodeError is one; so is a number or a date that Python cannot hold
        raise RefusedError([_syntax_fault(name, text, str(error))]) from error


def _refused(where: str, what: str, cure: str) -> RefusedError:
    return RefusedError([Fault(where, what, cure)])


def changeable(path: Path, seen: os.stat_result) -> Fault | None:
    """Return the fault of a settings file that others than its owner may change or replace, or None.

    Args:
        path: Of the file.
        seen: What the system says of it.
    """
    name = plain(str(path), _PATH_SHOWN_MAX)
    if who := others_may_write(seen):
        mode = stat.S_IMODE(seen.st_mode)
        what = f"may be changed by {who} (mode {mode:04o}), and with it every limit of this robot"
        return Fault(name, what, f"chmod go-w {name}")
    folder, who = others_may_replace(path)
    if who:
        shown = plain(str(folder), _PATH_SHOWN_MAX)
        return Fault(name, f"may be replaced by {who}, who may write to the folder {shown}", f"chmod go-w {shown}")
    return None


def _content(path: Path, *, guarded: bool) -> bytes:
    where = plain(str(path), _PATH_SHOWN_MAX)
    try:
        with open(path, "rb", opener=_without_waiting) as file:  # Path.open takes no opener
            seen = os.fstat(file.fileno())
            if not stat.S_ISREG(seen.st_mode):
                raise _refused(where, "is not a file but a device, a pipe or a socket", "name the settings file")
            if guarded and (fault := changeable(path, seen)):
                raise RefusedError([fault])
            content = file.read(_FILE_MAX_BYTES + 1)
    except FileNotFoundError as error:
        cure = "create it (the example edgetwin.toml is a start), or name another with --config FILE"
        raise _refused(where, "there is no such file", cure) from error
    except IsADirectoryError as error:
        raise _refused(where, "is a directory", "name the file in it") from error
    except PermissionError as error:
        cure = "let the user of the daemon read it: chown root:edgetwin, chmod 0640"
        raise _refused(where, "may not be read", cure) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _refused(where, f"cannot be read ({reason})", "name another file with --config FILE") from error
    if len(content) > _FILE_MAX_BYTES:
        raise _refused(where, "is larger than 1 MiB", "name the settings file; this is another one")
    return content


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a pipe that nobody writes to would never open


def _syntax_fault(name: str, text: str, message: str) -> Fault:
    position = _POSITION.search(message)
    if position is None:
        return _placeless_fault(name, text, plain(message))
    lines = text.split("\n")
    line = int(position[1] or len(lines))
    column = int(position[2] or len(lines[-1]) + 1)
    in_array = message.startswith("Invalid value") and not lines[line - 1][: column - 1].strip()
    if in_array or message.startswith(_NEVER_CLOSED):
        opened = next((at for at in range(line, 0, -1) if _OPEN.match(lines[at - 1])), None)
        if opened is not None:
            line, column = opened, lines[opened - 1].index("=") + 1
    key = _key_near(lines[:line], _WORD if message.startswith("Expected '='") else _KEY)
    where = f"{name}: line {line}, column {column}" + (f" ({key})" if key else "")
    what = f"is not TOML ({plain(message[: position.start()], _PATH_SHOWN_MAX)})"
    return Fault(where, what, "correct it: one key = value to a line, texts in quotes")


def _placeless_fault(name: str, text: str, reason: str) -> Fault:
    """Return the fault of a value that Python cannot hold; it says not which, the longest line is the likely one."""
    lines = text.split("\n")
    line = max(range(len(lines)), key=lambda index: len(lines[index])) + 1
    key = _key_near(lines[:line], _KEY)
    where = f"{name}: line {line}" + (f" ({key})" if key else "")
    return Fault(where, f"probably this value cannot be read ({reason})", "correct or remove it")


def _key_near(lines: list[str], last: re.Pattern[str]) -> str:
    """Return the key that the last of these lines belongs to, as far as broken TOML tells."""
    key, pattern = "", last
    for line in reversed(lines):
        if header := _HEADER.match(line):
            table = header[1].strip()
            return plain(f"{table}.{key}" if key else table)
        if not key and (found := pattern.match(line)):
            key = found[1]
        pattern = _KEY
    return plain(key)
