"""Bench: the far end, a process of its own. `python -m bench.tap PORT FILTER QOS FILE` keeps until SIGTERM.

In: PUBLISH packets     Out: each with its time of arrival, into FILE at the end; a line per new topic at once,
and one whenever a second passes in silence, and when the silence ends.

It decodes nothing and touches no disk while it listens: what it costs, every peer's latency would show.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from pathlib import Path

from bench.ending import Ended, end_on_sigterm
from edgetwin.sim.ports import HOST
from edgetwin.uplink.packets import utf8_string, variable_integer

READY = "subscribed"
SILENT, HEARD = "silence", "heard"
HEAD = struct.Struct("<qI")  # arrival [ns, UTC], length of what follows: flags byte and body of the PUBLISH
_SUBACK, _PUBLISH = 0x90, 0x30
_QOS_BITS = 0x06
_RECV_BYTES = 1 << 18
_SILENCE = struct.pack("ll", 1, 0)  # s, us


def main(port: int, topic_filter: str, qos: int, out: Path) -> None:
    """Subscribe, and keep what comes."""
    end_on_sigterm()
    kept: list[tuple[int, bytes]] = []
    try:
        with socket.create_connection((HOST, port)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connect = b"\x00\x04MQTT\x05\x02\x00\x00\x00" + utf8_string(f"tap-{time.time_ns()}")
            subscribe = b"\x00\x01\x00" + utf8_string(topic_filter) + bytes((qos,))
            sock.sendall(_packet(0x10, connect) + _packet(0x82, subscribe))
            _listen(sock, kept)
    except Ended:
        pass
    finally:
        with out.open("wb") as file:
            for arrival_ns, body in kept:
                file.write(HEAD.pack(arrival_ns, len(body)) + body)


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + variable_integer(len(body)) + body


def _listen(sock: socket.socket, kept: list[tuple[int, bytes]]) -> None:
    # The kernel's own limit: settimeout() would add a poll() to every look.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _SILENCE)
    seen: set[bytes] = set()
    rest = b""
    silent = False
    while True:
        try:
            received = sock.recv(_RECV_BYTES)
        except BlockingIOError:
            if not silent:
                print(SILENT, flush=True)
            silent = True
            continue
        if not received:
            return
        now_ns = time.time_ns()
        # mosquitto leaves Nagle on: without this it waits up to 40 ms for our kernel's delayed ACK.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        packets, rest = _split(rest + received)
        acks = _keep(packets, now_ns, kept, seen)
        if acks:
            sock.sendall(acks)
        if silent:
            print(HEARD, flush=True)
            silent = False


def _keep(packets: list[tuple[int, bytes]], now_ns: int, kept: list[tuple[int, bytes]], seen: set[bytes]) -> bytes:
    """Keep what was published, and return the acknowledgements it wants."""
    acks = b""
    for first, body in packets:
        if first == _SUBACK:
            print(READY, flush=True)
        if first & 0xF0 != _PUBLISH:
            continue
        kept.append((now_ns, bytes((first,)) + body))
        end = 2 + int.from_bytes(body[:2], "big")
        if first & _QOS_BITS:
            acks += b"\x40\x02" + body[end : end + 2]
        if body[2:end] not in seen:
            seen.add(body[2:end])
            print(body[2:end].decode(), flush=True)
    return acks


def _split(stream: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    packets: list[tuple[int, bytes]] = []
    position = 0
    while True:
        length = shift = 0
        place = position + 1
        while place < len(stream):
            byte = stream[place]
            length |= (byte & 127) << shift
            shift, place = shift + 7, place + 1
            if byte < 128:  # noqa: PLR2004  # the last byte of the length
                break
        else:
            return packets, stream[position:]
        if place + length > len(stream):
            return packets, stream[position:]
        packets.append((stream[position], stream[place : place + length]))
        position = place + length


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
