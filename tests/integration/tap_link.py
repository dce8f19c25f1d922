"""Network namespaces, and wires between them that a test can make bad: delay, loss, rate, cut; and that tell what came.

One namespace is the cloud; each robot has its own, and its own wire. Needs root. The kernel here may have no netem, so
frames pass through this process: two TAP devices a wire, one heap.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

_TUNSETIFF = 0x400454CA
_IFF_TAP_NO_PI = 0x1002
_CLONE_NEWNET = 0x40000000
_FRAME_MAX = 65_536
_QUEUE_BYTES_MAX = 64_000  # of a slow line; what is beyond is dropped, as a modem would
_TO_CLOUD = 0


@dataclass(frozen=True)
class Weather:
    """What a wire does to each frame, each way."""

    delay_ms: float = 0.0
    loss: float = 0.0
    bits_per_s: float = 0.0
    cut: bool = False


@dataclass
class Wire:
    """One wire.

    Attributes:
        number: From 0; its addresses are 10.77.<number>.1, the robot, and .2, the cloud.
        robot: Name of the robot's namespace.
        weather: What it does now.
        delivered: Each frame that reached the cloud, with when [ns, UTC].
        exposed: Frames that it was given, each way, while there was loss; `lost`: those that it took.
    """

    number: int
    robot: str
    weather: Weather = Weather()
    delivered: list[tuple[int, bytes]] = field(default_factory=list)
    exposed: int = 0
    lost: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.number)
        self._free_at = [0.0, 0.0]

    @property
    def cloud_address(self) -> str:
        """Where the robot finds the cloud."""
        return f"10.77.{self.number}.2"

    def due(self, way: int, frame: bytes) -> float | None:
        """When a frame is there; None: never."""
        weather, now = self.weather, time.monotonic()
        if weather.cut:
            return None
        self.exposed += weather.loss > 0
        if self._random.random() < weather.loss:
            self.lost += 1
            return None
        if weather.bits_per_s:
            start = max(now, self._free_at[way])
            if (start - now) * weather.bits_per_s / 8 > _QUEUE_BYTES_MAX:
                return None
            now = self._free_at[way] = start + len(frame) * 8 / weather.bits_per_s
        return now + weather.delay_ms / 1000


class TapLinks:
    """All wires of a test; `cloud` is the name of the namespace where they end."""

    def __init__(self, count: int) -> None:
        self.cloud = f"etc{os.getpid()}"
        self.wires = [Wire(number, f"etr{os.getpid()}_{number}") for number in range(count)]
        self._stopping = threading.Event()
        self._taps: dict[int, tuple[Wire, int, int]] = {}  # descriptor -> its wire, way from there, the other end

    def __enter__(self) -> Self:
        try:
            _namespace(self.cloud)
            for wire in self.wires:
                _namespace(wire.robot)
                subnet = f"10.77.{wire.number}"
                ends = _end(wire.robot, "tap0", f"{subnet}.1"), _end(self.cloud, f"tap{wire.number}", f"{subnet}.2")
                self._taps |= {ends[way]: (wire, way, ends[1 - way]) for way in (0, 1)}
        except BaseException:
            self._remove()
            raise
        self._carrier = threading.Thread(target=self._carry)
        self._carrier.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._carrier.join()
        self._remove()

    def _remove(self) -> None:
        for tap in self._taps:
            os.close(tap)
        for name in (self.cloud, *(wire.robot for wire in self.wires)):
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)

    def _carry(self) -> None:
        waiting: list[tuple[float, int, Wire, int, int, bytes]] = []
        taps, number = list(self._taps), 0
        while not self._stopping.is_set():
            wait_s = min(0.05, max(0.0, waiting[0][0] - time.monotonic())) if waiting else 0.05
            readable, _, _ = select.select(taps, [], [], wait_s)
            for tap in readable:
                frame = os.read(tap, _FRAME_MAX)
                wire, way, to = self._taps[tap]
                due = wire.due(way, frame)
                if due is not None:
                    number += 1
                    heapq.heappush(waiting, (due, number, wire, way, to, frame))
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, _, wire, way, to, frame = heapq.heappop(waiting)
                if not wire.weather.cut:
                    _deliver(wire, way, to, frame)


def _deliver(wire: Wire, way: int, to: int, frame: bytes) -> None:
    at_ns = time.time_ns()
    with contextlib.suppress(OSError):
        os.write(to, frame)
        if way == _TO_CLOUD:
            wire.delivered.append((at_ns, frame))


def _namespace(name: str) -> None:
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)


def _end(name: str, device: str, address: str) -> int:
    """Return a TAP in a namespace, up and with its address."""
    tap = _in_namespace(name, device)
    orders: Sequence[Sequence[str]] = (
        ["addr", "add", f"{address}/24", "dev", device], ["link", "set", device, "up"],
    )  # fmt: skip
    for words in orders:
        subprocess.run(["ip", "-n", name, *words], check=True)
    return tap


def _in_namespace(name: str, device: str) -> int:
    """Return a TAP of a namespace; a thread goes there, for a namespace belongs to a thread."""
    found: list[int] = []

    def go() -> None:
        with open(f"/run/netns/{name}", "rb") as there:  # noqa: PTH123
            assert ctypes.CDLL(None).setns(there.fileno(), _CLONE_NEWNET) == 0
        tap = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH14x", device.encode(), _IFF_TAP_NO_PI))
        found.append(tap)

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    return found[0]
