"""Backtest: a failure model over a recording, asked sample by sample, as the robot would ask it.

In: [prognosis.NAME], samples of its sources     Out: Rehearsal: probabilities over time, failures foretold
Nothing is known of the machine when the recording begins: its first healthy time is learned from, as on a new robot.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgetwin.analytics.features import sources
from edgetwin.analytics.prognosis import Phase, Prognosis
from edgetwin.analytics.window import Value
from edgetwin.clock import NS_PER_S, SystemClock
from edgetwin.errors import Fault, ModelRefusedError, RefusedError
from edgetwin.prognosis.building import rehearse
from edgetwin.prognosis.checking import model_faults
from edgetwin.prognosis.words import words
from edgetwin.settings import Settings

if TYPE_CHECKING:
    from edgetwin.analytics.model import Model


@dataclass(slots=True)
class Foretold:
    """One failure that was announced: from the window that raised it to the one that cleared it, or the last one."""

    start_s: float
    end_s: float
    peak: float
    words: str


class Rehearsal:
    """One model at work on a recording.

    Attributes:
        name: Of the prognosis.
        card: What the model says about itself.
        sha256: Of the model's file.
        threshold: Probability from which on a failure is announced.
        row: Row of the recording that is being taken; set by whoever feeds.
        times_s: Ends of the windows that were judged [s].
        probabilities: What the model said of them.
        standing: 1 where a failure stood after that.
        rows: Row that ended each window: the one before it is the newest of the window.
        failures: Announced, in order.
        held_back: Failures that were not announced, because there were too many in an hour.
    """

    def __init__(self, name: str, model: Model, prognosis: Prognosis) -> None:
        self.name = name
        self.card = model.card
        self.sha256 = model.sha256
        self.threshold = prognosis.rule.threshold
        self.row = 0
        self.times_s = array("d")
        self.probabilities = array("d")
        self.standing = array("b")
        self.rows = array("q")
        self.failures: list[Foretold] = []
        self.held_back = 0
        self._model = model
        self._prognosis = prognosis
        self._open: Foretold | None = None

    @property
    def phase(self) -> Phase:
        """What the prognosis is at, after the newest sample."""
        return self._prognosis.phase

    @property
    def missing(self) -> tuple[str, ...]:
        """Features that cannot be built, where the phase says so."""
        return self._prognosis.missing

    @property
    def learned(self) -> float:
        """How much of the healthy time is over, 0 to 1."""
        return self._prognosis.normals.progress

    def take(self, source: str, value: Value, at_ns: int) -> None:
        """Take a sample of one source; ask the model where that completes a window.

        Raises:
            ModelRefusedError: The model fails at work; the daemon would go on without it.
        """
        prognosis = self._prognosis
        stood = prognosis.raised_ns is not None
        try:
            answer, failure = prognosis.step(source, value, at_ns, self._model.probabilities)
        except Exception as error:  # whatever a runtime throws
            raise self._failed(" ".join(str(error).split())[:200]) from error
        if answer is None:
            return
        if not 0.0 <= answer.probability <= 1.0:
            raise self._failed(f"it answers with {answer.probability}")  # noqa: EM102, TRY003  # as the daemon words it
        stands, time_s = prognosis.raised_ns is not None, answer.question.at_ns / NS_PER_S
        self.times_s.append(time_s)
        self.probabilities.append(answer.probability)
        self.standing.append(stands)
        self.rows.append(self.row)
        if failure is not None and failure.raised:
            self._open = Foretold(time_s, time_s, answer.probability, words(self.name, failure, self.card))
            self.failures.append(self._open)
        elif stands and not stood:
            self.held_back += 1
        if self._open is not None:
            self._open.end_s, self._open.peak = time_s, max(self._open.peak, answer.probability)
            if not stands:
                self._open = None

    def _failed(self, what: str) -> ModelRefusedError:
        what = f"prognosis.{self.name}: model {self.sha256[:12]} fails at work: {what}"
        return ModelRefusedError(what, "train it anew")


def rehearsals(settings: Settings, offered: Mapping[str, Collection[str]]) -> list[Rehearsal]:
    """Return the models of the settings that the recording has something for, loaded and ready.

    Args:
        settings: For [prognosis.*].
        offered: Prognosis -> its sources that the recording has; one without any is left out.

    Raises:
        RefusedError: A model is not there, would be refused on the robot, or needs a source that the recording lacks.
    """
    chosen = {name: one for name, one in settings.prognosis.items() if offered.get(name)}
    if found := model_faults(settings.model_copy(update={"prognosis": chosen})):
        raise RefusedError(found)
    ready = []
    for name, one in chosen.items():
        try:
            model, prognosis = rehearse(one, SystemClock())
        except ModelRefusedError as refused:
            raise RefusedError([Fault(f"prognosis.{name}.model", refused.what, refused.cure)]) from refused
        lacking = [source for source in sources(model.card.measured) if source not in offered[name]]
        if lacking:
            what = f"the model needs the source {lacking[0]}, and nothing in the recording is it"
            has = ", ".join(offered[name])
            raise RefusedError([Fault(f"prognosis.{name}.sources", what, f"record it as well; there is {has}")])
        ready.append(Rehearsal(name, model, prognosis))
    return ready
