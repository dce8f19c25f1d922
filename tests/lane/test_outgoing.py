"""What the lane publishes: behind the broker's window, bounded, and who was refused."""

from __future__ import annotations

from itertools import count

from edgetwin.lane import packets
from edgetwin.lane.outgoing import Message, Outgoing
from edgetwin.lane.stream import Packet, Stream, read_publish
from edgetwin.wire import CONTENT_ENCODING, IDENTITY

FIRST = Message("proof", b"{}", user=((CONTENT_ENCODING, IDENTITY),))


class Sent:
    """A broker's window, and the packets that came through."""

    def __init__(self, window: int) -> None:
        numbers = count(1)
        self.packets: list[bytes] = []
        self.outgoing = Outgoing(self.packets.append, lambda: next(numbers))
        self.outgoing.window = window

    @property
    def topics(self) -> list[str]:
        """Topics in the order in which they left."""
        found: list[Packet] = Stream(lambda _topic: None, 100_000).feed(b"".join(self.packets))
        return [read_publish(packet).topic for packet in found]

    def publish(self, *topics: str) -> None:
        """Publish something on each."""
        for topic in topics:
            self.outgoing.publish(Message(topic, b"x"))


def test_no_more_leave_than_the_window_holds() -> None:
    """The third one when the first is acknowledged, in order."""
    sent = Sent(2)
    sent.publish("a", "b", "c", "d")
    before = sent.topics
    acknowledged = sent.outgoing.acknowledged(1, 0)

    assert before == ["a", "b"]
    assert acknowledged == "a"
    assert sent.topics == ["a", "b", "c"]


def test_the_oldest_that_waits_is_dropped_for_the_newest() -> None:
    """256 wait; every one above is counted."""
    sent = Sent(1)
    sent.publish(*(str(number) for number in range(300)))
    for packet_id in range(1, 300):
        sent.outgoing.acknowledged(packet_id, 0)

    assert sent.topics == ["0", *(str(number) for number in range(44, 300))]
    assert sent.outgoing.dropped == 43


def test_what_comes_first_waits_for_the_window_alone_and_is_never_dropped() -> None:
    """Though everything else that waited is."""
    sent = Sent(1)
    sent.publish("a", "b")
    sent.outgoing.publish_first(FIRST)
    sent.publish(*(str(number) for number in range(300)))
    before = sent.topics
    sent.outgoing.acknowledged(1, 0)

    assert before == ["a"]
    assert sent.topics == ["a", "proof"]
    assert sent.outgoing.acknowledged(2, 0) == "proof"
    assert sent.topics[2] == "44"


def test_it_carries_its_properties() -> None:
    """As everybody reads them."""
    sent = Sent(1)
    sent.outgoing.publish_first(FIRST)
    (packet,) = Stream(lambda _topic: None, 1000).feed(sent.packets[0])
    arrival = read_publish(packet)

    assert arrival.properties.user == ((CONTENT_ENCODING, IDENTITY),)
    assert arrival.payload == b"{}"
    assert arrival.packet_id == 1


def test_a_refused_one_is_dropped_and_named() -> None:
    """From 0x80 on; what lies below is another way to say that it was taken."""
    sent = Sent(9)
    sent.publish("taken", "nobody listens", "refused")
    found = [sent.outgoing.acknowledged(packet_id, code) for packet_id, code in ((1, 0), (2, 0x10), (3, 0x87))]

    assert found == ["taken", "nobody listens", "refused"]
    assert sent.outgoing.dropped == 1


def test_an_acknowledgement_of_nothing_is_nothing() -> None:
    """Of a number that never left, and of one a second time: nobody can be refused, or proved, so."""
    sent = Sent(9)
    sent.publish("a")
    sent.outgoing.acknowledged(1, 0)

    assert sent.outgoing.acknowledged(1, 0x87) is None
    assert sent.outgoing.acknowledged(77, packets.REFUSED) is None
    assert sent.outgoing.dropped == 0


def test_at_the_end_what_is_not_acknowledged_is_dropped() -> None:
    """On its way, waiting, and whatever comes after."""
    sent = Sent(1)
    sent.publish("a", "b", "c")
    sent.outgoing.end()
    sent.publish("d")
    sent.outgoing.publish_first(FIRST)

    assert sent.outgoing.dropped == 4
    assert sent.topics == ["a"]
