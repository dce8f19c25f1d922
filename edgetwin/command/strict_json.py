"""Command room: bytes into a JSON value, without anything that two readers could read differently.

In: payload     Out: the value, or ValueError with one plain line.
Numbers that no float holds are no fault here: `is_finite` judges them, so that the refusal can say so.
Source: RFC 8259; duplicate names as RFC 7493 (I-JSON) forbids them.
"""

from __future__ import annotations

import json
import sys
from typing import Any

_FLOAT_MAX = sys.float_info.max


def loads(payload: bytes, depth_max: int) -> Any:
    """Return the value of a payload that is UTF-8 and JSON, at most `depth_max` levels deep, names unique.

    Raises:
        ValueError: It is not, and its text says why.
    """
    try:
        value = json.loads(payload.decode(), object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        msg = f"it is not UTF-8 (byte {error.start})"
        raise ValueError(msg) from error
    except json.JSONDecodeError as error:
        msg = f"it is not JSON (character {error.pos})"
        raise ValueError(msg) from error
    except RecursionError as error:
        raise ValueError(_too_deep(depth_max)) from error
    inner = _nested([value])
    for _ in range(depth_max):
        inner = _nested(_members(inner))
    if inner:
        raise ValueError(_too_deep(depth_max))
    return value


def is_finite(value: Any) -> bool:
    """Whether every number in a JSON value that `loads` returned fits a float, and is one."""
    level = [value]
    while level:
        if any(type(one) in {int, float} and not -_FLOAT_MAX <= one <= _FLOAT_MAX for one in level):
            return False  # NaN compares as false
        level = _members(_nested(level))
    return True


def _nested(level: list[Any]) -> list[Any]:
    return [one for one in level if type(one) in {dict, list}]


def _members(level: list[Any]) -> list[Any]:
    return [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        msg = "it has a key twice"
        raise ValueError(msg)
    return found


def _too_deep(depth_max: int) -> str:
    return f"it is nested deeper than {depth_max} levels"
