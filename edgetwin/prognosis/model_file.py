"""Roof: the file of a failure model: read when it changes, tried in a process of its own, then loaded.

In: a path     Out: Model, or the words of a refusal, once per change.
Nothing here runs on the loop but the waiting. A model is copied while we look: it is read when two looks in turn
find the same size and time. What a hostile file does, it does to the trial: that has limits, and is killed.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import stat
import sys
from collections.abc import Collection
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edgetwin.analytics import features
from edgetwin.clock import Clock
from edgetwin.errors import ModelRefusedError

if TYPE_CHECKING:  # 0.1 s and 25 MB: a daemon without models does not pay for the runtime
    from edgetwin.analytics.model import Model

MODEL_BYTES_MAX = 64 * 1024 * 1024
_TRIAL_MAX_S = 60.0
_TRIAL_REFUSED = 2
_WORDS_MAX = 2000

_Signature: TypeAlias = tuple[int, ...] | None  # None: there is no such file


class ModelFile:
    """One file, looked at again and again.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path, pinned: str | None, offered: Collection[str], clock: Clock) -> None:
        """Nothing is read yet.

        Args:
            path: Where it is, or will be.
            pinned: The only sha256 that may be loaded; None: any.
            offered: Sources that its features may be made of.
            clock: To time a run with.
        """
        self.path = path
        self._pinned = pinned
        self._offered = frozenset(offered)
        self._clock = clock
        self._seen: _Signature = None
        self._judged: _Signature | str = "never"

    async def look(self, loaded: str | None, executor: Executor) -> Model | None:
        """Return a model that was not there at the last look, else None.

        Args:
            loaded: sha256 of the model in use, which is not loaded again.
            executor: Where files are read and models loaded.

        Raises:
            FileNotFoundError: It is not there; said once.
            ModelRefusedError: It changed, and cannot be used; said once per change.
        """
        loop = asyncio.get_running_loop()
        signature = await loop.run_in_executor(executor, _signature, self.path)
        if signature == self._judged:
            return None
        if signature != self._seen and self._judged != "never":
            self._seen = signature
            return None
        self._judged = self._seen = signature
        if signature is None:
            raise FileNotFoundError(self.path)
        content = await loop.run_in_executor(executor, _read, self.path)
        return await self._admit(content, loaded, executor)

    async def _admit(self, content: bytes, loaded: str | None, executor: Executor) -> Model | None:
        loop = asyncio.get_running_loop()
        runtime = await loop.run_in_executor(executor, _runtime)
        if await loop.run_in_executor(executor, runtime.check_content, content, self._pinned) == loaded:
            return None
        await _try(content)
        model: Model = await loop.run_in_executor(executor, self._load, content)
        return model

    def _load(self, content: bytes) -> Model:
        return load_model(content, self._pinned, self._offered, self._clock)


def read_model(path: Path, pinned: str | None, offered: Collection[str], clock: Clock) -> Model:
    """Return the model of a file, here and now, without a trial.

    Raises:
        ModelRefusedError: It is not there, or cannot be used.
    """
    if _signature(path) is None:
        what = f"there is no model at {path}"
        raise ModelRefusedError(what, "put it there, or correct the path")
    return load_model(_read(path), pinned, offered, clock)


def load_model(content: bytes, pinned: str | None, offered: Collection[str], clock: Clock) -> Model:
    """Return the model in `content`, whose features can be made of the sources that are `offered`.

    Raises:
        ModelRefusedError: It cannot be used.
    """
    runtime = _runtime()
    model: Model = runtime.load(content, pinned=pinned, clock=clock)
    missing = [one for one in features.sources(model.card.measured) if one not in offered]
    if missing:
        what = f"its features need {', '.join(missing)}, and there is no such source"
        raise ModelRefusedError(what, f"add the table sources.{missing[0]} with channel and field")
    return model


def _runtime() -> Any:
    """Return the module that runs models.

    Raises:
        ModelRefusedError: The ONNX runtime is not installed, or not for this machine.
    """
    try:
        return importlib.import_module("edgetwin.analytics.model")
    except ImportError as error:
        what = f"the Python package onnxruntime cannot be loaded ({' '.join(str(error).split())[:200]})"
        raise ModelRefusedError(what, "install it with: pip install onnxruntime") from error


def _signature(path: Path) -> _Signature:
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return (-(error.errno or 1),)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _read(path: Path) -> bytes:
    """Return all of a regular file.

    Raises:
        ModelRefusedError: It is no file, too large, or may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO would wait for its writer
        with open(descriptor, "rb") as file:  # noqa: PTH123  # a Path cannot be opened without waiting
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                what = "is not a file"
                raise ModelRefusedError(what, "name the ONNX file itself")
            return file.read(MODEL_BYTES_MAX + 1)
    except IsADirectoryError as error:
        what = "is a directory"
        raise ModelRefusedError(what, "name the ONNX file in it") from error
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise ModelRefusedError(what, "let the user of the daemon read it: chown root:edgetwin, chmod 0640") from error


async def _try(content: bytes) -> None:
    """Load the model in a process of its own, with limits.

    Raises:
        ModelRefusedError: The process refuses it, or did not live through it.
    """
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    environ = os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "edgetwin.analytics.model", env=environ, cwd="/",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        what = f"it cannot be tried in a process of its own ({error.strerror})"
        raise ModelRefusedError(what, "free memory or processes; it is tried again when the file changes") from error
    try:
        told, _ = await asyncio.wait_for(child.communicate(content), _TRIAL_MAX_S)
    except TimeoutError as error:
        what = f"it was not ready after {_TRIAL_MAX_S:.0f} s"
        raise ModelRefusedError(what, "train a smaller model") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode == _TRIAL_REFUSED:
        what, _, cure = told.decode(errors="replace")[:_WORDS_MAX].strip().partition("\n")
        raise ModelRefusedError(what, cure)
    if child.returncode != 0:
        what = f"its trial ended with {child.returncode}: it asks for more memory or time than it may have"
        raise ModelRefusedError(what, "train a smaller model, and copy the file again, whole")
