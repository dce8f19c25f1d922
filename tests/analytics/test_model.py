"""Models in the real runtime: what is loaded says what was trained; what is not a model is refused with words."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgetwin.analytics.model import MODEL_BYTES_MAX, load
from edgetwin.analytics.model_card import write_card
from edgetwin.errors import ModelRefusedError
from tests.analytics.models import card, constant_graph, converted, fitted, forest_model, onnx_bytes, threshold_model

NAMES = ["a.mean", "b.mean", "c.mean"]


def refusal(content: bytes, **options: Any) -> str:
    """Return the words that a model is refused with."""
    with pytest.raises(ModelRefusedError) as caught:
        load(content, **options)
    assert caught.value.what
    assert caught.value.cure
    return str(caught.value)


@pytest.mark.parametrize("forest", [True, False])
def test_the_loaded_model_says_what_the_fitted_one_says(*, forest: bool) -> None:
    """Row by row and all at once, within 1e-5."""
    estimator, rows = fitted(3, forest=forest)
    model = load(onnx_bytes(converted(estimator, 3), card(NAMES)))
    expected = estimator.predict_proba(rows)[:, 1]

    np.testing.assert_allclose(model.probabilities(rows), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose([model.probabilities(row[None])[0] for row in rows[:50]], expected[:50], atol=1e-5)
    assert model.run_us > 0.0


def test_one_column_is_a_probability_too() -> None:
    """(rows, 1), as a network with a sigmoid has it."""
    model = load(onnx_bytes(constant_graph([[0.25]]), card()))

    np.testing.assert_array_equal(model.probabilities(np.zeros((4, 1), np.float32)), [0.25] * 4)


def test_its_own_probes_are_asked() -> None:
    """Right answers pass, wrong ones do not: the file is not what was trained."""
    estimator, rows = fitted(1)
    graph = converted(estimator, 1)
    right = estimator.predict_proba(rows[:5])[:, 1]

    assert load(onnx_bytes(graph, card(probes=rows[:5], answers=right))).card.probes.shape == (5, 1)
    assert "probes" in refusal(onnx_bytes(graph, card(probes=rows[:5], answers=right + 1e-3)))


def test_only_the_pinned_file_is_loaded() -> None:
    """One other byte is another file."""
    content = threshold_model(card(), at=1.0)
    pinned = load(content).sha256

    assert load(content, pinned=pinned).sha256 == pinned
    assert pinned in refusal(threshold_model(card(), at=2.0), pinned=pinned)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\0", "cannot load"),
        (b"not a model at all", "cannot load"),
        (b"\x08" * 10_000, "cannot load"),
        (bytes(MODEL_BYTES_MAX + 1), "larger than 64 MiB"),
    ],
    ids=["empty", "zero", "text", "protobuf", "huge"],
)
def test_what_is_no_model_is_refused(content: bytes, words: str) -> None:
    """Garbage of every size."""
    assert words in refusal(content)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_model_cut_short_is_refused(share: float) -> None:
    """A copy that stopped on the way: the graph is broken, or its metadata are gone."""
    content = forest_model(2)

    refusal(content[: int(len(content) * share)])


def test_a_model_without_metadata_says_what_to_do() -> None:
    """Nobody can know what its inputs are."""
    assert "edgetwin train" in refusal(onnx_bytes(converted(fitted(1)[0], 1), {}))


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (constant_graph([[0.1, 0.9]], entry=TensorProto.DOUBLE), "tensor(double)"),
        (constant_graph([[0.1, 0.9]], width=2), "1 features"),
        (constant_graph([[0.1, 0.5]]), "add up to 1"),
        (constant_graph([[1.5]]), "no probability"),
        (constant_graph([[-0.5]]), "no probability"),
        (constant_graph([[float("nan")]]), "no probability"),
        (constant_graph([[float("nan"), float("nan")]]), "add up to 1"),
        (constant_graph([[0.2, 0.3, 0.5]]), "one or two columns"),
        (constant_graph(np.array([[0.5]], np.float64)), "tensor(double)"),
        (converted(fitted(1)[0], 1, zipmap=True), "zipmap"),
    ],
    ids=["double-in", "width", "sum", "above-1", "below-0", "nan", "nan-2", "three", "double-out", "zipmap"],
)
def test_an_output_that_is_not_one_probability_is_refused(graph: Any, words: str) -> None:
    """Every kind of wrong input and output is named."""
    assert words in refusal(onnx_bytes(graph, card()))


def test_a_model_for_one_fixed_row_is_refused() -> None:
    """Shares of features need several rows at once."""
    graph = constant_graph([[0.5]])
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1

    assert "any number of rows" in refusal(onnx_bytes(graph, card()))


def test_two_probabilities_are_one_too_many() -> None:
    """Which of them would it be?"""
    graph = constant_graph([[0.5]])
    graph.graph.node.append(helper.make_node("Identity", ["probabilities"], ["more"]))
    graph.graph.output.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [None, 1]))

    assert "one output" in refusal(onnx_bytes(graph, card()))


def test_a_model_of_a_future_format_is_refused() -> None:
    """An operator set that this runtime does not have."""
    graph = constant_graph([[0.5]])
    graph.opset_import[0].version = 9999

    assert "cannot load" in refusal(onnx_bytes(graph, card()))


def test_a_model_may_not_read_other_files(tmp_path: Path) -> None:
    """Weights that live in a file beside it would come from wherever the model says."""
    secret = tmp_path / "secret"
    secret.write_bytes(np.array([0.25], np.float32).tobytes())
    graph = constant_graph([[0.5]])
    weights = graph.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", str(secret)), ("offset", "0"), ("length", "4")):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value

    refusal(onnx_bytes(graph, card()))


def _trial(content: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "edgetwin.analytics.model"]
    return subprocess.run(command, input=content, capture_output=True, check=False)


def test_the_trial_says_what_the_daemon_would() -> None:
    """A good model passes; a bad one comes back with its words and its cure, a line each."""
    good, bad = _trial(threshold_model(card(), at=1.0)), _trial(b"garbage")

    assert (good.returncode, good.stdout) == (0, b"")
    assert bad.returncode == 2
    assert len(bad.stdout.splitlines()) == 2


def test_a_model_that_asks_for_all_memory_does_not_survive_its_trial() -> None:
    """A few hundred bytes that would fill 400 GB."""
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["huge"], value=helper.make_tensor("v", 1, [1], [0.5])),
        helper.make_node("ReduceMean", ["huge"], ["mean"], keepdims=1),
        helper.make_node("Mul", ["features", "mean"], ["probabilities"]),
    ]
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [100_000, 1_000_000])
    entry = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 1])
    leaving = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 1])
    graph = helper.make_model(
        helper.make_graph(nodes, "bomb", [entry], [leaving], [shape]), opset_imports=[helper.make_opsetid("", 15)]
    )
    graph.ir_version = 8
    onnx.checker.check_model(graph)

    assert _trial(onnx_bytes(graph, card())).returncode != 0


def test_the_runtime_reports_nothing_home_and_starts_no_threads() -> None:
    """Telemetry is off before the import, even where the environment would have it on; a model brings no thread."""
    script = (
        "import os, sys, threading\n"
        "from edgetwin.analytics.model import load\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "load(sys.stdin.buffer.read())\n"
        "print(os.environ['ORT_DISABLE_TELEMETRY'], len(os.listdir('/proc/self/task')) - before)\n"
    )
    environ = {name: value for name, value in os.environ.items() if name != "CI"} | {"ORT_DISABLE_TELEMETRY": "0"}
    told = subprocess.run(
        [sys.executable, "-c", script], input=forest_model(2), env=environ, capture_output=True, check=True
    )

    assert told.stdout.split() == [b"1", b"0"]
    assert told.stderr == b""


def test_a_model_may_be_asked_from_another_thread() -> None:
    """Loaded here, asked there: the same answers."""
    model = load(forest_model(2))
    rows = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(model.probabilities(rows)))
    thread.start()
    thread.join()

    np.testing.assert_array_equal(found[0], model.probabilities(rows))


def test_threads_that_ask_one_row_at_once_get_their_own_answers() -> None:
    """The buffers of one row are one thread's at a time; whoever finds them taken goes another way."""
    model = load(forest_model(2))
    rows = np.random.default_rng(1).normal(0.0, 3.0, (400, 2)).astype(np.float32)
    expected = model.probabilities(rows)
    found: dict[int, list[float]] = {}

    def ask(turn: int) -> None:
        found[turn] = [float(model.probabilities(row[None])[0]) for row in np.roll(rows, turn * 100, axis=0)]

    threads = [threading.Thread(target=ask, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for turn in range(4):
        np.testing.assert_array_equal(found[turn], np.roll(expected, turn * 100))


def test_an_answer_does_not_change_when_the_next_row_is_asked() -> None:
    """And the row that was asked is not written to."""
    model = load(threshold_model(card(), at=0.0))
    low, high = np.full((1, 1), -9.0, np.float32), np.full((1, 1), 9.0, np.float32)
    first = model.probabilities(low)
    kept = first.copy()

    assert model.probabilities(high)[0] > 0.9
    assert first[0] == kept[0] < 0.1
    assert (low[0, 0], high[0, 0]) == (-9.0, 9.0)


def test_a_row_of_another_width_is_an_error_and_no_answer() -> None:
    """One number is not spread over three features."""
    estimator, _ = fitted(3)
    model = load(onnx_bytes(converted(estimator, 3), card(NAMES)))

    with pytest.raises(Exception, match=r"(?i)dimension"):
        model.probabilities(np.zeros((1, 1), np.float32))


def test_what_the_card_says_is_what_was_written() -> None:
    """Through the file and back."""
    told = card(["ratio:a.mean", "runtime.hours"], threshold=0.7, healthy={"ratio:a.mean": 1.0}, facts={"rows": 5})
    estimator, _ = fitted(2)

    assert write_card(load(onnx_bytes(converted(estimator, 2), told)).card) == write_card(told)
