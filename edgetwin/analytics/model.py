"""Judge room: one failure model in the ONNX runtime. The only file that imports onnxruntime.

In: the bytes of a file     Out: Model, or ModelRefusedError; then rows of features -> probabilities.
One thread, no spinning, no telemetry. It reads no file and keeps nothing on disk. Run as a module it reads a model
from stdin and tries it under limits of memory and time: what a hostile file does there, it does to no robot.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import resource
import statistics
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetwin.analytics.model_card import ModelCard, read_card
from edgetwin.clock import Clock, SystemClock
from edgetwin.errors import ModelRefusedError

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # Linux wheels >= 1.29 report home by default; read when it is imported
import onnxruntime

PARITY = 1e-5
MODEL_BYTES_MAX = 64 * 1024 * 1024
EXIT_REFUSED = 2
_TRIAL_LIMITS = {
    resource.RLIMIT_AS: 4 * 1024**3,  # address space; the runtime alone takes about a third of it
    resource.RLIMIT_CPU: 30,
    resource.RLIMIT_CORE: 0,
}
_TIMED_RUNS = 32
_FATAL_ONLY = 4
_FLOAT = "tensor(float)"
_EXPORT = "export it with skl2onnx: FloatTensorType inputs, options={'zipmap': False}"
_CLASSES = 2
_SUM_OFF_MAX = 1e-3
_STRANGE = np.array([0.0, 1.0, -1e6, 1e30], np.float32)


@dataclass(frozen=True, slots=True)
class Model:
    """A model that passed its self-test.

    Attributes:
        card: What it says about itself.
        sha256: Of its file.
        run_us: Median time of one row on this machine, when it was loaded [us].
        probabilities: float32 (rows, features) -> float64 (rows,), each from 0 to 1.
    """

    card: ModelCard
    sha256: str
    run_us: float
    probabilities: Callable[[NDArray[np.float32]], NDArray[np.float64]]


def load(content: bytes, *, pinned: str | None = None, clock: Clock | None = None) -> Model:
    """Return a model that is ready to run.

    Args:
        content: All of the ONNX file.
        pinned: The only sha256 that may be loaded; None: any.
        clock: To time a run with.

    Raises:
        ModelRefusedError: It must not or cannot be used; nothing of it stays loaded.
    """
    sha256 = check_content(content, pinned)
    session = _session(content)
    card = read_card(session.get_modelmeta().custom_metadata_map)
    entry = _entry(session, len(card.features))
    leaving = _exit(session)
    rows = _test_rows(card)
    answers = _checked_answers(session, entry, leaving, rows)
    _judge(card, answers[:, -1].astype(np.float64))
    probabilities = _Reader(session, entry, leaving, len(card.features), answers.shape[1])
    _give_back()
    return Model(card, sha256, _run_us(probabilities, rows[:1], clock or SystemClock()), probabilities)


def _give_back() -> None:
    """Return to the system what reading the model took: some ten times its size, which glibc would keep."""
    with contextlib.suppress(AttributeError):  # another C library gives it back by itself
        ctypes.CDLL(None).malloc_trim(0)


def check_content(content: bytes, pinned: str | None) -> str:
    """Return the sha256 of a file that may be looked into.

    Raises:
        ModelRefusedError: It is empty, too large, or not the pinned one.
    """
    if not content:
        what = "the file is empty"
        raise ModelRefusedError(what, "copy the model there again")
    if len(content) > MODEL_BYTES_MAX:
        what = f"the file is larger than {MODEL_BYTES_MAX // 1024**2} MiB"
        raise ModelRefusedError(what, "train a smaller model: fewer or less deep trees")
    sha256 = hashlib.sha256(content).hexdigest()
    if pinned is not None and sha256 != pinned:
        what = f"its sha256 is {sha256}, and the settings pin {pinned}"
        raise ModelRefusedError(what, "put the pinned model there, or pin this one")
    return sha256


def _session(content: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # one: no pool, so no affinity and no spinning
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False  # for large graphs; a small one is slower by them
    options.log_severity_level = _FATAL_ONLY  # what is wrong comes as an exception; stderr is the journal's
    onnxruntime.disable_telemetry_events()
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises kinds of its own, RuntimeError and MemoryError
        what = f"the runtime cannot load it ({_words(error)})"
        raise ModelRefusedError(what, "copy the file again, whole") from error


def _entry(session: Any, width: int) -> str:
    entries = session.get_inputs()
    if len(entries) != 1 or entries[0].type != _FLOAT:
        found = ", ".join(f"{one.name}: {one.type}" for one in entries[:5]) or "none"
        what = f"it must have one input of {_FLOAT}, and has {len(entries)} ({found})"
        raise ModelRefusedError(what, _EXPORT)
    shape = entries[0].shape
    rows_vary = len(shape) == 2 and not isinstance(shape[0], int)  # noqa: PLR2004  # rows, features
    if not rows_vary or (isinstance(shape[1], int) and shape[1] != width):
        what = f"its input is {shape}, and its metadata name {width} features for [rows, features]"
        raise ModelRefusedError(what, "train it on the features that it names, in their order, for any number of rows")
    return str(entries[0].name)


def _exit(session: Any) -> str:
    """Return the name of the one output that is a probability."""
    exits = session.get_outputs()
    fitting = [one for one in exits if one.type == _FLOAT and _is_probability(one.shape)]
    if len(fitting) != 1:
        found = ", ".join(f"{one.name}: {one.type} {one.shape}" for one in exits[:5])
        what = f"it must have one output of {_FLOAT} with one or two columns, and has {found}"
        raise ModelRefusedError(what, _EXPORT)
    return str(fitting[0].name)


def _is_probability(shape: list[Any]) -> bool:
    return len(shape) == 2 and (not isinstance(shape[1], int) or 1 <= shape[1] <= _CLASSES)  # noqa: PLR2004


class _Reader:
    """Asks a session for probabilities, in any thread.

    One row, the usual question, goes through buffers that are bound once: with cold caches, as between two questions
    of a robot, that takes a sixth less time. While another thread has them, a row goes the way of several.
    """

    def __init__(self, session: Any, entry: str, leaving: str, width: int, columns: int) -> None:
        self._run, self._run_bound = session.run, session.run_with_iobinding
        self._entry, self._wanted = entry, [leaving]
        self._row, answer = np.zeros((1, width), np.float32), np.zeros((1, columns), np.float32)
        self._column = answer[:, -1]
        self._binding = session.io_binding()
        self._binding.bind_input(entry, "cpu", 0, np.float32, self._row.shape, self._row.ctypes.data)
        self._binding.bind_output(leaving, "cpu", 0, np.float32, answer.shape, answer.ctypes.data)
        self._buffers = threading.Lock()

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return float64 (rows,) for float32 (rows, features)."""
        if rows.shape != self._row.shape or not self._buffers.acquire(blocking=False):
            column: NDArray[np.float64] = self._run(self._wanted, {self._entry: rows})[0][:, -1].astype(np.float64)
            return column
        try:
            self._row[...] = rows
            self._run_bound(self._binding)
            return self._column.astype(np.float64)
        finally:
            self._buffers.release()


def _checked_answers(session: Any, entry: str, leaving: str, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run the model for the first time, and trust nothing about what comes out; return (rows, 1 or 2 columns)."""
    try:
        answer = np.asarray(session.run([leaving], {entry: rows})[0])
    except Exception as error:  # the same kinds as above
        what = f"it cannot be run ({_words(error)})"
        raise ModelRefusedError(what, _EXPORT) from error
    if answer.ndim != 2 or answer.shape[0] != len(rows) or not 1 <= answer.shape[1] <= _CLASSES:  # noqa: PLR2004
        what = f"it answers {len(rows)} rows with {answer.shape}, not with one probability each"
        raise ModelRefusedError(what, _EXPORT)
    if answer.shape[1] == _CLASSES and not np.abs(answer.sum(axis=1) - 1.0).max() <= _SUM_OFF_MAX:
        what = "its two columns are not the probabilities of two classes: they do not add up to 1"
        raise ModelRefusedError(what, _EXPORT)
    return answer


def _test_rows(card: ModelCard) -> NDArray[np.float32]:
    """Return the probes that came with the model, and rows that no training saw."""
    strange = np.multiply.outer(_STRANGE, np.ones(len(card.features), np.float32))
    return np.vstack([card.probes, strange])


def _judge(card: ModelCard, answers: NDArray[np.float64]) -> None:
    if not np.isfinite(answers).all() or answers.min() < 0.0 or answers.max() > 1.0 + 1e-6:
        what = f"it answers with {float(answers[np.argmax(np.abs(answers - 0.5))])!r}, which is no probability"
        raise ModelRefusedError(what, "its output must be a probability from 0 to 1")
    off = np.abs(answers[: len(card.answers)] - card.answers).max(initial=0.0)
    if not off <= PARITY:
        what = f"on its own probes it is off by {off:.2g}; {PARITY:g} is allowed"
        raise ModelRefusedError(what, "the file is not what was trained: copy or export it again")


def _run_us(probabilities: Callable[[NDArray[np.float32]], object], row: NDArray[np.float32], clock: Clock) -> float:
    taken = []
    for _ in range(_TIMED_RUNS):
        begin_ns = clock.now_ns()
        try:
            probabilities(row)
        except Exception as error:  # the same kinds as above: it took many rows, and does not take one
            what = f"it cannot be run on one row ({_words(error)})"
            raise ModelRefusedError(what, _EXPORT) from error
        taken.append(clock.now_ns() - begin_ns)
    return statistics.median(taken) / 1000.0


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def main() -> int:
    """Try the model on stdin; exit 0, or 2 with the words of the refusal on stdout."""
    for kind, limit in _TRIAL_LIMITS.items():
        with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it; the caller's patience ends, too
            resource.setrlimit(kind, (limit, limit))
    try:
        load(sys.stdin.buffer.read(MODEL_BYTES_MAX + 1))
    except ModelRefusedError as refused:
        sys.stdout.write(f"{refused.what}\n{refused.cure}\n")
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
