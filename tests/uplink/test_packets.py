"""Our PUBLISH against paho's own, byte by byte; our reader against every way to cut a stream."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties, VariableByteIntegers

from edgetwin.uplink import packets

_Properties = Sequence[tuple[str, str]]
# A PUBLISH body of these sizes sits on either side of each step of the remaining length.
_EDGES = (0, 1, 126, 127, 128, 129, 16_382, 16_383, 16_384, 16_385, 2_097_150, 2_097_151, 2_097_152)
_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


class _Recorder(Client):
    """paho as it is, up to the socket: what it would send is kept."""

    sent = b""

    def _packet_queue(self, *packet: Any, **_more: Any) -> Any:
        self.sent = bytes(packet[1])
        return 0


def _paho_properties(content_type: str, user: _Properties) -> Any:
    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if content_type:
        properties.ContentType = content_type
    for pair in user:
        properties.UserProperty = pair
    return properties


def _paho_publish(
    topic: str, payload: bytes, packet_id: int, *, qos: int, retain: bool, content_type: str, user: _Properties
) -> bytes:
    client = _Recorder(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client._sock = object()  # type: ignore[assignment]  # it only asks whether there is one
    client._send_publish(
        packet_id, topic.encode(), payload, qos, retain, properties=_paho_properties(content_type, user)
    )
    client._sock = None
    return client.sent


def _ours(
    topic: str, payload: bytes, packet_id: int, *, qos: int, retain: bool, content_type: str, user: _Properties
) -> bytes:
    return packets.publish(
        packets.utf8_string(topic),
        payload,
        packet_id,
        qos=qos,
        retain=retain,
        properties=packets.publish_properties(content_type, user),
    )


def _puback(packet_id: int, rest: bytes = b"") -> bytes:
    return bytes((0x40, 2 + len(rest))) + packet_id.to_bytes(2, "big") + rest


@given(
    topic=_text.filter(bool),
    payload=st.binary(max_size=400),
    packet_id=st.integers(1, 65_535),
    qos=st.sampled_from([0, 1]),
    retain=st.booleans(),
    content_type=_text,
    user=st.lists(st.tuples(_text, _text), max_size=8),
)
def test_a_publish_is_paho_s_to_the_byte(**parts: Any) -> None:
    """Any topic, payload and properties."""
    assert _ours(**parts) == _paho_publish(**parts)


@pytest.mark.parametrize("size", _EDGES)
@pytest.mark.parametrize("qos", [0, 1])
def test_a_publish_of_every_length_step_is_paho_s(size: int, qos: int) -> None:
    """Where the remaining length grows by a byte."""
    for payload_bytes in range(max(0, size - 40), size + 1, 1 if size < 20_000 else 20):
        parts: dict[str, Any] = {
            "topic": "robot/r/telemetry/odom",
            "payload": bytes(payload_bytes),
            "packet_id": 258,
            "qos": qos,
            "retain": False,
            "content_type": "application/json",
            "user": (),
        }
        assert _ours(**parts) == _paho_publish(**parts)


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 50, 700])
def test_property_blocks_of_every_length_step_are_paho_s(count: int) -> None:
    """Their length is a variable integer as well."""
    user = [(f"name{index}", "x" * 10) for index in range(count)]

    assert packets.publish_properties("application/cdr", user) == _paho_properties("application/cdr", user).pack()


def test_a_publish_without_properties_still_has_their_length() -> None:
    """One zero byte; the smallest PUBLISH there is."""
    assert packets.publish_properties() == b"\0"
    assert _ours("a", b"", 1, qos=0, retain=False, content_type="", user=()) == b"\x30\x04\x00\x01a\x00"


@given(st.integers(0, 268_435_455))
def test_variable_integers_are_paho_s_and_come_back(value: int) -> None:
    """The whole range of MQTT."""
    encoded = packets.variable_integer(value)

    assert encoded == VariableByteIntegers.encode(value)  # type: ignore[no-untyped-call]
    assert packets._remaining_length(encoded, 0) == (len(encoded), value)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (16_383, "ff7f"),
        (16_384, "808001"),
        (2_097_151, "ffff7f"),
        (2_097_152, "80808001"),
        (268_435_455, "ffffff7f"),
    ],
)
def test_variable_integers_are_those_of_the_standard(value: int, encoded: str) -> None:
    """Table 1-1 of MQTT 5.0."""
    assert packets.variable_integer(value).hex() == encoded


def test_a_length_beyond_the_range_is_refused() -> None:
    """A packet that no broker can read must not leave."""
    with pytest.raises(ValueError, match="268"):
        packets.variable_integer(268_435_456)


def test_a_string_of_65535_bytes_fits_and_one_more_does_not() -> None:
    """Bytes, not characters."""
    assert packets.utf8_string("ä" * 32_767)[:2] == struct.pack(">H", 65_534)
    with pytest.raises(ValueError, match=r"65,535"):
        packets.utf8_string("ä" * 32_768)


def test_packet_ids_go_round_without_zero() -> None:
    """1 to 65,535, each once, then again."""
    ids, packet_id = [], 0
    for _ in range(65_536):
        packet_id = packets.next_packet_id(packet_id)
        ids.append(packet_id)

    assert sorted(ids[:-1]) == list(range(1, 65_536))
    assert ids[-1] == 1


_others = st.tuples(st.sampled_from([0x20, 0x30, 0x41, 0x90, 0xD0, 0xE0, 0xF0]), st.binary(max_size=300)).map(
    lambda packet: bytes((packet[0],)) + packets.variable_integer(len(packet[1])) + packet[1]
)
_acks = st.tuples(
    st.integers(0, 65_535), st.sampled_from([b"", b"\x00", b"\x10", b"\x87\x00", b"\x97\x03\x1f\x00\x00"])
)


@given(st.lists(_others | _acks, max_size=12), st.data())
def test_a_stream_cut_anywhere_is_the_same_stream(sent: list[bytes | tuple[int, bytes]], data: st.DataObject) -> None:
    """Any packets in any pieces: all PUBACKs, all other bytes, in order, none held back longer than needed."""
    stream = b"".join(one if isinstance(one, bytes) else _puback(*one) for one in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    deframer, acks, others = packets.Deframer(), [], b""

    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        more, rest = deframer.feed(stream[start:end])
        acks += more
        others += rest

    assert acks == [(one[0], one[1][0] if one[1] else 0) for one in sent if isinstance(one, tuple)]
    assert others == b"".join(one for one in sent if isinstance(one, bytes))


def test_every_split_point_of_a_stream_gives_the_same_packets() -> None:
    """All of them, one by one, and byte by byte."""
    stream = (
        b"\x20\x03\x00\x00\x00" + _puback(1) + b"\xd0\x00" + _puback(513, b"\x87\x00") + b"\x30\x81\x01" + bytes(129)
    )
    whole = packets.Deframer().feed(stream)

    for split in range(len(stream) + 1):
        deframer = packets.Deframer()
        first, second = deframer.feed(stream[:split]), deframer.feed(stream[split:])
        assert (first[0] + second[0], first[1] + second[1]) == whole
    deframer = packets.Deframer()
    pieces = [deframer.feed(bytes((byte,))) for byte in stream]
    assert [ack for acks, _ in pieces for ack in acks] == whole[0] == [(1, 0), (513, 0x87)]
    assert b"".join(others for _, others in pieces) == whole[1]


def test_a_packet_is_handed_on_as_soon_as_it_is_whole() -> None:
    """Not with the first byte of the next one."""
    deframer = packets.Deframer()

    assert deframer.feed(_puback(7)[:-1]) == ([], b"")
    assert deframer.feed(_puback(7)[-1:] + b"\x40") == ([(7, 0)], b"")


def test_the_longest_length_is_read_and_waited_for() -> None:
    """Four bytes; a fifth is not MQTT, and is not waited for."""
    assert packets.Deframer().feed(b"\x30\xff\xff\xff\x7f" + bytes(100)) == ([], b"")
    with pytest.raises(ValueError, match="four bytes"):
        packets.Deframer().feed(b"\x30\xff\xff\xff\xff")


@pytest.mark.parametrize("packet", [b"\x40\x00", b"\x40\x01\x05"])
def test_a_puback_without_an_id_is_not_mqtt(packet: bytes) -> None:
    """The connection must end: nothing after it can be trusted."""
    with pytest.raises(ValueError, match="packet id"):
        packets.Deframer().feed(packet)


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_any_bytes_are_packets_or_a_value_error(pieces: list[bytes]) -> None:
    """A peer that speaks something else never raises anything else."""
    deframer = packets.Deframer()
    try:
        for piece in pieces:
            deframer.feed(piece)
    except ValueError as error:
        assert "MQTT" in str(error) or "PUBACK" in str(error)  # noqa: PT017
