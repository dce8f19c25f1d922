"""Command room: commands that were decided already (row 14).

In: client, id, digest of topic and payload; later the ack     Out: what was decided under that id before.
Bounded: a ring; the oldest is forgotten, and row 13 still holds for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from edgetwin.wire import repeated_ack

_DIGEST_BYTES = 16


def digest_of(topic: str, payload: bytes) -> bytes:
    """Return what tells two commands of one id apart."""
    return blake2b(topic.encode() + b"\0" + payload, digest_size=_DIGEST_BYTES).digest()


@dataclass(slots=True)
class Decided:
    """One command that was decided; `ack` is what its repetition is told, None until it is known."""

    digest: bytes
    ack: bytes | None = None


class Repeats:
    """The last commands, by client and id.

    Those that had an effect and those that were refused are kept apart, so that refusals, which cost nothing, cannot
    flush out what must not happen twice.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._effects: dict[tuple[str, str], Decided] = {}
        self._refusals: dict[tuple[str, str], Decided] = {}
        self._unsettled: dict[str, Decided] = {}
        self._unkept: set[str] = set()  # the command in hand, if it is not kept

    def find(self, client: str, id_: str) -> list[Decided]:
        """Return what was decided under this client and id: nothing, or up to two commands."""
        return [ring[client, id_] for ring in (self._effects, self._refusals) if (client, id_) in ring]

    def add(self, client: str, id_: str, digest: bytes, *, had_effect: bool) -> None:
        """Remember a command, as the newest."""
        ring = self._effects if had_effect else self._refusals
        self._unkept.clear()
        self._unsettled[id_] = ring[client, id_] = Decided(digest)
        if len(ring) > self._size:
            del ring[next(iter(ring))]
        if len(self._unsettled) > self._size:
            del self._unsettled[next(iter(self._unsettled))]

    def pass_over(self, id_: str) -> None:
        """The command in hand is not kept; its ack must not be taken for that of another one of its id."""
        self._unkept = {id_}

    def settle(self, id_: str, ack: bytes) -> None:
        """Keep the final ack of the newest command of this id, in the words of a repetition.

        Raises:
            ValueError: `ack` is none of ours.
        """
        if id_ in self._unkept:
            self._unkept.clear()
            return
        decided = self._unsettled.pop(id_, None)
        if decided is not None:
            decided.ack = repeated_ack(ack)
