"""ROS room: `std_srvs/Trigger` services without an executor.

In: requests, when somebody looks     Out: one call each; its answer goes back at once
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgetwin.ros.bell import Bell

_REQUESTS_MAX = 20  # per look: the local operator is a person

Answered = Callable[[], tuple[bool, str]]


class Triggers:
    """The services of one node, taken on one thread."""

    def __init__(self, node: Any, bell: Bell, services: dict[str, Answered]) -> None:
        """Announce the services.

        Args:
            node: Theirs.
            bell: Rings for requests.
            services: For each full name what to do; returns success and a line for the caller.
        """
        from std_srvs.srv import Trigger  # noqa: PLC0415  # ROS is imported late, see context

        self._node = node
        self._bell = bell
        self._type = Trigger
        self._services = [(node.create_service(Trigger, name, _taken_elsewhere), act) for name, act in services.items()]
        for service, _ in self._services:
            bell.add_service(service)

    def look(self) -> None:
        """Answer what was asked since the last look."""
        for service, act in self._services:
            for _ in range(_REQUESTS_MAX):
                request, header = service.handle.service_take_request(self._type.Request)
                if header is None:
                    break
                if request is None:
                    continue
                done, words = act()
                service.send_response(self._type.Response(success=done, message=words), header)

    def close(self) -> None:
        """End the services."""
        for service, _ in self._services:
            self._bell.remove(service)
            self._node.destroy_service(service)
        self._services = []


def _taken_elsewhere(_request: Any, response: Any) -> Any:
    """Nothing spins these services; `look` empties them."""
    return response
