"""Two network namespaces and a wire between them that a test can make bad: delay, loss, rate, cut.

Needs root. The kernel here may have no netem, so frames pass through this process: two TAP devices, one heap.
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
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_TUNSETIFF = 0x400454CA
_IFF_TAP_NO_PI = 0x1002
_CLONE_NEWNET = 0x40000000
_FRAME_MAX = 65_536
_QUEUE_BYTES_MAX = 64_000  # of a slow line; what is beyond is dropped, as a modem would


@dataclass
class Weather:
    """What the wire does to each frame, each way."""

    delay_ms: float = 0.0
    loss: float = 0.0
    bits_per_s: float = 0.0
    cut: bool = False


class TapLink:
    """`robot` and `cloud`: names of namespaces, at 10.77.0.1 and 10.77.0.2."""

    ROBOT_ADDRESS, CLOUD_ADDRESS = "10.77.0.1", "10.77.0.2"

    def __init__(self) -> None:
        self.weather = Weather()
        self.robot, self.cloud = f"etr{os.getpid()}", f"etc{os.getpid()}"
        self._stopping = threading.Event()
        self._random = random.Random(7)

    def __enter__(self) -> Self:
        try:
            ends = ((self.robot, self.ROBOT_ADDRESS), (self.cloud, self.CLOUD_ADDRESS))
            self._taps = [self._end(name, address) for name, address in ends]
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
        for tap in self._taps:
            os.close(tap)
        self._remove()

    def _remove(self) -> None:
        for name in (self.robot, self.cloud):
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)

    def _end(self, name: str, address: str) -> int:
        subprocess.run(["ip", "netns", "add", name], check=True)
        tap = _in_namespace(name)
        for words in (
            ["link", "set", "lo", "up"],
            ["addr", "add", f"{address}/24", "dev", "tap0"],
            ["link", "set", "tap0", "up"],
        ):
            subprocess.run(["ip", "-n", name, *words], check=True)
        return tap

    def _carry(self) -> None:
        waiting: list[tuple[float, int, int, bytes]] = []
        free_at, number = [0.0, 0.0], 0
        while not self._stopping.is_set():
            wait_s = min(0.05, max(0.0, waiting[0][0] - time.monotonic())) if waiting else 0.05
            readable, _, _ = select.select(self._taps, [], [], wait_s)
            for tap in readable:
                frame = os.read(tap, _FRAME_MAX)
                way = self._taps.index(tap)
                due = self._due(way, frame, free_at)
                if due is not None:
                    number += 1
                    heapq.heappush(waiting, (due, number, 1 - way, frame))
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, _, to, frame = heapq.heappop(waiting)
                if not self.weather.cut:
                    with contextlib.suppress(OSError):
                        os.write(self._taps[to], frame)

    def _due(self, way: int, frame: bytes, free_at: list[float]) -> float | None:
        """When a frame is there; None: never."""
        weather, now = self.weather, time.monotonic()
        if weather.cut or self._random.random() < weather.loss:
            return None
        if weather.bits_per_s:
            start = max(now, free_at[way])
            if (start - now) * weather.bits_per_s / 8 > _QUEUE_BYTES_MAX:
                return None
            now = free_at[way] = start + len(frame) * 8 / weather.bits_per_s
        return now + weather.delay_ms / 1000


def _in_namespace(name: str) -> int:
    """Return a TAP of a namespace; a thread goes there, for a namespace belongs to a thread."""
    found: list[int] = []

    def go() -> None:
        with open(f"/run/netns/{name}", "rb") as there:  # noqa: PTH123
            assert ctypes.CDLL(None).setns(there.fileno(), _CLONE_NEWNET) == 0
        tap = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH14x", b"tap0", _IFF_TAP_NO_PI))
        found.append(tap)

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    return found[0]
