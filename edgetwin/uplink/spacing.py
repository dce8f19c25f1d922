"""Uplink room: how far apart live parcels leave, where round trips are long.

In: how long PUBACKs take     Out: how long the next live parcel should wait.
Pure: no I/O, no clock.

A window of 20 that is used up in a burst stays shut for the rest of the round trip, and what comes meanwhile waits for
all of it: on a link of one second, the twin would be up to a second older than it must be. So where round trips are
long, live parcels leave at even intervals, whatever the PUBACKs do: bursts would come back as bursts. Records that wait
for their turn leave together. On a short round trip nothing waits: the window opens again before anybody would notice.
"""

from __future__ import annotations

LONG_NS = 80_000_000  # a wait that a person at the twin can see; beyond every PUBACK of a local network
_SMOOTHING = 8  # as TCP does (RFC 6298): one late PUBACK says little


class Spacing:
    """What the PUBACKs of one session tell.

    Attributes:
        round_trip_ns: Smoothed; 0 before the first PUBACK.
    """

    def __init__(self) -> None:
        self.round_trip_ns = 0

    @property
    def needed(self) -> bool:
        """Whether the window should be spread at all."""
        return self.round_trip_ns >= LONG_NS

    def acknowledged(self, took_ns: int) -> None:
        """A PUBACK came, so long after its PUBLISH."""
        known_ns = self.round_trip_ns
        self.round_trip_ns = took_ns if known_ns == 0 else known_ns + (took_ns - known_ns) // _SMOOTHING

    def wait_ns(self, places: int, since_last_ns: int) -> int:
        """Return how long the next live parcel should wait [ns].

        Args:
            places: PUBLISHes of the live lane that should be under way at once (at least 1).
            since_last_ns: How long ago the newest live parcel left.
        """
        if not self.needed:
            return 0
        return max(0, self.round_trip_ns // places - since_last_ns)
