"""Sim wing: a differential-drive robot as a ROS 2 node, in its own process.

In: /cmd_vel (Twist, or TwistStamped), SIGUSR1: the left wheel's motor wears out, SIGTERM or SIGINT
Out: /odom 50 Hz, /joint_states 100 Hz, /imu 200 Hz, /scan 10 Hz, /battery_state 1 Hz;
with --tell, where it truly is, as UDP to the loopback interface (see truth.py).

`python -m edgetwin.sim.robot`. How it moves is in physics.py and route.py; here are topics and time.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from edgetwin.clock import NS_PER_S, Clock, SystemClock
from edgetwin.errors import EdgeTwinError
from edgetwin.ros.context import close_node, open_node
from edgetwin.ros.types import message_class
from edgetwin.sim.physics import Body
from edgetwin.sim.robot_messages import OUTPUTS, Messages, Output
from edgetwin.sim.route import START, Driver, within_walls
from edgetwin.sim.truth import Teller

BASE_HZ = 200.0
_COMMAND_EVERY_TICKS = 4
_TELL_EVERY_TICKS = 10
_BEHIND_MAX_S = 0.5
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Robot:
    """The node: tick() moves the robot on by one step and publishes what is due."""

    def __init__(
        self, *, seed: int, rate_hz: float, without: Sequence[str], clock: Clock, stamped: bool = False,
        tell_port: int | None = None,
    ) -> None:  # fmt: skip
        """Open the node.

        Args:
            seed: Of the noise.
            rate_hz: Ticks per second that the caller promises.
            without: Topics to leave out.
            clock: For the stamps.
            stamped: Commands are TwistStamped.
            tell_port: Where to tell the true pose, on loopback; None: nowhere.
        """
        self._clock = clock
        self._stamped = stamped
        self._teller = None if tell_port is None else Teller(tell_port)
        self._step_s = 1.0 / rate_hz
        self._body = Body(seed, start=START)
        self._driver = Driver()
        self._ticks = 0
        self.node = open_node("edgetwin_sim_robot")
        self._twist = message_class("geometry_msgs/msg/TwistStamped" if stamped else "geometry_msgs/msg/Twist")
        self._commands = self.node.create_subscription(self._twist, "/cmd_vel", lambda _: None, 10)
        messages = Messages(self._body)
        self._due: list[tuple[int, Callable[[], Any], Any]] = []
        for output in OUTPUTS:
            if output.name not in without:
                fill: Callable[[], Any] = getattr(messages, f"fill_{output.name}")
                self._due.append((output.every_ticks, fill, self._publisher(output)))

    def _publisher(self, output: Output) -> Any:
        from rclpy.qos import qos_profile_sensor_data  # noqa: PLC0415  # rclpy is there once a node is open

        qos = qos_profile_sensor_data if output.sensor_qos else 10
        return self.node.create_publisher(message_class(output.type_name), output.topic, qos)

    def tick(self) -> None:
        """Simulate one step, then publish every topic whose turn it is."""
        body, driver = self._body, self._driver
        if self._ticks % _COMMAND_EVERY_TICKS == 0:
            self._take_commands()
        body.step(self._step_s, *driver.wanted(body.pose, time_s=body.time_s))
        body.pose = within_walls(body.pose)
        sec, nanosec = divmod(self._clock.stamp_ns(), NS_PER_S)
        for every_ticks, fill, publisher in self._due:
            if self._ticks % every_ticks == 0:
                message = fill()
                message.header.stamp.sec, message.header.stamp.nanosec = sec, nanosec
                publisher.publish(message)
        if self._teller is not None and self._ticks % _TELL_EVERY_TICKS == 0:
            self._teller.tell(body.pose)
        self._ticks += 1

    def close(self) -> None:
        """Take the node off the graph."""
        close_node(self.node)
        if self._teller is not None:
            self._teller.close()

    def wear_out(self) -> None:
        """Let the left wheel's motor wear out."""
        self._body.wear_out()

    def _take_commands(self) -> None:
        with self._commands.handle:
            while (taken := self._commands.handle.take_message(self._twist, False)) is not None:  # noqa: FBT003  # not raw
                twist = taken[0].twist if self._stamped else taken[0]
                self._driver.command(twist.linear.x, twist.angular.z, time_s=self._body.time_s)


def run(robot: Robot, *, rate_hz: float, clock: Clock, stopped: Callable[[], bool]) -> None:
    """Tick at `rate_hz` until stopped; the schedule is absolute, so it does not drift.

    A process that was frozen for longer than half a second goes on from now: it does not catch up in a burst.
    """
    period_ns = NS_PER_S / rate_hz
    start_ns, ticks = clock.now_ns(), 0
    while not stopped():
        robot.tick()
        ticks += 1
        wait_ns = start_ns + ticks * period_ns - clock.now_ns()
        if wait_ns > 0:
            time.sleep(wait_ns / NS_PER_S)
        elif wait_ns < -_BEHIND_MAX_S * NS_PER_S:
            start_ns, ticks = clock.now_ns(), 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m edgetwin.sim.robot", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the noise (default 0)")
    parser.add_argument("--rate-scale", type=_positive, default=1.0, help="multiplies every rate (default 1)")
    choices = [output.name for output in OUTPUTS]
    parser.add_argument("--without", action="append", default=[], choices=choices, help="leave a topic out; repeatable")
    parser.add_argument("--twist-stamped", action="store_true", help="obey TwistStamped instead of Twist")
    parser.add_argument("--tell", type=int, metavar="PORT", help="tell the true pose to this UDP port of loopback")
    return parser.parse_args()


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        msg = f"{text} is not a positive number"
        raise argparse.ArgumentTypeError(msg)
    return value


def main() -> int:
    """Run the robot until a signal ends it; return the exit code."""
    arguments = _arguments()
    stopping: list[int] = []
    for signum in _STOP_SIGNALS:
        signal.signal(signum, lambda received, _frame: stopping.append(received))
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # too early is no reason to end
    clock = SystemClock()
    rate_hz = BASE_HZ * arguments.rate_scale
    try:
        robot = Robot(
            seed=arguments.seed, rate_hz=rate_hz, without=arguments.without, clock=clock,
            stamped=arguments.twist_stamped, tell_port=arguments.tell,
        )  # fmt: skip
    except EdgeTwinError as error:
        print(error, file=sys.stderr)
        return 1
    signal.signal(signal.SIGUSR1, lambda _signum, _frame: robot.wear_out())
    try:
        run(robot, rate_hz=rate_hz, clock=clock, stopped=lambda: bool(stopping))
    finally:
        robot.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
