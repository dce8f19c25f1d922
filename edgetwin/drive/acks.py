"""Drive wing: the robot's answers, read and told.

In: payloads of the ack topic     Out: Ack; one line for a person
Pure. What is no ack of ours is None, never an exception: others publish there as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

GOOD = frozenset({"ACCEPTED", "CLAMPED", "OK", "STOPPED", "CHALLENGE"})
_STEADY = "ACCEPTED"
_TEXTS = ("id", "command", "verdict", "code", "detail", "state", "stop_id")


@dataclass(frozen=True, slots=True)
class Ack:
    """One final ack. `keys` is everything that it says; the rest is what everybody asks for."""

    id: str
    command: str
    verdict: str
    code: str
    detail: str
    state: str
    stop_id: str
    keys: Mapping[str, Any]

    @property
    def good(self) -> bool:
        """Whether the robot does what was asked, perhaps less of it. A repetition is as good as its first answer."""
        return self.keys.get("first_verdict", self.verdict) in GOOD

    def line(self) -> str:
        """Return the ack as one line: what, the answer, why, how fast, in which state."""
        words = [f"{self.command or '?':5} {self.verdict:9}"]
        if self.code not in {self.verdict, _STEADY}:
            words.append(self.code)
        linear, angular = self.keys.get("linear"), self.keys.get("angular")
        if isinstance(linear, (int, float)) and isinstance(angular, (int, float)):
            words.append(f"{linear:+.2f} m/s {angular:+.2f} rad/s")
        words.append(self.state)
        if self.stop_id:
            words.append(f"stop_id {self.stop_id}")
        if self.detail:
            words.append(f"({self.detail})")
        return " ".join(" ".join(words).split())


def read(payload: bytes) -> Ack | None:
    """Return the ack in a payload; None where there is none."""
    try:
        keys = orjson.loads(payload)
    except ValueError:
        return None
    if not isinstance(keys, dict):
        return None
    texts = {name: keys[name] for name in _TEXTS if isinstance(keys.get(name), str)}
    return Ack(**texts, keys=keys) if len(texts) == len(_TEXTS) else None
