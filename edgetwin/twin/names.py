"""Twin wing: robot ids and channel names as tokens of ROS topic names.

In: any id     Out: a token, the same every time, no two ids the same one
Pure. ROS knows letters, digits and underscores, no digit first; a leading underscore would hide the topic.
"""

from __future__ import annotations

import re
import zlib

_FOREIGN = re.compile(r"[^A-Za-z0-9_]")
_LETTER_FIRST = re.compile(r"[A-Za-z]")


def token(name: str, letter: str) -> str:
    """Return a name as one token; `letter` goes first where no letter does."""
    plain = _FOREIGN.sub("_", name)
    return plain if _LETTER_FIRST.match(plain) else f"{letter}{plain}"


class Names:
    """Tokens of many names, each taken by one of them.

    Attributes:
        clashes: (name, token that it could not have) for each that had to give way.
    """

    def __init__(self, letter: str = "r") -> None:
        self.clashes: list[tuple[str, str]] = []
        self._letter = letter
        self._tokens: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, name: str) -> str:
        """Return the token of a name; who comes later gives way, with its checksum behind the token."""
        if name not in self._tokens:
            wanted = found = token(name, self._letter)
            if found in self._taken:
                self.clashes.append((name, wanted))
            while found in self._taken:
                found = f"{wanted}_{zlib.crc32(name.encode()):08x}"
                name_again = found in self._taken
                wanted = f"{wanted}_" if name_again else wanted
            self._tokens[name] = found
            self._taken.add(found)
        return self._tokens[name]

    def forget(self, name: str) -> None:
        """Its token is free again."""
        self._taken.discard(self._tokens.pop(name, ""))
