"""Twin wing: one robot, as far as its messages tell.

In: status, announcement, records, events, pings     Out: states, ages, figures
Pure: the time comes with each call. A new boot replaces the old one: told by the status topic, or by a live record of a
boot that was never heard of. What comes of an earlier boot is history. Only arrival and numbers decide what is newer;
the robot's clock decides how old it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgetwin.announcement import Announcement
from edgetwin.clock import NS_PER_US
from edgetwin.records import EventKind, LinkState
from edgetwin.twin.age import Age, channel_limits, status_limits, worse
from edgetwin.twin.channel import ChannelTwin, Fate, State, measured_us
from edgetwin.twin.position import Point
from edgetwin.twin.robot_time import RobotTime
from edgetwin.twin.seen import Moment, Seen, Way

_RETIRED_MAX = 64
_CHANNELS_MAX = 256
_FOREIGN_CLOCK_US = 1_000_000
_HEARTBEAT_MAX_S = 3600.0
_AHEAD_MAX_NS = 1_000_000_000


@dataclass(slots=True)
class Word:
    """What the robot last said of itself: on the status topic, and of its clock."""

    state: str = ""
    heartbeat_s: float | None = None
    figures: Mapping[str, Any] | None = None
    clock_synced: bool | None = None


class RobotTwin:
    """One robot.

    Attributes:
        robot_id: Which.
        boot: Of the run that counts as the present; empty before anything came.
        word: What it last said of itself.
        time: Its wall clock.
        channels: Its channels, by name.
        rebased: Records whose stamp is not of the robot's clock, or whose robot is not of our time.
        crowded_out: Records of channels beyond the first 256.
    """

    def __init__(self, robot_id: str) -> None:
        self.robot_id = robot_id
        self.boot = ""
        self.word = Word()
        self.time = RobotTime()
        self.channels: dict[str, ChannelTwin] = {}
        self.rebased = 0
        self.crowded_out = 0
        self.left_ns: int | None = None
        self._spoke_ns: int | None = None
        self._retired: deque[str] = deque(maxlen=_RETIRED_MAX)

    def status(self, said: Mapping[str, Any], moment: Moment, *, retained: bool) -> None:
        """Take a status message, decoded; that of an earlier boot changes nothing.

        Args:
            said: Its keys.
            moment: When it came.
            retained: The broker had kept it: it says nothing about when.

        Raises:
            ValueError: It is none.
        """
        boot, state, stamp_us = said.get("boot"), said.get("state"), said.get("stamp_us")
        if not (isinstance(boot, str) and boot and isinstance(state, str) and isinstance(stamp_us, int)):
            msg = "not a status message"
            raise ValueError(msg)
        if boot in self._retired:
            if retained or state != LinkState.ONLINE or self.word.state:
                return
            self._retired.remove(boot)  # it lives, and the run that replaced it has never said so: a stray record
        self._run(boot)
        heartbeat_s: Any = said.get("heartbeat_s")
        self.word.state = state
        self.word.figures = said
        clock = said.get("clock")
        if isinstance(clock, Mapping) and isinstance(clock.get("synchronised"), bool):
            self.word.clock_synced = clock["synchronised"]
        usable = isinstance(heartbeat_s, int | float) and 0 < heartbeat_s <= _HEARTBEAT_MAX_S
        self.word.heartbeat_s = float(heartbeat_s) if usable else None
        if state == LinkState.ONLINE:
            self.left_ns = None
            measured_ns, known = self._local(stamp_us, moment)
            if known or not retained:
                self._spoke(measured_ns)
        elif self.left_ns is None:
            self.left_ns = moment.now_ns

    def announce(self, announcement: Announcement) -> None:
        """Take the channels of a boot; those of an earlier one change nothing."""
        if announcement.boot in self._retired:
            return
        self._run(announcement.boot)
        for name, announced in announcement.channels.items():
            channel = self._channel(name)
            if channel is not None:
                channel.announced = announced

    def take(self, channel: str, seen: Seen, moment: Moment, point: Point | None = None) -> Fate | None:
        """Take one telemetry record; None where there are too many channels already."""
        twin = self._channel(channel)
        if twin is None:
            self.crowded_out += 1
            return None
        unheard_of = seen.boot != self.boot and seen.boot not in self._retired
        if not self.boot or (seen.way is Way.LIVE and unheard_of):
            self._run(seen.boot)
        at_us, by_stamp = measured_us(seen)
        measured_ns, known = self._local(at_us, moment)
        ours_us = moment.wall_us - (moment.now_ns - measured_ns) // NS_PER_US
        if seen.way is Way.LIVE and seen.boot == self.boot:
            self._spoke(measured_ns)
        state = State(seen, measured_ns, moment.now_ns, known)
        fate = twin.take(state, current=seen.boot == self.boot, point=point)
        if fate is not Fate.REPEATED:
            self.rebased += not by_stamp or (known and abs(at_us - ours_us) > _FOREIGN_CLOCK_US)
        return fate

    def event(self, kind: str, seen: Seen, moment: Moment, *, late: bool) -> None:
        """Take an event: gaps explain numbers, clock events tell of steps and of the kernel's word."""
        data = seen.data if isinstance(seen.data, Mapping) else {}
        if kind == EventKind.GAP:
            self._gap(data)
        elif kind == EventKind.CLOCK and seen.boot == self.boot and not late:
            self._clock(data, moment)

    def age(self, moment: Moment, *, linked: bool) -> Age:
        """Return how far this robot can be taken for present.

        Args:
            moment: Now.
            linked: We are connected to the broker; if not, nothing can be said for it.
        """
        if not linked or self.word.state in {LinkState.OFFLINE, LinkState.STOPPING}:
            return Age.OFFLINE
        age_ns = None if self._spoke_ns is None else max(0, moment.now_ns - self._spoke_ns)
        return status_limits(self.word.heartbeat_s).word(age_ns)

    def channel_age(self, name: str, moment: Moment, *, linked: bool) -> tuple[Age, float | None]:
        """Return the class of a channel's state, and its age [s]; None before the first record."""
        channel = self.channels[name]
        robot = self.age(moment, linked=linked)
        if channel.state is None:
            return worse(Age.STALE, robot), None
        age_ns = max(0, moment.now_ns - channel.state.measured_ns)
        limits = channel_limits(channel.announced)
        own = Age.LIVE if limits is None else limits.word(age_ns)
        if channel.state.seen.boot != self.boot:
            own = worse(own, Age.STALE)
        return worse(own, robot), age_ns / 1e9

    def _run(self, boot: str) -> None:
        """Take `boot` for the present one."""
        if boot == self.boot:
            return
        if self.boot:
            self._retired.append(self.boot)
            self.time.forget()
            self._spoke_ns = None
            self.word = Word()
        self.boot = boot
        self.left_ns = None

    def _spoke(self, measured_ns: int) -> None:
        if self._spoke_ns is None or measured_ns > self._spoke_ns:
            self._spoke_ns = measured_ns

    def _local(self, robot_us: int, moment: Moment) -> tuple[int, bool]:
        """Return when the robot's clock said so, on our monotonic clock [ns], and whether its clock is known."""
        local_ns = self.time.local_ns(robot_us, moment.now_ns)
        if local_ns is None:
            return moment.now_ns - max(0, moment.wall_us - robot_us) * NS_PER_US, False
        if local_ns > moment.now_ns + _AHEAD_MAX_NS:  # of no clock that we know: it cannot be older than its arrival
            return moment.now_ns, False
        return min(local_ns, moment.now_ns), True

    def _channel(self, name: str) -> ChannelTwin | None:
        channel = self.channels.get(name)
        if channel is None and len(self.channels) < _CHANNELS_MAX:
            channel = self.channels[name] = ChannelTwin()
        return channel

    def _gap(self, data: Mapping[str, Any]) -> None:
        channel = self.channels.get(str(data.get("channel")))
        first, last = data.get("from_seq"), data.get("to_seq")
        if channel is not None and isinstance(first, int) and first >= 0 and (last is None or isinstance(last, int)):
            channel.explain(str(data.get("boot")), first, last)

    def _clock(self, data: Mapping[str, Any], moment: Moment) -> None:
        step_us, after_us = data.get("step_us"), data.get("after_us")
        if isinstance(step_us, int) and isinstance(after_us, int):
            self.time.told_step(step_us, after_us, moment.now_ns)
        synced = data.get("synchronised")
        if isinstance(synced, bool):
            self.word.clock_synced = synced
