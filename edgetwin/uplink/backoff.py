"""Uplink room: how long to wait before the next dial.

In: how long the outage lasts, why the last try failed     Out: seconds.
Pure; the random source is passed in.

Full jitter under a cap that grows with the outage: a broker that was away for seconds is back within
two, one that was away for an hour is not trampled by the whole fleet at once.

Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 (full jitter).
"""

from __future__ import annotations

from random import Random

FIRST_S = 0.25
SHORT_OUTAGE_CAP_S = 2.0
REFUSED_FLOOR_S = 15.0
REFUSED_CAP_S = 60.0
# MQTT 5 CONNACK / DISCONNECT reasons that trying again soon will not mend.
_LASTING = frozenset({0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C, 0x8E, 0x9C, 0x9D})


class Backoff:
    """Waits of one link.

    Args:
        cap_s: Never wait longer than this.
        random: Source of jitter.
    """

    def __init__(self, cap_s: float, random: Random) -> None:
        self._cap_s = cap_s
        self._random = random
        self._tries = 0

    def reset(self) -> None:
        """The link is up and has stayed up."""
        self._tries = 0

    def next_s(self, outage_s: float, reason_code: int | None = None) -> float:
        """Return the wait before the next try.

        Args:
            outage_s: How long the link has been down.
            reason_code: Reason that the broker gave, if it gave one.
        """
        if reason_code in _LASTING:
            return self._random.uniform(min(REFUSED_FLOOR_S, self._cap_s), min(REFUSED_CAP_S, self._cap_s))
        self._tries += 1
        exponential_s: float = FIRST_S * 2.0 ** min(self._tries, 16)
        cap_s = min(self._cap_s, max(SHORT_OUTAGE_CAP_S, outage_s / 10.0))
        return self._random.uniform(0.0, min(exponential_s, cap_s))
