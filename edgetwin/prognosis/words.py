"""Roof: a failure in words and numbers: the data of a `failure` event.

In: Failure, the card of the model     Out: plain values for `wire.encode`.
Pure.
"""

from __future__ import annotations

from typing import Any

from edgetwin.analytics.model_card import ModelCard
from edgetwin.analytics.prognosis import Failure
from edgetwin.clock import NS_PER_US

RAISED, CLEARED = "raised", "cleared"
_UNITS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def failure_event(name: str, failure: Failure, card: ModelCard, sha256: str, to_stamp_us: int) -> dict[str, Any]:
    """Return the data of the event.

    Args:
        name: Of the prognosis.
        failure: What changed.
        card: Of the model that says so.
        sha256: Of the model's file.
        to_stamp_us: What makes UTC [us] of the failure's times.
    """
    return {
        "prognosis": name,
        "state": RAISED if failure.raised else CLEARED,
        "text": words(name, failure, card),
        "probability": round(failure.probability, 6),
        "threshold": failure.threshold,
        "peak": round(failure.peak, 6),
        "horizon_s": card.horizon_s,
        "window_end_us": failure.at_ns // NS_PER_US + to_stamp_us,
        "since_us": failure.since_ns // NS_PER_US + to_stamp_us,
        "features": [
            {"name": one.feature, "value": one.value, "healthy": one.healthy, "share": round(one.share, 6)}
            for one in failure.speaking
        ],
        "held_back": failure.held_back,
        "model": sha256,
    }


def words(name: str, failure: Failure, card: ModelCard) -> str:
    """Return the failure as a sentence without its full stop."""
    if not failure.raised:
        return f"{name}: the failure is no longer likely: probability {failure.probability:.2f}, was {failure.peak:.2f}"
    head = (
        f"{name}: a failure within {span(card.horizon_s)} has probability {failure.probability:.2f} "
        f"(threshold {failure.threshold:g})"
    )
    speaking = ", ".join(f"{one.feature} {one.value:.3g}, healthy {one.healthy:.3g}" for one in failure.speaking[:3])
    return f"{head}; {speaking}" if speaking else head


def span(seconds: float) -> str:
    """Return a time span in the largest unit that leaves at least two of it: 86400 -> "24 h"."""
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= 2 * size), _UNITS[-1])
    return f"{seconds / size:.3g} {unit}"
