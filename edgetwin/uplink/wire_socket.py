"""Uplink room: the socket under paho, which keeps the hot path for itself.

In: the kernel's bytes, paho's rare packets, our PUBLISHes     Out: PUBACKs to us, the rest to paho.

One recv and one send per wake-up, however many packets they carry. It speaks just the part of the
socket interface that paho and aiomqtt use; what it does not define goes to the real socket.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from edgetwin.uplink.packets import Deframer

_RECV_BYTES = 8_192  # two thousand PUBACKs
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class WireSocket:
    """A connected, non-blocking stream socket (plain or TLS) with a buffer on each side."""

    def __init__(self, sock: socket.socket | ssl.SSLSocket) -> None:
        self._sock = sock
        self._deframer = Deframer()
        self._for_paho = b""
        self._unsent = bytearray()
        self._eof = False

    def receive(self) -> list[tuple[int, int]]:
        """Read what the kernel has; return the PUBACKs in it. The rest waits for paho's recv().

        Raises:
            OSError: The connection is gone.
            ValueError: The peer does not speak MQTT.
        """
        acks: list[tuple[int, int]] = []
        while not self._eof:
            try:
                received = self._sock.recv(_RECV_BYTES)
            except _WOULD_BLOCK:
                break
            self._eof = not received
            more, others = self._deframer.feed(received)
            acks += more
            self._for_paho += others
            if len(received) < _RECV_BYTES and not self._tls_pending():
                break
        return acks

    def _tls_pending(self) -> bool:
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    @property
    def ended(self) -> bool:
        """Whether the peer has closed and all it said was read."""
        return self._eof and not self._for_paho

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes of packets that are paho's; b"" once the peer has closed.

        Raises:
            BlockingIOError: Nothing for paho now.
        """
        if not self._for_paho and not self._eof:
            raise BlockingIOError
        taken, self._for_paho = self._for_paho[:size], self._for_paho[size:]
        return taken

    def pending(self) -> int:
        """Bytes that paho can read now."""
        return len(self._for_paho)

    def send(self, packet: bytes | bytearray) -> int:
        """Take `packet` whole; it leaves at the next flush()."""
        self._unsent += packet
        return len(packet)

    def flush(self) -> bool:
        """Hand what was taken to the kernel; return whether all of it went.

        Raises:
            OSError: The connection is gone.
        """
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent)
            except _WOULD_BLOCK:
                return False
            del self._unsent[:sent]
        return True

    @property
    def unsent_bytes(self) -> int:
        """Bytes taken that the kernel has not."""
        return len(self._unsent)

    def close(self) -> None:
        """Flush what the kernel takes without waiting (paho's DISCONNECT, above all), then close."""
        try:
            self.flush()
        except OSError:
            self._unsent.clear()
        self._sock.close()

    def __getattr__(self, name: str) -> Any:  # the rest of the socket's interface, unchanged
        return getattr(self._sock, name)
