"""Roof, doctor: the robot as ROS shows it: are the topics there, who drives, and does the base stop by itself.

In: a case     Out: findings. It looks and asks parameters; it publishes nothing, moves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from edgetwin import status
from edgetwin.doctor.findings import Case, Finding, Level, fail, ok, warn
from edgetwin.errors import RosUnavailableError
from edgetwin.ros.survey import Around, Endpoint, Seen, look

_LOOK_S = 4.0  # soon after somebody left without a goodbye, DDS takes up to three seconds
_BASE_TIMEOUT_MAX_S = 0.5  # the base is the second line behind the gate's deadman
_TIMEOUTS = ("cmd_vel_timeout", "reference_timeout")
_SPEEDS = ("linear.x.max_velocity", "angular.z.max_velocity")
_GATE_SUFFIX = "_gate"


def ros(case: Case) -> Sequence[Finding]:
    """Look around the graph."""
    settings = case.settings
    motion = settings.ros.cmd_vel_topic
    topics = [motion, *(channel.topic for channel in settings.channels.values())]

    expected = _expected(case)

    def enough(around: Mapping[str, Around]) -> bool:
        listened = bool(around[motion].subscribers) or not settings.gate.remote_motion
        return listened and all(around[topic].publishers for topic in expected)

    name = f"{settings.ros.node_name}_doctor"
    try:
        seen = look(name, topics, enough, _LOOK_S, (motion, (*_TIMEOUTS, *_SPEEDS)), case.clock)
    except RosUnavailableError as error:
        what, _, cure = str(error).partition("; ")
        return [fail("ros", what, cure)]
    return [_graph(case, seen), *_channels(case, seen), *_motion(case, seen), *_base(case, seen)]


def _expected(case: Case) -> list[str]:
    """Return the topics worth waiting for: all, but what a daemon that runs has not found either."""
    channels = case.settings.channels
    try:
        figures = status.read(status.find(case.environ))
        if status.silence_s(figures, case.clock.stamp_ns()) > status.SILENT_S:
            return [channel.topic for channel in channels.values()]
        found = {name for name, seen in figures["channels"].items() if seen["publishers"]}
    except (OSError, ValueError):
        return [channel.topic for channel in channels.values()]
    return [channel.topic for name, channel in channels.items() if name in found]


def _graph(case: Case, seen: Seen) -> Finding:
    ours = {f"/{case.settings.ros.node_name}", f"/{case.settings.ros.node_name}{_GATE_SUFFIX}"}
    others = [node for node in seen.nodes if node not in ours]
    domain = case.environ.get("ROS_DOMAIN_ID") or "0"
    if others:
        return ok("ros", f"{len(others)} nodes in domain {domain}: {', '.join(others[:5])}")
    cure = "start the robot's nodes; or correct ROS_DOMAIN_ID, ROS_AUTOMATIC_DISCOVERY_RANGE, RMW_IMPLEMENTATION"
    return warn("ros", f"no other node is seen in domain {domain}", cure)


def _channels(case: Case, seen: Seen) -> Iterator[Finding]:
    for name, channel in case.settings.channels.items():
        publishers = seen.topics[channel.topic].publishers
        of_our_type = [one for one in publishers if one.type_name == channel.type]
        part = f"channel {name}"
        if of_our_type:
            yield ok(part, f"{channel.topic}, {channel.type}, from {_names(of_our_type)}, {_qos(of_our_type)}")
        elif publishers:
            types = ", ".join(sorted({one.type_name for one in publishers}))
            cure = f"correct [channels.{name}] type"
            yield fail(part, f"{channel.topic} is published as {types}, not as {channel.type}", cure)
        else:
            yield warn(part, f"nobody publishes {channel.topic}", f"start its node, or correct [channels.{name}] topic")


def _motion(case: Case, seen: Seen) -> Iterator[Finding]:
    """Look at the wiring of the motion topic: somebody listens, to our type, and nobody else talks."""
    settings = case.settings
    topic, around = settings.ros.cmd_vel_topic, seen.topics[settings.ros.cmd_vel_topic]
    judge = fail if settings.gate.remote_motion else warn
    found: list[Finding] = []
    listeners = [one for one in around.subscribers if one.type_name == settings.ros.cmd_vel_type]
    others = [one for one in around.subscribers if one.type_name != settings.ros.cmd_vel_type]
    if others and not listeners:
        what = (
            f"{_names(others)} listens to {topic} for {others[0].type_name}, and we publish {settings.ros.cmd_vel_type}"
        )
        found.append(judge("cmd_vel", what, f'set [ros] cmd_vel_type = "{others[0].type_name}"'))
    elif not listeners and settings.gate.remote_motion:
        cure = "start the base, or correct [ros] cmd_vel_topic"
        found.append(judge("cmd_vel", f"nobody listens to {topic}: every move is refused", cure))
    allowed = {settings.ros.node_name, f"{settings.ros.node_name}{_GATE_SUFFIX}", *settings.gate.allowed_publishers}
    foreign = [one for one in around.publishers if one.node not in allowed]
    if foreign:
        cure = "send them through a multiplexer with an input of our own, or name them in [gate] allowed_publishers"
        found.append(judge("cmd_vel", f"{_names(foreign)} publishes on {topic} too: moves are refused meanwhile", cure))
    if found:
        yield from found
    elif listeners:
        yield ok(
            "cmd_vel", f"{_names(listeners)} listens to {topic} for {settings.ros.cmd_vel_type}, nobody else talks"
        )
    else:
        yield ok("cmd_vel", f"nobody listens to {topic}, and remote motion is off")


def _base(case: Case, seen: Seen) -> Iterator[Finding]:
    """Look at what the nodes that listen are set to: does the base stop when commands end, is its speed bounded."""
    judge = fail if case.settings.gate.remote_motion else warn
    for node, values in seen.settings.items():
        yield from base(node, values, Level.FAIL if judge is fail else Level.WARN)


def base(node: str, values: Mapping[str, float] | None, worst: Level) -> Iterator[Finding]:
    """Judge one listener of the motion topic by its parameters; None: it does not tell them.

    Source: diff_drive_controller: cmd_vel_timeout 0.0 disables the timeout, a limit of NaN is none.
    """
    timeouts = {name: values[name] for name in _TIMEOUTS if name in values} if values else {}
    part = f"base {node}"
    if not timeouts:
        what = "it does not say whether it stops by itself when commands end"
        cure = "try it: publish a slow twist, kill the publisher, and see the wheels stop within 0.5 s"
        yield warn(part, what, cure)
    for name, seconds in timeouts.items():
        if not seconds > 0.0:
            what = f"{name} is {seconds:g}: without commands it goes on for ever"
            yield Finding(worst, part, what, f"set {name} to {_BASE_TIMEOUT_MAX_S:g} s or less")
        elif seconds > _BASE_TIMEOUT_MAX_S:
            what = f"{name} is {seconds:g} s: so long it goes on without commands"
            yield warn(part, what, f"set {name} to {_BASE_TIMEOUT_MAX_S:g} s or less")
    unbounded = [name for name in _SPEEDS if values and name in values and not math.isfinite(values[name])]
    if unbounded:
        what = f"{' and '.join(unbounded)} is NaN: the base takes any speed"
        yield warn(part, what, "set them: a limit of its own holds when edgetwin's does not")
    if timeouts and not unbounded and all(0.0 < seconds <= _BASE_TIMEOUT_MAX_S for seconds in timeouts.values()):
        yield ok(part, ", ".join(f"{name} is {seconds:g} s" for name, seconds in timeouts.items()))


def _names(endpoints: Sequence[Endpoint]) -> str:
    return ", ".join(sorted({one.full_name for one in endpoints}))


def _qos(endpoints: Sequence[Endpoint]) -> str:
    reliable = "reliable" if all(one.offer.reliable for one in endpoints) else "best effort"
    return f"{reliable}, latched" if all(one.offer.transient_local for one in endpoints) else reliable
