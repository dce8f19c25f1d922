"""ROS room: one eventfd that rings when DDS has something for the command lane: a message, or a service request.

In: subscriptions and services     Out: `ring()` on the loop's thread
As in `wakeup` libc's own `eventfd_write` is rcl's callback; no ticks here: what rings is rare or urgent. Where that
cannot be, nothing ever rings, and the lane looks at every tick instead.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_LP64 = ("x86_64", "aarch64")


class Bell:
    """Wakes one loop.

    Attributes:
        rings: Whether it can; else the lane has to look.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        """Begin to listen; call on the loop's thread.

        Args:
            loop: To wake.
            ring: Takes all there is.
        """
        self._loop = loop
        self._ring = ring
        self._registered: list[tuple[Any, Any]] = []
        self._eventfd = -1
        self.rings = False
        try:
            rcl = ctypes.CDLL("librcl.so")
            self._on_message = rcl.rcl_subscription_set_on_new_message_callback
            self._on_request = rcl.rcl_service_set_on_new_request_callback
        except (OSError, AttributeError):
            return
        if platform.machine() not in _LP64:  # eventfd_write's arguments would not fit
            return
        for hook in (self._on_message, self._on_request):
            hook.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
            hook.restype = ctypes.c_int
        self._write = ctypes.cast(ctypes.CDLL(None).eventfd_write, ctypes.c_void_p)
        self._eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        loop.add_reader(self._eventfd, self._woken)
        self.rings = True

    def add(self, subscription: Any) -> None:
        """Ring for the messages of a subscription."""
        self._register(subscription, "_on_message")

    def add_service(self, service: Any) -> None:
        """Ring for the requests to a service."""
        self._register(service, "_on_request")

    def remove(self, entity: Any) -> None:
        """Take the callback away, before the entity is destroyed: the fd's number may soon belong to a socket."""
        for known, hook in self._registered:
            if known is entity:
                hook(entity.handle.pointer, None, None)
        self._registered = [pair for pair in self._registered if pair[0] is not entity]

    def close(self) -> None:
        """Stop for good."""
        for entity, _ in list(self._registered):
            self.remove(entity)
        if self.rings:
            self.rings = False
            self._loop.remove_reader(self._eventfd)
            os.close(self._eventfd)

    def _register(self, entity: Any, hook_name: str) -> None:
        if not self.rings:
            return
        hook = getattr(self, hook_name)
        if hook(entity.handle.pointer, self._write, self._eventfd) == 0:
            self._registered.append((entity, hook))
        else:
            self.close()  # rather look at every tick than miss one
        self._loop.call_soon(self._ring)

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._eventfd)
        self._ring()


class Unheard:
    """For subscriptions that are only ever looked at."""

    name = "looked at"

    def add(self, subscription: Any) -> None:
        """Nothing rings."""

    def remove(self, subscription: Any) -> None:
        """Nothing rang."""

    def close(self) -> None:
        """Nothing to stop."""
