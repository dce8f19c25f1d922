"""Command lane: what of the gate must be on disk, and when it is.

In: the gate's memory after each step; the file's confirmations     Out: puts to the latch file; `may_drive`
No drive begins before its marker is on disk: the move that would begin it waits outside of the gate, a few
milliseconds, and is judged anew when the marker is there. Where it cannot be written, nothing drives.
"""

from __future__ import annotations

from edgetwin.gate.memory import Memory
from edgetwin.lane.latch import Latch, LatchFile
from edgetwin.motion import State

MOVING = frozenset({State.ACTIVE, State.BRAKE})
_LATCHED = frozenset({State.HELD, State.ESTOP, State.FAULT})


class Keeper:
    """The lane's view of the latch file; all on the lane's loop.

    Attributes:
        problem: Why the newest latch is not on disk; None while all is well.
    """

    def __init__(self, file: LatchFile, handles: tuple[str, ...], *, hold_on_exit: bool) -> None:
        """Nothing is put yet.

        Args:
            file: Where to put.
            handles: Ours, and those of earlier processes, oldest first.
            hold_on_exit: A process that is told to end leaves a latch.
        """
        self._file = file
        self._handles = handles
        self._hold_on_exit = hold_on_exit
        self._last: Latch | None = None
        self._written = 0
        self._driving_from = 0  # number of the put with which the newest row of driving ones began
        self._wanted = False
        self.problem: str | None = None

    @property
    def may_drive(self) -> bool:
        """Whether the file says "driving", and nothing is on its way to it that does not."""
        return self._last is not None and self._last.driving and self._written >= self._driving_from

    def want_to_drive(self, memory: Memory) -> None:
        """A drive is about to begin: have the marker written."""
        self._wanted = True
        self.keep(memory)

    def give_up(self, memory: Memory) -> None:
        """That drive does not begin."""
        self._wanted = False
        self.keep(memory)

    def keep(self, memory: Memory) -> None:
        """Put what this memory must leave behind, if it is not what was put last."""
        moving = memory.state in MOVING
        self._wanted = self._wanted and not moving
        latch = Latch(self._state(memory), memory.stop_id, moving or self._wanted, self._handles)
        if latch == self._last:
            return
        began = latch.driving and not (self._last is not None and self._last.driving)
        number = self._file.put(latch)
        self._last = latch
        if began:
            self._driving_from = number

    def written(self, number: int, problem: str | None) -> None:
        """Hear from the file."""
        self.problem = problem
        if problem is None:
            self._written = number

    def _state(self, memory: Memory) -> str:
        if memory.state in _LATCHED:
            return str(memory.state)
        on_exit = memory.state is State.DOWN and self._hold_on_exit
        not_begun = memory.state is State.INIT and memory.boot_held
        return str(State.HELD) if memory.stop_id or not_begun or on_exit else ""
