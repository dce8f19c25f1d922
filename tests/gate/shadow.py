"""A stage with the reference model at its side: every step is taken by both, and they must agree."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from edgetwin.gate.events import Event, ResetConfirm, ResetRequest
from edgetwin.gate.memory import Decision
from edgetwin.motion import ZERO, Answer, Twist, Verdict
from tests.gate.model import RIGHT, Model, Out
from tests.gate.stage import FULL, Stage

_MOVED = {Verdict.ACCEPTED, Verdict.CLAMPED}


@dataclass
class Shadowed(Stage):
    """The same, and nothing that the model would not allow."""

    model: Model = field(default_factory=lambda: Model(FULL))

    def __post_init__(self) -> None:
        self.model = Model(self.limits, boot_held=self.memory.boot_held)

    def step(self, event: Event) -> Decision:
        """One event to both, now."""
        may = self.model.step(self._named(event), self.good(self.now_ns), self.now_ns)
        decision = Stage.step(self, event)
        assert self.state is self.model.state, f"{event}: gate {self.state}, model {self.model.state}"
        assert _same(decision.answer, self.model.verdict), f"{event}: {decision.answer}, model {self.model.verdict}"
        assert _may_leave(decision.publish, may), f"{event} in {self.state}: {decision.publish} leaves; may: {may}"
        self.model.saw(decision.publish, self.now_ns)
        return decision

    def _named(self, event: Event) -> Event:
        """Return the event as the model reads it: it knows the latch's name only as the right one."""
        if isinstance(event, ResetRequest | ResetConfirm) and event.stop_id == self.memory.stop_id:
            return replace(event, stop_id=RIGHT)
        return event


def _same(answer: Answer | None, verdict: Verdict | None) -> bool:
    """Whether the verdicts agree; how much of a move is clamped is not the model's business."""
    said = answer.verdict if answer is not None else None
    return said == verdict or (said in _MOVED and verdict in _MOVED)


def _may_leave(out: Twist | None, may: Out) -> bool:
    return {
        Out.NOTHING: out is None,
        Out.ZERO: out == ZERO,
        Out.ZERO_OR_NOTHING: out in {None, ZERO},
        Out.BOUNDED: out is not None,
    }[may]
