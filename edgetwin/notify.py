"""Roof: what the daemon tells systemd: ready, reloading, stopping, alive, and how it goes, in one line.

In: calls     Out: datagrams to $NOTIFY_SOCKET; nothing where there is none.

The protocol is a public one of a few lines (sd_notify(3) prints it and invites to copy it), so that this works
without systemd's library. Nothing here waits: a datagram that systemd does not take at once is dropped, and the
next one says the same.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from edgetwin.clock import NS_PER_US, Clock

_SOCKET = "NOTIFY_SOCKET"
_WATCHDOG = "WATCHDOG_USEC"
_WATCHDOG_PROCESS = "WATCHDOG_PID"
_US_PER_S = 1_000_000


class Systemd:
    """The way to the systemd that started us, if one did."""

    def __init__(self, environ: Mapping[str, str], clock: Clock) -> None:
        self._clock = clock
        self._said = ""
        self._ready = False
        self._socket: socket.socket | None = None
        address = environ.get(_SOCKET, "")
        if address.startswith(("/", "@")):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)  # noqa: FBT003
            self._address = address.replace("@", "\0", 1) if address.startswith("@") else address

    def ready(self) -> None:
        """Everything that can be set up is: who waits for us may go on."""
        self._ready = True
        self._send("READY=1")

    def say(self, line: str) -> None:
        """Show this line in `systemctl status`; told only when it changes."""
        if line != self._said:
            self._said = line
            self._send(f"STATUS={' '.join(line.split())}")

    def reload_begins(self) -> None:
        """Settings are being read again."""
        if self._ready:
            self._send(f"RELOADING=1\nMONOTONIC_USEC={self._clock.now_ns() // NS_PER_US}")

    def reload_ends(self) -> None:
        """They are read. Before the first `ready` nothing is said: a reload does not make us ready."""
        if self._ready:
            self._send("READY=1")

    def stopping(self) -> None:
        """The end begins."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def close(self) -> None:
        """Say nothing any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.sendto(message.encode(), self._address)


def watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Return how long systemd waits for a sign of life [s], or None where it does not wait for ours."""
    period_us = environ.get(_WATCHDOG, "")
    process = environ.get(_WATCHDOG_PROCESS, "")
    if not period_us.isdecimal() or int(period_us) == 0 or (process and process != str(os.getpid())):
        return None
    return int(period_us) / _US_PER_S
