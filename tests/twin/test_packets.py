"""PUBLISH packets as bytes: whatever pieces they come in, and whatever else they carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.twin.packets import Deframer, Publish
from edgetwin.uplink import packets

PINGRESP, CONNACK = b"\xd0\x00", b"\x20\x03\x00\x00\x00"
# payload format, message expiry, topic alias, content type, response topic, correlation data, subscription identifier
OTHER_PROPERTIES = bytes.fromhex("0101 0200000005 230007 03000161 08000162 09000200ff 0b8001")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MESSAGES = st.builds(
    Publish, TEXT.filter(bool), st.binary(max_size=300), st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    st.booleans(),
)  # fmt: skip


def packet(message: Publish, packet_id: int, qos: int = 1) -> bytes:
    """The bytes of a message, as the robot's own uplink writes them."""
    topic, properties = packets.utf8_string(message.topic), packets.publish_properties("application/json", message.user)
    return packets.publish(topic, message.payload, packet_id, qos=qos, retain=message.retain, properties=properties)


@given(st.lists(st.tuples(MESSAGES, st.sampled_from([0, 1])), max_size=6), st.lists(st.integers(1, 40), max_size=40))
def test_messages_come_out_whole_however_their_bytes_come_in(sent: list[tuple[Publish, int]], cuts: list[int]) -> None:
    """Any pieces: each message once, in order, QoS 1 acknowledged by its number; what is none of ours is untouched."""
    stream = CONNACK + b"".join(
        packet(message, number + 1, qos) + PINGRESP for number, (message, qos) in enumerate(sent)
    )
    deframer, got, acks, others = Deframer(), list[Publish](), b"", b""
    for size in [*cuts, len(stream)]:
        piece, stream = stream[:size], stream[size:]
        more, acked, rest = deframer.feed(piece)
        got, acks, others = got + more, acks + acked, others + rest

    assert got == [message for message, _ in sent]
    assert acks == b"".join(
        b"\x40\x02" + (number + 1).to_bytes(2, "big") for number, (_, qos) in enumerate(sent) if qos
    )
    assert others == CONNACK + PINGRESP * len(sent)


def test_properties_that_nobody_asks_for_are_stepped_over() -> None:
    """All that a PUBLISH may have, before and after the one that counts."""
    user = b"\x26\x00\x03seq\x00\x0242"
    block = OTHER_PROPERTIES + user + OTHER_PROPERTIES
    body = b"\x00\x01t\x00\x09" + packets.variable_integer(len(block)) + block + b"payload"
    messages, acks, _ = Deframer().feed(b"\x32" + packets.variable_integer(len(body)) + body)

    assert messages == [Publish("t", b"payload", (("seq", "42"),), retain=False)]
    assert acks == b"\x40\x02\x00\x09"


def test_a_message_of_qos_2_is_left_to_paho() -> None:
    """It has a conversation of its own."""
    raw = bytes((0x34,)) + packet(Publish("t", b"x", (), retain=False), 7)[1:]

    assert Deframer().feed(raw) == ([], b"", raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x32\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x32\x05\x00\x00\x00\x01\x00",  # no topic
        b"\x32\x03\x00\x09t",  # a topic longer than its packet
        b"\x32\x08\x00\x01t\x00\x01\x02\x77\x00",  # a property that no PUBLISH has
        b"\x32\x09\x00\x01t\x00\x01\x03\x26\x00\x09",  # a property longer than its block
        b"\x32\x06\x00\x01t\x00\x01\x09",  # a block longer than its packet
        b"\x32\x06\x00\x01\xff\x00\x01\x00",  # a topic that is no text
        b"\x32\x00",  # nothing
    ],
)
def test_what_is_not_mqtt_ends_the_connection(raw: bytes) -> None:
    """One kind of error, whatever is wrong; nothing is made of it."""
    with pytest.raises(ValueError, match=r"."):
        Deframer().feed(raw)


@given(st.binary(max_size=60))
def test_no_bytes_do_worse_than_that(raw: bytes) -> None:
    """Anything after the first byte of a PUBLISH: messages, patience, or the same error."""
    try:
        Deframer().feed(b"\x32" + raw)
    except ValueError:
        return
