"""What lane tests are made of: a lane in this process, a client at the broker, a base that hears twists."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from geometry_msgs.msg import Twist as RosTwist
from geometry_msgs.msg import TwistStamped
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edgetwin import wire
from edgetwin.clock import SystemClock
from edgetwin.command.rules import AdmissionRules, Level
from edgetwin.gate.limits import GateLimits
from edgetwin.lane.lane import Lane
from edgetwin.lane.ledger import DecisionEntry, News, Notice
from edgetwin.lane.link import LaneBroker, Rejoin
from edgetwin.lane.plan import LaneHooks, Plan
from edgetwin.ros.robot_inputs import Sources
from edgetwin.uplink.backoff import Backoff
from edgetwin.uplink.dial import dial
from tests.integration.lab import ROBOT_ID, Robot, until

ROOT = f"robot/{ROBOT_ID}"
PLAIN = "geometry_msgs/msg/Twist"
STAMPED = "geometry_msgs/msg/TwistStamped"
_TYPES = {PLAIN: RosTwist, STAMPED: TwistStamped}
# A machine that many tests share may keep the lane waiting for half a second: only what claims to stall may be a fault.
LIMITS = GateLimits(
    remote_motion=True, linear_accel_max_mps2=50.0, linear_jerk_max_mps3=5000.0, tick_fault_ns=10_000_000_000
)
_NOT_YET = frozenset({"NOT_READY", "NO_SUBSCRIBER"})
PROBER = "tests.integration.stop_prober"
REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Heard:
    """One twist as the base heard it."""

    linear: float
    angular: float
    at_s: float
    stamp_ns: int

    @property
    def zero(self) -> bool:
        """Whether it says stand still."""
        return self.linear == 0.0 == self.angular


class Base:
    """Wheels that only listen."""

    def __init__(self, robot: Robot, topic: str, type_name: str = PLAIN) -> None:
        self._node = robot.node
        self._message = _TYPES[type_name]
        self._subscription = robot.node.create_subscription(self._message, topic, _taken_elsewhere, 1000)
        self._heard: list[Heard] = []

    @property
    def heard(self) -> list[Heard]:
        """All that came so far."""
        while (taken := self._subscription.handle.take_message(self._message, False)) is not None:  # noqa: FBT003
            message = taken[0]
            stamp_ns = 0
            if self._message is TwistStamped:
                stamp_ns = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
                message = message.twist
            self._heard.append(Heard(message.linear.x, message.angular.z, time.monotonic(), stamp_ns))
        return self._heard

    @property
    def drives(self) -> bool:
        """Whether the newest twist moves the robot."""
        return bool(self.heard) and not self._heard[-1].zero

    def drove_since(self, count: int) -> bool:
        """Whether a twist after the first `count` moved the robot, whatever the newest one says by now."""
        return any(not twist.zero for twist in self.heard[count:])

    def quiet_for(self, seconds: float) -> bool:
        """Whether nothing comes for that long."""
        before = len(self.heard)
        time.sleep(seconds)
        return len(self.heard) == before

    def close(self) -> None:
        """Leave."""
        self._node.destroy_subscription(self._subscription)


def _taken_elsewhere(_message: Any) -> None:
    """`heard` takes."""


class Operator:
    """A client at the broker that sends commands and reads every ack."""

    def __init__(self, port: int) -> None:
        self.acks: list[dict[str, Any]] = []
        self.responses: list[tuple[str, dict[str, Any], bytes]] = []
        self.events: list[dict[str, Any]] = []
        self._subscribed = threading.Event()
        self._client = client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"operator-{uuid.uuid4().hex[:8]}", protocol=paho.MQTTv5
        )
        client.on_message = self._on_message
        client.on_connect = self._on_connect
        client.on_disconnect = lambda *_: self._subscribed.clear()
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type]  # floats work
        client.connect("127.0.0.1", port)
        client.loop_start()
        assert self._subscribed.wait(5), "the operator cannot subscribe"

    def send(
        self, verb: str, payload: bytes | dict[str, Any] = b"", *, qos: int = 1, retain: bool = False,
        response_topic: str = "", correlation: bytes = b"", expiry_s: int | None = None, wait: bool = True,
    ) -> None:  # fmt: skip
        """Publish one command."""
        assert self._subscribed.wait(5), "the operator is not connected"
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if response_topic:
            properties.ResponseTopic = response_topic
        if correlation:
            properties.CorrelationData = correlation
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        body = json.dumps(payload).encode() if isinstance(payload, dict) else payload
        sent = self._client.publish(f"{ROOT}/commands/{verb}", body, qos=qos, retain=retain, properties=properties)
        if wait:
            sent.wait_for_publish(5)

    def ask(self, verb: str, payload: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Send one command and return its ack."""
        name = payload.setdefault("id", uuid.uuid4().hex)
        self.send(verb, payload, **options)
        return self.ack(name)

    def move(self, linear: float = 0.3, angular: float = 0.0, **more: Any) -> dict[str, Any]:
        """Send a move of the `open` level and return its ack."""
        return self.ask("move", {"linear": linear, "angular": angular, **more})

    def drive(self, base: Base, linear: float = 0.3, angular: float = 0.0, **more: Any) -> dict[str, Any]:
        """Have the robot move, and return the ack of the move.

        Asked again while the lane is not ready for it: where many processes share a machine, the mark of the drive may
        not be on disk within its half second, or DDS may lose sight of the base for a moment.
        """
        heard = len(base.heard)
        acks: list[dict[str, Any]] = []

        def accepted() -> bool:
            acks.append(self.move(linear, angular, **more))
            return acks[-1]["code"] not in _NOT_YET

        until(accepted, lambda: f"a move that is taken: {acks[-1]}")
        assert acks[-1]["verdict"] in {"ACCEPTED", "CLAMPED"}, acks[-1]
        until(lambda: base.drove_since(heard), "a twist")
        return acks[-1]

    def ack(self, name: str) -> dict[str, Any]:
        """Return the ack of a command."""
        found: dict[str, Any] = until(
            lambda: next((ack for ack in list(self.acks) if ack["id"] == name), None), f"an ack of {name}"
        )
        return found

    def acks_of(self, name: str) -> list[dict[str, Any]]:
        """Return all acks of a command."""
        return [ack for ack in list(self.acks) if ack["id"] == name]

    def stop(self, **options: Any) -> dict[str, Any]:
        """Stop, and return the ack."""
        return self.ask("stop", {}, **options)

    def reset(self) -> dict[str, Any]:
        """Release the latch that there is, in two steps; return the second ack."""
        held = self.ask("reset", {"stop_id": self.ask("reset", {"stop_id": "?"})["stop_id"]})
        return self.ask("reset", {"stop_id": held["stop_id"], "nonce": held.get("nonce", "none")})

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        options = SubscribeOptions(qos=1)
        topics = [f"{ROOT}/acks", f"{ROOT}/responses/#", f"{ROOT}/events/gate", "elsewhere/#"]
        client.subscribe([(topic, options) for topic in topics])

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        if message.topic.endswith("/acks"):
            self.acks.append(json.loads(message.payload))
        elif message.topic.endswith("/events/gate"):
            self.events.append(json.loads(message.payload))
        else:
            correlation = getattr(message.properties, "CorrelationData", b"")
            self.responses.append((message.topic, json.loads(message.payload), correlation))


class Rig:
    """A lane in this process; as a context manager it is started and ended in order."""

    def __init__(
        self, port: int, folder: Path, *, limits: GateLimits = LIMITS, level: Level = Level.OPEN,
        sources: Sources | None = None, type_name: str = PLAIN, **more: Any,
    ) -> None:  # fmt: skip
        self.topic = f"/cmd_vel_{uuid.uuid4().hex[:8]}"
        topics = wire.Topics(ROBOT_ID)
        rules = AdmissionRules(level, ROBOT_ID, topics.root, remote_motion=limits.remote_motion)
        self.plan = Plan(
            robot_id=ROBOT_ID,
            boot=uuid.uuid4().hex[:8],
            topics=topics,
            broker=LaneBroker(partial(dial, "127.0.0.1", port, None), rejoin, keepalive_s=5),
            rules=rules,
            limits=limits,
            sources=sources or Sources(),
            node_name=f"rig_{uuid.uuid4().hex[:6]}",
            cmd_vel_topic=self.topic,
            cmd_vel_type=type_name,
            latch_path=folder / "latch.json",
        )
        self.plan = replace(self.plan, **more)
        self.news: list[News] = []
        self.failures: list[BaseException] = []
        self.ended = threading.Event()
        self.lane = Lane(self.plan, LaneHooks(self._take, self.failures.append, self.ended.set), SystemClock())

    def __enter__(self) -> Self:
        self.lane.start()
        until(lambda: self.lane.figures().get("link") == "up", "both connections of the lane")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lane.stop()
        in_time = self.ended.wait(5)
        until(lambda: not self.lane.running, "the end of the thread")
        self.lane.close()
        if kind is None:
            assert in_time, "the lane does not end"
            assert not self.failures, repr(self.failures)

    @property
    def state(self) -> str:
        """State of the gate."""
        return str(self.lane.figures()["state"])

    def becomes(self, state: str) -> None:
        """Wait for a state."""
        until(lambda: self.state == state, lambda: f"{state}; it is {self.lane.figures()}")

    def on_lane(self, act: Callable[..., Any], *arguments: Any) -> None:
        """Have something run on the lane's own loop: how a test makes it late, or breaks it."""
        assert self.lane.loop is not None
        self.lane.loop.call_soon_threadsafe(act, *arguments)

    def entries(self) -> list[DecisionEntry]:
        """Decisions so far."""
        return [one for one in list(self.news) if isinstance(one, DecisionEntry)]

    def notices(self, event: str) -> list[Notice]:
        """Lines for the log so far."""
        return [one for one in list(self.news) if isinstance(one, Notice) and one.event == event]

    def latch(self) -> dict[str, Any]:
        """What is on disk."""
        value: dict[str, Any] = json.loads(self.plan.latch_path.read_bytes())
        return value

    def _take(self) -> None:
        self.news += self.lane.take_news()  # on the lane's thread: a test has no main loop to wake


def rejoin() -> Rejoin:
    """A backoff of two seconds at most."""
    backoff = Backoff(2.0, Random())
    return Rejoin(backoff.next_s, backoff.reset)


def prober(port: int, topic: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start the process that measures how long a stop takes; it says READY, and at last its figures as JSON."""
    return subprocess.Popen(
        [sys.executable, "-m", PROBER, str(port), f"{ROOT}/commands/stop", topic, *arguments],
        stdout=subprocess.PIPE,
        env=os.environ.copy(),
        cwd=REPOSITORY,
    )


def figures_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return what a prober found."""
    said, _ = process.communicate(timeout=60)
    value: dict[str, Any] = json.loads(said.splitlines()[-1])
    return value


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which that share of all lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
