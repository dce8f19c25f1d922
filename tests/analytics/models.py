"""Real ONNX models for the tests: trained here, or bent on purpose."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from edgetwin.analytics.features import parse_all
from edgetwin.analytics.model_card import ModelCard, write_card

OPSET = {"": 15, "ai.onnx.ml": 3}


def card(features: Sequence[str] = ("current.mean",), **fields: Any) -> ModelCard:
    """Return a card of short windows."""
    return ModelCard(parse_all(features), **({"window_s": 1.0, "horizon_s": 3600.0, "healthy_s": 2.0} | fields))


def onnx_bytes(graph: Any, told: ModelCard | dict[str, str]) -> bytes:
    """Return a graph as a file that says `told` about itself."""
    helper.set_model_props(graph, told if isinstance(told, dict) else write_card(told))
    content: bytes = graph.SerializeToString()
    return content


def fitted(width: int = 1, *, forest: bool = False, trees: int = 20) -> tuple[Any, NDArray[np.float32]]:
    """Return an estimator that says failure where the sum of its columns is large, and rows it was fitted on."""
    rows = np.random.default_rng(width).normal(0.0, 2.0, (400, width)).astype(np.float32)
    estimator = RandomForestClassifier(trees, random_state=0) if forest else LogisticRegression()
    return estimator.fit(rows, rows.sum(axis=1) > 1.0), rows


def converted(estimator: Any, width: int, *, zipmap: bool = False) -> Any:
    """Return the ONNX graph of an estimator."""
    graph = convert_sklearn(
        estimator,
        initial_types=[("features", FloatTensorType([None, width]))],
        options={id(estimator): {"zipmap": zipmap}},
        target_opset=OPSET,
    )
    graph.ir_version = 8
    return graph


def threshold_model(told: ModelCard, *, at: float, steepness: float = 10.0) -> bytes:
    """Return a model whose probability rises through 0.5 where its first feature passes `at`."""
    width = len(told.features)
    estimator = LogisticRegression()
    estimator.classes_ = np.array([0, 1])
    estimator.coef_ = np.array([[steepness] + [0.0] * (width - 1)])
    estimator.intercept_ = np.array([-steepness * at])
    estimator.n_features_in_ = width
    return onnx_bytes(converted(estimator, width), told)


@functools.cache
def forest_model(width: int = 1, trees: int = 20) -> bytes:
    """Return a random forest on `width` means."""
    estimator, _ = fitted(width, forest=True, trees=trees)
    names = [f"s{index}.mean" for index in range(width)]
    return onnx_bytes(converted(estimator, width), card(names))


def constant_graph(
    values: Sequence[Sequence[float]] | NDArray[np.generic], *, entry: int = TensorProto.FLOAT, width: int | None = 1
) -> Any:
    """Return a graph that answers each row with the one row `values`, whatever it is asked."""
    values = np.asarray(values, np.float32) if isinstance(values, list) else values
    weights = numpy_helper.from_array(np.asarray(values), "answer")
    kind = weights.data_type
    nodes = [
        helper.make_node("ReduceSum", ["features", "axes"], ["sum"], keepdims=1),
        helper.make_node("Cast", ["sum"], ["cast"], to=kind),
        helper.make_node("Mul", ["cast", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "answer"], ["probabilities"]),
    ]
    constants = [
        weights,
        numpy_helper.from_array(np.array([1], np.int64), "axes"),
        numpy_helper.from_array(np.zeros(1, np.asarray(values).dtype), "zero"),
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("features", entry, [None, width])],
        [helper.make_tensor_value_info("probabilities", kind, [None, None])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model
