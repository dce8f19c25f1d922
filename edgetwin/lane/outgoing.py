"""Command lane: what we publish on one connection, with QoS 1, behind the broker's window.

In: topics and payloads; the broker's acknowledgements     Out: PUBLISH packets; which topics the broker refused
Bounded: the oldest that waits is dropped for the newest. Nothing is sent twice: whoever misses an answer asks anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edgetwin.lane import packets

WINDOW_MAX = 64
_WAITING_MAX = 256


@dataclass(frozen=True, slots=True)
class Message:
    """One message of ours."""

    topic: str
    payload: bytes
    content_type: str = ""
    correlation: bytes = b""
    user: tuple[tuple[str, str], ...] = ()


class Outgoing:
    """The sending half of one connection.

    Attributes:
        window: Publishes that may be on their way at once.
        dropped: Those that nobody took: refused by the broker, too many at once, or the connection ended first.
    """

    def __init__(self, send: Callable[[bytes], None], next_id: Callable[[], int]) -> None:
        """Begin with nothing.

        Args:
            send: Takes a packet, and does not wait.
            next_id: Returns a packet id that is free.
        """
        self._send = send
        self._next_id = next_id
        self._in_flight: dict[int, str] = {}  # topics
        self._first: Message | None = None
        self._waiting: deque[Message] = deque()
        self._ended = False
        self.window = WINDOW_MAX
        self.dropped = 0

    def publish_first(self, message: Message) -> None:
        """Send a message before all that wait; there is one such at a time, and it is never dropped for another."""
        self._first = message
        self._release()

    def publish(self, message: Message) -> None:
        """Send a message, now or when there is room for it."""
        if self._ended:
            self.dropped += 1
            return
        if len(self._waiting) >= _WAITING_MAX:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(message)
        self._release()

    def acknowledged(self, packet_id: int, code: int) -> str | None:
        """Take a PUBACK; return the topic it is about, or None where we have sent no such packet."""
        topic = self._in_flight.pop(packet_id, None)
        if topic is not None and code >= packets.REFUSED:
            self.dropped += 1
        self._release()
        return topic

    def end(self) -> None:
        """Nothing leaves any more."""
        self._ended = True
        self.dropped += len(self._waiting) + len(self._in_flight)
        self._waiting.clear()
        self._in_flight.clear()

    def _release(self) -> None:
        while (self._first or self._waiting) and len(self._in_flight) < self.window and not self._ended:
            message, self._first = self._first or self._waiting.popleft(), None
            packet_id = self._next_id()
            self._in_flight[packet_id] = message.topic
            self._send(
                packets.publish(
                    message.topic,
                    message.payload,
                    packet_id,
                    content_type=message.content_type,
                    correlation=message.correlation,
                    user=message.user,
                )
            )
