"""Train: the fitted model as an ONNX file that says what it is.

In: Outcome, Table, History, Wish     Out: one file, or a refusal; the file there before is kept until then.
The file is loaded by the daemon's own code and asked about every row before it is put in its place.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from edgetwin import __version__
from edgetwin.analytics.features import parse_all
from edgetwin.analytics.model import PARITY, load
from edgetwin.analytics.model_card import PROBES_MAX, ModelCard, write_card
from edgetwin.clock import SystemClock
from edgetwin.errors import EdgeTwinError, Fault, ModelRefusedError, RefusedError
from edgetwin.train.fit import PRECISION, Outcome, Score
from edgetwin.train.folds import Folds
from edgetwin.train.history import History
from edgetwin.train.table import Table
from edgetwin.train.wish import Wish

_OPSET = {"": 15, "ai.onnx.ml": 3}  # what every runtime since 1.12 reads
_IR_VERSION = 8


class ParityError(EdgeTwinError):
    """The exported model does not say what the fitted one says. Recovery: another estimator."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The written file.

    Attributes:
        parity: Largest difference of a probability, over all rows.
        sha256: To pin in the settings.
        run_us: Median time of one row here [us].
        size: Bytes.
    """

    parity: float
    sha256: str
    run_us: float
    size: int


def export(outcome: Outcome, table: Table, folds: Folds, history: History, wish: Wish) -> Exported:
    """Write the model of an outcome.

    Raises:
        ParityError: It differs from the fitted one by more than 1e-5 somewhere.
        RefusedError: The file cannot be written.
    """
    rows = table.columns(outcome.chosen.features)
    snap(outcome.model)
    expected: NDArray[np.float64] = outcome.model.predict_proba(rows)[:, 1]
    graph = _graph(outcome.model, rows.shape[1])
    onnx.helper.set_model_props(graph, write_card(_card(outcome, table, folds, history, wish, expected)))
    content: bytes = graph.SerializeToString()
    try:
        model = load(content)
    except ModelRefusedError as error:
        msg = f"the exported model is refused: {error}"
        raise ParityError(msg) from error
    off = float(np.abs(model.probabilities(rows) - expected).max())
    if not off <= PARITY:
        msg = f"the exported model is off by {off:.2g}, {PARITY:g} is allowed; choose another --estimator"
        raise ParityError(msg)
    _write(wish.out, content)
    return Exported(off, model.sha256, model.run_us, len(content))


def snap(model: Any) -> None:
    """Round the thresholds of trees down to float32, as ONNX has them: no float32 row changes sides by that."""
    trees = getattr(model, "estimators_", None)
    for tree in [] if trees is None else np.ravel(trees):
        thresholds = tree.tree_.threshold
        narrow = thresholds.astype(np.float32)
        above = narrow.astype(np.float64) > thresholds
        narrow[above] = np.nextafter(narrow[above], np.float32(-np.inf))
        thresholds[:] = narrow


def _graph(model: Any, width: int) -> Any:
    options = {id(model): {"zipmap": False}}
    entry = [("features", FloatTensorType([None, width]))]
    graph = convert_sklearn(model, initial_types=entry, options=options, target_opset=_OPSET)
    graph.ir_version = _IR_VERSION
    graph.graph.name = "failure"  # the converter's own is new each time
    graph.producer_name, graph.producer_version = "edgetwin", __version__
    return graph


def _card(
    outcome: Outcome, table: Table, folds: Folds, history: History, wish: Wish, expected: NDArray[np.float64]
) -> ModelCard:
    names = outcome.chosen.features
    rows = table.columns(names)
    healthy = np.median(rows[~table.positive], axis=0)
    probes = _probes(expected)
    facts = {
        "edgetwin": __version__,
        "estimator": outcome.chosen.estimator,
        "data_sha256": history.sha256,
        "trained": dt.datetime.fromtimestamp(SystemClock.stamp_ns() // 10**9, dt.UTC).isoformat(),
        "every_s": table.pace.every_s,
        "split": folds.way,
        "rows": len(table.rows),
        "positive": int(table.positive.sum()),
        "machines": len(table.names),
        "scores": scores(outcome),
        "baseline": "each base feature's mean over the first healthy_s of running time of its own machine",
    }
    return ModelCard(
        parse_all(names), table.pace.window_s, wish.horizon_s, outcome.threshold, table.pace.healthy_s, wish.running,
        {name: float(value) for name, value in zip(names, healthy, strict=True)}, rows[probes], expected[probes],
        facts,
    )  # fmt: skip


def scores(outcome: Outcome) -> dict[str, Any]:
    """Return the scores as plain values."""
    alone = None if outcome.baseline is None else _plain(outcome.baseline)
    return {"model": _plain(outcome.score), "ratio_alone": alone, "prevalence": outcome.prevalence}


def _plain(score: Score) -> Mapping[str, float]:
    recall = round(score.recall, 6)
    return {
        "pr_auc": round(score.pr_auc, 6),
        f"recall_at_precision_{PRECISION:g}": recall,
        "pooled": round(score.pooled, 6),
    }


def _probes(expected: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return rows whose probabilities lie as far apart as those of the table do."""
    order = np.argsort(expected, kind="stable")
    return order[np.unique(np.linspace(0, len(order) - 1, min(PROBES_MAX, len(order))).astype(np.int64))]


def _write(path: Path, content: bytes) -> None:
    scratch = path.with_name(path.name + ".new")
    try:
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        cure = "name a file in a folder that you may write to"
        raise RefusedError([Fault(str(path), f"cannot be written ({error.strerror})", cure)]) from error
