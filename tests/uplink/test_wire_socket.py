"""The socket under paho, over a real pair of sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from edgetwin.uplink.wire_socket import WireSocket

_CONNACK = b"\x20\x03\x00\x00\x00"
_PINGRESP = b"\xd0\x00"
_Pair = tuple[WireSocket, socket.socket]


@pytest.fixture(name="pair")
def _pair() -> Iterator[_Pair]:
    """Our end and the broker's."""
    ours, broker = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003
    wire = WireSocket(ours)
    with broker:
        yield wire, broker
        wire.close()


def _puback(packet_id: int) -> bytes:
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def test_pubacks_are_ours_and_the_rest_is_paho_s(pair: _Pair) -> None:
    """In order, however they were mixed."""
    wire, broker = pair
    broker.sendall(_CONNACK + _puback(1) + _PINGRESP + _puback(2))

    assert wire.receive() == [(1, 0), (2, 0)]
    assert wire.pending() == 7
    assert wire.recv(3) + wire.recv(100) == _CONNACK + _PINGRESP


def test_nothing_for_paho_would_block(pair: _Pair) -> None:
    """As a non-blocking socket says it."""
    wire, broker = pair
    broker.sendall(_puback(1))

    assert wire.receive() == [(1, 0)]
    with pytest.raises(BlockingIOError):
        wire.recv(1)


def test_receive_with_nothing_there_returns(pair: _Pair) -> None:
    """Woken for nothing."""
    assert pair[0].receive() == []


def test_a_packet_in_two_pieces_waits_for_the_second(pair: _Pair) -> None:
    """Neither paho nor we see half a packet."""
    wire, broker = pair
    broker.sendall(_CONNACK[:2])
    assert (wire.receive(), wire.pending()) == ([], 0)
    broker.sendall(_CONNACK[2:])

    assert (wire.receive(), wire.pending()) == ([], 5)


def test_the_end_comes_after_what_was_said(pair: _Pair) -> None:
    """A DISCONNECT with its reason is read before the end is seen."""
    wire, broker = pair
    broker.sendall(_puback(9) + b"\xe0\x01\x8e")
    broker.shutdown(socket.SHUT_WR)

    acks = wire.receive() + wire.receive()

    assert (acks, wire.ended) == ([(9, 0)], False)
    assert (wire.recv(10), wire.ended) == (b"\xe0\x01\x8e", True)
    assert wire.recv(10) == b""


def test_more_than_one_buffer_is_read_in_one_go(pair: _Pair) -> None:
    """Twenty thousand acknowledgements."""
    wire, broker = pair
    expected = [(packet_id, 0) for packet_id in range(1, 20_001)]
    stream = b"".join(_puback(packet_id) for packet_id, _ in expected)
    acks: list[tuple[int, int]] = []
    broker.setblocking(False)  # noqa: FBT003

    while stream:
        stream = stream[broker.send(stream) :]
        acks += wire.receive()

    assert acks == expected


def test_a_peer_that_does_not_speak_mqtt_is_a_value_error(pair: _Pair) -> None:
    """An HTTP server on the wrong port, say."""
    wire, broker = pair
    broker.sendall(b"\x30\xff\xff\xff\xff\xff")

    with pytest.raises(ValueError, match="not MQTT"):
        wire.receive()


def test_what_is_sent_leaves_at_the_flush(pair: _Pair) -> None:
    """Several packets, one system call."""
    wire, broker = pair
    assert wire.send(b"one") + wire.send(bytearray(b"two")) == 6
    broker.setblocking(False)  # noqa: FBT003
    with pytest.raises(BlockingIOError):
        broker.recv(10)

    assert wire.flush()
    assert broker.recv(10) == b"onetwo"
    assert wire.unsent_bytes == 0


def test_a_full_kernel_keeps_the_rest_in_order(pair: _Pair) -> None:
    """Eight megabytes into a peer that does not read, then it does."""
    wire, broker = pair
    stream = bytes(range(256)) * 32_768
    wire.send(stream)
    assert not wire.flush()
    assert 0 < wire.unsent_bytes < len(stream)

    received = bytearray()
    broker.setblocking(False)  # noqa: FBT003
    while len(received) < len(stream):
        received += broker.recv(1 << 20)
        wire.flush()

    assert received == stream
    assert wire.unsent_bytes == 0


def test_close_sends_what_the_kernel_takes(pair: _Pair) -> None:
    """The DISCONNECT of paho above all."""
    wire, broker = pair
    wire.send(b"\xe0\x00")
    wire.close()

    assert broker.recv(10) == b"\xe0\x00"
    assert broker.recv(10) == b""


def test_close_after_the_peer_is_gone_is_quiet(pair: _Pair) -> None:
    """There is nobody to tell."""
    wire, broker = pair
    broker.close()
    wire.send(b"x")
    wire.close()

    assert wire.fileno() == -1


def test_writing_to_a_peer_that_is_gone_is_an_os_error(pair: _Pair) -> None:
    """The session ends by it."""
    wire, broker = pair
    broker.close()
    wire.send(b"x")

    with pytest.raises(OSError, match=r"pipe|reset"):
        wire.flush()
    with pytest.raises(OSError, match=r"pipe|reset"):
        wire.flush()


def test_what_it_does_not_define_goes_to_the_real_socket(pair: _Pair) -> None:
    """And paho asks for more than we name here."""
    wire, broker = pair

    assert wire.fileno() > 0
    assert wire.getsockname() == broker.getpeername()
