"""Signatures: exactly the bytes that were signed, by exactly the key that is named; everything else is nobody."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.command.incoming import Incoming
from edgetwin.command.rules import OperatorKey, Role
from edgetwin.command.signature import Signatures, signed_bytes
from tests.command.stage import incoming, signer

ANNA = signer("anna", seed=1)
BEN = signer("ben", Role.DRIVER, seed=2)
SIGNATURES = Signatures({"anna": ANNA.key, "ben": BEN.key})
GOOD = ANNA.sign(incoming("move", b'{"id":"a"}'))
SIGNATURE = dict(GOOD.properties)["sig"]


def changed(*, topic: str | None = None, payload: bytes | None = None) -> Incoming:
    """Return the signed message with something changed after signing."""
    return Incoming(
        GOOD.topic if topic is None else topic,
        GOOD.payload if payload is None else payload,
        GOOD.retain,
        GOOD.expiry_s,
        GOOD.properties,
    )


def with_properties(*properties: tuple[str, str]) -> Incoming:
    """Return the signed message with other user properties."""
    return Incoming(GOOD.topic, GOOD.payload, GOOD.retain, GOOD.expiry_s, properties)


def test_the_operator_who_signed_is_found() -> None:
    """By name and key, whatever other properties there are."""
    assert SIGNATURES.signer(GOOD) == ANNA.key
    assert SIGNATURES.signer(BEN.sign(incoming("lease", b""))) == BEN.key
    assert SIGNATURES.signer(with_properties(("x", "y"), *GOOD.properties, ("Key", "ben"), ("", ""))) == ANNA.key


def test_what_is_signed_is_topic_nul_payload() -> None:
    """As received."""
    assert signed_bytes("robot/é/commands/move", b"\x00{}") == b"robot/\xc3\xa9/commands/move\x00\x00{}"


def test_the_signature_is_plain_ed25519() -> None:
    """Test vector 2 of RFC 8032 with our framing laid over it: what any library makes is good here."""
    raw = ANNA.private.sign(b"robot/r1/commands/move\x00" + b'{"id":"a"}')

    assert SIGNATURES.signer(with_properties(("key", "anna"), ("sig", base64.b64encode(raw).decode()))) == ANNA.key


@given(st.data())
def test_one_changed_bit_is_another_message(data: st.DataObject) -> None:
    """Anywhere in the payload or in the signature."""
    payload = bytearray(GOOD.payload)
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    raw = bytearray(base64.b64decode(SIGNATURE))
    raw[data.draw(st.integers(0, 63))] ^= 1 << data.draw(st.integers(0, 7))

    assert SIGNATURES.signer(changed(payload=bytes(payload))) is None
    assert SIGNATURES.signer(with_properties(("key", "anna"), ("sig", base64.b64encode(raw).decode()))) is None


def test_a_signature_is_good_on_its_own_topic_alone() -> None:
    """Neither for another verb nor for another robot, nor with a byte moved over the border."""
    assert SIGNATURES.signer(changed(topic="robot/r1/commands/reset")) is None
    assert SIGNATURES.signer(changed(topic="robot/r2/commands/move")) is None
    assert SIGNATURES.signer(changed(topic=GOOD.topic + "\0", payload=GOOD.payload[1:])) is None


@pytest.mark.parametrize(
    "properties",
    [
        (),
        (("key", "anna"),),
        (("sig", SIGNATURE),),
        (("key", "ben"), ("sig", SIGNATURE)),
        (("key", "nobody"), ("sig", SIGNATURE)),
        (("key", ""), ("sig", SIGNATURE)),
        (("key", "anna"), ("key", "anna"), ("sig", SIGNATURE)),
        (("key", "nobody"), ("key", "anna"), ("sig", SIGNATURE)),
        (("key", "anna"), ("sig", SIGNATURE), ("sig", SIGNATURE)),
        (("key", "anna"), ("sig", "")),
        (("key", "anna"), ("sig", "!")),
        (("key", "anna"), ("sig", "é" * 88)),
        (("key", "anna"), ("sig", SIGNATURE[:-4])),
        (("key", "anna"), ("sig", SIGNATURE + "AAAA")),
        (("key", "anna"), ("sig", SIGNATURE + "\n")),
        (("key", "anna"), ("sig", " " + SIGNATURE)),
        (("key", "anna"), ("sig", SIGNATURE.rstrip("="))),
        (("key", "anna"), ("sig", base64.b64encode(b"\0" * 64).decode())),
        (("key", "anna"), ("sig", "A" * 100_000)),
        (("KEY", "anna"), ("sig", SIGNATURE)),
        (("key", "anna"), ("SIG", SIGNATURE)),
    ],
)
def test_whatever_else_stands_there_is_nobodys_signature(properties: tuple[tuple[str, str], ...]) -> None:
    """Missing, twice, of another, cut, longer, not base64: nobody, and nothing is raised."""
    assert SIGNATURES.signer(with_properties(*properties)) is None


@given(
    st.lists(st.tuples(st.sampled_from(["key", "sig", "x"]), st.sampled_from(["anna", "ben"]) | st.text())), st.binary()
)
def test_forged_properties_never_prove_anybody(properties: list[tuple[str, str]], payload: bytes) -> None:
    """Any texts at all."""
    message = Incoming("robot/r1/commands/move", payload, retain=False, expiry_s=1, properties=tuple(properties))

    assert SIGNATURES.signer(message) is None


def test_without_keys_nothing_needs_to_be_signed() -> None:
    """And nobody is known."""
    assert not Signatures({})
    assert SIGNATURES
    assert Signatures({}).signer(GOOD) is None


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_refused_at_once(length: int) -> None:
    """Before anything is judged with it."""
    with pytest.raises(ValueError, match="32"):
        Signatures({"anna": OperatorKey(b"\x01" * length, "anna", Role.OPERATOR)})
