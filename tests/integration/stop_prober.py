"""Measures, in a process of its own, how long it takes from the PUBLISH of a stop to a zero twist at the base.

Usage: stop_prober.py PORT STOP_TOPIC TWIST_TOPIC STOPS [MOVES_PER_S MOVE_TOPIC]
The lane must publish nothing but what a stop causes (no burst, no hold). Says READY before the first one.
"""

from __future__ import annotations

import json
import os
import random
import select
import sys
import threading
import time
from typing import Any

import paho.mqtt.client as paho
from geometry_msgs.msg import Twist
from paho.mqtt.enums import CallbackAPIVersion

from edgetwin.ros.context import open_node

PATIENCE_S = 5.0


def client(port: int) -> paho.Client:
    """Return a connected client."""
    made = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    made.connect("127.0.0.1", port)
    made.loop_start()
    return made


def flood(sender: paho.Client, topic: str, rate_hz: float, ended: threading.Event) -> None:
    """Send moves on an absolute schedule."""
    start, index = time.monotonic(), 0
    while not ended.is_set():
        body = json.dumps({"id": f"f{index}", "linear": 0.2, "angular": 0.0})
        sender.publish(topic, body, qos=0)
        index += 1
        time.sleep(max(0.0, start + index / rate_hz - time.monotonic()))


class Ear:
    """Sleeps until a twist comes."""

    def __init__(self, topic: str) -> None:
        import ctypes  # noqa: PLC0415

        self._node = open_node(f"prober_{os.getpid()}")
        self._subscription = self._node.create_subscription(Twist, topic, lambda _message: None, 100)
        self._eventfd = os.eventfd(0, os.EFD_NONBLOCK)
        hook = ctypes.CDLL("librcl.so").rcl_subscription_set_on_new_message_callback
        hook.argtypes = [ctypes.c_void_p] * 3
        hook(
            self._subscription.handle.pointer,
            ctypes.cast(ctypes.CDLL(None).eventfd_write, ctypes.c_void_p),
            self._eventfd,
        )

    def publishers(self) -> int:
        """How many publishers there are."""
        count: int = self._node.count_publishers(self._subscription.topic_name)
        return count

    def empty(self) -> None:
        """Forget what has come."""
        while self._take() is not None:
            pass

    def next_zero_s(self, deadline_s: float) -> float | None:
        """Return when a zero twist came, or None."""
        while (left_s := deadline_s - time.monotonic()) > 0:
            while (message := self._take()) is not None:
                if message.linear.x == 0.0:
                    return time.monotonic()
            select.select([self._eventfd], [], [], left_s)
            try:
                os.eventfd_read(self._eventfd)
            except BlockingIOError:
                continue
        return None

    def _take(self) -> Any:
        taken = self._subscription.handle.take_message(Twist, False)  # noqa: FBT003
        return None if taken is None else taken[0]


def main() -> None:
    """Measure."""
    port, stop_topic, twist_topic, stops = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    ear, sender, ended = Ear(twist_topic), client(port), threading.Event()
    while ear.publishers() < 2:
        time.sleep(0.05)
    time.sleep(0.5)
    print("READY", flush=True)
    if len(sys.argv) > 5:
        rate_hz, move_topic = float(sys.argv[5]), sys.argv[6]
        threading.Thread(target=flood, args=(client(port), move_topic, rate_hz, ended), daemon=True).start()
        time.sleep(0.5)
    latencies_ms: list[float] = []
    lost = 0
    for _ in range(stops):
        time.sleep(random.uniform(0.01, 0.04))
        ear.empty()
        sent_s = time.monotonic()
        sender.publish(stop_topic, b"", qos=1)
        heard_s = ear.next_zero_s(sent_s + PATIENCE_S)
        if heard_s is None:
            lost += 1
        else:
            latencies_ms.append((heard_s - sent_s) * 1e3)
    ended.set()
    print(json.dumps({"latencies_ms": latencies_ms, "lost": lost}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
