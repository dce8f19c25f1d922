"""Export: times as people and tables write them.

In: nanoseconds since 1970, UTC     Out: ISO 8601, and back. Pure; no float on the way.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from edgetwin.clock import NS_PER_S, NS_PER_US

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(stamp_ns: int) -> str:
    """Return a time in UTC: to the microsecond, or the nanosecond where it says more; empty beyond the year 9999."""
    seconds, rest_ns = divmod(stamp_ns, NS_PER_S)
    whole = _second(seconds)
    if not whole:
        return ""
    micros, nanos = divmod(rest_ns, NS_PER_US)
    return f"{whole}.{micros:06d}{f'{nanos:03d}' if nanos else ''}Z"


def parsed(text: str) -> int:
    """Return ISO 8601 (UTC where it names no zone) or seconds since 1970 as nanoseconds.

    Raises:
        ValueError: It is neither.
    """
    try:
        return int(Decimal(text) * NS_PER_S)
    except (InvalidOperation, ValueError, OverflowError):
        found = datetime.fromisoformat(text)
    aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1) * NS_PER_US


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    try:
        return (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    except OverflowError:
        return ""
