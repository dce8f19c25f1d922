"""Roof, doctor: what the daemon keeps: outbox, audit, models.

In: a case     Out: findings. Nothing is opened for writing, and nothing that a daemon holds is disturbed.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgetwin.doctor.findings import Case, Finding, fail, ok, warn
from edgetwin.prognosis.checking import model_faults
from edgetwin.store import audit as chain
from edgetwin.store.examination import broken_audit, examine

_CHECK_S = 2.0
_AS_THE_DAEMON = "run doctor as root, or as the daemon's user: sudo -u edgetwin edgetwin doctor"


def store(case: Case) -> Sequence[Finding]:
    """Look at the outbox."""
    path = case.settings.store.path
    try:
        seen = examine(path, case.clock, _CHECK_S)
    except PermissionError:
        return [warn("store", f"{path} may not be read", _AS_THE_DAEMON)]
    except OSError as error:
        return [fail("store", f"{path} cannot be read ({error.strerror})", "check the disk: dmesg, smartctl -a")]
    found: list[Finding] = []
    if seen.broken:
        what = f"{len(seen.broken)} broken files were set aside beside {path}: {', '.join(seen.broken[:3])}"
        found.append(warn("store", what, "check the disk (dmesg, smartctl -a), keep or remove them"))
    if seen.fault:
        cure = "check the disk; the daemon will set the file aside and begin a new one"
        return [*found, fail("store", f"{path}: {seen.fault}", cure)]
    if not seen.exists:
        return [*found, ok("store", f"{path} does not exist yet; the daemon makes it")]
    size = f"{seen.used_bytes / 1e6:,.1f} MB"
    return [*found, ok("store", f"{path} is sound, {size}" if seen.checked else f"{path}, {size}; {seen.unchecked}")]


def audit(case: Case) -> Sequence[Finding]:
    """Verify the chain of the gate's decisions."""
    path = case.settings.store.path
    try:
        segments = chain.segments(path)
        if not segments:
            return [ok("audit", "nothing was decided yet")]
        broken = broken_audit(path)
    except PermissionError:
        return [warn("audit", f"the audit beside {path} may not be read", _AS_THE_DAEMON)]
    except OSError as error:
        return [fail("audit", f"the audit beside {path} cannot be read ({error.strerror})", "check the disk")]
    if broken is None:
        return [ok("audit", f"every entry of {len(segments)} segments is as it was written")]
    what = f"{broken.segment or path.name}, byte {broken.offset}, entry {broken.number}: {broken.what}"
    return [fail("audit", what, "find out who was on this machine; keep the files, they are evidence")]


def models(case: Case) -> Sequence[Finding]:
    """Load every model as the daemon would."""
    wanted = case.settings.prognosis
    if not wanted:
        return []
    found = [fail("model", f"{fault.where}: {fault.what}", fault.cure) for fault in model_faults(case.settings)]
    for name, one in wanted.items():
        if not one.model.exists():
            what = f"prognosis.{name}: there is no {one.model} yet; the daemon runs without"
            found.append(warn("model", what, "train one with `edgetwin train`, or remove the section"))
    return found or [ok("model", f"{', '.join(wanted)}: what the settings name can be used")]
