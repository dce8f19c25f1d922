"""Twin wing: the socket under paho, read and written once per wake-up, however many packets that is.

In: the kernel's bytes, paho's rare packets     Out: messages to us, the rest to paho; PUBACKs, together at the flush
paho asks the kernel for the first byte, the length and the rest of each packet one by one, and sends each PUBACK by
itself. Here it is one read and one write a turn. It speaks just the part of a socket that paho and aiomqtt use; what it
does not define goes to the real one.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any

from edgetwin.twin.packets import Deframer, Publish

_RECV_BYTES = 65_536  # a turn's worth: a hundred records or so, then others may have the loop
_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class GatheredSocket:
    """A connected, non-blocking stream socket (plain or TLS) with a buffer on each side."""

    def __init__(self, sock: socket.socket | ssl.SSLSocket) -> None:
        self._sock = sock
        self._deframer = Deframer()
        self._for_paho = b""
        self._error: OSError | None = None
        self._ended = False
        self._unsent = bytearray()

    def receive(self) -> tuple[list[Publish], bytes]:
        """Read what the kernel has, up to a turn's worth; return the messages in it, and their PUBACKs.

        Other packets, an end or an error wait for paho's next recv().

        Raises:
            ValueError: The peer does not speak MQTT.
        """
        pieces: list[bytes] = []
        size = 0
        try:
            while size < _RECV_BYTES or self._tls_pending():
                piece = self._sock.recv(_RECV_BYTES)
                pieces.append(piece)
                size += len(piece)
                self._ended = not piece
                if len(piece) < _RECV_BYTES and not self._tls_pending():
                    break
        except _WOULD_BLOCK:
            pass
        except OSError as error:
            self._error, self._ended = error, True
        messages, acks, others = self._deframer.feed(b"".join(pieces))
        self._for_paho += others
        return messages, acks

    @property
    def readable(self) -> bool:
        """Whether recv() has something to say: bytes, or that there will be no more."""
        return self._ended or bool(self._for_paho)

    def recv(self, size: int) -> bytes:
        """Return up to `size` bytes of packets that are paho's; b"" once the peer has closed.

        Raises:
            BlockingIOError: Nothing for paho now.
            OSError: The connection is gone.
        """
        if not self._for_paho and self._error is not None:
            raise self._error
        if not self._for_paho and not self._ended:
            raise BlockingIOError
        taken, self._for_paho = self._for_paho[:size], self._for_paho[size:]
        return taken

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

    def close(self) -> None:
        """Flush what the kernel takes without waiting (paho's DISCONNECT, above all), then close."""
        try:
            self.flush()
        except OSError:
            self._unsent.clear()
        self._sock.close()

    def _tls_pending(self) -> bool:
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def __getattr__(self, name: str) -> Any:  # the rest of the socket's interface, unchanged
        return getattr(self._sock, name)
