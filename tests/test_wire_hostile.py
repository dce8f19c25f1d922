"""Whatever anyone may publish: the decoder gives records or a ValueError, nothing else."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from edgetwin import wire
from edgetwin.records import ChannelClass, Encoding

_TOPICS = wire.Topics("robot_001")


def _numbering(encoding: Encoding = Encoding.JSON, name: str = "odom") -> wire.Numbering:
    lane = _TOPICS.channel_lane(name, ChannelClass.CRITICAL, encoding, qos=1)
    return wire.Numbering("robot_001", "b00t", lane)


@given(st.binary(max_size=200), st.sampled_from([wire.ZSTD, wire.IDENTITY, "gzip", ""]), st.booleans())
def test_decompress_raises_nothing_but_value_error(payload: bytes, codec: str, framed: bool) -> None:
    """Any bytes, with and without the magic number in front."""
    try:
        wire.decompress(b"\x28\xb5\x2f\xfd" * framed + payload, codec)
    except ValueError:
        pass
    else:
        assert codec in {wire.ZSTD, wire.IDENTITY}


@given(st.binary(min_size=30, max_size=300), st.data())
def test_a_damaged_frame_is_a_value_error_or_other_bytes(payload: bytes, data: st.DataObject) -> None:
    """Every cut and every flipped bit of a real frame."""
    packed = bytearray(zstandard.compress(payload * 3, 1))
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= 1 << data.draw(st.integers(0, 7))

    for damaged in (bytes(packed), bytes(packed[:place])):
        try:
            wire.decompress(damaged)
        except ValueError:
            continue


def test_a_frame_that_claims_more_than_it_may_is_refused_before_it_is_opened() -> None:
    """A few bytes that would become a gigabyte."""
    claim = b"\x28\xb5\x2f\xfd" + bytes((0xE0,)) + (2**40).to_bytes(8, "little") + b"\x01\x00\x00"

    with pytest.raises(ValueError, match="declares"):
        wire.decompress(claim)


def test_a_frame_without_its_size_is_refused() -> None:
    """What `compress` writes has one; without it nobody knows what a frame becomes."""
    stream = zstandard.ZstdCompressor(write_content_size=False).compress(b"a" * 100)

    with pytest.raises(ValueError, match="declares"):
        wire.decompress(stream)


@given(st.binary(max_size=200))
def test_random_bytes_are_no_message(payload: bytes) -> None:
    """Without properties, and with those of a compressed batch."""
    for properties in ((), ((wire.CONTENT_ENCODING, wire.ZSTD),)):
        with pytest.raises(ValueError):  # noqa: PT011  # any of them
            wire.decode(payload, properties)


@pytest.mark.parametrize(
    "payload", [b"", b"null", b"[]", b"5", b'"v"', b"{}", b'{"v":2}', b'{"v":"1"}', b'{"v":1', b"[" * 100_000]
)
def test_json_that_is_no_envelope_is_refused(payload: bytes) -> None:
    """Another version above all."""
    with pytest.raises(ValueError):  # noqa: PT011
        wire.decode(payload)


def test_cdr_in_a_batch_that_is_no_base64_is_refused() -> None:
    """Strictly: no stray characters."""
    with pytest.raises(ValueError):  # noqa: PT011
        wire.decode(b'{"v":1,"records":[{"encoding":"cdr","data":"AA*="}]}')


@pytest.mark.parametrize(
    "payload",
    [
        b'{"v":1,"records":5}',
        b'{"v":1,"records":null}',
        b'{"v":1,"records":{"a":1}}',
        b'{"v":1,"records":[1]}',
        b'{"v":1,"records":[null]}',
        b'{"v":1,"records":["x"]}',
        b'{"v":1,"records":[{"encoding":"cdr"}]}',
        b'{"v":1,"records":[{"encoding":"cdr","data":5}]}',
        b'{"v":1,"encoding":"cdr","data":null}',
    ],
)
def test_an_envelope_with_the_wrong_content_is_a_value_error(payload: bytes) -> None:
    """The mirror and the demo read what anyone may publish."""
    with pytest.raises(ValueError):  # noqa: PT011
        wire.decode(payload)


_CDR_ENVELOPE = dict(_numbering(Encoding.CDR).properties(_numbering().number(b"", stamp_us=1, recv_us=2, now_ns=0)))


@pytest.mark.parametrize("key", ["v", "seq", "stamp_us", "recv_us"])
def test_a_cdr_envelope_with_a_word_for_a_number_is_a_value_error(key: str) -> None:
    """User properties are strings."""
    with pytest.raises(ValueError, match="invalid literal"):
        wire.decode(b"", list((_CDR_ENVELOPE | {key: "many"}).items()))


@pytest.mark.parametrize("key", ["v", "robot_id", "boot", "channel", "stamp_us", "recv_us"])
def test_an_incomplete_cdr_envelope_is_a_value_error(key: str) -> None:
    """Anyone may set a user property called seq."""
    with pytest.raises(ValueError):  # noqa: PT011
        wire.decode(b"", [(name, value) for name, value in _CDR_ENVELOPE.items() if name != key])


def test_a_cdr_envelope_of_another_version_is_refused() -> None:
    """As a JSON one is."""
    with pytest.raises(ValueError, match="version"):
        wire.decode(b"", list((_CDR_ENVELOPE | {"v": "2"}).items()))
