"""Keep room: which numbers the outbox file answers for: in a row of it, or in a gap of which nobody was told yet.

In: numbers handed to the file; the file found empty     Out: when the file is lost, the gaps of all that it held.

Kept beside the file, with the numbers of the boot, for this boot and for earlier ones. It only grows until the file
is found to hold nothing at all: a range may so hold numbers that arrived, never miss one that did not.
"""

from __future__ import annotations

from collections.abc import Iterable

from edgetwin.records import Gap, GapCause, Record
from edgetwin.store.ledger import Draft
from edgetwin.store.number_format import Span, Spans
from edgetwin.store.numbers import Numbers


class Holdings:
    """What one outbox file answers for.

    Attributes:
        version: Grows with every change.
        older: What it holds of earlier boots.
    """

    def __init__(self, boot: str, numbers: Numbers) -> None:
        self.version = 0
        self._boot = boot
        self._numbers = numbers
        self.older: Spans = {}

    def inherit(self, older: Spans) -> None:
        """The last boot left this."""
        self.older = older

    def take(self, drafts: Iterable[Draft]) -> None:
        """Records are about to be written."""
        for draft in drafts:
            self._hold(draft.records[0].lane.name, draft.records[0].seq, draft.records[-1].seq)

    def take_gaps(self, gaps: Iterable[Gap]) -> None:
        """Gaps are about to be written."""
        for gap in gaps:
            if gap.boot == self._boot and gap.to_seq is not None:
                self._hold(gap.lane, gap.from_seq, gap.to_seq)
            elif gap.boot != self._boot:
                self.version += 1
                lanes = self.older.setdefault(gap.boot, {})
                lanes[gap.lane] = Span(gap.from_seq, gap.to_seq).joined(lanes.get(gap.lane))

    @property
    def empty(self) -> bool:
        """Whether there is nothing."""
        return not self.older and not self._numbers.kept

    def clear(self) -> None:
        """The file holds nothing."""
        self.older = {}
        self._numbers.note_none_kept()

    def gaps(self, cause: GapCause, but: Iterable[Record] = ()) -> list[Gap]:
        """Return the gaps of all that is held.

        Args:
            cause: Why.
            but: Records of this boot that somebody still holds; left out at both ends.
        """
        alive: dict[str, set[int]] = {}
        for record in but:
            alive.setdefault(record.lane.name, set()).add(record.seq)
        found = [
            Gap(lane, boot, span.first, span.last, None, cause)
            for boot, lanes in self.older.items()
            for lane, span in lanes.items()
        ]
        for lane, (first, end) in self._numbers.kept.items():
            held = alive.get(lane, set())
            while first < end and end - 1 in held:
                end -= 1  # noqa: PLW2901
            while first < end and first in held:
                first += 1  # noqa: PLW2901
            if first < end:
                found.append(Gap(lane, self._boot, first, end - 1, None, cause))
        return found

    def _hold(self, lane: str, first: int, last: int) -> None:
        self.version += 1
        self._numbers.note_kept(lane, first, last)
