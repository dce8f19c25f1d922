"""Command room: how often each client may ask (row 15).

In: who, monotonic time     Out: within its rate, or for how long it has been beyond it.
Bounded: a client that has been quiet is forgotten, which costs nothing; when all are busy, newcomers share one bucket.
Source: ITU-T I.371, generic cell rate algorithm (virtual scheduling).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

_NS_PER_S = 1_000_000_000
_NEVER_NS = 0
CALM_NS = 1_000_000_000  # refusals further apart than this are not one overrun


@dataclass(slots=True)
class _Bucket:
    due_ns: int  # when it is full again
    over_since_ns: int
    over_until_ns: int  # last refusal of this overrun, plus CALM_NS


class Rates:
    """The token buckets of one robot."""

    def __init__(self, rate_hz: float, burst: int, clients_max: int) -> None:
        """Everybody begins with a full bucket.

        Args:
            rate_hz: Long-term rate of each client.
            burst: Requests that may come at once.
            clients_max: Most buckets.
        """
        self._period_ns = round(_NS_PER_S / rate_hz)
        self._slack_ns = (burst - 1) * self._period_ns
        self._clients_max = clients_max
        self._buckets: dict[Hashable, _Bucket] = {}
        self._shared = _Bucket(_NEVER_NS, _NEVER_NS, _NEVER_NS)

    def take(self, who: Hashable, now_ns: int) -> int | None:
        """Count one request; return None within the rate, else how long [ns] the overrun has lasted (0: it begins)."""
        bucket = self._bucket_of(who, now_ns)
        if now_ns >= bucket.due_ns - self._slack_ns:
            bucket.due_ns = max(bucket.due_ns, now_ns) + self._period_ns
            return None
        if now_ns >= bucket.over_until_ns:
            bucket.over_since_ns = now_ns
        bucket.over_until_ns = now_ns + CALM_NS
        # Those who share a bucket do not pay for each other with their lease.
        return 0 if bucket is self._shared else now_ns - bucket.over_since_ns

    def _bucket_of(self, who: Hashable, now_ns: int) -> _Bucket:
        bucket = self._buckets.get(who)
        if bucket is not None:
            return bucket
        if len(self._buckets) >= self._clients_max:
            busy = {one: kept for one, kept in self._buckets.items() if now_ns < max(kept.due_ns, kept.over_until_ns)}
            self._buckets = busy
        if len(self._buckets) >= self._clients_max:
            return self._shared
        bucket = self._buckets[who] = _Bucket(now_ns, now_ns, now_ns)
        return bucket
