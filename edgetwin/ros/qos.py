"""ROS room: the QoS that takes the most from the publishers that are there.

In: what each publisher offers     Out: what the subscription asks for.
Pure but for the last function, which speaks rclpy's types.

A request that a publisher does not offer never matches, silently: best effort for reliable, volatile
for transient local. So: reliable when all are (nothing is lost on the way in), else best effort;
transient local when all are (the latched value arrives), else volatile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Raw sensor blobs: a deep queue of them would be memory, not safety.
_BLOB_TYPES = frozenset({"Image", "CompressedImage", "PointCloud", "PointCloud2", "OccupancyGrid", "DisparityImage"})
_BLOB_DEPTH = 10
_DEPTH = 1000  # 50 ms of a 20 kHz topic


@dataclass(frozen=True, slots=True)
class Offer:
    """What one publisher offers, or one subscription asks."""

    reliable: bool
    transient_local: bool


def best_request(offers: Sequence[Offer]) -> Offer:
    """Return the strongest request that every one of `offers` (at least one) matches."""
    return Offer(
        reliable=all(offer.reliable for offer in offers),
        transient_local=all(offer.transient_local for offer in offers),
    )


def default_depth(type_name: str) -> int:
    """Return how many messages to hold for a loop that is late."""
    return _BLOB_DEPTH if type_name.rsplit("/", 1)[-1] in _BLOB_TYPES else _DEPTH


def offer_of(endpoint: Any) -> Offer:
    """Return what a publisher offers, from rclpy's TopicEndpointInfo."""
    from rclpy.qos import DurabilityPolicy, ReliabilityPolicy  # noqa: PLC0415  # ROS is imported late, see context

    profile = endpoint.qos_profile
    return Offer(
        reliable=profile.reliability != ReliabilityPolicy.BEST_EFFORT,
        transient_local=profile.durability == DurabilityPolicy.TRANSIENT_LOCAL,
    )


def profile_of(request: Offer, depth: int) -> Any:
    """Return the rclpy QoSProfile of a request."""
    from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: PLC0415

    return QoSProfile(
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if request.reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if request.transient_local else DurabilityPolicy.VOLATILE,
    )
