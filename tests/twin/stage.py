"""A robot on a timeline: its records, and the moments at which they come here. No clock runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgetwin.announcement import Announced, Announcement
from edgetwin.records import ChannelClass
from edgetwin.twin.channel import Fate
from edgetwin.twin.seen import Moment, Seen, Way
from edgetwin.twin.state import RobotTwin

S = 1_000_000_000
MS = 1_000_000
WALL_US = 1_795_000_000_000_000  # our wall clock at our monotonic 0
ODOM = Announced("/odom", "nav_msgs/msg/Odometry", ChannelClass.CRITICAL, 50.0, 1.0)
BUMP = Announced("/bump", "std_msgs/msg/Bool", ChannelClass.EVENT, 50.0, 1.0)


def moment(now_ns: int) -> Moment:
    """Now, here."""
    return Moment(now_ns, WALL_US + now_ns // 1000)


@dataclass
class Stage:
    """One robot, its clock `ahead_us` of ours."""

    ahead_us: int = 0
    boot: str = "b1"
    twin: RobotTwin = field(default_factory=lambda: RobotTwin("r1"))

    def wall_us(self, at_ns: int) -> int:
        """What the robot's wall clock says at our monotonic `at_ns`."""
        return WALL_US + at_ns // 1000 + self.ahead_us

    def announce(self, **channels: Announced) -> None:
        """Say which channels there are."""
        self.twin.announce(Announcement("r1", self.boot, channels or {"odom": ODOM}))

    def status(self, at_ns: int, *, state: str = "online", after_ns: int = 0, retained: bool = False) -> None:
        """Say something on the status topic at `at_ns`; it comes `after_ns` later."""
        said = {"boot": self.boot, "state": state, "stamp_us": self.wall_us(at_ns), "heartbeat_s": 5.0}
        self.twin.status(said, moment(at_ns + after_ns), retained=retained)

    def ping(self, at_ns: int, *, there_ns: int = MS, back_ns: int = MS) -> bool:
        """Ask for the time at `at_ns`."""
        return self.twin.time.ping(at_ns, at_ns + there_ns + back_ns, self.wall_us(at_ns + there_ns))

    def record(
        self, seq: int, at_ns: int, *, after_ns: int = MS, way: Way = Way.LIVE, boot: str = "",
        x_m: float | None = None, channel: str = "odom",
    ) -> Fate | None:  # fmt: skip
        """A record measured at `at_ns` comes `after_ns` later."""
        stamp_us = self.wall_us(at_ns)
        seen = Seen(boot or self.boot, seq, stamp_us, stamp_us, way, {"x": x_m}, 100)
        point = None if x_m is None else (x_m, 0.0, 0.0)
        return self.twin.take(channel, seen, moment(at_ns + after_ns), point)

    @property
    def shown(self) -> tuple[str, int] | None:
        """What the twin shows."""
        state = self.twin.channels["odom"].state
        return None if state is None else (state.seen.boot, state.seen.seq)
