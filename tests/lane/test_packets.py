"""The lane's own MQTT packets: what paho writes is read, what we write paho's rules accept, and no bytes break it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from edgetwin.lane import packets
from edgetwin.lane.packets import Properties, Subscription
from edgetwin.lane.stream import Packet, Stream, read_publish

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


def paho_properties(kind: int, values: dict[str, Any]) -> bytes:
    """Return a property block as paho packs it."""
    made = PahoProperties(kind)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(made, name, value)
    return bytes(made.pack())  # type: ignore[no-untyped-call]


@given(
    expiry=st.none() | st.integers(0, 2**32 - 1),
    topic=TEXT,
    correlation=st.binary(max_size=20),
    user=st.lists(st.tuples(TEXT, TEXT), max_size=3),
    payload=st.binary(max_size=50),
)
def test_properties_are_read_as_paho_writes_them(
    expiry: int | None, topic: str, correlation: bytes, user: list[tuple[str, str]], payload: bytes
) -> None:
    """In any combination; the payload begins where they end."""
    values: dict[str, Any] = {"ResponseTopic": topic, "CorrelationData": correlation, "PayloadFormatIndicator": 1}
    values |= {"ContentType": "x", **({} if expiry is None else {"MessageExpiryInterval": expiry})}
    if user:
        values["UserProperty"] = user
    rest = paho_properties(PacketTypes.PUBLISH, values) + payload
    found, start = packets.read_properties(rest)

    assert found == Properties(expiry, topic, correlation, tuple(user))
    assert rest[start:] == payload


@given(st.binary(max_size=200))
def test_no_bytes_break_a_reader(garbage: bytes) -> None:
    """Each reader gives a value, or a ValueError; nothing else."""
    readers = (
        lambda: packets.read_properties(garbage),
        lambda: packets.read_connack(garbage),
        lambda: packets.read_suback(garbage),
        lambda: packets.read_ack(garbage),
        lambda: read_publish(Packet(packets.PUBLISH, 0x02, garbage)),
        lambda: Stream(lambda _topic: None, 100).feed(garbage),
    )
    for read in readers:
        try:
            read()
        except ValueError:
            continue


@given(st.lists(st.tuples(TEXT, st.binary(max_size=300), st.integers(1, 65_535)), max_size=6), st.data())
def test_any_cut_of_the_bytes_gives_the_same_packets(
    messages: list[tuple[str, bytes, int]], data: st.DataObject
) -> None:
    """As TCP may cut them; a body beyond the limit is cut, and says by how much."""
    keep = 100
    sent = b"".join(packets.publish(topic, payload, number) for topic, payload, number in messages)
    topics: list[bytes] = []
    stream = Stream(topics.append, keep)
    found: list[Packet] = []
    while sent:
        size = data.draw(st.integers(1, len(sent)))
        found += stream.feed(sent[:size])
        sent = sent[size:]

    assert topics == [topic.encode() for topic, _, _ in messages]
    assert len(found) == len(messages)
    for packet, (topic, payload, number) in zip(found, messages, strict=True):
        whole = len(topic.encode()) + 2 + 2 + 1 + len(payload)
        assert len(packet.body) + packet.cut == whole
        assert len(packet.body) <= keep
        if len(topic.encode()) < keep - 5:
            arrival = read_publish(packet)
            assert (arrival.topic, arrival.packet_id, arrival.retain) == (topic, number, False)
            assert payload.startswith(arrival.payload)


def test_a_topic_is_told_before_the_payload_has_come() -> None:
    """The payload may never come: a stop has stopped by then; and it is told once."""
    packet = packets.publish("robot/r/commands/stop", b"x" * 5000, 7)
    topics: list[bytes] = []
    stream = Stream(topics.append, 100)

    assert stream.feed(packet[:20]) == []
    assert topics == []
    assert stream.feed(packet[20:30]) == []
    assert topics == [b"robot/r/commands/stop"]
    assert [found.cut for found in stream.feed(packet[30:])] == [5000 - (100 - 26)]
    assert len(topics) == 1


def test_a_huge_payload_is_not_kept() -> None:
    """Ten megabytes in pieces: what is kept stays small."""
    packet = packets.publish("t", b"x" * 10_000_000, 1)
    stream = Stream(lambda _topic: None, 1000)
    most = 0
    for start in range(0, len(packet), 16_384):
        stream.feed(packet[start : start + 16_384])
        most = max(most, len(stream._buffer))

    assert most <= 16_384 + 1000


@pytest.mark.parametrize("broken", [b"\x30\xff\xff\xff\xff", b"\x30\x03\x00\x09a"])
def test_what_is_no_mqtt_is_refused(broken: bytes) -> None:
    """A length of five bytes; a topic longer than its packet."""
    with pytest.raises(ValueError, match=r"not MQTT|longer than its packet"):
        Stream(lambda _topic: None, 100).feed(broken + b"aaaaaaaaaaa")


def test_connect_asks_for_a_session_that_ends_with_the_connection() -> None:
    """Clean start, session expiry 0, the limits of the lane, credentials where there are some."""
    packet = packets.connect("r-stop", 5, "me", "secret", receive_max=20, packet_max=8192)
    body = packet[2:]
    properties: Any = PahoProperties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    _, length = properties.unpack(body[10:])

    assert body[:7] == b"\x00\x04MQTT\x05"
    assert body[7] == 0x02 | 0x80 | 0x40
    assert body[8:10] == b"\x00\x05"
    assert (properties.SessionExpiryInterval, properties.ReceiveMaximum, properties.MaximumPacketSize) == (0, 20, 8192)
    assert body[10 + length :] == b"\x00\x06r-stop\x00\x02me\x00\x06secret"


def test_subscriptions_take_the_retain_flag_as_published() -> None:
    """Motion never gets what the broker has kept (handling 2); a stop does (0); both QoS 1, No Local."""
    packet = packets.subscribe(1, [Subscription("m", retained=False), Subscription("s", retained=True)])

    assert packet[0] == 0x82
    assert packet[5:] == b"\x00\x01m" + bytes([2 << 4 | 0x0D]) + b"\x00\x01s" + bytes([0x0D])


def test_connack_says_how_much_the_broker_takes() -> None:
    """As paho packs it."""
    block = paho_properties(
        PacketTypes.CONNACK, {"ReceiveMaximum": 10, "ServerKeepAlive": 3, "AssignedClientIdentifier": "x"}
    )
    welcome = packets.read_connack(b"\x00\x00" + block)
    refused = packets.read_connack(b"\x00\x87")

    assert (welcome.receive_max, welcome.keepalive_s, welcome.reason_code) == (10, 3, 0)
    assert (refused.reason_code, refused.receive_max) == (0x87, 65_535)
