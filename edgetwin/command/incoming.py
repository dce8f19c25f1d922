"""Command room: one MQTT message as it came, and both clocks at that moment.

Nothing here has a default: a fact that is missing is not a good one.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Incoming:
    """One MQTT message, unread.

    Attributes:
        topic: As received.
        payload: As received; signatures and digests are over these bytes.
        retain: The retain flag, with Retain-As-Published: also that of a live publish.
        expiry_s: Message Expiry Interval as the broker passed it on; None: it had none.
        properties: User properties, in order.
    """

    topic: str
    payload: bytes
    retain: bool
    expiry_s: int | None
    properties: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """When a message was received, on both clocks.

    Attributes:
        now_ns: Monotonic [ns].
        stamp_us: Wall clock, UTC [us]; may be wrong by years.
        clock_error_ns: Bound of the wall clock's error; None: not synchronised, or it has just stepped.
    """

    now_ns: int
    stamp_us: int
    clock_error_ns: int | None
