"""The request that every publisher there matches, and as strong as that allows."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.ros.qos import Offer, best_request, default_depth, offer_of, profile_of

_offers = st.lists(st.builds(Offer, st.booleans(), st.booleans()), min_size=1, max_size=6)


def _matches(request: Offer, offer: Offer) -> bool:
    """DDS: a request matches an offer that is as strong or stronger, policy by policy."""
    return offer.reliable >= request.reliable and offer.transient_local >= request.transient_local


@given(_offers)
def test_the_request_matches_every_offer_and_no_stronger_one_does(offers: list[Offer]) -> None:
    """Nobody is left out, and nothing is given away."""
    request = best_request(offers)
    stronger = [Offer(reliable=True, transient_local=request.transient_local), Offer(request.reliable, True)]  # noqa: FBT003

    assert all(_matches(request, offer) for offer in offers)
    assert all(other == request or not all(_matches(other, offer) for offer in offers) for other in stronger)


@pytest.mark.parametrize(
    ("type_name", "depth"),
    [
        ("nav_msgs/msg/Odometry", 1000),
        ("sensor_msgs/msg/PointCloud2", 10),
        ("sensor_msgs/msg/Image", 10),
        ("my_msgs/msg/ImageInfo", 1000),
    ],
)
def test_blobs_are_queued_shallow_and_the_rest_deep(type_name: str, depth: int) -> None:
    """By the name of the message alone."""
    assert default_depth(type_name) == depth


@pytest.mark.parametrize("reliable", [True, False])
@pytest.mark.parametrize("transient_local", [True, False])
def test_a_profile_asks_what_the_request_says(*, reliable: bool, transient_local: bool) -> None:
    """There and back through rclpy's own types."""
    pytest.importorskip("rclpy", exc_type=ImportError)
    request = Offer(reliable, transient_local)
    profile = profile_of(request, 7)

    assert profile.depth == 7
    assert offer_of(SimpleNamespace(qos_profile=profile)) == request
