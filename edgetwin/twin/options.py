"""Twin wing: the arguments of `edgetwin mirror`, judged.

In: what argparse read     Out: Wish, or every fault: where, what, what to do
With `--config` the broker, its TLS and the prefix are those of an edgetwin.toml; options go before it.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgetwin import config, wire
from edgetwin.errors import Fault, RefusedError
from edgetwin.twin.listening import Address
from edgetwin.uplink.tls import client_context

_ROBOT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PORT_MAX = 65_535
_PORT, _TLS_PORT = 1883, 8883
_HOST = "127.0.0.1"
_OPTIONS = {"mqtt.tls.ca_file": "--ca", "mqtt.tls.cert_file": "--cert", "mqtt.tls.key_file": "--cert-key"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants mirrored, and how they want to look at it."""

    address: Address
    prefix: str
    robots: tuple[str, ...]
    seconds: float | None
    watch: bool
    as_json: bool
    csv: Path | None
    plot: Path | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `mirror`."""
    parser.add_argument("--robot", action="append", default=[], metavar="ID", help="only this robot; repeatable")
    parser.add_argument("--config", type=Path, metavar="FILE", help="take [mqtt] of this edgetwin.toml")
    parser.add_argument("--broker", metavar="HOST[:PORT]", help="default: 127.0.0.1:1883")
    parser.add_argument("--prefix", help="first level of the topics (default: robot)")
    parser.add_argument("--watch", action="store_true", help="show a table of all channels, every second")
    parser.add_argument("--json", action="store_true", help="a line of JSON with all figures, every second")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="append the figures, a row per channel and second")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="at the end, draw latency, age and position error"
    )
    parser.add_argument("--seconds", type=float, metavar="N", help="end after N seconds (default: Ctrl-C)")
    parser.add_argument("--tls", action="store_true", help="TLS with the system's authorities")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="TLS with this authority (PEM)")
    parser.add_argument("--cert", type=Path, metavar="FILE", help="our certificate (PEM), for mutual TLS")
    parser.add_argument("--cert-key", type=Path, metavar="FILE", help="its private key")
    parser.add_argument("--username", metavar="NAME", help="for the broker")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="file with the password for the broker")


def wish_of(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Wish:
    """Return the wish that the arguments make.

    Raises:
        RefusedError: They cannot be used; every fault.
    """
    faults: list[Fault] = []
    address, prefix = _of_config(arguments.config, environ)
    address = _addressed(arguments, address, faults)
    prefix = arguments.prefix or prefix
    faults += _unfit(arguments, prefix)
    if faults:
        raise RefusedError(faults)
    return Wish(
        address, prefix, tuple(dict.fromkeys(arguments.robot)), arguments.seconds, arguments.watch, arguments.json,
        arguments.csv, arguments.plot,
    )  # fmt: skip


def _of_config(path: Path | None, environ: Mapping[str, str]) -> tuple[Address, str]:
    identifier = f"edgetwin-mirror-{secrets.token_hex(4)}"
    if path is None:
        return Address(_HOST, _PORT, identifier), wire.DEFAULT_PREFIX
    mqtt = config.load(path, environ).settings.mqtt
    tls = None if mqtt.tls is None else client_context(mqtt.tls.ca_file, mqtt.tls.cert_file, mqtt.tls.key_file)
    username = None if mqtt.username is None else mqtt.username.get_secret_value()
    password = None if mqtt.password is None else mqtt.password.get_secret_value()
    return Address(mqtt.host, mqtt.port, identifier, tls, username, password), mqtt.prefix


def _addressed(arguments: argparse.Namespace, address: Address, faults: list[Fault]) -> Address:
    if arguments.tls or arguments.ca or arguments.cert:
        try:
            tls = client_context(arguments.ca, arguments.cert, arguments.cert_key)
            address = replace(address, tls=tls, port=_TLS_PORT if arguments.config is None else address.port)
        except RefusedError as refused:
            faults += [replace(fault, where=_OPTIONS.get(fault.where, fault.where)) for fault in refused.faults]
    if arguments.broker:
        host, port = _broker(arguments.broker, _PORT if address.tls is None else _TLS_PORT, faults)
        address = replace(address, host=host, port=port)
    if arguments.username:
        address = replace(address, username=arguments.username)
    if arguments.password_file is not None:
        try:
            secret = arguments.password_file.read_text(encoding="utf-8").rstrip("\r\n")
            address = replace(address, password=secret)
        except (OSError, UnicodeDecodeError) as error:
            what = f"{arguments.password_file} cannot be read ({getattr(error, 'strerror', None) or 'not a text'})"
            faults.append(Fault("--password-file", what, "name a file that holds the password"))
    return address


def _broker(text: str, default_port: int, faults: list[Fault]) -> tuple[str, int]:
    """Return host and port of HOST, HOST:PORT or [V6]:PORT."""
    host, _, port = text.rpartition(":") if re.search(r"(^[^:]*|\]):\d*$", text) else (text, "", "")
    host = host.removeprefix("[").removesuffix("]")
    number = int(port) if port.isdecimal() else default_port
    if not host or (port and not 0 < number <= _PORT_MAX) or text.endswith(":"):
        faults.append(Fault("--broker", f"{text!r} is no address", "give HOST or HOST:PORT"))
    return host, number


def _unfit(arguments: argparse.Namespace, prefix: str) -> list[Fault]:
    faults = [
        Fault(
            "--robot", f"{robot!r} is no id of a robot", "give [robot] id of its configuration, or leave it out for all"
        )
        for robot in arguments.robot
        if not _ROBOT.fullmatch(robot)
    ]
    if not prefix or set(prefix) & set("+#/$"):
        faults.append(Fault("--prefix", f"{prefix!r} cannot be used", "give [mqtt] prefix of the robots"))
    seconds = arguments.seconds
    if seconds is not None and not 0.0 < seconds < float("inf"):
        faults.append(Fault("--seconds", f"{seconds} cannot be used", "give a number above 0"))
    if arguments.plot is not None and arguments.plot.suffix.lower() != ".png":
        faults.append(Fault("--plot", f"{arguments.plot} is no PNG", "give a name that ends in .png"))
    for option, path in (("--csv", arguments.csv), ("--plot", arguments.plot)):
        if path is not None and not path.parent.is_dir():
            faults.append(Fault(option, f"the folder {path.parent} does not exist", "make it, or name another"))
    return faults
