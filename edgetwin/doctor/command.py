"""Roof, doctor: `edgetwin doctor`: everything that the daemon needs, looked at in a few seconds, with the cure.

In: settings file, environment     Out: a line for each check; exit code 0, or 1 with any `fail`.

It may run beside the daemon, and without it. The checks run beside each other, each on a thread of its own: what hangs
(a disk, a name server, DDS) is told as what hangs, and holds up nobody.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TextIO

import orjson

from edgetwin import config, status
from edgetwin.check import faults_here
from edgetwin.clock import NS_PER_S, SystemClock
from edgetwin.doctor import broker, kept, machine, robot, versions
from edgetwin.doctor.findings import Case, Check, Finding, Level, fail, ok, warn
from edgetwin.errors import EdgeTwinError, RosUnavailableError
from edgetwin.ros.context import import_rclpy
from edgetwin.settings.credentials import DIRECTORY

_LIMIT_S = 12.0
_SLOW_S = 1.5
_SERVICE_CREDENTIALS = Path("/run/credentials/edgetwin.service")


def run(path: Path, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Print what was found; return 0, or 1 if anything failed.

    Raises:
        RefusedError: The settings cannot be used; every fault.
    """
    seen = dict(environ)
    if DIRECTORY not in seen and os.access(_SERVICE_CREDENTIALS, os.R_OK | os.X_OK):
        seen[DIRECTORY] = str(_SERVICE_CREDENTIALS)  # those of the daemon that runs
    clock = SystemClock()
    case = Case(path, config.load(path, seen, guarded=False).settings, seen, clock)
    found: list[Finding] = []
    for finding in _found(case, sys.stderr if sys.stderr.isatty() else None):
        found.append(finding)
        if not as_json:
            sys.stdout.write(f"{finding}\n")
            sys.stdout.flush()
    verdict = not any(finding.level is Level.FAIL for finding in found)
    if as_json:
        report = {"ok": verdict, "findings": [finding.plain() for finding in found]}
        sys.stdout.write(orjson.dumps(report).decode() + "\n")
    return 0 if verdict else 1


def settings(case: Case) -> Sequence[Finding]:
    """Look at what the settings ask of this machine: message types, fields, keys."""
    try:
        import_rclpy()
    except RosUnavailableError:
        return [ok("settings", f"{case.path} can be used, as far as that can be told without ROS")]
    faults = faults_here(case.settings)
    if faults:
        return [fail("settings", f"{fault.where}: {fault.what}", fault.cure) for fault in faults]
    return [ok("settings", f"{case.path}: {len(case.settings.channels)} channels")]


def daemon(case: Case) -> Sequence[Finding]:
    """Look at what the daemon that runs says of itself."""
    directory = status.find(case.environ)
    try:
        figures = status.read(directory)
    except (OSError, ValueError) as error:
        return [warn("daemon", status.unseen(directory, error), "systemctl start edgetwin; journalctl -u edgetwin")]
    if (silent_s := status.silence_s(figures, case.clock.stamp_ns())) > status.SILENT_S:
        return [fail("daemon", status.silent(silent_s), "systemctl status edgetwin; journalctl -u edgetwin")]
    outbox, gate = figures["outbox"], figures.get("gate") or {}
    if problem := outbox.get("problem"):
        return [fail("daemon", f"its outbox takes nothing: {problem}", "check the disk, its free space, permissions")]
    if problem := gate.get("latch_problem"):
        return [fail("daemon", f"its latch is not safe: {problem}", "check the disk, its free space, permissions")]
    if problem := gate.get("link_problem"):
        return [
            fail("daemon", f"no command reaches it: {problem}", "see the findings of the broker below, and its log")
        ]
    return [ok("daemon", f"{figures['robot_id']} is {figures['state']}, {outbox['backlog']:,} records wait on disk")]


CHECKS: tuple[tuple[str, Check], ...] = (
    ("settings", settings),
    ("permissions", machine.permissions),
    ("daemon", daemon),
    ("clock", machine.clock),
    ("disk", machine.disk),
    ("store", kept.store),
    ("audit", kept.audit),
    ("broker", broker.broker),
    ("ros", robot.ros),
    ("ros log", machine.ros_log),
    ("model", kept.models),
    ("versions", versions.libraries),
)


def _found(case: Case, progress: TextIO | None) -> Iterator[Finding]:
    """Yield what the checks find, in their order, each as soon as it is there."""
    done: SimpleQueue[tuple[str, Sequence[Finding]]] = SimpleQueue()
    for name, check in CHECKS:
        threading.Thread(
            target=lambda name=name, check=check: done.put((name, checked(name, check, case))), daemon=True
        ).start()
    results: dict[str, Sequence[Finding]] = {}
    start_ns = case.clock.now_ns()
    for name, _ in CHECKS:
        while name not in results:
            left_s = _LIMIT_S - (case.clock.now_ns() - start_ns) / NS_PER_S
            try:
                got, findings = done.get(timeout=max(0.0, min(_SLOW_S, left_s)))
                results[got] = findings
            except Empty:
                if left_s <= 0:
                    cure = "find out what hangs: a disk, a name server, DDS"
                    results[name] = [fail(name, f"no answer within {_LIMIT_S:g} s", cure)]
                elif progress is not None:
                    progress.write(f"      {name} ...\r")
                    progress.flush()
        yield from results[name]


def checked(name: str, check: Check, case: Case) -> Sequence[Finding]:
    """Run one check; what it may not look at, and what breaks in it, are findings too."""
    try:
        return check(case)
    except PermissionError as error:
        cure = "run doctor as root, or as the daemon's user: sudo -u edgetwin edgetwin doctor"
        return [warn(name, f"{error.filename or 'something'} may not be read", cure)]
    except (EdgeTwinError, OSError) as error:
        what, _, cure = " ".join(str(error).split()).partition("; ")
        return [fail(name, what, cure or "see the words above")]
    except Exception as error:  # noqa: BLE001  # the other checks are worth having all the same
        return [fail(name, f"the check itself is broken: {error!r}", "report it")]
