"""Command room: who sent it (row 9).

In: topic and payload as received, user properties     Out: the operator whose key signed exactly that, or None.
Ed25519 (RFC 8032) over topic, NUL, payload; in user properties `key` (the operator's name) and `sig` (base64).
Nothing is serialised again, so duplicate keys and the spelling of numbers cannot differ between signer and robot.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetwin.command.incoming import Incoming
from edgetwin.command.rules import OperatorKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY_PROPERTY = "key"
SIG_PROPERTY = "sig"


def signed_bytes(topic: str, payload: bytes) -> bytes:
    """Return what a signature is made over."""
    return topic.encode() + b"\0" + payload


@dataclass(frozen=True, slots=True)
class _Known:
    key: OperatorKey
    public: Ed25519PublicKey


class Signatures:
    """The keys of one robot's operators."""

    def __init__(self, keys: Mapping[str, OperatorKey]) -> None:
        """Load the keys.

        Raises:
            ValueError: A key is not 32 bytes.
        """
        self._known: dict[str, _Known] = {}
        if keys:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415  # not without need
                Ed25519PublicKey,
            )

            for name, key in keys.items():
                self._known[name] = _Known(key, Ed25519PublicKey.from_public_bytes(key.public_key))

    def __bool__(self) -> bool:
        """Whether there are any, so that commands must be signed."""
        return bool(self._known)

    def signer(self, message: Incoming) -> OperatorKey | None:
        """Return the operator who signed `message`; None where nobody known did, or more than one claims to."""
        names = [value for name, value in message.properties if name == KEY_PROPERTY]
        signatures = [value for name, value in message.properties if name == SIG_PROPERTY]
        if len(names) != 1 or len(signatures) != 1 or names[0] not in self._known:
            return None
        known = self._known[names[0]]
        return known.key if _verifies(known.public, signatures[0], message) else None


def _verifies(public: Ed25519PublicKey, signature: str, message: Incoming) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  # loaded with the keys

    try:
        public.verify(base64.b64decode(signature, validate=True), signed_bytes(message.topic, message.payload))
    except (InvalidSignature, binascii.Error, ValueError):  # not base64, not ASCII, another length, another message
        return False
    return True
