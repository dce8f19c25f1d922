"""Floor: the operators of one robot, `[gate.operators.<name>]`, and their public keys.

In: plain values; a key as text     Out: Operator; the 32 raw bytes of an Ed25519 public key, or a fault.
Reads one small file per key where the settings name one. A public key is no secret.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from edgetwin.errors import Fault
from edgetwin.settings.ownership import others_may_write
from edgetwin.settings.values import FilePath, Section, refusal

KEY_BYTES = 32
_DER_HEAD = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: what stands before an Ed25519 key in PEM and DER
_FILE_MAX_BYTES = 4096
# Points of order 8 or less, without the sign bit (libsodium's list): anybody can sign for them; a key of zeros is one.
_NO_KEYS = {
    bytes.fromhex(point)
    for point in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
}
_CURE = "give the 32 raw bytes as base64, or what `openssl pkey -pubout` prints"


def raw_key(text: str) -> bytes:
    """Return the raw Ed25519 public key in `text`: base64 of it, or PEM.

    Raises:
        ValueError: It is none.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    if lines[:1] == ["-----BEGIN PUBLIC KEY-----"] and lines[-1:] == ["-----END PUBLIC KEY-----"]:
        lines = lines[1:-1]
    try:
        raw = base64.b64decode("".join(lines), validate=True).removeprefix(_DER_HEAD)
    except (binascii.Error, ValueError) as error:
        msg = "is not base64"
        raise ValueError(msg) from error
    if len(raw) != KEY_BYTES:
        msg = f"has {len(raw)} bytes, an Ed25519 public key has {KEY_BYTES}"
        raise ValueError(msg)
    if raw[:-1] + bytes([raw[-1] & 0x7F]) in _NO_KEYS:
        msg = "is a key for which anybody can sign"
        raise ValueError(msg)
    return raw


class Operator(Section):
    """Who may sign commands, by name: the name stands in the user property `key` of what they send."""

    public_key: str | None = Field(
        default=None,
        max_length=_FILE_MAX_BYTES,
        description="Ed25519 public key as base64 of its 32 bytes; what its private key signs is this operator's.",
        examples=["MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="],
    )
    public_key_file: FilePath | None = Field(
        default=None,
        validate_default=True,
        description="File that holds it, PEM or base64, instead of public_key; it is read at start.",
        examples=["/etc/edgetwin/anna.pub"],
    )
    role: Literal["operator", "driver"] = Field(
        default="operator",
        description="operator may do everything; driver may neither take a lease from its holder nor reset a stop.",
    )

    @field_validator("public_key", mode="after")
    @classmethod
    def _is_a_key(cls, text: str | None) -> str | None:
        if text is not None:
            try:
                raw_key(text)
            except ValueError as error:
                raise refusal(str(error), _CURE) from error
        return text

    @field_validator("public_key_file", mode="after")
    @classmethod
    def _one_of_both(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if "public_key" in info.data and (file is None) is (info.data["public_key"] is None):
            what = "is missing, and so is public_key" if file is None else "stands beside public_key"
            raise refusal(what, "give exactly one of public_key and public_key_file")
        return file


def public_keys(operators: Mapping[str, Operator]) -> tuple[dict[str, bytes], list[Fault]]:
    """Return the raw public key of each operator, and what is wrong with the files that hold them."""
    found: dict[str, bytes] = {}
    faults: list[Fault] = []
    for name, operator in operators.items():
        where = f"gate.operators.{name}.public_key_file"
        try:
            text, others = _key_of(operator)
            key = raw_key(text)
        except OSError as error:
            cure = "name a file that the daemon's user may read"
            faults.append(Fault(where, f"{operator.public_key_file} cannot be read ({error.strerror})", cure))
        except ValueError as error:
            faults.append(Fault(where, f"{operator.public_key_file} {error}", _CURE))
        else:
            if others:
                what = f"{operator.public_key_file} may be changed by {others}, and with it who drives this robot"
                faults.append(Fault(where, what, f"chmod go-w {operator.public_key_file}"))
            found[name] = key
    return found, faults


def _key_of(operator: Operator) -> tuple[str, str]:
    """Return the text of an operator's key; and who may change the file it is in, beside its owner."""
    if operator.public_key is not None:
        return operator.public_key, ""
    with (operator.public_key_file or Path()).open("rb") as file:
        return file.read(_FILE_MAX_BYTES).decode("ascii", "replace"), others_may_write(os.fstat(file.fileno()))
