"""The ROS room on a real graph: every way of waking the loop brings every message, in order, and ends cleanly."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from std_msgs.msg import UInt32

from edgetwin.clock import SystemClock
from edgetwin.ros import graph as graph_room
from edgetwin.ros import wakeup as wakeup_room
from edgetwin.ros.graph import Graph
from edgetwin.ros.wakeup import BUSY_TICK_S, EventfdWakeup, WaitSetWakeup
from tests.integration.lab import Robot


@pytest.fixture(autouse=True)
def _shared_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    """The publishers live in this process too: closing the graph must not end ROS for them."""
    monkeypatch.setattr(graph_room, "close_node", lambda node: node.destroy_node())


class Turns:
    """A consumer that counts."""

    def __init__(self) -> None:
        self.turns = 0
        self.modes: list[bool] = []

    def turn_begins(self) -> None:
        """Count it."""
        self.turns += 1

    def turn_ends(self) -> None:
        """Nothing to send."""

    def ticking(self, on: bool) -> None:
        """Note it."""
        self.modes.append(on)


async def follow(
    topic: str, feed: Callable[[Callable[[], int]], Any], turns: Turns
) -> tuple[list[int], str, list[tuple[str, int]]]:
    """Follow a topic while `feed` publishes (in a thread); return the values, the wake-up's name, and losses."""
    values: list[int] = []
    lost: list[tuple[str, int]] = []
    graph = Graph("lab_graph", SystemClock(), turns, lambda *_: None, lambda *words: lost.append(words), BUSY_TICK_S)
    graph.follow(
        "value", topic, "std_msgs/msg/UInt32", UInt32, None,
        lambda raw, _received, _now: values.append(int.from_bytes(raw[4:8], "little")),
    )  # fmt: skip
    watching = asyncio.get_running_loop().create_task(graph.watch())
    try:
        count = await asyncio.get_running_loop().run_in_executor(None, feed, lambda: len(values))
        async with asyncio.timeout(10):
            while len(values) < count:  # noqa: ASYNC110  # DDS gives no other sign
                await asyncio.sleep(0.01)
    finally:
        watching.cancel()
        graph.close()
    return values, graph.wakeup_name, lost


def publish(robot: Robot, topic: str, count: int, rate_hz: float) -> Callable[[Callable[[], int]], int]:
    """Return a feed."""
    publisher = robot.publisher(UInt32, topic, 5000)

    def feed(_taken: Callable[[], int]) -> int:
        deadline = time.monotonic() + 10
        while publisher.get_subscription_count() == 0:
            assert time.monotonic() < deadline, "nobody subscribes"
            time.sleep(0.01)
        time.sleep(0.2)
        start = time.monotonic()
        for index in range(count):
            time.sleep(max(0.0, start + index / rate_hz - time.monotonic()))
            publisher.publish(UInt32(data=index))
        return count

    return feed


@pytest.mark.parametrize("rate_hz", [50, 1000])
def test_the_eventfd_brings_every_message_in_order(robot: Robot, rate_hz: int) -> None:
    """Quiet topics wake the loop each time; busy ones are collected on ticks."""
    turns = Turns()
    topic = f"/graph/eventfd_{rate_hz}"
    values, name, lost = asyncio.run(follow(topic, publish(robot, topic, 2 * rate_hz, rate_hz), turns))

    assert name == EventfdWakeup.name
    assert values == list(range(2 * rate_hz))
    assert lost == []
    if rate_hz == 1000:
        assert turns.modes[:1] == [True]
        assert turns.turns < 1000
    else:
        assert turns.modes == []


def test_without_the_rcl_hook_a_wait_set_thread_brings_every_message_in_order(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An rcl that lacks the symbol, or a 32-bit board."""

    def missing(*_: Any) -> Any:
        msg = "undefined symbol: rcl_subscription_set_on_new_message_callback"
        raise AttributeError(msg)

    monkeypatch.setattr(wakeup_room, "EventfdWakeup", missing)
    topic = "/graph/wait_set"
    values, name, lost = asyncio.run(follow(topic, publish(robot, topic, 1000, 500), Turns()))

    assert name == WaitSetWakeup.name
    assert values == list(range(1000))
    assert lost == []


def test_a_hundred_channels_are_followed_and_closed(robot: Robot) -> None:
    """Any number of channels; none keeps another from its messages."""
    publishers = [robot.publisher(UInt32, f"/graph/many_{index}") for index in range(100)]

    async def many() -> dict[int, int]:
        got: dict[int, int] = {}
        graph = Graph("lab_many", SystemClock(), Turns(), lambda *_: None, lambda *_: None, BUSY_TICK_S)
        for index in range(100):
            graph.follow(
                str(index), f"/graph/many_{index}", "std_msgs/msg/UInt32", UInt32, None,
                lambda raw, _r, _n, index=index: got.__setitem__(index, raw[4]),  # type: ignore[misc]
            )  # fmt: skip
        watching = asyncio.get_running_loop().create_task(graph.watch())
        async with asyncio.timeout(15):
            while any(publisher.get_subscription_count() == 0 for publisher in publishers):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            for index, publisher in enumerate(publishers):
                publisher.publish(UInt32(data=index))
            while len(got) < 100:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        watching.cancel()
        graph.close()
        return got

    assert asyncio.run(many()) == {index: index for index in range(100)}
    for publisher in publishers:
        robot.node.destroy_publisher(publisher)


def test_messages_that_dds_dropped_are_counted_and_told(robot: Robot, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that is blocked while more comes than its queue holds."""
    monkeypatch.setattr(graph_room, "_MATCHED_POLL_S", 0.1)
    publisher = robot.publisher(UInt32, "/graph/lost", 5000)
    told: list[tuple[str, int]] = []

    async def blocked() -> int:
        got: list[int] = []
        graph = Graph(
            "lab_lost", SystemClock(), Turns(), lambda *_: None, lambda *words: told.append(words), BUSY_TICK_S
        )
        graph.follow("v", "/graph/lost", "std_msgs/msg/UInt32", UInt32, 10, lambda raw, *_: got.append(raw[4]))
        watching = asyncio.get_running_loop().create_task(graph.watch())
        async with asyncio.timeout(15):
            while publisher.get_subscription_count() == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.3)
            publisher.publish(UInt32(data=0))
            while not got:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            for index in range(1, 100):  # the loop does not turn meanwhile
                publisher.publish(UInt32(data=index))
            time.sleep(0.3)  # noqa: ASYNC251  # blocked on purpose
            while len(got) < 11 or not told:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        watching.cancel()
        graph.close()
        return len(got)

    got = asyncio.run(blocked())

    assert told == [("v", 100 - got)]
    robot.node.destroy_publisher(publisher)
