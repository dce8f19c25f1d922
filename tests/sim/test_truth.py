"""The true pose on its way to the demo, and the twin beside it."""

from __future__ import annotations

import asyncio
import socket

import orjson
import pytest

from edgetwin.clock import SystemClock
from edgetwin.records import ChannelClass, Encoding
from edgetwin.sim import truth
from edgetwin.sim.physics import Pose
from edgetwin.sim.ports import HOST
from edgetwin.sim.side_by_side import CHANNEL, SideBySide
from edgetwin.sim.stage import ROBOT_ID
from edgetwin.twin.age import Age
from edgetwin.wire import Numbering, Topics

_CLOCK = SystemClock()
_TOPICS = Topics(ROBOT_ID)


def _odom(*xs: float) -> list[bytes]:
    """Return records of the odometry, measured now."""
    lane = _TOPICS.channel_lane(CHANNEL, ChannelClass.CRITICAL, Encoding.JSON, 1)
    numbering, now_us = Numbering(ROBOT_ID, "boot", lane), _CLOCK.stamp_ns() // 1000
    poses = [{"pose": {"pose": {"position": {"x": x, "y": 2.0, "z": 0.0}}}} for x in xs]
    return [numbering.number(orjson.dumps(pose), stamp_us=now_us, recv_us=now_us, now_ns=0).body for pose in poses]


def test_a_pose_arrives_and_what_is_none_does_not() -> None:
    """Real sockets; nonsense before and after changes nothing."""

    async def main() -> Pose | None:
        transport, heard = await truth.listen()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"nonsense", (HOST, heard.port))
            teller = truth.Teller(heard.port)
            teller.tell(Pose(1.0, -2.0, 0.5))
            async with asyncio.timeout(10):
                while heard.pose is None:  # noqa: ASYNC110  # a datagram has no event
                    await asyncio.sleep(0.01)
            heard.datagram_received(b"", None)
            heard.datagram_received(bytes(24)[:-8] + b"\x7f\xf8" + bytes(6), None)
        teller.close()
        transport.close()
        return heard.pose

    assert asyncio.run(main()) == Pose(1.0, -2.0, 0.5)


def test_nobody_listening_does_not_disturb_the_robot() -> None:
    """The kernel's refusals are not the robot's matter."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind((HOST, 0))
        port = unused.getsockname()[1]
    teller = truth.Teller(port)
    for _ in range(5):
        teller.tell(Pose(0.0, 0.0, 0.0))
    teller.close()

    assert teller._socket.fileno() == -1


def test_the_twin_is_where_the_newest_record_says() -> None:
    """By number, not by arrival; the distance is that to the truth; commands are not its matter."""
    sides = SideBySide(_CLOCK)
    first, second = _odom(1.0, 4.0)
    sides.take(f"{_TOPICS.root}/commands/move", b"{}", ())
    sides.take(_TOPICS.telemetry(CHANNEL), second, ())
    sides.take(_TOPICS.telemetry(CHANNEL), first, ())
    pair = sides.pair(Pose(1.0, -2.0, 0.0))

    assert pair is not None
    assert (pair.robot, pair.twin) == ((1.0, -2.0), (4.0, 2.0))
    assert pair.error_m == pytest.approx(5.0)
    assert 0.0 <= pair.lag_s < 5.0


def test_a_robot_that_is_cut_off_makes_an_offline_twin() -> None:
    """The will of the link is enough; what it shows stays."""
    sides = SideBySide(_CLOCK)
    sides.take(_TOPICS.telemetry(CHANNEL), _odom(1.0)[0], ())
    will = {"v": 1, "robot_id": ROBOT_ID, "boot": "boot", "state": "offline", "stamp_us": 0}
    sides.take(_TOPICS.status, orjson.dumps(will), ())
    pair = sides.pair(Pose(1.0, 2.0, 0.0))

    assert pair is not None
    assert (pair.age, pair.twin, pair.error_m) == (Age.OFFLINE, (1.0, 2.0), 0.0)


@pytest.mark.parametrize("payload", [b'{"pose":{}}', b'{"pose":{"pose":{"position":{"x":"a","y":0,"z":0}}}}', b"[]"])
def test_a_record_without_a_place_makes_no_pair(payload: bytes) -> None:
    """Neither an exception nor a guess; nor without a truth, nor before a record."""
    sides = SideBySide(_CLOCK)
    before = sides.pair(Pose(0.0, 0.0, 0.0))
    lane = _TOPICS.channel_lane(CHANNEL, ChannelClass.CRITICAL, Encoding.JSON, 1)
    body = Numbering(ROBOT_ID, "boot", lane).number(payload, stamp_us=1, recv_us=1, now_ns=0).body
    sides.take(_TOPICS.telemetry(CHANNEL), body, ())

    assert before is None
    assert sides.pair(Pose(0.0, 0.0, 0.0)) is None
    assert sides.pair(None) is None
