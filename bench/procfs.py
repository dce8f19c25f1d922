"""Bench: what the kernel says a process has used.

In: a process id     Out: CPU time, bytes written to disk, memory. Linux only, own processes only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_DDS_THREADS = "dds."  # Fast DDS: dds.udp.7412, dds.ev.0, ...
_UTIME, _STIME = 11, 12  # fields of /proc/PID/stat after the command's name


@dataclass(frozen=True, slots=True)
class Usage:
    """A reading of one process.

    Attributes:
        cpu_ns: Time on a CPU of all threads that live now; exact, so that short windows can be compared.
        dds_ns: The share of it that the middleware's own threads have.
        written_bytes: Bytes it caused to be written to the block layer.
        rss_bytes: Resident memory.
        rss_max_bytes: The most it ever was.
    """

    cpu_ns: int
    dds_ns: int
    written_bytes: int
    rss_bytes: int
    rss_max_bytes: int


def usage(pid: int) -> Usage:
    """Return what process `pid` has used so far."""
    root = Path("/proc", str(pid))
    cpu_ns = dds_ns = 0
    for task in root.glob("task/*"):
        used_ns = int((task / "schedstat").read_text().split()[0])
        cpu_ns += used_ns
        dds_ns += used_ns if (task / "comm").read_text().startswith(_DDS_THREADS) else 0
    resident, most = (_labelled(root / "status", label) * 1024 for label in ("VmRSS:", "VmHWM:"))
    return Usage(cpu_ns, dds_ns, written_bytes(pid), resident, most)


def written_bytes(pid: int) -> int:
    """Return the bytes that process `pid` caused to be written to the block layer."""
    return _labelled(Path("/proc", str(pid), "io"), "write_bytes:")


def whole_cpu_ns(pid: int) -> int:
    """Return the CPU time since the process began, ended threads included, in clock ticks."""
    fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_STIME])) * _TICK_NS


def _labelled(path: Path, label: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(label):
            return int(line.split()[1])
    return 0
