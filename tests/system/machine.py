"""A machine with a real systemd: a container on an overlay of a small Debian, with a network of its own.

No host systemd is needed: nspawn runs in a mount namespace with a cgroup2 of its own, and commands enter by nsenter.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_BOOT_MAX_S = 30.0
_STOP_MAX_S = 20.0
_CGROUPS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))  # where this host has version 2
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# The system calls that nspawn forbids of its own accord and a robot does not: reading the clock's state, BPF.
_INSIDE = """
set -e
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /sys/fs/cgroup/{name}
echo $$ >/sys/fs/cgroup/{name}/cgroup.procs
mount -t overlay overlay -o lowerdir={layers},upperdir={folder}/upper,workdir={folder}/work {folder}/root
exec systemd-nspawn --quiet --directory={folder}/root --boot --register=no --keep-unit --machine={name} \
    --kill-signal=SIGRTMIN+3 --private-network --console=pipe \
    --system-call-filter=@clock --system-call-filter=bpf --capability=all
"""


class Machine:
    """A booted machine; as a context manager it is switched off, and nothing is left of it.

    Args:
        layers: What it is booted from, the uppermost first; they are not changed.
        folder: For what it writes.
        name: Of the machine, unique on this host.
        keep: Leave what it has written in `upper`, as a layer for others.
    """

    def __init__(self, layers: Sequence[Path], folder: Path, name: str, *, keep: bool = False) -> None:
        self.name = name
        self.folder = folder
        self.upper = folder / "upper"
        self._layers = layers
        self._keep = keep
        self._leader = 0

    def __enter__(self) -> Self:
        for part in ("upper", "work", "root"):
            (self.folder / part).mkdir(parents=True)
        layers = ":".join(str(layer.resolve()) for layer in self._layers)
        script = _INSIDE.format(name=self.name, layers=layers, folder=self.folder)
        with (self.folder / "console.log").open("wb") as console:
            self._nspawn = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "bash", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self._leader = self._until(self._find_leader, "its first process")
        self._until(lambda: self.run("systemctl", "is-system-running", check=False).strip() == "running", "it running")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in ("SIGRTMIN+3", "SIGKILL"):
            if self._leader and self._nspawn.poll() is None:
                subprocess.run(["kill", "-s", number, str(self._leader)], check=False, capture_output=True)
                with suppress(subprocess.TimeoutExpired):
                    self._nspawn.wait(_STOP_MAX_S)
        self._nspawn.kill()
        self._nspawn.wait(_STOP_MAX_S)
        for root in _CGROUPS:
            for group in sorted(root.glob(f"{self.name}/**/"), reverse=True):
                group.rmdir()
        for part in ("work",) if self._keep else ("upper", "work"):
            shutil.rmtree(self.folder / part)

    @property
    def root(self) -> Path:
        """Its file system, as this process sees it."""
        return Path(f"/proc/{self._leader}/root")

    def run(self, *command: str, check: bool = True, text: str | None = None, patience_s: float = 60.0) -> str:
        """Run a command as root inside; return what it says."""
        done = self.start(*command, stdin=subprocess.PIPE if text is not None else subprocess.DEVNULL)
        try:
            said, errors = done.communicate(text, timeout=patience_s)
        except subprocess.TimeoutExpired:
            done.kill()
            raise
        assert not check or done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{said}{errors}"
        return said if check else said + errors

    def start(self, *command: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Start a command as root inside."""
        environment = ["env", "-i", f"PATH={_PATH}", "LANG=C.UTF-8", "HOME=/root"]
        return subprocess.Popen(
            ["nsenter", "-t", str(self._leader), "-a", *environment, *command],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Return properties of a unit."""
        said = self.run("systemctl", "show", unit, *(f"--property={name}" for name in properties))
        return dict(line.split("=", 1) for line in said.splitlines())

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """Return journal entries, fields and all."""
        said = self.run("journalctl", "--output=json", "--no-pager", "--quiet", *matches, check=False)
        return [json.loads(line) for line in said.splitlines()]

    def process_here(self, pid: int) -> int:
        """Return the number that a process of the machine has on this host."""
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                fields = dict(line.split(":\t", 1) for line in status.read_text(encoding="utf-8").splitlines())
                if fields["NSpid"].split()[-1] == str(pid) and self.name in (status.parent / "cgroup").read_text():
                    return int(status.parent.name)
            except (OSError, KeyError, ValueError):
                continue
        message = f"no process {pid} in {self.name}"
        raise LookupError(message)

    def _find_leader(self) -> int:
        try:
            return self.process_here(1)
        except LookupError:
            return 0

    def _until(self, condition: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + _BOOT_MAX_S
        while not (value := condition()):
            console = (self.folder / "console.log").read_text(errors="replace")
            assert self._nspawn.poll() is None, f"the container ended: {console[-2000:]}"
            assert time.monotonic() < deadline, f"no {what} within {_BOOT_MAX_S:g} s: {console[-2000:]}"
            time.sleep(0.02)
        return value
