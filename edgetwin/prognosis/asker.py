"""Roof: who asks the model: the loop itself, or a thread where a run takes too long for the loop.

In: questions, in order     Out: answers, in the same order, on the loop.
A hop to a thread costs 8-20 us, so a model under INLINE_MAX_US a row is asked at once. A larger one works on one
question; the newest one waits, and an older one that waits gives way to it and is counted (newest wins, depth 1).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from edgetwin.analytics.asking import Answer, Question, ask

if TYPE_CHECKING:
    from edgetwin.analytics.model import Model

INLINE_MAX_US = 50.0


class Asker:
    """The way to one model; closed when another takes over.

    Attributes:
        skipped: Questions that gave way to a newer one.
    """

    def __init__(
        self, name: str, model: Model, answered: Callable[[Answer], None], failed: Callable[[BaseException], None]
    ) -> None:
        """A thread is made where the model needs one.

        Args:
            name: For the thread.
            model: Asked.
            answered: Takes each answer, on the loop; never after `close`.
            failed: Takes what the runtime throws, on the loop; never after `close`.
        """
        self.skipped = 0
        self._predict = model.probabilities
        self._answered = answered
        self._failed = failed
        self._worker = ThreadPoolExecutor(1, f"prognosis-{name}") if model.run_us > INLINE_MAX_US else None
        self._busy = False
        self._closed = False
        self._waiting: Question | None = None

    def ask(self, question: Question) -> None:
        """Ask now, or as soon as the model is free."""
        if self._worker is None:
            try:
                answer = ask(question, self._predict)
            except Exception as error:  # noqa: BLE001  # whatever a runtime throws: the daemon outlives its models
                self._failed(error)
            else:
                self._answered(answer)
        elif self._busy:
            self.skipped += self._waiting is not None
            self._waiting = question
        else:
            self._busy = True
            self._hand_over(self._worker, question)

    def close(self) -> None:
        """Forget what waits; a run that has begun ends unheard."""
        self._closed = True
        self._waiting = None
        if self._worker is not None:
            self._worker.shutdown(wait=False, cancel_futures=True)

    def _hand_over(self, worker: ThreadPoolExecutor, question: Question) -> None:
        asked = asyncio.get_running_loop().run_in_executor(worker, ask, question, self._predict)
        asked.add_done_callback(lambda future: self._done(worker, future))

    def _done(self, worker: ThreadPoolExecutor, future: asyncio.Future[Answer]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        if self._closed:
            return
        if error is not None:
            self._failed(error)
            return
        self._answered(future.result())
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not self._closed:
            self._hand_over(worker, waiting)
        else:
            self._busy = False
