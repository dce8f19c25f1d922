"""ROS room: asks action servers of the local stack to give up their goals, after a stop.

In: names of actions     Out: one cancel request to each that is there; nobody waits for an answer
Best effort and no part of the stop: the wheels have zero before, and the gate keeps saying zero while it is latched.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any


class Goals:
    """The goals of the local stack."""

    def __init__(self, node: Any, actions: Collection[str]) -> None:
        """Announce a client for each action; with none, nothing is announced.

        Args:
            node: Theirs.
            actions: Names of actions, as in `/navigate_to_pose`.
        """
        self._node = node
        self._clients: list[Any] = []
        if not actions:
            return
        from action_msgs.srv import CancelGoal  # noqa: PLC0415  # ROS is imported late, see context

        self._every_goal = CancelGoal.Request()  # no id and no time: all of them
        self._response = CancelGoal.Response
        self._clients = [node.create_client(CancelGoal, f"{name}/_action/cancel_goal") for name in actions]

    def cancel(self) -> int:
        """Ask every server that is there to cancel all its goals; return how many were asked."""
        asked = 0
        for client in self._clients:
            with suppress(RuntimeError):  # the graph may be ending under us
                asked += self._asked(client)
        return asked

    def close(self) -> None:
        """End the clients."""
        for client in self._clients:
            self._node.destroy_client(client)
        self._clients = []

    def _asked(self, client: Any) -> bool:
        while client.handle.take_response(self._response)[0] is not None:
            continue  # what was answered last time is nobody's concern; it must only not pile up
        if not client.service_is_ready():
            return False
        client.handle.send_request(self._every_goal)
        return True
