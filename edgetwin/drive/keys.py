"""Drive wing: keys of a terminal as a twist.

In: bytes as a terminal sends them, the time     Out: Wish: a twist while a key is held, zero when it was let go
Pure. A terminal tells when a key goes down and, while it stays down, repeats it; it never tells when it comes up. So:
a key counts as held for 0.6 s after its first byte, which is as long as a keyboard waits before it repeats, and for
0.15 s after each repetition. A key that is only tapped therefore drives for 0.6 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edgetwin.clock import seconds_to_ns
from edgetwin.motion import ZERO, Twist

FIRST_NS = seconds_to_ns(0.6)
REPEAT_NS = seconds_to_ns(0.15)
_ZEROS = 3  # moves may be lost; after this many the robot is left alone


class Act(StrEnum):
    """What a key does besides driving."""

    STOP = "stop"
    RESET = "reset"
    QUIT = "quit"


_DRIVE = {
    b"w": (1, 0), b"s": (-1, 0), b"a": (0, 1), b"d": (0, -1),
    b"\x1b[A": (1, 0), b"\x1b[B": (-1, 0), b"\x1b[D": (0, 1), b"\x1b[C": (0, -1),
    b"\x1bOA": (1, 0), b"\x1bOB": (-1, 0), b"\x1bOD": (0, 1), b"\x1bOC": (0, -1),
}  # fmt: skip
_ACTS = {b" ": Act.STOP, b"r": Act.RESET, b"q": Act.QUIT, b"\x03": Act.QUIT, b"\x04": Act.QUIT}
_ESCAPE = b"\x1b"
_ARROW_BYTES = 3


def split(received: bytes) -> list[bytes]:
    """Return the keys in what a terminal sent: single bytes, and escape sequences of three; capitals as small ones."""
    keys: list[bytes] = []
    rest = received
    while rest:
        size = _ARROW_BYTES if rest[:1] == _ESCAPE and rest[1:2] in {b"[", b"O"} else 1
        keys.append(rest[:size] if size > 1 else rest[:1].lower())
        rest = rest[size:]
    return keys


@dataclass(slots=True)
class _Held:
    way: tuple[int, int]
    until_ns: int


class Keys:
    """What is held down."""

    def __init__(self, linear_mps: float, angular_radps: float) -> None:
        """Nothing is.

        Args:
            linear_mps: Speed of w and s.
            angular_radps: Turn of a and d.
        """
        self._speed = Twist(linear_mps, angular_radps)
        self._held: _Held | None = None
        self._zeros = 0

    def press(self, key: bytes, now_ns: int) -> Act | None:
        """Take one key; return what it does besides driving. A key that does not drive lets go of the one that did."""
        way = _DRIVE.get(key)
        if way is None:
            self.let_go()
            return _ACTS.get(key)
        again = self._held is not None and self._held.way == way and now_ns < self._held.until_ns
        self._held = _Held(way, now_ns + (REPEAT_NS if again else FIRST_NS))
        return None

    def let_go(self) -> None:
        """Nothing is held any more."""
        if self._held is not None:
            self._held = None
            self._zeros = _ZEROS

    def wanted(self, now_ns: int) -> Twist | None:
        """Return the twist to send now: zero a few times after a key was let go, then None."""
        if self._held is not None and now_ns >= self._held.until_ns:
            self.let_go()
        if self._held is not None:
            ahead, left = self._held.way
            return Twist(ahead * self._speed.linear_mps, left * self._speed.angular_radps)
        if self._zeros:
            self._zeros -= 1
            return ZERO
        return None
