"""Command room: the lease (row 20): one sender at a time, for as long as it renews.

In: acquire, renew, release, take; monotonic time     Out: an epoch, or the reason why not.
Each grant has an epoch of its own, which nobody can guess before it is granted nor find again after a restart, so that
no move made for another lease is good for this one. A lease that has lapsed is not renewed: a new one is needed.
Source: leases of Boston Dynamics' Spot (epoch and sequence; loss never resumes by itself).
"""

from __future__ import annotations

from hashlib import blake2b

from edgetwin.command.body import Action
from edgetwin.command.rules import MS
from edgetwin.motion import Reason

_EPOCH_BYTES = 8
_HOLDERS_KEPT = 16


class Lease:
    """The lease of one robot.

    Attributes:
        epoch: Of the newest grant; empty before the first, and when it was ended.
        holder: The client it was granted to; empty likewise.
        expires_ns: Until when it is fresh, monotonic; at that instant it no longer is.
        seq: Highest sequence number seen under this epoch; -1: none.
        ended: Why the last one ended before its time; None: it lapsed, or there was none.
    """

    def __init__(self, seed: str, term_ns: int) -> None:
        """Begin without a lease.

        Args:
            seed: Random, of this process alone.
            term_ns: A lease that is not renewed for this long is stale.
        """
        self.epoch = ""
        self.holder = ""
        self.expires_ns = 0
        self.seq = -1
        self.ended: Reason | None = None
        self._seed = seed
        self._term_ns = term_ns
        self._grants = 0
        self._holders: dict[str, str] = {}  # epoch -> client, the last few

    def trouble(self, now_ns: int) -> Reason | None:
        """Return None while a lease is held and fresh, else why it is not."""
        if not self.epoch:
            return Reason.NO_LEASE
        return None if now_ns < self.expires_ns else Reason.LEASE_STALE

    def holder_of(self, epoch: str) -> str:
        """Return the client that an epoch was granted to, also when it is over; empty for one that nobody remembers."""
        return self._holders.get(epoch, "")

    def trouble_of(self, client: str, epoch: str | None, now_ns: int) -> Reason | None:
        """Return None while `client` holds a fresh lease, under `epoch` unless that is None; else why not."""
        is_holder = client == self.holder and epoch in {None, self.epoch}
        return self.trouble(now_ns) if is_holder else Reason.NO_LEASE

    def is_replay(self, client: str, epoch: str, seq: int) -> bool:
        """Whether a move under the lease in force has a number that was there before; row 20 refuses all others."""
        return (client, epoch) == (self.holder, self.epoch) and seq <= self.seq

    def rise(self, client: str, epoch: str, seq: int) -> None:
        """Remember the number of a move, if it is one under the lease in force; nothing ever falls."""
        if (client, epoch) == (self.holder, self.epoch):
            self.seq = max(self.seq, seq)

    def refusal_of(self, action: Action, client: str, epoch: str | None, now_ns: int) -> Reason | None:
        """Return why `client` may not do this to the lease, or None. Changes nothing."""
        if action is Action.TAKE:
            return None  # by role alone, row 9
        if action is Action.ACQUIRE:
            is_free = client == self.holder or self.trouble(now_ns) is not None
            return None if is_free else Reason.NO_LEASE
        trouble = self.trouble_of(client, epoch, now_ns)
        return None if action is Action.RELEASE and trouble is Reason.LEASE_STALE else trouble

    def do(self, action: Action, client: str, now_ns: int) -> dict[str, object]:
        """Do what `refusal_of` does not refuse; return the keys of the ack.

        They are epoch, robot_ms and expires_ms (this robot's monotonic clock), and where a fresh lease was taken from
        another client, lost_client and lost_epoch.
        """
        extra: dict[str, object] = {}
        if action is Action.TAKE and self.trouble(now_ns) is None and client != self.holder:
            extra = {"lost_client": self.holder, "lost_epoch": self.epoch}
        if action is Action.RENEW:
            self.expires_ns = now_ns + self._term_ns
        elif action is Action.RELEASE:
            self.expires_ns = now_ns
        else:
            self._grant(client, now_ns)
        extra |= {"epoch": self.epoch, "robot_ms": now_ns // MS, "expires_ms": self.expires_ns // MS}
        if action is Action.RELEASE:
            self.end(None)
        return extra

    def end(self, reason: Reason | None) -> None:
        """Take it away; nothing made for it is good any more."""
        if self.epoch:
            self.epoch = self.holder = ""
            self.ended = reason

    def _grant(self, client: str, now_ns: int) -> None:
        self._grants += 1
        self.epoch = f"{self._grants}-{self._token()}"
        self.holder = self._holders[self.epoch] = client
        self.expires_ns = now_ns + self._term_ns
        self.seq = -1
        self.ended = None
        if len(self._holders) > _HOLDERS_KEPT:
            del self._holders[next(iter(self._holders))]

    def _token(self) -> str:
        return blake2b(str(self._grants).encode(), key=self._seed.encode()[:64], digest_size=_EPOCH_BYTES).hexdigest()
