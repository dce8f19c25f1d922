"""`edgetwin train`: from a CSV of worn-out machines to a model that the daemon takes, and an honest score."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import orjson
import pytest

from edgetwin.analytics.asking import Answer
from edgetwin.analytics.healthy import Healthy
from edgetwin.analytics.model import Model, load
from edgetwin.analytics.prognosis import Failure, Prognosis, Rule
from edgetwin.errors import RefusedError
from edgetwin.train.command import main
from edgetwin.train.history import read
from edgetwin.train.needs import require
from edgetwin.train.table import build
from edgetwin.train.wish import Wish, add_arguments
from tests.train.histories import FLEET, START_S, Wear, write

REPOSITORY = Path(__file__).parents[2]
USUAL = ["--failure", "failed", "--horizon-h", "4", "--window-s", "600", "--healthy-h", "5"]
IMS = Path(os.environ.get("TEST_DATA", REPOSITORY.parent / "shared" / "data")) / "ims_bearings"


def train(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    command = [sys.executable, "-m", "edgetwin", "train", *map(str, arguments)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EDGETWIN_")}
    return subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=False)


def refusal(*arguments: str | Path) -> str:
    """Return the lines that the command refuses with, without the seconds that a process takes."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(RefusedError) as caught:
        main(parser.parse_args(list(map(str, arguments))))
    return str(caught.value)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Four machines, trained on once: the folder, and the report."""
    folder = tmp_path_factory.mktemp("fleet")
    data = write(folder / "fleet.csv", *FLEET)
    done = train(data, "--out", folder / "model.onnx", "--plot", folder / "score.png", "--json", *USUAL)
    assert (done.returncode, done.stderr) == (0, "")
    return folder, orjson.loads(done.stdout)


def test_it_is_scored_on_machines_it_has_not_seen(fleet: tuple[Path, dict[str, Any]]) -> None:
    """One fold for each machine, beside the best ratio alone and beside always alarming."""
    _, report = fleet

    assert report["split"] == "machine"
    assert {name for one in report["candidates"] for name in one["folds"]} == {"a", "b", "c", "d"}
    assert report["model"]["pr_auc"] > 0.95
    assert report["ratio_alone"]["pr_auc"] > report["prevalence"]
    assert {"pr_auc", "recall_at_precision_0.9", "pooled"} == set(report["ratio_alone"]) == set(report["model"])


def test_ratios_carry_over_where_levels_do_not(fleet: tuple[Path, dict[str, Any]]) -> None:
    """Each machine has a level of its own: what is chosen looks at ratios."""
    _, report = fleet
    scores = {one["name"]: one["pooled"] for one in report["candidates"]}

    assert any(name.startswith("ratio:") for name in report["features"])
    assert scores["forest on ratios"] > scores["forest on levels"]


def test_the_file_says_all_that_the_daemon_must_know(fleet: tuple[Path, dict[str, Any]]) -> None:
    """Features, window, horizon, baseline rule, threshold, hash of the data, scores, probes."""
    folder, report = fleet
    card = load((folder / "model.onnx").read_bytes(), pinned=report["sha256"]).card

    assert list(card.names) == report["features"]
    assert (card.window_s, card.horizon_s, card.healthy_s) == (600.0, 4 * 3600.0, 5 * 3600.0)
    assert card.threshold == report["threshold"]
    assert len(card.probes) == 64
    assert card.facts["split"] == "machine"
    assert card.facts["scores"]["model"] == report["model"]
    assert len(card.facts["data_sha256"]) == 64
    assert report["parity"] <= 1e-5


def test_the_robot_builds_the_rows_that_were_trained_on(fleet: tuple[Path, dict[str, Any]]) -> None:
    """The same history through the model's own card, sample by sample: the same windows, the same probabilities."""
    folder, report = fleet
    wish = Wish(
        (folder / "fleet.csv",), folder / "unused", failure="failed", horizon_s=4 * 3600.0, window_s=600.0,
        healthy_s=5 * 3600.0,
    )  # fmt: skip
    table = build(read(wish), wish)
    model = load((folder / "model.onnx").read_bytes())
    trained = model.probabilities(table.columns(report["features"]))

    for index, machine in enumerate(FLEET):
        mine = table.machine == index
        answers, failures = replayed(model, machine)
        assert [answer.question.at_ns for answer in answers] == table.at_ns[mine].tolist()
        assert [answer.probability for answer in answers] == trained[mine].tolist()
        failed_ns = (START_S + machine.hours * 3600) * 10**9
        assert any(one.raised and failed_ns - one.at_ns <= 8 * 3600 * 10**9 for one in failures)


def replayed(model: Model, machine: Wear) -> tuple[list[Answer], list[Failure]]:
    """Feed the rows of one machine as the daemon would; return what the model said."""
    prognosis = Prognosis(model.card, Rule(model.card.threshold, 60), Healthy(), 600.0)
    answers, failures = [], []
    for row in machine.rows():
        for source, cell in zip(("current", "temperature", "vibration"), row[2:5], strict=True):
            answer, failure = prognosis.step(source, float(cell), int(row[0]) * 10**9, model.probabilities)
            answers += [answer] if answer else []
            failures += [failure] if failure else []
    return answers, failures


def test_the_picture_is_one(fleet: tuple[Path, dict[str, Any]]) -> None:
    """A PNG of some size."""
    content = (fleet[0] / "score.png").read_bytes()

    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(content) > 20_000


def test_the_same_history_gives_the_same_model(fleet: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """But for the time of the training."""
    folder, report = fleet
    out = tmp_path / "again.onnx"
    chosen = ["--estimator", report["estimator"], "--features", ",".join(report["features"])]
    done = train(folder / "fleet.csv", "--out", out, *chosen, *USUAL)
    graphs = [onnx.load(path).graph.SerializeToString() for path in (out, folder / "model.onnx")]

    assert done.returncode == 0
    assert graphs[0] == graphs[1]


@pytest.mark.parametrize("estimator", ["forest", "boosting", "logistic"])
def test_every_estimator_survives_its_export(tmp_path: Path, estimator: str) -> None:
    """|dp| <= 1e-5 on every row, by the daemon's own runtime."""
    data = write(tmp_path / "fleet.csv", *FLEET[:2])
    features = "current.mean,current.std,temperature.mean,runtime.hours,vibration.rms,ratio:vibration.rms"
    options = ["--estimator", estimator, "--features", features]
    done = train(data, "--out", tmp_path / "m.onnx", "--json", *options, *USUAL)
    report = orjson.loads(done.stdout)

    assert report["features"] == features.split(",")
    assert report["estimator"] == estimator
    assert report["parity"] <= 1e-5


def test_the_report_for_people_has_the_baseline_beside_the_model(tmp_path: Path) -> None:
    """And the lines that a settings file needs."""
    data = write(tmp_path / "fleet.csv", *FLEET[:2])
    done = train(data, "--out", tmp_path / "m.onnx", "--estimator", "logistic", *USUAL)

    assert "PR-AUC" in done.stdout
    assert "no model: the best ratio alone" in done.stdout
    assert "always alarming" in done.stdout
    assert "there are only 2 failures" in done.stdout
    assert f'sha256 = "{load((tmp_path / "m.onnx").read_bytes()).sha256}"' in done.stdout


def test_one_failure_alone_is_refused(tmp_path: Path) -> None:
    """It cannot be both learned from and judged; nothing is written."""
    data = write(tmp_path / "one.csv", Wear("a", 1.0))
    done = train(data, "--out", tmp_path / "m.onnx", *USUAL)

    assert done.returncode == 2
    assert "another failure" in done.stderr
    assert "--random-split" in done.stderr
    assert not (tmp_path / "m.onnx").exists()


def test_a_random_split_needs_to_be_asked_for_and_says_so_for_ever(tmp_path: Path) -> None:
    """In the report, and in the model itself."""
    data = write(tmp_path / "one.csv", Wear("a", 1.0))
    done = train(data, "--out", tmp_path / "m.onnx", "--random-split", "--estimator", "logistic", *USUAL)

    assert done.returncode == 0
    assert "ROWS AT RANDOM" in done.stdout
    assert load((tmp_path / "m.onnx").read_bytes()).card.facts["split"] == "random"


def test_one_machine_with_several_lives_is_judged_forward_in_time(tmp_path: Path) -> None:
    """Each life by a model that saw only lives before it."""
    data = write(tmp_path / "lives.csv", Wear("a", 1.0, failures=3))
    done = train(data, "--out", tmp_path / "m.onnx", "--estimator", "logistic", "--json", *USUAL)
    report = orjson.loads(done.stdout)

    assert report["split"] == "time"
    assert set(report["candidates"][0]["folds"]) == {"a, life 2", "a, life 3"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.csv"], "no such file"),
        (["{data}", "--label", "fault"], "no column 'fault'"),
        (["{data}", "--time", "machine", "--failure", "failed"], "is no time"),
        (["{data}"], "--run-to-failure"),
        (["{data}", "--label", "failed", "--failure", "failed"], "keep one"),
        (["{data}", "--failure", "failed", "--source", "current=amps"], "no column fits"),
        (["{data}", "--failure", "failed", "--source", "Current=current"], "does not name a source"),
        (["{data}", "--failure", "failed", "--features", "current.median"], "no statistic median"),
        (["{data}", "--failure", "failed", "--window-s", "0"], "not above 0"),
        (["{data}", "--failure", "failed", "--running", "current"], "FEATURE>NUMBER"),
        (["{data}", "--failure", "failed", "--combine", "current=sum"], "mean, max, norm"),
        (["{data}", "--failure", "failed", "--window-s", "10"], "shorten"),
        (["{data}", "--failure", "failed", "--healthy-h", "500"], "--healthy-h"),
        (["{data}", "--failure", "failed", "--horizon-h", "0.0001"], "a model needs both kinds"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_with_a_cure(tmp_path: Path, arguments: list[str], words: str) -> None:
    """One line per fault, and no file."""
    data = write(tmp_path / "fleet.csv", *FLEET[:2])
    given = [argument.format(data=data) for argument in arguments]

    assert words in refusal(*given, "--out", tmp_path / "m.onnx", "--estimator", "logistic")
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"time\n", b"\xff\xfe\x00", b"time,label,a\n1,1\n", b"time,label,a\n" * 5]
)
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, binary, without rows, without cells."""
    data = tmp_path / "broken.csv"
    data.write_bytes(content)

    assert "; " in refusal(data, "--out", tmp_path / "m.onnx")


def test_a_model_that_is_there_is_kept_until_the_new_one_is_good(tmp_path: Path) -> None:
    """A refused training leaves the file of before."""
    out = tmp_path / "m.onnx"
    out.write_bytes(b"the one before")
    train(write(tmp_path / "one.csv", Wear("a", 1.0)), "--out", out, *USUAL)

    assert out.read_bytes() == b"the one before"


@pytest.mark.parametrize("module", ["sklearn", "skl2onnx", "onnx", "matplotlib"])
def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """One line instead of an ImportError."""
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(RefusedError, match=r"pip install 'edgetwin\[train\]'"):
        require(plot=True)


@pytest.mark.skipif(not IMS.is_dir(), reason="needs the IMS bearing data")
def test_on_real_bearings_the_report_does_not_flatter(tmp_path: Path) -> None:
    """Two failures: the ratio alone is as good as any model, and the report says so."""
    done = train(
        IMS, "--time", "Datetime", "--run-to-failure", "--source", "vibration=Bearing*", "--window-s", "3600",
        "--every-s", "600", "--running", "vibration.mean>0.01", "--out", tmp_path / "m.onnx", "--json",
    )  # fmt: skip
    report = orjson.loads(done.stdout)
    scores = {one["name"]: one["pooled"] for one in report["candidates"]}

    assert report["split"] == "machine"
    assert report["ratio_alone"]["pooled"] > max(scores.values())
    assert scores["forest on levels and hours"] < 0.2
    assert any("ratio alone" in note for note in report["warnings"])
    assert np.isfinite(list(scores.values())).all()
