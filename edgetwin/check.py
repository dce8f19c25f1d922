"""Roof: everything that can be wrong before the robot moves, found at once.

In: settings file, environment     Out: what `run` needs, or every fault on a line of its own.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgetwin import config
from edgetwin.errors import Fault, RefusedError, RosUnavailableError
from edgetwin.judging.gauge import faults as anomaly_faults
from edgetwin.lane.terms import faults as gate_faults
from edgetwin.pipeline import faults as channel_faults
from edgetwin.prognosis.checking import model_faults
from edgetwin.prognosis.sources import faults as source_faults
from edgetwin.ros.context import import_rclpy
from edgetwin.settings import Settings, TlsSettings
from edgetwin.settings.anomaly import MethodName
from edgetwin.settings.ownership import ALL, others_may_write
from edgetwin.store.opening import newer_version
from edgetwin.uplink.link import Broker
from edgetwin.uplink.tls import client_context


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `run` starts with."""

    settings: Settings
    broker: Broker


def prepare(path: Path, environ: Mapping[str, str]) -> Prepared:
    """Return checked settings and the broker they name.

    Raises:
        RefusedError: Every fault: of the settings, or, where these are fine, of types, fields, TLS files and paths.
        RosUnavailableError: rclpy cannot be used here.
    """
    settings = config.load(path, environ).settings
    import_rclpy()
    found = faults_here(settings)
    broker: Broker | None = None
    try:
        broker = broker_of(settings)
    except RefusedError as refused:
        found += refused.faults
    if found or broker is None:
        raise RefusedError([Fault(f"{path.name}: {fault.where}", fault.what, fault.cure) for fault in found])
    return Prepared(settings, broker)


def faults_here(settings: Settings) -> list[Fault]:
    """Return what the settings ask of this machine and cannot have: types, fields, keys, paths; rclpy must be there."""
    found: list[Fault] = []
    for name, channel in settings.channels.items():
        found += channel_faults(name, channel)
    found += gate_faults(settings)
    found += anomaly_faults(settings)
    found += source_faults(settings)
    found += _store_faults(settings.store.path)
    found += tls_faults(settings.mqtt.tls)
    return found


def run(path: Path, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Print the effective settings, secrets masked.

    Raises:
        RefusedError: Every fault.
    """
    try:
        settings = prepare(path, environ).settings
    except RosUnavailableError as error:
        what, _, cure = str(error).partition("; ")
        raise RefusedError([Fault("ros", what, cure)]) from error
    if found := model_faults(settings) + _newer_store(settings.store.path):  # the daemon runs without them
        raise RefusedError([Fault(f"{path.name}: {fault.where}", fault.what, fault.cure) for fault in found])
    for note in notes(settings):
        sys.stderr.write(f"{path.name}: {note}\n")
    if as_json:
        from edgetwin import wire  # noqa: PLC0415

        sys.stdout.write(wire.encode(config.effective(settings)).decode() + "\n")
    else:
        sys.stdout.write(config.to_toml(settings) + f"\n# methods of [anomaly.*]: {', '.join(MethodName)}\n")
    return 0


def notes(settings: Settings) -> list[str]:
    """Return what is no fault, and what whoever lets the cloud move this robot should have read once."""
    gate = settings.gate
    found = [f"gate.checks_off: the check {code} is switched off" for code in gate.checks_off]
    found += _known_keys(settings.mqtt.tls)
    if not gate.remote_motion:
        return found
    if not gate.operators and gate.admission != "open":
        found.append(
            "gate.operators: no keys; every client that the broker lets through is believed, and may take and reset"
        )
    if gate.admission == "open":
        found.append("gate.admission: open; whoever reaches this broker drives the robot")
    if gate.trust_clock and gate.admission == "stamped":
        found.append("gate.trust_clock: the wall clock is believed, also where nothing keeps it right")
    if gate.fence is None:
        found.append("gate.fence: none; the robot may be driven anywhere")
    return found


def _known_keys(tls: TlsSettings | None) -> list[str]:
    with suppress(OSError):
        if tls is not None and tls.key_file is not None and tls.key_file.stat().st_mode & stat.S_IROTH:
            return [f"mqtt.tls.key_file: {ALL} may read {tls.key_file}, and be this robot; chmod 0600, or 0640"]
    return []


def broker_of(settings: Settings) -> Broker:
    """Return where the broker is, and who we are to it.

    Raises:
        RefusedError: A TLS file cannot be used.
    """
    mqtt = settings.mqtt
    tls = None
    if mqtt.tls is not None:
        tls = client_context(mqtt.tls.ca_file, mqtt.tls.cert_file, mqtt.tls.key_file)
    return Broker(
        host=mqtt.host,
        port=mqtt.port,
        client_id=settings.robot.id,
        keepalive_s=mqtt.keepalive_s,
        ack_timeout_s=mqtt.ack_timeout_s,
        reconnect_max_s=mqtt.reconnect_max_s,
        tls=tls,
        username=mqtt.username.get_secret_value() if mqtt.username else None,
        password=mqtt.password.get_secret_value() if mqtt.password else None,
    )


def tls_faults(tls: TlsSettings | None) -> list[Fault]:
    """TLS files that others may change: they choose whom this robot takes for its broker, or who it is itself."""
    found: list[Fault] = []
    for key in ("ca_file", "cert_file", "key_file"):
        path = getattr(tls, key, None)
        with suppress(OSError):  # that it cannot be read is told where it is used
            if path is not None and (who := others_may_write(path.stat())):
                found.append(Fault(f"mqtt.tls.{key}", f"{path} may be changed by {who}", f"chmod go-w {path}"))
    return found


def _store_faults(path: Path) -> list[Fault]:
    """A store whose directory can neither be written nor made."""
    if path.is_dir():
        return [Fault("store.path", f"{path} is a directory", "name a file in it")]
    nearest = path.parent
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        cure = "choose another path, or give this user the right to write there"
        return [Fault("store.path", f"{path} cannot be written", cure)]
    return []


def _newer_store(path: Path) -> list[Fault]:
    """A store that only a newer edgetwin understands: the daemon would set it aside whole, and begin a new one."""
    with suppress(OSError):  # whoever may not read it is not the daemon
        if version := newer_version(path):
            what = f"{path} was written by a newer edgetwin (version {version} of the file) and would be set aside"
            return [Fault("store.path", what, "install that edgetwin again, or let go of what waits in the file")]
    return []
