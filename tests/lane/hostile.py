"""Messages that nobody honest sends: made from a seed, so that a run that fails can be run again."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

_SEEN_MAX = 200
EXPIRIES = (None, 0, 1, 2, 3, 60, 4_294_967_295)
_NUMBERS = (
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e308", "-0.0", "0", "-5", "5.0000001", "1e-320", "true",
    "null", '"0.3"', '"nan"', "[0.3]", "{}", "99999999999999999999999999", "0x10", "1_0", "+1", ".5", "0.3",
)  # fmt: skip
_KEYS = ("id", "linear", "angular", "epoch", "seq", "t_ms", "ttl_ms", "eps_ms", "duration_ms", "client", "stamp_ms",
         "v", "robot_id", "action", "stop_id", "nonce", "__proto__", "", "LINEAR", "x" * 300)  # fmt: skip
_TEXTS = ("", "a", "robot_001", "acquire", "take", "renew", "release", "\\u0000", "../2", "#", "+", "é" * 40, "x" * 129)
_KINDS = (
    ("id", "linear", "angular"),
    ("id", "linear", "angular", "duration_ms"),
    ("id", "linear", "angular", "epoch", "seq", "t_ms", "ttl_ms", "eps_ms"),
    ("id", "linear", "angular", "client", "seq", "stamp_ms", "ttl_ms"),
    ("id", "linear", "angular", "robot_id", "v"),
    ("id", "client", "action"),
    ("id", "client", "stop_id", "nonce"),
    ("id", "t_ms"),
)
_PLAIN = {"v": "1", "robot_id": '"robot_001"', "ttl_ms": "500", "seq": "7", "client": '"anna"', "action": '"acquire"'}
_NUMERIC = frozenset({"linear", "angular", "seq", "t_ms", "ttl_ms", "eps_ms", "duration_ms", "stamp_ms", "v"})
_VERBS = ("move", "lease", "reset", "ping")
_TOPIC_ENDS = (
    *(_VERBS * 6), "MOVE", "move/", "move/x", "Move", "moves", "", "stop/x", "STOP", "stop/", "xstop", "reset/0",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Hostile:
    """One message: `end` is what follows `commands/`."""

    end: str
    payload: bytes
    retain: bool
    expiry_s: int | None
    properties: tuple[tuple[str, str], ...]


class Source:
    """Makes messages, some of them out of honest ones that it was shown."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._count = 0
        self._seen: deque[Hostile] = deque(maxlen=_SEEN_MAX)
        self._makers: tuple[Callable[[], bytes], ...] = (
            self._noise, self._structure, self._body, self._body, self._body, self._bent, self._bent, self._large,
        )  # fmt: skip

    def show(self, message: Hostile) -> None:
        """Let it copy this one later."""
        self._seen.append(message)

    def next(self) -> Hostile:
        """Return one more."""
        random = self._random
        self._count += 1
        if self._seen and random.random() < 0.2:
            return self._copied(random.choice(self._seen))
        properties = tuple(
            (self._word(("key", "sig", "v")), self._word(_TEXTS)) for _ in range(random.choice((0, 0, 2)))
        )
        return Hostile(
            random.choice(_TOPIC_ENDS), random.choice(self._makers)(), random.random() < 0.05,
            random.choice(EXPIRIES), properties,
        )  # fmt: skip

    def _copied(self, message: Hostile) -> Hostile:
        """Return it again: as it was, or with something about it changed that its signature covers."""
        random = self._random
        payload = message.payload
        match random.randrange(4):
            case 0:
                return message
            case 1:
                payload = self._flipped(payload)
            case 2:
                payload = payload.replace(b'"linear":', b'"linear":-')
            case _:
                payload += b" "
        if payload == message.payload:
            payload += b" "
        return Hostile(message.end, payload, message.retain, message.expiry_s, message.properties)

    def _noise(self) -> bytes:
        return self._random.randbytes(self._random.choice((0, 1, 7, 64, 700)))

    def _structure(self) -> bytes:
        return json.dumps(self._value(0)).encode()

    def _value(self, depth: int) -> Any:
        random = self._random
        if depth > 12 or random.random() < 0.4:
            return random.choice((None, True, -1, 0.5, 10**30, "x", "", float("nan")))
        if random.random() < 0.5:
            return [self._value(depth + 1) for _ in range(random.randrange(4))]
        return {random.choice(_KEYS): self._value(depth + 1) for _ in range(random.randrange(4))}

    def _body(self) -> bytes:
        """Something like a command: mostly the keys of one kind, numbers of every kind, sometimes one key twice."""
        random = self._random
        keys = [key for key in random.choice(_KINDS) if random.random() < 0.97]
        if random.random() < 0.1:
            keys.append(random.choice(_KEYS))
        if keys and random.random() < 0.05:
            keys.append(random.choice(keys))
        random.shuffle(keys)
        return ("{" + ",".join(f"{json.dumps(key)}:{self._value_of(key)}" for key in keys) + "}").encode()

    def _value_of(self, key: str) -> str:
        if key == "id":
            return f'"h{self._count}"'
        if self._random.random() < 0.9 and key in _PLAIN:
            return _PLAIN[key]
        return self._number() if key in _NUMERIC else json.dumps(self._word(_TEXTS))

    def _bent(self) -> bytes:
        return self._flipped(self._body())

    def _flipped(self, payload: bytes) -> bytes:
        bent = bytearray(payload)
        for _ in range(self._random.randrange(1, 4)):
            if bent:
                bent[self._random.randrange(len(bent))] = self._random.randrange(256)
        return bytes(bent)

    def _large(self) -> bytes:
        return b'{"id":"' + b"x" * self._random.choice((3000, 4090, 4096, 5000, 9000)) + b'"}'

    def _number(self) -> str:
        return self._word(_NUMBERS) if self._random.random() < 0.5 else repr(self._random.uniform(-3.0, 3.0))

    def _word(self, words: Sequence[str]) -> str:
        return self._random.choice(words)
