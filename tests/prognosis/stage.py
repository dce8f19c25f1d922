"""A stage for one outlook: real files, a real runtime, a clock that is moved by hand."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgetwin.prognosis.outlook import Outlook
from edgetwin.settings import PrognosisSettings

S = 1_000_000_000
EPOCH_NS = 1_795_327_201 * S


@dataclass(slots=True)
class HandClock:
    """Stands still until it is moved; steps a little at each look, so that a run takes time."""

    ns: int = 0
    step_ns: int = 0

    def now_ns(self) -> int:
        """Monotonic time [ns]."""
        self.ns += self.step_ns
        return self.ns

    def stamp_ns(self) -> int:
        """Wall time [ns]."""
        return EPOCH_NS + self.ns


@dataclass(slots=True)
class Stage:
    """An outlook on `current`, its files in one folder, and what it told."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    clock: HandClock = field(default_factory=HandClock)
    executor: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    origins: dict[str, str] = field(default_factory=lambda: {"current": "/motor current"})
    outlook: Outlook = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    @property
    def model(self) -> Path:
        """Where the model is looked for."""
        return self.folder / "motor.onnx"

    @property
    def kept(self) -> Path:
        """Where it keeps what it learns."""
        return self.folder / "prognosis" / "motor.json"

    def restart(self) -> None:
        """Begin as after a restart of the daemon."""
        source = {"channel": "motor", "field": "current"}
        told = {"model": str(self.model), "every_s": 1.0, "sources": {"current": source}} | self.settings
        settings = PrognosisSettings.model_validate(told)
        self.outlook = Outlook("motor", settings, self.origins, self.kept, self.events.append, self.clock)

    def put(self, content: bytes) -> None:
        """Put a model in place as a careful copy does: all at once."""
        scratch = self.folder / "copy"
        scratch.write_bytes(content)
        os.replace(scratch, self.model)  # noqa: PTH105  # the very call

    async def look(self, times: int = 2) -> dict[str, Any]:
        """Let it look; return its figures. A change is believed at the second look."""
        for _ in range(times):
            await self.outlook.look(self.executor)
        return self.outlook.figures()

    def windows(self, values: Iterable[float]) -> None:
        """Feed windows of one second each."""
        for value in values:
            for _ in range(4):
                self.outlook.take("current", value, self.clock.ns)
                self.clock.ns += S // 4
        self.outlook.take("current", 0.0, self.clock.ns)

    @property
    def states(self) -> list[str]:
        """The states of the events so far."""
        return [event["state"] for event in self.events]
