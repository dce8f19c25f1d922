"""Bench: a sender out of control, a process of its own. `python -m bench.flood PORT ROBOT_ID RATE_HZ`.

In: a rate     Out: moves on an absolute schedule, QoS 0, until SIGTERM.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.ending import Ended, end_on_sigterm


def main(port: int, robot_id: str, rate_hz: float) -> None:
    """Send moves until SIGTERM."""
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()
    end_on_sigterm()
    start_s, index = time.monotonic(), 0
    with suppress(Ended):
        while True:
            body = b'{"id":"f%d","linear":0.2,"angular":0.0}' % index
            client.publish(f"robot/{robot_id}/commands/move", body)
            index += 1
            time.sleep(max(0.0, start_s + index / rate_hz - time.monotonic()))
    client.disconnect()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
