"""Keep room: the numbers of a boot, kept in step with what the outbox knows.

In: records numbered, rows committed     Out: what the last boot left; the gaps of a lost file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from edgetwin.records import Gap, GapCause, Record
from edgetwin.store import number_format, numbers
from edgetwin.store.gaps import Gaps
from edgetwin.store.holdings import Holdings
from edgetwin.store.ledger import Draft, Ledger
from edgetwin.store.number_format import AuditHead, LastBoot


class Books:
    """The numbers of one boot.

    Attributes:
        last: What the boot before left, once `read` was called.
        save: Write them to the outbox's own disk; on the store's thread.
    """

    def __init__(self, path: Path, boot: str, ledger: Ledger) -> None:
        self.last: LastBoot | None = None
        self._path = path
        self._boot = boot
        self._ledger = ledger
        self._numbers = numbers.Numbers(path, boot)
        self._audit: AuditHead | None = None
        self.holdings = Holdings(boot, self._numbers)
        self.save = self._numbers.save

    def read(self) -> None:
        """Read what the last boot left; on the store's thread, before it opens the outbox."""
        self.last = numbers.read(self._path)
        if self.last is not None:
            self.holdings.inherit(number_format.covering(self.last))

    def begin(self, lanes: Iterable[str]) -> None:
        """What the last boot left is in the outbox: note this boot in its place."""
        self._numbers.begin(lanes, self.holdings.older, self._audit or self.known_audit())

    def count(self, record: Record) -> None:
        """A record was numbered."""
        self._numbers.note(record.lane.name, record.seq + 1, record.born_ns)

    def appending(self, drafts: Sequence[Draft], now_ns: int) -> None:
        """Drafts are handed to the disk."""
        self.holdings.take(drafts)
        self._numbers.note_appending(now_ns)

    def answered(self, now_ns: int) -> None:
        """The disk has answered, whatever it said; on the store's thread."""
        self._numbers.note_answered(now_ns)

    def written(self, row: int) -> None:
        """Rows up to this one are on disk: note it, and save; on the store's thread."""
        self._numbers.note_row(row)
        self._numbers.save()

    def known_audit(self) -> AuditHead | None:
        """Return the newest entry of the audit that the last boot knew to be safe; on the store's thread."""
        return None if self.last is None else self.last.audit

    def audited(self, head: AuditHead) -> None:
        """The audit is on disk up to here."""
        self._audit = head
        self._numbers.note_audit(head)

    def look(self, gaps: Gaps, settled_ns: int = 0) -> None:
        """Note from where on nobody answers for a lane's numbers: not the broker, not the disk, no gap on disk.

        Args:
            gaps: Those in memory only count as nobody.
            settled_ns: What was ripe then is on disk by now; 0: nothing new is known.
        """
        lowest = self._ledger.unaccounted()
        for lane, seq in gaps.unwritten_from(self._boot).items():
            if lane not in lowest or seq < lowest[lane][0]:
                lowest[lane] = seq, lowest.get(lane, (0, 0))[1]
        self._numbers.note_unaccounted(lowest)
        if settled_ns:
            self._numbers.note_settled(settled_ns)

    def lost_with_the_file(self) -> list[Gap]:
        """Return what only the outbox file held, of this boot and of those before."""
        return self.holdings.gaps(GapCause.QUARANTINE, but=self._ledger.on_their_way())

    def end(self, gaps: Gaps, *, in_order: bool) -> None:
        """Nothing more will be numbered; `in_order`: every number is acknowledged or on disk."""
        self.look(gaps)
        self._numbers.end(in_order=in_order)

    def close(self, *, saved: bool) -> None:
        """Let go of the file; `saved`: its copy on disk tells all."""
        self._numbers.close(saved=saved)
