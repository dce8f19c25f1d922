"""Bench: the far end without a twin, a process of its own. `python -m bench.listener PORT FILE` until SIGTERM.

In: every robot's telemetry, QoS 1, as paho hands it over     Out: each record decoded; into FILE, at the end, when it
came and when it was measured. Nothing is republished, judged or shown: less cannot be done with paho.
"""

from __future__ import annotations

import sys
import time
from array import array
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bench.ending import Ended, end_on_sigterm
from bench.load import READY
from edgetwin.clock import NS_PER_US
from edgetwin.sim.ports import HOST


def main(port: int, out: Path) -> None:
    """Listen until SIGTERM."""
    came = array("q")

    def on_message(_client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        record = orjson.loads(message.payload)
        came.extend((time.time_ns() // NS_PER_US, record["stamp_us"]))

    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="listener", protocol=paho.MQTTv5)
    client.on_message = on_message
    client.on_subscribe = lambda *_: print(READY, flush=True)
    client.connect(HOST, port)
    client.subscribe("robot/+/telemetry/+", qos=1)
    end_on_sigterm()
    with suppress(Ended):
        client.loop_forever()
    out.write_bytes(came.tobytes())


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
