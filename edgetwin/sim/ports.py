"""Sim wing: a loopback port that stays ours while nobody listens on it; a ROS domain without anybody in it.

In: nothing     Out: a port number on 127.0.0.1; a domain id.

Closing a listener to make "connection refused" gives its port back to the kernel, which may lend it
to the next outgoing connection: another program, or the very client that knocks (TCP then connects
to itself). A socket that is bound and never listens keeps both away; a server with SO_REUSEADDR
still gets the port.
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
_DOMAINS = 100  # ROS domain ids 1..100: the ports of higher ones collide with the kernel's own
_DDS_PORTS = 7400  # the ports of domain d begin at 7400 + 250 d, those of its participants 10 further (DDSI-RTPS 9.6.1)
_DDS_PORTS_EACH = 250
_DDS_UNICAST = range(10, 20, 2)


class HeldPort:
    """A free TCP port of the loopback interface, reserved until close()."""

    def __init__(self) -> None:
        self._socket = _bound_socket(0)
        self.number: int = self._socket.getsockname()[1]

    def listener(self) -> socket.socket:
        """Return a new listening socket on the port; connections are refused again once it is closed."""
        listening = _bound_socket(self.number)
        listening.listen()
        return listening

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def free_domain(begin: int) -> int:
    """Return the first ROS domain id in 1..100, counted from any number, in which nobody of this machine is.

    A robot that hears somebody else's commands would be judged by them. Where all are taken, it is the first one.
    """
    ids = [1 + (begin + step) % _DOMAINS for step in range(_DOMAINS)]
    return next((one for one in ids if _is_empty(one)), ids[0])


def _is_empty(domain: int) -> bool:
    first = _DDS_PORTS + _DDS_PORTS_EACH * domain
    for port in (first + offset for offset in _DDS_UNICAST):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True


def _bound_socket(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    return bound


def answers(port: int, timeout_s: float = 0.5) -> bool:
    """Return whether somebody accepts TCP connections on the loopback port."""
    try:
        socket.create_connection((HOST, port), timeout_s).close()
    except OSError:
        return False
    return True
