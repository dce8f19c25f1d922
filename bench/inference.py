"""Bench: one row through a random forest of 100 trees: scikit-learn beside the daemon's way of asking a model.

In: a forest fitted here, on the tutorial's five features     Out: time per row, share of a core at 100 Hz, memory.
The peers run in turn in one process, but for the runtime with its default threads, which spin: a child of its own.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestClassifier

from bench.report import Section, medians, percentile, ratios
from bench.site import Site
from edgetwin.analytics.features import parse_all
from edgetwin.analytics.model import load
from edgetwin.analytics.model_card import ModelCard, write_card

SKLEARN, EDGETWIN, DEFAULTS = "scikit-learn", "edgetwin", "onnxruntime as it comes"
SMALLER = "edgetwin, as `train` grows it"
_METHOD = """\
RandomForestClassifier(100), grown to the end on 4,000 noisy rows of five features; the same forest as ONNX, loaded by
the daemon's own code; and one whose leaves hold ten rows, as `edgetwin train` makes it. Time: one row, median and 99th
percentile over a few thousand runs. CPU: process time over real time while one row is asked 100 times a second, less
that of the same loop without a model. Memory: what a fresh process grows by when the model is loaded.
"""
_FEATURES = ("current.mean", "current.std", "temperature.mean", "vibration.rms", "runtime.hours")
_RATE_HZ = 100
_RUNS_HERE, _RUNS_THERE = 50, 2000
_CHILD = """
import sys, time
import numpy as np
path, way, seconds, rate, runs = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
def resident():
    return int(next(line for line in open('/proc/self/status') if line.startswith('VmRSS')).split()[1]) / 1024
row = np.full((1, 5), 0.5, np.float32)
content = open(path, 'rb').read()
if way == 'edgetwin':
    from edgetwin.analytics.model import load
    before = resident()
    predict = load(content).probabilities
else:
    import onnxruntime
    before = resident()
    session = onnxruntime.InferenceSession(content)
    predict = lambda rows: session.run(None, {'features': rows})
grown = resident() - before
for _ in range(50):
    predict(row)
taken = []
for _ in range(runs):
    begin = time.perf_counter_ns()
    predict(row)
    taken.append((time.perf_counter_ns() - begin) / 1000)
def share(call):
    start, cpu = time.monotonic(), time.process_time()
    for turn in range(int(seconds * rate)):
        time.sleep(max(0.0, start + turn / rate - time.monotonic()))
        call(row)
    return 100 * (time.process_time() - cpu) / (time.monotonic() - start)
share = share(predict) - share(len)
taken.sort()
print(taken[len(taken) // 2], taken[int(len(taken) * 0.99)], share, grown)
"""


@dataclass(frozen=True, slots=True)
class _Cost:
    """Time of one row [us], share of a core at 100 Hz [%], memory of the model [MB]."""

    p50_us: float
    p99_us: float
    cpu_percent: float
    memory_mb: float


def measure(site: Site) -> Section:
    """Measure the three ways in turn."""
    forest, content = forest_of(1)
    _, smaller = forest_of(10)
    rounds: dict[str, list[_Cost]] = {SKLEARN: [], EDGETWIN: [], SMALLER: [], DEFAULTS: []}
    with TemporaryDirectory(dir=site.folder) as folder:
        path = Path(folder) / "forest.onnx"
        path.write_bytes(content)
        small_path = Path(folder) / "smaller.onnx"
        small_path.write_bytes(smaller)
        for _ in range(site.effort.rounds):
            rounds[SKLEARN].append(_here(forest.predict_proba, site.effort.window_s))
            rounds[EDGETWIN].append(_child(path, "edgetwin", site.effort.window_s))
            rounds[SMALLER].append(_child(small_path, "edgetwin", site.effort.window_s))
            rounds[DEFAULTS].append(_child(path, "defaults", site.effort.window_s))
    both = {peer: rounds[peer] for peer in (EDGETWIN, SMALLER, DEFAULTS)}
    rows = [
        medians("one row, median", "us", rounds, lambda cost: cost.p50_us, "<= 10 us"),
        medians("one row, 99th percentile", "us", rounds, lambda cost: cost.p99_us),
        ratios("  scikit-learn / this", rounds, SKLEARN, lambda cost: cost.p50_us, ">= 300"),
        medians(f"CPU at {_RATE_HZ} Hz", "%", rounds, lambda cost: cost.cpu_percent, "<= 1 %"),
        medians("memory of the model", "MB", both, lambda cost: cost.memory_mb),
    ]
    return Section("inference", "Failure model", rows, rounds, _METHOD)


def forest_of(leaf_rows: int, window_s: float = 60.0) -> tuple[Any, bytes]:
    """Return a forest of 100 trees, and the same as a model that the daemon takes, with windows that long."""
    numbers = np.random.default_rng(0)
    rows = numbers.normal(size=(4000, len(_FEATURES))).astype(np.float32)
    truth = rows.sum(axis=1) + numbers.normal(0.0, 2.0, 4000) > 1.0
    forest = RandomForestClassifier(100, min_samples_leaf=leaf_rows, random_state=0).fit(rows, truth)
    entry = [("features", FloatTensorType([None, len(_FEATURES)]))]
    opset = {"": 15, "ai.onnx.ml": 3}
    graph = convert_sklearn(forest, initial_types=entry, options={id(forest): {"zipmap": False}}, target_opset=opset)
    onnx.helper.set_model_props(graph, write_card(ModelCard(parse_all(_FEATURES), window_s, 86_400.0)))
    content: bytes = graph.SerializeToString()
    load(content)
    return forest, content


def _here(predict: Callable[[NDArray[np.float32]], object], seconds: float) -> _Cost:
    row = np.full((1, len(_FEATURES)), 0.5, np.float32)
    predict(row)
    taken = []
    for _ in range(_RUNS_HERE):
        begin_ns = time.perf_counter_ns()
        predict(row)
        taken.append((time.perf_counter_ns() - begin_ns) / 1000)
    share = _share(predict, row, seconds) - _share(len, row, seconds)
    return _Cost(statistics.median(taken), percentile(taken, 99), share, 0.0)


def _share(call: Callable[[NDArray[np.float32]], object], row: NDArray[np.float32], seconds: float) -> float:
    start_s, cpu_s = time.monotonic(), time.process_time()
    for turn in range(int(seconds * _RATE_HZ)):
        time.sleep(max(0.0, start_s + turn / _RATE_HZ - time.monotonic()))
        call(row)
    return 100 * (time.process_time() - cpu_s) / (time.monotonic() - start_s)


def _child(path: Path, way: str, seconds: float) -> _Cost:
    command = [sys.executable, "-c", _CHILD, str(path), way, str(seconds), str(_RATE_HZ), str(_RUNS_THERE)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return _Cost(*map(float, told.split()))
