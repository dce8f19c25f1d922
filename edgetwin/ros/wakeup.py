"""ROS room: wakes the asyncio loop when DDS has messages, without a Python thread.

In: subscriptions     Out: `drain()` is called on the loop's thread, soon after messages came.

rcl calls a C function when a message arrives. That function here is libc's own `eventfd_write`,
whose arguments happen to fit, and the loop reads the eventfd: no thread, no GIL hand-over. While
messages are rare each one wakes the loop; when they are frequent they are collected on a tick, since a
wake-up costs more than a message. Where the rcl symbol is missing, or the platform is not LP64 (the
arguments would not fit), one thread waits on a wait set and only wakes the loop.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

BUSY_TICK_S = 0.007  # with the publish and the broker behind it, a sample arrives within 10 ms
_JUDGED = 32  # wake-ups, or ticks, over which the pace is judged
_ENTER_PER_TICK = 1.2  # messages a tick above which collecting is cheaper
_LEAVE_PER_TICK = 0.8
_LP64 = ("x86_64", "aarch64")

Drain = Callable[[], int]
OnTicking = Callable[[bool], None]


class Wakeup(Protocol):
    """Calls the drain it was made with when there is something to take."""

    name: str

    def add(self, subscription: Any) -> None:
        """Watch a subscription."""
        ...

    def remove(self, subscription: Any) -> None:
        """Stop watching it; must be called before it is destroyed."""
        ...

    def close(self) -> None:
        """Stop for good, before the node is destroyed."""
        ...


def open_wakeup(loop: asyncio.AbstractEventLoop, drain: Drain, on_ticking: OnTicking, tick_s: float | None) -> Wakeup:
    """Return the cheapest wake-up that works here.

    Args:
        loop: Whose thread drains.
        drain: Takes all there is; returns how many messages that was.
        on_ticking: Told when ticks begin and end: who wakes at ticks can spare other wake-ups.
        tick_s: How long frequent messages are collected; None: never, each one wakes the loop at once.
    """
    try:
        return EventfdWakeup(loop, drain, on_ticking, tick_s)
    except (OSError, AttributeError):
        return WaitSetWakeup(loop, drain)


class EventfdWakeup:
    """DDS thread -> eventfd -> loop.

    Raises:
        OSError: librcl.so cannot be loaded, or this is not an LP64 platform.
        AttributeError: It lacks the on-new-message hook.
    """

    name = "eventfd"

    def __init__(
        self, loop: asyncio.AbstractEventLoop, drain: Drain, on_ticking: OnTicking, tick_s: float | None
    ) -> None:
        if platform.machine() not in _LP64:
            msg = f"eventfd_write does not fit rcl's callback on {platform.machine()}"
            raise OSError(msg)
        self._set_callback = ctypes.CDLL("librcl.so").rcl_subscription_set_on_new_message_callback
        self._set_callback.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        self._set_callback.restype = ctypes.c_int
        self._eventfd_write = ctypes.cast(ctypes.CDLL(None).eventfd_write, ctypes.c_void_p)
        self._loop = loop
        self._drain = drain
        self._tick_s = 0.0 if tick_s is None else tick_s
        self._may_tick = tick_s is not None
        self._on_ticking = on_ticking
        self._turns = 0  # wake-ups or ticks since judging began
        self._messages = 0
        self._since_s = loop.time()
        self._timer: asyncio.TimerHandle | None = None
        # Non-blocking: a full counter must never hold up a DDS thread.
        self._eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        loop.add_reader(self._eventfd, self._woken)

    def add(self, subscription: Any) -> None:
        """Watch a subscription; what it already holds is drained at once."""
        if self._set_callback(subscription.handle.pointer, self._eventfd_write, self._eventfd) != 0:
            msg = "rcl refused the on-new-message callback"
            raise OSError(msg)
        self._loop.call_soon(self._drain)

    def remove(self, subscription: Any) -> None:
        """Take the callback away: the fd's number may soon belong to a socket."""
        self._set_callback(subscription.handle.pointer, None, None)

    def close(self) -> None:
        """Stop; every subscription must have been removed."""
        self._loop.remove_reader(self._eventfd)
        if self._timer is not None:
            self._timer.cancel()
        os.close(self._eventfd)

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._eventfd)
        self._messages += self._drain()
        self._turns += 1
        if self._turns < _JUDGED or not self._may_tick:
            return
        now_s = self._loop.time()
        ticks = (now_s - self._since_s) / self._tick_s
        if self._messages > _ENTER_PER_TICK * ticks:
            self._loop.remove_reader(self._eventfd)
            self._on_ticking(True)  # noqa: FBT003
            self._timer = self._loop.call_later(self._tick_s, self._tick)
        self._judge_anew(now_s)

    def _tick(self) -> None:
        self._messages += self._drain()
        self._turns += 1
        if self._turns >= _JUDGED:
            rare = self._messages < _LEAVE_PER_TICK * self._turns
            self._judge_anew(self._loop.time())
            if rare:
                self._timer = None
                self._on_ticking(False)  # noqa: FBT003
                # Level-triggered: what came meanwhile wakes at once.
                self._loop.add_reader(self._eventfd, self._woken)
                return
        self._timer = self._loop.call_later(self._tick_s, self._tick)

    def _judge_anew(self, now_s: float) -> None:
        self._turns = self._messages = 0
        self._since_s = now_s


class WaitSetWakeup:
    """One thread waits for DDS, wakes the loop, and waits until the loop has drained. It takes nothing."""

    name = "wait set thread"

    def __init__(self, loop: asyncio.AbstractEventLoop, drain: Drain) -> None:
        from rclpy.impl.implementation_singleton import rclpy_implementation  # noqa: PLC0415  # only where it is needed
        from rclpy.utilities import get_default_context  # noqa: PLC0415

        self._rclpy = rclpy_implementation
        self._context = get_default_context()
        self._loop = loop
        self._drain = drain
        self._lock = threading.Lock()
        self._subscriptions: list[Any] = []
        self._changed = self._rclpy.GuardCondition(self._context.handle)
        self._drained = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._wait, name="edgetwin-waitset", daemon=True)
        self._thread.start()

    def add(self, subscription: Any) -> None:
        """Watch a subscription."""
        with self._lock:
            self._subscriptions.append(subscription)
        self._changed.trigger_guard_condition()

    def remove(self, subscription: Any) -> None:
        """Stop watching it. The wait set holds its own reference until its next turn."""
        with self._lock:
            self._subscriptions.remove(subscription)
        self._changed.trigger_guard_condition()

    def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._drained.set()
        self._changed.trigger_guard_condition()
        self._thread.join(timeout=2.0)
        self._changed.destroy_when_not_in_use()

    def _wait(self) -> None:
        while not self._closing:
            with self._lock:
                handles = [subscription.handle for subscription in self._subscriptions]
            wait_set = self._rclpy.WaitSet(len(handles), 1, 0, 0, 0, 0, self._context.handle)
            wait_set.clear_entities()
            wait_set.add_guard_condition(self._changed)
            for handle in handles:
                wait_set.add_subscription(handle)
            wait_set.wait(1_000_000_000)
            if any(wait_set.is_ready("subscription", index) for index in range(len(handles))) and not self._closing:
                self._drained.clear()
                self._loop.call_soon_threadsafe(self._drain_and_resume)
                self._drained.wait(timeout=1.0)

    def _drain_and_resume(self) -> None:
        self._drain()
        self._drained.set()
