"""Drive wing: signs commands with an operator's private key (Ed25519).

In: a PEM file     Out: the user properties `key` and `sig`; a fault if the file is no such key
The signature is over topic, NUL, payload, exactly as they leave.
"""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edgetwin.errors import Fault, RefusedError

_CURE = "give a private key without passphrase, as `openssl genpkey -algorithm ed25519` makes it"


class Signer:
    """One operator's hand."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._name = name
        self._key = key

    def properties(self, topic: str, payload: bytes) -> list[tuple[str, str]]:
        """Return the user properties that sign this message."""
        signature = self._key.sign(topic.encode() + b"\0" + payload)
        return [("key", self._name), ("sig", base64.b64encode(signature).decode())]


def signer_from(path: Path, name: str) -> Signer:
    """Return the signer of operator `name` with the key in `path`.

    Raises:
        RefusedError: The file cannot be read, or holds no such key.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise RefusedError([Fault("--key", f"{path} cannot be read ({error.strerror})", _CURE)]) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RefusedError([Fault("--key", f"{path} holds no private key that can be read", _CURE)]) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise RefusedError([Fault("--key", f"{path} is not an Ed25519 key", _CURE)])
    return Signer(name, key)
