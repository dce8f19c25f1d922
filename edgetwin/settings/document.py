"""Floor: one settings file into a dict.

In: a path     Out: the tables as they stand, or one fault that says where the file breaks.
Reads one file, at most 1 MiB of it. Knows nothing of the keys.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from edgetwin.errors import Fault, RefusedError
from edgetwin.settings.keys import plain

_FILE_MAX_BYTES = 1_048_576
_PATH_SHOWN_MAX = 200
_POSITION = re.compile(r" *\(at (?:line (\d+), column (\d+)|end of document)\)$")
_KEY = re.compile(r"""\s*([A-Za-z0-9_."'-]+)\s*=""")
_OPEN = re.compile(_KEY.pattern + r"""\s*(?:\'{3}|"{3}|'[^']*$|"[^"]*$|[^"'#]*[\[{][^\]}]*$)""")  # and does not close
_NEVER_CLOSED = ("Unclosed", "Unterminated", "Expected \"'")  # tomllib says so where it gave up, often much later
_WORD = re.compile(r"""\s*([A-Za-z0-9_."'-]+)""")
_HEADER = re.compile(r"""\s*\[{1,2}([A-Za-z0-9_."' -]+)(?:\]|$)""")


def read(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        RefusedError: With one fault: the file cannot be read, or where it is not TOML.
    """
    content = _content(path)
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


def _content(path: Path) -> bytes:
    where = plain(str(path), _PATH_SHOWN_MAX)
    try:
        with path.open("rb") as file:
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
