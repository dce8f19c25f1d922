"""Judge room: what a model says about itself, in the metadata of its ONNX file.

In: the metadata as texts     Out: ModelCard, or ModelRefusedError; and back.
Pure; knows no ONNX. docs/model.md is this page for people. Every value is JSON, every key begins with `edgetwin.`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgetwin.analytics.features import Feature, parse, parse_all
from edgetwin.errors import ModelRefusedError

PREFIX = "edgetwin."
VERSION = 1
PROBES_MAX = 64
THRESHOLD = 0.5
HEALTHY_S = 86_400.0
_WINDOW_MAX_S = 7 * 86_400.0
_YEAR_S = 366 * 86_400.0
_CURE = "train it with `edgetwin train`, or add the metadata that docs/model.md lists"


@dataclass(frozen=True, slots=True)
class Running:
    """When the machine runs: only then it is judged, learned from, and its time counted."""

    feature: Feature
    above: float


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What the daemon must know to feed a model as it was trained.

    Attributes:
        features: What its input columns are, in order.
        window_s: Length of the windows they are measured over [s].
        horizon_s: The probability is that of a failure within this time [s].
        threshold: Probability to act on, 0 to 1, as the training found it.
        healthy_s: Running time over which a machine's own normal is learned [s].
        running: When a machine runs; None: whenever samples come.
        healthy: Feature -> median over healthy windows of the training; may lack some.
        probes: Rows for the self-test, float32 (rows, features).
        answers: What the model must say to them, within 1e-5.
        facts: Whatever else was told: scores, hash of the training rows, estimator. Not judged.
    """

    features: tuple[Feature, ...]
    window_s: float
    horizon_s: float
    threshold: float = THRESHOLD
    healthy_s: float = HEALTHY_S
    running: Running | None = None
    healthy: Mapping[str, float] = field(default_factory=dict)
    probes: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    answers: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The features by name."""
        return tuple(one.name for one in self.features)

    @property
    def measured(self) -> tuple[Feature, ...]:
        """All features that a window must give, the one that tells whether the machine runs included."""
        return self.features if self.running is None else (*self.features, self.running.feature)


def read_card(metadata: Mapping[str, str]) -> ModelCard:
    """Return the card of a model.

    Raises:
        ModelRefusedError: It has none, or one that cannot be used.
    """
    told = {key.removeprefix(PREFIX): text for key, text in metadata.items() if key.startswith(PREFIX)}
    if not told:
        what = "the model does not say what its inputs are: it has no edgetwin.* metadata"
        raise ModelRefusedError(what, _CURE)
    key = ""
    values: dict[str, Any] = {}
    try:
        for key, text in told.items():  # the error names it
            values[key] = json.loads(text, parse_constant=_refuse_constant)
        key = "v"
        if values.get(key, VERSION) != VERSION:
            what = f"the model's metadata are of version {values[key]!r}, not {VERSION}"
            raise ModelRefusedError(what, "update edgetwin, or train the model with this version")
        key = "features"
        features = parse_all([str(name) for name in _listed(values[key])])
        numbers = {}
        for key, (low, high, default) in _NUMBERS.items():
            numbers[key] = _number(values.get(key, default), low, high)
        key = "running"
        running = _running(values.get(key))
        key = "healthy"
        healthy = {str(name): _number(value, -math.inf, math.inf) for name, value in dict(values.get(key, {})).items()}
        key = "probes"
        probes, answers = _probes(values.get(key), len(features))
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        words = "is missing" if isinstance(error, KeyError) else f"cannot be used ({error})"
        what = f"the model's metadata {PREFIX}{key} {words}"
        raise ModelRefusedError(" ".join(what.split())[:400], _CURE) from error
    facts = {key: value for key, value in values.items() if key not in {*_NUMBERS, *_JUDGED}}
    return ModelCard(features, **numbers, running=running, healthy=healthy, probes=probes, answers=answers, facts=facts)


def write_card(card: ModelCard) -> dict[str, str]:
    """Return the metadata of a card: what `read_card` reads."""
    values: dict[str, Any] = {
        **card.facts,
        "v": VERSION,
        "features": list(card.names),
        "window_s": card.window_s,
        "horizon_s": card.horizon_s,
        "threshold": card.threshold,
        "healthy_s": card.healthy_s,
        "healthy": dict(card.healthy),
        "probes": {"rows": card.probes.astype(float).tolist(), "probabilities": card.answers.tolist()},
    }
    if card.running is not None:
        values["running"] = {"feature": card.running.feature.name, "above": card.running.above}
    return {PREFIX + key: json.dumps(value, allow_nan=False) for key, value in values.items()}


_JUDGED = frozenset({"v", "features", "running", "healthy", "probes"})
_NUMBERS: Mapping[str, tuple[float, float, float | None]] = {  # key -> lowest, highest, default; None: no default
    "window_s": (1e-3, _WINDOW_MAX_S, None),
    "horizon_s": (1e-3, 10 * _YEAR_S, None),
    "threshold": (1e-6, 1.0, THRESHOLD),
    "healthy_s": (1e-3, _YEAR_S, HEALTHY_S),
}


def _number(value: Any, low: float, high: float) -> float:
    if value is None:
        msg = "missing"
        raise KeyError(msg)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        msg = f"{value!r} is not a number from {low:g} to {high:g}"
        raise ValueError(msg)
    return float(value)


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        msg = "it is not a list"
        raise TypeError(msg)
    return value


def _running(value: Any) -> Running | None:
    if value is None:
        return None
    feature = parse(str(value["feature"]))
    if feature.is_ratio:
        msg = f"{feature.name}: whether a machine runs is not told by a ratio"
        raise ValueError(msg)
    return Running(feature, _number(value["above"], -1e300, 1e300))


def _probes(value: Any, width: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    if value is None:
        return np.empty((0, width), np.float32), np.empty(0)
    rows = np.asarray(_listed(value["rows"])[: PROBES_MAX + 1], np.float64)
    answers = np.asarray(_listed(value["probabilities"])[: PROBES_MAX + 1], np.float64)
    if not len(rows) == len(answers) <= PROBES_MAX or (len(rows) and rows.shape != (len(rows), width)):
        msg = f"not {width} numbers in each of at most {PROBES_MAX} rows, and an answer to each"
        raise ValueError(msg)
    if not (np.isfinite(rows).all() and np.isfinite(answers).all()):
        msg = "not finite"
        raise ValueError(msg)
    return rows.reshape(len(rows), width).astype(np.float32), answers


def _refuse_constant(text: str) -> float:
    msg = f"{text} is not a number"
    raise ValueError(msg)
