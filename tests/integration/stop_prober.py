"""Measures, in a process of its own, how long it takes from the PUBLISH of a stop to a zero twist at the base.

Usage: python -m tests.integration.stop_prober PORT STOP_TOPIC TWIST_TOPIC STOPS [MOVES_PER_S MOVE_TOPIC]
The lane must publish nothing but what a stop causes (no burst, no hold). Says READY once a stop was heard: DDS offers
no other sign that both ends have matched.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.prober import Ear
from edgetwin.ros.context import open_node

PATIENCE_S = 5.0
MATCH_MAX_S = 30.0


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


def matched(ear: Ear, sender: paho.Client, stop_topic: str) -> None:
    """Return once a stop is heard, and every zero of the stops before it."""
    deadline_s = time.monotonic() + MATCH_MAX_S
    while time.monotonic() < deadline_s:
        sender.publish(stop_topic, b"", qos=1)
        if ear.next_zero_s(time.monotonic() + 0.3) is not None:
            time.sleep(0.5)
            return
    sys.exit("no stop is heard")


def main() -> None:
    """Measure."""
    port, stop_topic, twist_topic, stops = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    ear, sender, ended = Ear(open_node(f"prober_{os.getpid()}"), twist_topic), client(port), threading.Event()
    matched(ear, sender, stop_topic)
    print("READY", flush=True)
    if len(sys.argv) > 5:
        rate_hz, move_topic = float(sys.argv[5]), sys.argv[6]
        threading.Thread(target=flood, args=(client(port), move_topic, rate_hz, ended), daemon=True).start()
        time.sleep(0.5)
    latencies_ms: list[float] = []
    lost: list[int] = []
    for index in range(stops):
        time.sleep(random.uniform(0.01, 0.04))
        ear.empty()
        sent_s = time.monotonic()
        sender.publish(stop_topic, b"", qos=1)
        heard_s = ear.next_zero_s(sent_s + PATIENCE_S)
        if heard_s is None:
            lost.append(index)
        else:
            latencies_ms.append((heard_s - sent_s) * 1e3)
    ended.set()
    print(json.dumps({"latencies_ms": latencies_ms, "lost": lost}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
