"""Bench: the peer, as tutorials and answers on forums do it. `python -m bench.tutorial PORT ROBOT DB LOAD`.

In: ROS topics     Out: each message as JSON, over MQTT and into SQLite.

One executor spins in a thread, subscriptions are typed, a message becomes a dict by recursion, json.dumps
makes text of it, paho publishes that with QoS 1, and sqlite3 keeps it with an INSERT and a COMMIT. Nothing
is slowed down on purpose, nothing is tuned.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import rclpy
from paho.mqtt.enums import CallbackAPIVersion
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from bench.ending import Ended, end_on_sigterm
from bench.streams import LOADS
from edgetwin.ros.types import message_class
from edgetwin.sim.ports import HOST

_DEPTH = 10


def to_dict(value: Any) -> Any:
    """Return a message, or a value in one, as plain Python."""
    if hasattr(value, "get_fields_and_field_types"):
        return {name: to_dict(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, np.ndarray) or hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [to_dict(item) for item in value]
    return value


class Forwarder:
    """Publishes and stores one message after the other."""

    def __init__(self, port: int, robot_id: str, database: str) -> None:
        self._root = f"robot/{robot_id}/telemetry"
        self._database = sqlite3.connect(database, check_same_thread=False)
        self._database.execute("CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, topic TEXT, payload TEXT)")
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=robot_id)
        self._client.connect(HOST, port)
        self._client.loop_start()

    def callback(self, channel: str) -> Callable[[Any], None]:
        """Return the subscription callback of one channel."""
        topic = f"{self._root}/{channel}"

        def receive(message: Any) -> None:
            payload = json.dumps(to_dict(message))
            self._client.publish(topic, payload, qos=1)
            self._database.execute("INSERT INTO message (topic, payload) VALUES (?, ?)", (topic, payload))
            self._database.commit()

        return receive

    def close(self) -> None:
        """Say goodbye to the broker."""
        self._client.disconnect()
        self._client.loop_stop()


def main(port: int, robot_id: str, database: str, load: str) -> None:
    """Forward until SIGTERM."""
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    end_on_sigterm()
    node = Node("bench_tutorial")
    forwarder = Forwarder(port, robot_id, database)
    for stream in LOADS[load]:
        node.create_subscription(
            message_class(stream.type_name), stream.topic, forwarder.callback(stream.channel), _DEPTH
        )
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    try:
        spinning.join()
    except Ended:
        executor.shutdown()
        spinning.join()
    finally:
        forwarder.close()
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4])
