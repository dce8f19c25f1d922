"""Roof: one failure prognosis: its model file, its model, what it knows of the machine, what it says.

In: samples of its sources; looks at its files     Out: `failure` events, one journal line per change.

| what happens                         | what is done |
|--------------------------------------|--------------|
| no model file                        | samples go by; said once |
| a model appears, or the file changes | tried and loaded beside the one in use, then swapped; its window begins anew |
| ... and is refused                   | the one in use stays; said once per change |
| the file is deleted                  | the one in use stays; said once |
| a model fails before its first answer | the one before is back |
| ... or later                         | there is none, until the file changes |
| what was learned cannot be read      | no prognosis; nothing is learned anew unless a person removes the file |
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edgetwin.analytics.asking import Answer
from edgetwin.analytics.healthy import Healthy
from edgetwin.analytics.prognosis import Failure, Prognosis
from edgetwin.analytics.window import Value
from edgetwin.clock import NS_PER_S, NS_PER_US, Clock
from edgetwin.errors import BaselineLostError, ModelRefusedError
from edgetwin.prognosis import building
from edgetwin.prognosis.asker import Asker
from edgetwin.prognosis.healthy_file import HealthyFile
from edgetwin.prognosis.model_file import ModelFile
from edgetwin.prognosis.words import failure_event, span
from edgetwin.settings import PrognosisSettings

if TYPE_CHECKING:
    from edgetwin.analytics.model import Model

_log = logging.getLogger("edgetwin")

NO_MODEL, BASELINE_LOST = "no_model", "baseline_lost"

Tell: TypeAlias = Callable[[dict[str, Any]], None]


class Outlook:
    """One `[prognosis.<name>]` at work.

    Attributes:
        absent: Messages without the element that a source wants.
    """

    def __init__(
        self, name: str, settings: PrognosisSettings, origins: Mapping[str, str], kept: Path, tell: Tell, clock: Clock
    ) -> None:
        """Nothing is read yet.

        Args:
            name: As the settings call it.
            settings: Its table.
            origins: Source -> where it comes from.
            kept: File of what is learned.
            tell: Sends a `failure` event.
            clock: The robot's.
        """
        self.absent = 0
        self._name = name
        self._settings = settings
        self._origins = origins
        self._tell = tell
        self._clock = clock
        self._model_file = ModelFile(settings.model, settings.sha256, settings.sources, clock)
        self._healthy_file = HealthyFile(kept)
        self._healthy: Healthy | None = None
        self._problem: str | None = None  # with what was learned
        self._refusal: str | None = None  # of the newest model file
        self._unkept = False
        self._kept: dict[str, Any] = {}
        self._model: Model | None = None
        self._before: tuple[Model, Prognosis] | None = None  # until the model in use has answered
        self._prognosis: Prognosis | None = None
        self._asker: Asker | None = None
        self._asked_ns = 0

    def take(self, source: str, value: Value, now_ns: int) -> None:
        """Take a sample of one source at monotonic `now_ns`."""
        if self._prognosis is None:
            return
        question = self._prognosis.take(source, value, now_ns)
        if question is not None and self._asker is not None:
            self._asker.ask(question)

    async def look(self, executor: Executor) -> None:
        """Look at the files; load what has changed."""
        if self._healthy is None:
            await self._recall(executor)
        loaded = self._model.sha256 if self._model is not None else None
        try:
            model = await self._model_file.look(loaded, executor)
        except FileNotFoundError:
            self._refusal = None
            words = "runs without" if self._model is None else "goes on with the one it has"
            self._say(logging.INFO, "prognosis.no_model", f"there is no model at {self._model_file.path}; it {words}")
        except ModelRefusedError as refused:
            self._refusal = str(refused)
            words = "there is none" if self._model is None else "the one before goes on"
            self._say(logging.ERROR, "prognosis.refused", f"{self._model_file.path} is refused, {words}: {refused}")
        else:
            if model is not None:
                self._swap(model)

    def keeping(self) -> Callable[[], None]:
        """Return what writes down all that is learned so far; may be called in another thread."""
        if self._healthy is None:
            return _nothing
        values, write = self._healthy.keep(), self._healthy_file.write
        if values == self._kept:
            return _nothing
        loop = asyncio.get_running_loop()

        def keep() -> None:
            try:
                write(values)
            except OSError as error:
                loop.call_soon_threadsafe(self._keep_failed, error)
            else:
                self._unkept = False
                self._kept = values

        return keep

    def close(self) -> None:
        """End the thread."""
        if self._asker is not None:
            self._asker.close()
            self._asker = None

    def figures(self) -> dict[str, Any]:
        """Return what it is at."""
        prognosis, model = self._prognosis, self._model
        head = {
            "model": model.sha256 if model is not None else None,
            "refused": self._refusal,
            "problem": self._problem,
            "absent": self.absent,
            "skipped": self._asker.skipped if self._asker is not None else 0,
        }
        if prognosis is None or model is None or self._healthy is None:
            return {"phase": BASELINE_LOST if self._problem else NO_MODEL, **head}
        now_ns = self._clock.now_ns()
        return {
            "phase": str(prognosis.phase),
            **head,
            "probability": prognosis.probability,
            "age_s": round((now_ns - self._asked_ns) / NS_PER_S, 3) if self._asked_ns else None,
            "threshold": prognosis.rule.threshold,
            "horizon_s": model.card.horizon_s,
            "raised": prognosis.raised_ns is not None,
            "judged": prognosis.judged,
            "learned": round(prognosis.normals.progress, 4),
            "runtime_h": round(self._healthy.runtime_hours, 4),
            "missing": list(prognosis.missing),
            "not_finite": prognosis.window.not_finite,
            "restarts": prognosis.window.restarts,
            "run_us": round(model.run_us, 1),
        }

    async def _recall(self, executor: Executor) -> None:
        loop = asyncio.get_running_loop()
        try:
            kept = await loop.run_in_executor(executor, self._healthy_file.read)
            self._healthy = Healthy(self._origins, kept)
        except BaselineLostError as error:
            problem = (
                f"what was learned of this machine, {self._healthy_file.path}, {error}; put a good copy back, "
                "or remove the file to learn anew from the machine as it is now"
            )
            if problem != self._problem:
                self._problem = problem
                self._say(logging.ERROR, "prognosis.baseline_lost", problem)
            return
        if self._problem is not None:
            self._problem = None
            self._say(logging.WARNING, "prognosis.baseline_back", "what was learned of this machine is usable again")
        if self._model is not None:
            self._begin(self._model)

    def _swap(self, model: Model) -> None:
        if self._model is not None and self._prognosis is not None:
            self._before = (self._model, self._prognosis)
        swapped = self._model is not None
        self._model, self._refusal = model, None
        words = "takes over" if swapped else "is in use"
        self._say(
            logging.INFO, "prognosis.model",
            f"model {model.sha256[:12]} {words}: {', '.join(model.card.names)[:300]} over {model.card.window_s:g} s, "
            f"{model.run_us:.0f} us a run",
        )  # fmt: skip
        self._begin(model)

    def _begin(self, model: Model) -> None:
        """Build the prognosis of a model, once what was learned is known."""
        if self._healthy is None:
            return
        prognosis = building.prognosis_of(model, self._settings, self._healthy)
        begun = ", ".join(prognosis.normals.begun)
        if begun and any(one.is_ratio for one in model.card.features):
            time = span(self._settings.healthy_s or model.card.healthy_s)
            what = f"learns what is normal for {begun}, over {time} of running; the machine should be healthy now"
            self._say(logging.WARNING, "prognosis.learning", what)
        self._use(model, prognosis)

    def _use(self, model: Model, prognosis: Prognosis) -> None:
        if self._prognosis is not None:
            prognosis.inherit(self._prognosis)
        self.close()
        self._model, self._prognosis = model, prognosis
        self._asker = Asker(self._name, model, self._judge, self._failed)

    def _judge(self, answer: Answer) -> None:
        prognosis, model = self._prognosis, self._model
        if prognosis is None or model is None:
            return
        if not 0.0 <= answer.probability <= 1.0:
            what = f"it answers with {answer.probability}"
            self._failed(ModelRefusedError(what, "train it anew"))
            return
        self._before = None
        self._asked_ns = answer.question.at_ns
        failure = prognosis.judge(answer)
        if failure is not None:
            self._announce(failure, model)

    def _failed(self, error: BaseException) -> None:
        """The model cannot be asked: go back, or do without."""
        before, self._before = self._before, None
        sha256 = self._model.sha256[:12] if self._model is not None else "?"
        self._refusal = f"model {sha256} fails at work: {' '.join(str(error).split())[:200]}"
        if before is not None:
            self._use(*before)
        else:
            self.close()
            self._model = None  # the prognosis stays: its failure may stand
        words = "the one before is back" if before is not None else "there is none, until the file changes"
        self._say(logging.ERROR, "prognosis.failed", f"{self._refusal}; {words}")

    def _announce(self, failure: Failure, model: Model) -> None:
        to_stamp_us = (self._clock.stamp_ns() - self._clock.now_ns()) // NS_PER_US
        event = failure_event(self._name, failure, model.card, model.sha256, to_stamp_us)
        level = logging.ERROR if failure.raised else logging.INFO
        _log.log(
            level, "%s.", event["text"],
            extra={"EVENT": f"failure.{event['state']}", "PROGNOSIS": self._name, "PROBABILITY": event["probability"]},
        )  # fmt: skip
        self._tell(event)

    def _keep_failed(self, error: OSError) -> None:
        if not self._unkept:
            self._unkept = True
            what = f"cannot keep what is learned in {self._healthy_file.path} ({error.strerror}); a restart forgets it"
            self._say(logging.ERROR, "prognosis.unkept", what)

    def _say(self, level: int, event: str, what: str) -> None:
        _log.log(level, "Prognosis %s: %s.", self._name, what, extra={"EVENT": event, "PROGNOSIS": self._name})


def _nothing() -> None:
    """There is nothing to keep, or nothing that may be written over."""
