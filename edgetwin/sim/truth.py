"""Sim wing: where the simulated robot truly is, past everything that is judged.

In: poses at the robot     Out: the newest of them at the demo: UDP on loopback, one datagram each
No twin reads this. A datagram may be lost; the next one comes soon.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from contextlib import suppress

from edgetwin.sim.physics import Pose
from edgetwin.sim.ports import HOST

_POSE = struct.Struct("!3d")


class Teller:
    """The robot's end: tells, and never waits."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(0.0)
        self._socket.connect((HOST, port))

    def tell(self, pose: Pose) -> None:
        """Send a pose; nobody listening is no error."""
        with suppress(OSError):
            self._socket.send(_POSE.pack(pose.x_m, pose.y_m, pose.yaw_rad))

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()


class Truth(asyncio.DatagramProtocol):
    """The demo's end.

    Attributes:
        pose: The newest; None before the first.
        port: Where to tell it.
    """

    def __init__(self) -> None:
        self.pose: Pose | None = None
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn the port."""
        self.port = int(transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, _addr: object) -> None:
        """Take a pose; what is none is not."""
        if len(data) == _POSE.size and all(map(math.isfinite, numbers := _POSE.unpack(data))):
            self.pose = Pose(*numbers)


async def listen() -> tuple[asyncio.DatagramTransport, Truth]:
    """Return a listener on a free port; close the transport after use."""
    return await asyncio.get_running_loop().create_datagram_endpoint(Truth, local_addr=(HOST, 0))
