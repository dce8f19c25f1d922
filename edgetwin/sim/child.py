"""Sim wing: one child process, from its start to its reaping.

In: a command line     Out: a process that can be paused, ended and asked for its last words.

Nothing here waits without a limit, and a child that was started is always reaped. Children get
their own session: Ctrl-C in the terminal reaches the demo alone, which ends them in its own order.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from edgetwin.errors import EdgeTwinError

_KILLED_MAX_S = 5.0
_POLL_S = 0.05
_LAST_WORDS_MAX_BYTES = 8192


class SimulationError(EdgeTwinError):
    """A part of the simulation is missing or ended. Recovery: the user reads the line, then starts again."""


class Child:
    """A running child process; everything it prints goes to `log_path`."""

    def __init__(
        self, name: str, argv: Sequence[str], *, log_path: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._log_path = log_path
        try:
            with log_path.open("ab") as log:
                self._process = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ, start_new_session=True
                )
        except OSError as error:
            msg = f"{name} does not start: {error}; check {argv[0]}"
            raise SimulationError(msg) from error

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def last_words(self, lines: int = 8) -> str:
        """Return the last lines it printed."""
        printed = self._log_path.read_bytes()[-_LAST_WORDS_MAX_BYTES:].decode(errors="replace")
        return "\n".join(printed.strip().splitlines()[-lines:])

    def check(self) -> None:
        """Pass while it runs.

        Raises:
            SimulationError: It ended without being asked to; the text carries its last words.
        """
        if self.exit_code is not None:
            msg = (
                f"{self.name} ended early with exit code {self.exit_code}; it said:\n{self.last_words() or '(nothing)'}"
            )
            raise SimulationError(msg)

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its connections stay open and nobody answers."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run again."""
        self._process.send_signal(signal.SIGCONT)

    def signal(self, signum: int) -> None:
        """Send it a signal; nothing happens when it has ended."""
        self._process.send_signal(signum)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM), frozen or not; does not wait."""
        self._process.terminate()
        self.resume()

    def kill(self) -> int:
        """End it now (SIGKILL) if it still runs, reap it, and return its exit code."""
        self._process.kill()
        return self._process.wait(_KILLED_MAX_S)

    def stop(self, grace_s: float) -> int:
        """Ask it to end, wait up to `grace_s`, then kill; return its exit code."""
        self.terminate()
        try:
            return self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            return self.kill()

    async def stop_soon(self, grace_s: float) -> int:
        """Do the same as stop(), while the event loop runs on."""
        self.terminate()
        for _ in range(round(grace_s / _POLL_S)):
            if self.exit_code is not None:
                break
            await asyncio.sleep(_POLL_S)
        return self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
