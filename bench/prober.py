"""Bench: measures stops, in a process of its own. `python -m bench.prober PORT`, ordered over the broker.

In: `bench/orders`, {"targets", "count", "seconds"}     Out: `bench/results`, for each target latencies [ms] and losses,
or {"error"}.

A latency runs from the call that writes the PUBLISH to the moment at which this process has taken a zero Twist. The
targets take turns, stop by stop, so that what the machine does meanwhile is done to all of them. A target must publish
nothing but what a stop causes.
"""

from __future__ import annotations

import ctypes
import os
import queue
import random
import select
import sys
import time
from contextlib import suppress
from typing import Any

import orjson
import paho.mqtt.client as paho
from geometry_msgs.msg import Twist
from paho.mqtt.enums import CallbackAPIVersion

from edgetwin.ros.context import open_node

READY = "probing"
ORDERS, RESULTS = "bench/orders", "bench/results"
_PATIENCE_S = 5.0
_MATCH_MAX_S = 20.0
_LOST_MAX = 5
_PAUSE_S = (0.005, 0.015)  # more than the time in which a gate may take two stops for one


class Ear:
    """Hears the twists of one robot, and sleeps until one comes."""

    def __init__(self, node: Any, topic: str) -> None:
        """Listen to `topic`."""
        self._node = node
        self._subscription = node.create_subscription(Twist, topic, lambda _message: None, 100)
        self._eventfd = os.eventfd(0, os.EFD_NONBLOCK)
        hook = ctypes.CDLL("librcl.so").rcl_subscription_set_on_new_message_callback
        hook.argtypes = [ctypes.c_void_p] * 3
        write = ctypes.cast(ctypes.CDLL(None).eventfd_write, ctypes.c_void_p)
        hook(self._subscription.handle.pointer, write, self._eventfd)

    def publishers(self) -> int:
        """Return how many publishers there are."""
        count: int = self._node.count_publishers(self._subscription.topic_name)
        return count

    def empty(self) -> None:
        """Forget what has come."""
        while self._take() is not None:
            pass

    def next_zero_s(self, deadline_s: float) -> float | None:
        """Return when a zero twist was taken, or None."""
        while (left_s := deadline_s - time.monotonic()) > 0:
            while (message := self._take()) is not None:
                if message.linear.x == 0.0:
                    return time.monotonic()
            select.select([self._eventfd], [], [], left_s)
            with suppress(BlockingIOError):
                os.eventfd_read(self._eventfd)
        return None

    def _take(self) -> Any:
        taken = self._subscription.handle.take_message(Twist, False)  # noqa: FBT003  # by position, in C
        return None if taken is None else taken[0]


class Prober:
    """Sends stops, and hears what they do."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self._port = port
        self._node = open_node("bench_prober")
        self._ears: dict[str, Ear] = {}
        self._sender = self._client()  # without a thread of its own: a publish is written by the call

    def measure(self, targets: list[str], count: int, seconds: float) -> dict[str, dict[str, Any]]:
        """Stop the targets in turn, `count` times or for so long, whichever ends first."""
        for target in targets:
            self._ready(target)
        found: dict[str, dict[str, Any]] = {target: {"latencies_ms": [], "lost": 0} for target in targets}
        until_s = time.monotonic() + seconds
        for _ in range(count):
            for target in targets:
                latency_ms = self._stop(target)
                if latency_ms is None:
                    found[target]["lost"] += 1
                    if found[target]["lost"] > _LOST_MAX:
                        msg = f"{target} answers no stop any more"
                        raise TimeoutError(msg)
                else:
                    found[target]["latencies_ms"].append(latency_ms)
            if time.monotonic() > until_s:
                break
        return found

    def _stop(self, target: str) -> float | None:
        time.sleep(random.uniform(*_PAUSE_S))  # no secret: neither in step with a tick
        ear = self._ears[target]
        ear.empty()
        self._talk()
        sent_s = time.monotonic()
        self._sender.publish(f"robot/{target}/commands/stop", b"", qos=1)
        heard_s = ear.next_zero_s(sent_s + _PATIENCE_S)
        return None if heard_s is None else (heard_s - sent_s) * 1e3

    def _ready(self, target: str) -> None:
        """Return once a stop of this target is heard."""
        if target in self._ears:
            return
        ear = self._ears[target] = Ear(self._node, f"/{target}/cmd_vel")
        until_s = time.monotonic() + _MATCH_MAX_S
        while time.monotonic() < until_s:
            self._talk()
            self._sender.publish(f"robot/{target}/commands/stop", b"", qos=1)
            if ear.publishers() and ear.next_zero_s(time.monotonic() + 0.2) is not None:
                return
            time.sleep(0.05)
        del self._ears[target]
        msg = f"{target} does not answer a stop; {ear.publishers()} publishers are seen"
        raise TimeoutError(msg)

    def _talk(self) -> None:
        """Read acknowledgements and keep the connection alive."""
        self._sender.loop(0)

    def _client(self) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        client.connect("127.0.0.1", self._port)
        while not client.is_connected():
            client.loop(0.1)
        return client

    def serve(self) -> None:
        """Do what is ordered, until the process is ended."""
        orders: queue.Queue[bytes] = queue.Queue()
        client = self._client()
        client.on_message = lambda _client, _userdata, message: orders.put(message.payload)
        client.subscribe(ORDERS, qos=1)
        client.loop_start()
        print(READY, flush=True)
        while True:
            try:
                order = orjson.loads(orders.get(timeout=1.0))
            except queue.Empty:
                self._talk()
                continue
            try:
                found: dict[str, Any] = self.measure(**order)
            except TimeoutError as error:
                found = {"error": str(error)}
            client.publish(RESULTS, orjson.dumps(found), qos=1)


if __name__ == "__main__":
    Prober(int(sys.argv[1])).serve()
