"""ROS room: who listens to the motion topic, and who else talks there.

In: the graph, a few times a second     Out: Company
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from edgetwin.ros.cmd_vel import MotionPublisher

_OWN_HANDLES = 2  # the lane's and the guard's


@dataclass(frozen=True, slots=True)
class Company:
    """The motion topic as the graph shows it.

    Attributes:
        subscribers: Matched, of the same type.
        type_mismatch: Somebody listens for another type, and nobody for ours.
        foreign: Names of the nodes that publish there beside us and those that are allowed, sorted.
    """

    subscribers: int = 0
    type_mismatch: bool = False
    foreign: tuple[str, ...] = ()


class MotionGraph:
    """Looks at one topic."""

    def __init__(
        self, node: Any, topic: str, type_name: str, own: MotionPublisher,
        handles: Collection[bytes], past: Collection[bytes],
    ) -> None:  # fmt: skip
        """Nothing is asked yet.

        Args:
            node: To ask.
            topic: Of motion.
            type_name: Ours.
            own: Whose matches count.
            handles: Our own handles; unknown ones (empty) are told by the node's name.
            past: Handles of runs of ours that are over: DDS shows the dead for up to 20 s.
        """
        self._node = node
        self._topic = topic
        self._type_name = type_name
        self._own = own
        self._handles = frozenset(handles) | frozenset(past)
        self._by_name = b"" in self._handles
        self._name = (node.get_name(), node.get_namespace())

    def look(self, allowed: Collection[str]) -> Company:
        """Return who is there; `allowed` are names of nodes that may publish beside us."""
        subscribers = self._own.subscribers()
        mismatch = not subscribers and any(
            endpoint.topic_type != self._type_name
            for endpoint in self._node.get_subscriptions_info_by_topic(self._topic)
        )
        foreign: set[str] = set()
        if self._node.count_publishers(self._topic) != _OWN_HANDLES:
            for endpoint in self._node.get_publishers_info_by_topic(self._topic):
                if not self._is_own(endpoint) and endpoint.node_name not in allowed:
                    foreign.add(endpoint.node_name)
        return Company(subscribers, mismatch, tuple(sorted(foreign)))

    def _is_own(self, endpoint: Any) -> bool:
        if bytes(endpoint.endpoint_gid) in self._handles:
            return True
        return self._by_name and (endpoint.node_name, endpoint.node_namespace) == self._name
