"""Roof, doctor: the machine under the daemon: who may read and write what, the clock, the disk.

In: a case     Out: findings. Looks, and changes nothing.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgetwin import kernel_clock
from edgetwin.clock import NS_PER_S
from edgetwin.doctor.findings import Case, Finding, fail, ok, warn
from edgetwin.settings.credentials import DIRECTORY
from edgetwin.settings.document import changeable
from edgetwin.store.examination import footprint

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_CLOCK_ERROR_MAX_NS = NS_PER_S // 10
_SPARE_BYTES = 50_000_000
_SECRETS = Path("/etc/edgetwin/credentials")
_IN_MEMORY = ("tmpfs", "ramfs")
_SYNCHRONISERS = {
    "chrony": (Path("/usr/sbin/chronyd"), "systemctl status chrony; chronyc tracking"),
    "systemd-timesyncd": (
        Path("/lib/systemd/systemd-timesyncd"),
        "timedatectl set-ntp true; timedatectl timesync-status",
    ),
}


def permissions(case: Case) -> Sequence[Finding]:
    """Look at who may change the settings, and who may read the secrets."""
    found = [*_settings_file(case.path.absolute()), *_secrets(case)]
    return found or [ok("permissions", f"only its owner may change {case.path}, and no secret is for everybody")]


def clock(_case: Case) -> Sequence[Finding]:
    """Look at what the kernel says of the wall clock."""
    seen = kernel_clock.look()
    error_ms = seen.error_max_ns / 1e6
    if seen.synchronised is None:
        cure = "ask outside of the sandbox (timedatectl), or allow adjtimex in the unit"
        return [warn("clock", f"the kernel may not be asked ({seen.why})", cure)]
    if not seen.synchronised:
        what = "nothing keeps the wall clock right: stamps are as wrong as it is, and stamped moves are refused"
        return [warn("clock", what, _synchroniser())]
    if seen.error_max_ns > _CLOCK_ERROR_MAX_NS:
        return [warn("clock", f"synchronised, but it may be off by {error_ms:.0f} ms", "choose nearer time servers")]
    return [ok("clock", f"synchronised, off by at most {error_ms:.1f} ms, {seen.offset_ns / 1e6:+.2f} ms to correct")]


def disk(case: Case) -> Sequence[Finding]:
    """Look at the room for the outbox."""
    store = case.settings.store
    folder = next(parent for parent in store.path.absolute().parents if parent.exists())
    free, used = shutil.disk_usage(folder).free, footprint(store.path)
    missing = store.max_bytes - used
    free_mb, max_mb = f"{free / 1e6:,.0f} MB", f"{store.max_bytes / 1e6:,.0f} MB"
    found: list[Finding] = []
    if free < min(_SPARE_BYTES, missing):
        found.append(fail("disk", f"{folder} has {free_mb} left", "free some, or name another [store] path"))
    elif free < missing:
        what = f"{folder} has {free_mb} left, and the outbox may grow to {max_mb}"
        found.append(warn("disk", what, "lower [store] max_bytes, or free some"))
    if (kind := _file_system(folder)) in _IN_MEMORY:
        what = f"{folder} is in memory ({kind}): what waits there is lost with the power"
        found.append(warn("disk", what, "name a [store] path on a disk"))
    return found or [ok("disk", f"{folder} has {free_mb} left; the outbox takes {used / 1e6:,.1f} MB of {max_mb}")]


def ros_log(case: Case) -> Sequence[Finding]:
    """Look at the place that ROS wants for its own log files."""
    given = case.environ.get("ROS_LOG_DIR") or case.environ.get("ROS_HOME")
    folder = Path(given or Path(case.environ.get("HOME") or "/") / ".ros")
    nearest = next((place for place in (folder, *folder.parents) if place.exists()), Path("/"))
    if os.access(nearest, os.W_OK | os.X_OK):
        return [ok("ros log", f"ROS may write to {folder}")]
    cure = "set ROS_LOG_DIR to a folder that this user may write"
    return [warn("ros log", f"ROS may not write its log files to {folder}; other ROS programs do not start so", cure)]


def _settings_file(path: Path) -> Iterator[Finding]:
    if fault := changeable(path, path.stat()):
        cure = f"{fault.cure}; `run` and `check` refuse it (as installed: root:edgetwin, 0640)"
        yield fail("permissions", f"{fault.where} {fault.what}", cure)


def _secrets(case: Case) -> Iterator[Finding]:
    for path in _secret_files(case):
        try:
            mode = path.stat().st_mode
        except OSError:
            continue  # whoever may not look at it may not read it
        if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
            what = f"{path} is a secret that others may read or change (mode {stat.S_IMODE(mode):04o})"
            yield fail("permissions", what, f"chmod 0600 {path}, and give it a new content: it may be known")
    outbox = case.settings.store.path
    if outbox.exists() and outbox.stat().st_mode & (stat.S_IROTH | _OTHERS_WRITE):
        yield warn("permissions", f"{outbox} may be read or changed by others", f"chmod 0600 {outbox}")


def _secret_files(case: Case) -> Iterator[Path]:
    tls = case.settings.mqtt.tls
    if tls is not None and tls.key_file is not None:
        yield tls.key_file
    folders = [_SECRETS]
    if given := case.environ.get(DIRECTORY):
        folders.append(Path(given))
    for folder in folders:
        if os.access(folder, os.R_OK | os.X_OK):
            yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".pub")


def _synchroniser() -> str:
    for name, (program, cure) in _SYNCHRONISERS.items():
        if program.exists():
            return f"{name} is installed: {cure}"
    return "install one: apt install chrony"


def _file_system(folder: Path) -> str:
    """Return the kind of file system a folder is on; empty if that cannot be told."""
    best, kind = Path(), ""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return kind
    for line in mounts.splitlines():
        where = Path(line.split()[1].replace("\\040", " "))
        if folder.is_relative_to(where) and len(where.parts) >= len(best.parts):
            best, kind = where, line.split()[2]
    return kind
