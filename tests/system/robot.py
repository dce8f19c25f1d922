"""A machine with the package on it: what the system tests ask of it again and again."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.system.machine import Machine

UNIT = "edgetwin.service"
SETTINGS = "/etc/edgetwin/edgetwin.toml"
PYTHON = "/usr/lib/edgetwin/bin/python"
PATIENCE_S = 30.0


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Return the first true value of `condition`."""
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {patience_s:g} s: {what}"
        time.sleep(0.05)
    return value


class Robot:
    """edgetwin as an operator sees it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.run = machine.run

    def install(self, deb: Path, *options: str) -> str:
        """Install or upgrade, as apt does without a network."""
        target = self.machine.root / "root" / deb.name
        shutil.copy(deb, target)
        try:
            brisk = (
                "--option=Dpkg::Options::=--force-unsafe-io"  # the machine is thrown away: its disk need not be safe
            )
            return self.run("apt-get", "install", "--yes", brisk, *options, f"/root/{deb.name}", patience_s=300.0)
        finally:
            target.unlink()

    def ready(self) -> int:
        """Wait until it is active; return its process id."""

        def active() -> bool:
            shown = self.shown("ActiveState", "SubState")
            assert shown["ActiveState"] != "failed", self.said()
            return shown["SubState"] == "running"

        until(active, "an active service")
        return self.pid

    @property
    def pid(self) -> int:
        """Its process id inside the machine, 0 when it does not run."""
        return int(self.shown("MainPID")["MainPID"])

    def shown(self, *properties: str) -> dict[str, str]:
        """Properties of the unit."""
        return self.machine.show(UNIT, *properties)

    def said(self) -> str:
        """Its journal as a person reads it."""
        return self.run("journalctl", "--no-pager", "--unit", UNIT, check=False)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Journal entries of one kind, oldest first."""
        return self.machine.journal("--unit", UNIT, f"EVENT={kind}")

    def status(self) -> dict[str, Any]:
        """Its status.json."""
        found: dict[str, Any] = json.loads((self.machine.root / "run/edgetwin/status.json").read_bytes())
        return found

    def restart(self) -> int:
        """Restart it; return the new process id."""
        self.run("systemctl", "restart", UNIT)
        return self.ready()

    @contextmanager
    def file(self, path: str, text: str, mode: int = 0o644) -> Iterator[Path]:
        """A file with this content; afterwards it is as it was."""
        target = self.machine.root / path.removeprefix("/")
        before = target.read_bytes() if target.exists() else None
        target.parent.mkdir(parents=True, exist_ok=True)
        if before is None:
            target.touch(mode)
            target.chmod(mode)
        target.write_text(text, encoding="utf-8")
        try:
            yield target
        finally:
            if before is None:
                target.unlink()
            else:
                target.write_bytes(before)

    @contextmanager
    def simulated(self, user: str = "games") -> Iterator[None]:
        """The simulated robot's node, run by another user, with the ROS of the package."""
        process = self.machine.start(
            "runuser", "-u", user, "--",
            "env", "HOME=/tmp", "ROS_LOG_DIR=/tmp", PYTHON, "-I", "-m", "edgetwin.sim.robot",
        )  # fmt: skip
        try:
            yield
        finally:
            self.run("pkill", "--full", "edgetwin.sim.robot", check=False)
            process.communicate(timeout=10)

    def cpu_s(self) -> float:
        """What the daemon has used of the processor so far [s]."""
        fields = (self._proc() / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self) -> int:
        """Its resident memory."""
        status = (self._proc() / "status").read_text(encoding="utf-8")
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))

    def _proc(self) -> Path:
        return Path(f"/proc/{self.machine.process_here(self.pid)}")
