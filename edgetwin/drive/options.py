"""Drive wing: the arguments of `edgetwin drive`, judged.

In: what argparse read     Out: Wish, or every fault: where, what, what to do
"""

from __future__ import annotations

import argparse
import getpass
import math
import re
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from edgetwin import wire
from edgetwin.clock import Clock
from edgetwin.drive.client import Address
from edgetwin.drive.requests import Admission, Requests
from edgetwin.drive.signing import signer_from
from edgetwin.errors import Fault, RefusedError
from edgetwin.motion import Twist
from edgetwin.uplink.tls import client_context

_ROBOT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PORT_MAX = 65535
_CLIENT_MAX = 64
_DEFAULT_PORT = 1883
_DEFAULT_TLS_PORT = 8883
_OPTIONS = {"mqtt.tls.ca_file": "--ca", "mqtt.tls.cert_file": "--cert", "mqtt.tls.key_file": "--cert-key"}

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a robot."""

    address: Address
    requests: Requests
    twist: Twist
    seconds: float | None
    take: bool
    stop: bool
    reset: bool
    as_json: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `drive`."""
    parser.add_argument("--broker", default="127.0.0.1", metavar="HOST[:PORT]", help="default: 127.0.0.1:1883")
    parser.add_argument("--robot", required=True, metavar="ID", help="id of the robot")
    parser.add_argument("--prefix", default=wire.DEFAULT_PREFIX, help="first level of its topics (default: robot)")
    parser.add_argument(
        "--client", metavar="NAME", help="our name; with --key that of the operator (default: user@host)"
    )
    parser.add_argument(
        "--admission", type=Admission, choices=list(Admission), default=Admission.LEASE,
        help="as the robot's [gate] admission (default: lease)",
    )  # fmt: skip
    parser.add_argument("--key", type=Path, metavar="FILE", help="Ed25519 private key (PEM) that signs our commands")
    parser.add_argument("--take", action="store_true", help="take the lease from whoever holds it")
    parser.add_argument("--linear", type=float, default=0.2, metavar="M/S", help="speed (default: 0.2)")
    parser.add_argument("--angular", type=float, metavar="RAD/S", help="turn (default: 0.5 by keys, else 0)")
    parser.add_argument("--seconds", type=float, metavar="N", help="drive so for N seconds, instead of by keys")
    parser.add_argument("--json", action="store_true", help="acks as lines of JSON, and a last one that sums up")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--stop", action="store_true", help="only stop the robot; it stays stopped until a reset")
    only.add_argument("--reset", action="store_true", help="only release a stop")
    parser.add_argument("--tls", action="store_true", help="TLS with the system's authorities")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="TLS with this authority (PEM)")
    parser.add_argument("--cert", type=Path, metavar="FILE", help="our certificate (PEM), for mutual TLS")
    parser.add_argument("--cert-key", type=Path, metavar="FILE", help="its private key")
    parser.add_argument("--username", metavar="NAME", help="for the broker")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="file with the password for the broker")


def wish_of(arguments: argparse.Namespace, clock: Clock) -> Wish:
    """Return the wish that the arguments make.

    Raises:
        RefusedError: They cannot be used; every fault.
    """
    faults: list[Fault] = []
    with_tls = bool(arguments.tls or arguments.ca or arguments.cert)
    host, port = _broker(arguments.broker, _DEFAULT_TLS_PORT if with_tls else _DEFAULT_PORT, faults)
    client = arguments.client or f"{getpass.getuser()}@{socket.gethostname()}"[:_CLIENT_MAX]
    angular = arguments.angular if arguments.angular is not None else (0.5 if arguments.seconds is None else 0.0)
    twist = Twist(arguments.linear, angular)
    faults += _unfit(arguments, client, twist)
    password = _password(arguments.password_file, faults)
    tls = signer = None
    if with_tls:
        tls = _gathered(faults, lambda: client_context(arguments.ca, arguments.cert, arguments.cert_key))
    if arguments.key is not None:
        signer = _gathered(faults, lambda: signer_from(arguments.key, client))
    if faults:
        raise RefusedError(faults)
    topics = wire.Topics(arguments.robot, arguments.prefix)
    identifier = f"edgetwin-drive-{secrets.token_hex(4)}"
    return Wish(
        Address(host, port, topics, identifier, tls, arguments.username, password),
        Requests(topics, client, arguments.admission, clock, signer),
        twist,
        arguments.seconds,
        arguments.take,
        arguments.stop,
        arguments.reset,
        arguments.json,
    )


def _unfit(arguments: argparse.Namespace, client: str, twist: Twist) -> list[Fault]:
    seconds, prefix = arguments.seconds, arguments.prefix
    rows = (
        ("--robot", arguments.robot, bool(_ROBOT.fullmatch(arguments.robot)), "give [robot] id of its configuration"),
        ("--prefix", prefix, bool(prefix) and not set(prefix) & set("+#/$"), "give [mqtt] prefix of its configuration"),
        ("--client", client, client.isprintable() and len(client) <= _CLIENT_MAX, f"give up to {_CLIENT_MAX} letters"),
        ("--linear", twist.linear_mps, math.isfinite(twist.linear_mps), "give a speed"),
        ("--angular", twist.angular_radps, math.isfinite(twist.angular_radps), "give a speed of turning"),
        ("--seconds", seconds, seconds is None or 0.0 < seconds < math.inf, "give a number above 0"),
    )
    faults = [Fault(option, f"{value!r} cannot be used", cure) for option, value, fits, cure in rows if not fits]
    if arguments.key is not None and not arguments.client:
        faults.append(Fault("--key", "signs for nobody", "name its operator with --client"))
    return faults


def _broker(text: str, default_port: int, faults: list[Fault]) -> tuple[str, int]:
    """Return host and port of HOST, HOST:PORT or [V6]:PORT."""
    host, _, port = text.rpartition(":") if re.search(r"(^[^:]*|\]):\d*$", text) else (text, "", "")
    host = host.removeprefix("[").removesuffix("]")
    number = int(port) if port.isdecimal() else default_port
    if not host or (port and not 0 < number <= _PORT_MAX) or text.endswith(":"):
        faults.append(Fault("--broker", f"{text!r} is no address", "give HOST or HOST:PORT"))
    return host, number


def _password(file: Path | None, faults: list[Fault]) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not a text"
        faults.append(Fault("--password-file", f"{file} cannot be read ({why})", "name a file that holds the password"))
        return None


def _gathered(faults: list[Fault], make: Callable[[], Made]) -> Made | None:
    """Return what `make` makes; what speaks against it is told in the words of these options."""
    try:
        return make()
    except RefusedError as refused:
        faults += [replace(fault, where=_OPTIONS.get(fault.where, fault.where)) for fault in refused.faults]
        return None
