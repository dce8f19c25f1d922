"""ROS room: a look around the graph, for `edgetwin doctor`: who publishes what, who listens, what the base is set to.

In: topics, how long to look     Out: Graph; the node that looked is gone again.
It waits: discovery takes a tenth of a second, or three. Not for the daemon, and not for a loop's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgetwin.clock import Clock, seconds_to_ns
from edgetwin.ros.context import close_node, open_node
from edgetwin.ros.qos import Offer, offer_of

_POLL_S = 0.05
_SETTLE_S = 0.7  # who has not been seen by then may still come, if what is wanted is not complete
_ANSWERS_S = 1.5
_ANSWER_POLL_S = 0.02
_UNKNOWN = "_NODE_NAME_UNKNOWN_"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A publisher or a subscription of some node."""

    node: str
    namespace: str
    type_name: str
    offer: Offer

    @property
    def full_name(self) -> str:
        """Name of the node with its namespace."""
        return f"{self.namespace.rstrip('/')}/{self.node}"


@dataclass(frozen=True, slots=True)
class Around:
    """What is seen around one topic."""

    publishers: tuple[Endpoint, ...] = ()
    subscribers: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of the graph.

    Attributes:
        nodes: Full names, without our own.
        topics: By name, those that were asked for.
        settings: Node -> its parameters that were asked for, absent ones left out; None: it has no parameter service.
    """

    nodes: tuple[str, ...]
    topics: Mapping[str, Around]
    settings: Mapping[str, Mapping[str, float] | None]


def look(
    name: str, topics: Sequence[str], enough: Callable[[Mapping[str, Around]], bool], limit_s: float,
    of_listeners: tuple[str, Sequence[str]], clock: Clock,
) -> Seen:  # fmt: skip
    """Join the graph, look for a while, leave.

    Args:
        name: Of the node that looks.
        topics: To look at.
        enough: Whether what is seen is all that can be wished for; then it does not look longer.
        limit_s: How long at most.
        of_listeners: A topic, and the names of parameters to ask of all nodes that listen to it.
        clock: For the waiting.

    Raises:
        RosUnavailableError: ROS is missing, or does not start.
    """
    node = open_node(name)
    try:
        start_ns = clock.now_ns()
        around = _look(node, topics)
        while (waited_ns := clock.now_ns() - start_ns) < seconds_to_ns(limit_s):
            if waited_ns > seconds_to_ns(_SETTLE_S) and enough(around):
                break
            time.sleep(_POLL_S)
            around = _look(node, topics)
        topic, names = of_listeners
        listeners = {endpoint.full_name for endpoint in around[topic].subscribers if endpoint.node != _UNKNOWN}
        settings = _parameters(node, sorted(listeners), names, clock)
        others = [full for full in _nodes(node) if full != f"/{name}"]
        return Seen(tuple(sorted(others)), around, settings)
    finally:
        close_node(node)


def _look(node: Any, topics: Sequence[str]) -> dict[str, Around]:
    return {
        topic: Around(
            _endpoints(node.get_publishers_info_by_topic(topic)),
            _endpoints(node.get_subscriptions_info_by_topic(topic)),
        )
        for topic in topics
    }


def _endpoints(found: Sequence[Any]) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(one.node_name, one.node_namespace, one.topic_type, offer_of(one)) for one in found)


def _nodes(node: Any) -> list[str]:
    return [f"{space.rstrip('/')}/{name}" for name, space in node.get_node_names_and_namespaces()]


class _Questions:
    """The parameters of one node, asked for one by one: an unknown one would cost the answers of all others."""

    def __init__(self, node: Any, of: str, names: Sequence[str]) -> None:
        from rcl_interfaces.srv import GetParameters  # noqa: PLC0415  # ROS is imported late, see context

        self._node = node
        self._names = names
        self._request = GetParameters.Request
        self._client = node.create_client(GetParameters, f"{of}/get_parameters")
        self._answers: dict[str, Any] = {}

    def come_round(self) -> bool:
        """Ask as soon as there is somebody; return whether all was answered."""
        if not self._answers and self._client.service_is_ready():
            self._answers = {name: self._client.call_async(self._request(names=[name])) for name in self._names}
        return bool(self._answers) and all(answer.done() for answer in self._answers.values())

    def numbers(self) -> dict[str, float] | None:
        """Return the numbers among the answers; None if nobody answered. Asks no more."""
        from rcl_interfaces.msg import ParameterType  # noqa: PLC0415

        fields = {ParameterType.PARAMETER_DOUBLE: "double_value", ParameterType.PARAMETER_INTEGER: "integer_value"}
        answered = {name: answer.result() for name, answer in self._answers.items() if answer.done()}
        self._node.destroy_client(self._client)
        found = {name: result.values[0] for name, result in answered.items() if result and result.values}
        numbers = {
            name: float(getattr(value, fields[value.type])) for name, value in found.items() if value.type in fields
        }
        return numbers if answered else None


def _parameters(node: Any, listeners: Sequence[str], names: Sequence[str], clock: Clock) -> dict[str, Any]:
    """Return listener -> its numbers."""
    import rclpy  # noqa: PLC0415  # ROS is imported late, see context

    questions = {listener: _Questions(node, listener, names) for listener in listeners}
    deadline_ns = clock.now_ns() + seconds_to_ns(_ANSWERS_S)
    while sum(one.come_round() for one in questions.values()) < len(questions) and clock.now_ns() < deadline_ns:
        rclpy.spin_once(node, timeout_sec=_ANSWER_POLL_S)
    return {listener: one.numbers() for listener, one in questions.items()}
