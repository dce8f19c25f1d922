"""Bench: a sensor that speaks MQTT, a process of its own. `python -m bench.sensor PORT ROBOT LOAD FOLDER`.

In: the name of a load     Out: 200 B messages on the load's schedule; FOLDER says when each left.

paho as its users run it: a network thread, QoS 1, its own queue in memory, without limit. Connected to the
far broker it is a gateway that keeps in memory what cannot leave; connected to a local broker it feeds a bridge.
SIGUSR1: it sends nothing new and stays, so that its queue can leave. SIGTERM: it goes.
"""

from __future__ import annotations

import random
import signal
import sys
import time
from itertools import cycle
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from bench.ending import flag_of
from bench.load import READY, publish_on_schedule
from bench.sent import SentLog
from bench.streams import LOADS, Stream
from edgetwin.clock import NS_PER_US
from edgetwin.sim.ports import HOST

QUIET = signal.SIGUSR1
PAYLOAD_BYTES = 200
_KEEPALIVE_S = 5
_READINGS = 2048
_POLL_S = 0.05


class MqttSource:
    """One topic and the log of what it sent."""

    def __init__(self, client: mqtt.Client, robot_id: str, stream: Stream, sent: SentLog) -> None:
        self.stream = stream
        self._client = client
        self._topic = f"robot/{robot_id}/telemetry/{stream.channel}"
        self._sent = sent
        noise = random.Random(1)
        tail = b',"v":1,"robot_id":"%b","channel":"%b","variance":0.01,"temperature":' % (
            robot_id.encode(),
            stream.channel.encode(),
        )
        readings = (tail + repr(noise.gauss(40, 1)).encode() for _ in range(_READINGS))
        self._tails = cycle([reading + b"}" for reading in readings])

    def publish(self, stamp_us: int) -> None:
        """Send the next message, with this stamp."""
        self._sent.note(stamp_us, time.time_ns() // NS_PER_US)
        payload = b'{"stamp_us":%d%b' % (stamp_us, next(self._tails))
        self._client.publish(self._topic, payload.ljust(PAYLOAD_BYTES), qos=1)


def main(port: int, robot_id: str, load: str, folder: Path) -> None:
    """Publish until SIGUSR1, stay until SIGTERM."""
    ended, quiet = flag_of(signal.SIGTERM), flag_of(QUIET)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"{robot_id}-sensor", clean_session=False)
    client.max_queued_messages_set(0)
    client.reconnect_delay_set(1, 1)
    client.connect(HOST, port, _KEEPALIVE_S)
    client.loop_start()
    sources = [MqttSource(client, robot_id, stream, SentLog(folder, stream.channel)) for stream in LOADS[load]]
    print(READY, flush=True)
    publish_on_schedule(sources, lambda: quiet() or ended())
    while not ended():
        time.sleep(_POLL_S)
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]))
