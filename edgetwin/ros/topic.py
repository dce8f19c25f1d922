"""ROS room: one followed topic: its subscription, and the count of what came and what DDS lost.

In: the publishers that are there     Out: raw messages to a sink, in order per publisher, none twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgetwin.ros.qos import Offer, best_request, default_depth, offer_of, profile_of
from edgetwin.ros.wakeup import Wakeup

# (raw CDR, reception stamp [ns, UTC; 0 if the middleware gives none], monotonic time of the drain [ns])
Sink = Callable[[bytes, int, int], None]
_OVERLAP_POLLS = 5  # looks at the graph between a new subscription and the end of the old one: about a second
_UNKNOWN_TYPE = ""


class Topic:
    """Follows one topic.

    Attributes:
        received: Messages handed to the sink.
        lost: Messages that DDS dropped between a publisher and us (gaps in its sequence numbers).
        publishers: Publishers of our type.
    """

    def __init__(
        self, node: Any, wakeup: Wakeup, topic: str, type_name: str, message_class: Any, depth: int | None, sink: Sink
    ) -> None:
        self.received = 0
        self.lost = 0
        self.publishers = 0
        self._node = node
        self._wakeup = wakeup
        self._topic = topic
        self._type_name = type_name
        self._class = message_class
        self._depth = depth or default_depth(type_name)
        self._sink = sink
        self._request: Offer | None = None
        self._subscription: Any = None
        self._next: Any = None  # a subscription with another QoS, matching while the old one still delivers
        self._overlap_polls = 0
        self._newest: dict[bytes, int] = {}  # publisher -> its newest sequence number

    @property
    def unsettled(self) -> bool:
        """Whether the graph should be looked at again soon."""
        return self.publishers == 0 or self._next is not None

    def follow_publishers(self, now_ns: int) -> str | None:
        """Adapt to the publishers that are there at monotonic `now_ns`; return what is wrong, or None.

        No publisher is not wrong: robots start in any order.
        """
        if self._node.count_publishers(self._topic) == 0:  # 25 times cheaper than to ask for their names
            self.publishers = 0
            return None
        endpoints = self._node.get_publishers_info_by_topic(self._topic)
        ours = [endpoint for endpoint in endpoints if endpoint.topic_type == self._type_name]
        self.publishers = len(ours)
        if ours:
            self._ask(best_request([offer_of(endpoint) for endpoint in ours]), now_ns)
            self._forget_departed({bytes(endpoint.endpoint_gid[:16]) for endpoint in ours})
        if self._next is not None:
            self._overlap_polls -= 1
            if self._overlap_polls <= 0:
                self._switch(now_ns)
        others = sorted({endpoint.topic_type for endpoint in endpoints} - {self._type_name, _UNKNOWN_TYPE})
        if others and not ours:
            return f"{self._topic} is published as {', '.join(others)}, not as {self._type_name}; correct the type"
        return None

    def take(self, now_ns: int, count_max: int) -> int:
        """Hand what has come to the sink, at most `count_max`; return how many."""
        subscription = self._subscription
        if subscription is None:
            return 0
        take, message_class, sink = subscription.handle.take_message, self._class, self._sink
        count = 0
        while count < count_max and (taken := take(message_class, True)) is not None:  # noqa: FBT003  # raw
            raw, meta = taken
            count += 1
            if self._repeated(meta):
                continue
            self.received += 1
            sink(raw, meta["received_timestamp"], now_ns)
        return count

    def close(self) -> None:
        """End the subscription."""
        for subscription in (self._subscription, self._next):
            if subscription is not None:
                self._wakeup.remove(subscription)
                self._node.destroy_subscription(subscription)
        self._subscription = self._next = None

    def _ask(self, request: Offer, now_ns: int) -> None:
        if request == self._request:
            return
        self._request = request
        subscription = self._node.create_subscription(
            self._class, self._topic, _taken_elsewhere, profile_of(request, self._depth), raw=True
        )
        self._wakeup.add(subscription)
        if self._subscription is None:
            self._subscription = subscription
            return
        if self._next is not None:
            self._switch(now_ns)
        self._next = subscription
        self._overlap_polls = _OVERLAP_POLLS

    def _switch(self, now_ns: int) -> None:
        """Go over to the new subscription: its queue holds all that came since it matched; repeats are dropped."""
        self.take(now_ns, self._depth)
        old, self._subscription, self._next = self._subscription, self._next, None
        self._wakeup.remove(old)
        self._node.destroy_subscription(old)

    def _repeated(self, meta: dict[str, Any]) -> bool:
        """Note the publisher's sequence number; return whether we had it already."""
        number = meta.get("publication_sequence_number")
        gid = meta.get("publisher_gid")
        if number is None or gid is None:
            return False
        publisher = gid["data"]
        newest = self._newest.get(publisher)
        if newest is not None:
            if number <= newest:
                return True
            self.lost += number - newest - 1
        self._newest[publisher] = number
        return False

    def _forget_departed(self, present: set[bytes]) -> None:
        if self._next is None and len(self._newest) > len(present):
            self._newest = {gid: number for gid, number in self._newest.items() if gid in present}


def _taken_elsewhere(_message: bytes) -> None:
    """Subscriptions here have no callback: nothing spins them, `take` empties them."""
