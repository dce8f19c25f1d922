"""Bench: a bare relay from MQTT to ROS, the obvious forty lines. `python -m bench.relay PORT ROBOT_ID`.

In: commands at the broker     Out: Twists on /ROBOT_ID/cmd_vel, unchecked, until SIGTERM.
It has no gate, no latch, no deadman and no answers: nothing that works can be much faster.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any

import paho.mqtt.client as paho
from geometry_msgs.msg import Twist
from paho.mqtt.enums import CallbackAPIVersion

from bench.ending import Ended, end_on_sigterm
from edgetwin.ros.context import close_node, open_node


def main(port: int, robot_id: str) -> None:
    """Relay until SIGTERM."""
    node = open_node(robot_id)
    publisher = node.create_publisher(Twist, f"/{robot_id}/cmd_vel", 1)

    def relay(_client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        twist = Twist()
        if message.topic.endswith("/move"):
            body = json.loads(message.payload)
            twist.linear.x, twist.angular.z = body["linear"], body["angular"]
        publisher.publish(twist)

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.on_message = relay
    client.connect("127.0.0.1", port)
    client.subscribe(f"robot/{robot_id}/commands/+", qos=1)
    end_on_sigterm()
    with suppress(Ended):
        client.loop_forever()
    close_node(node)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
