"""One prognosis of the daemon: models that come, change, go and fail; what is learned and kept."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetwin.analytics.model_card import ModelCard
from edgetwin.errors import ModelRefusedError
from edgetwin.prognosis.building import rehearse
from edgetwin.prognosis.model_file import ModelFile
from tests.analytics.models import card, constant_graph, forest_model, onnx_bytes, threshold_model
from tests.prognosis.stage import EPOCH_NS, HandClock, S, Stage

LEVEL = card(["current.mean"], threshold=0.7, healthy={"current.mean": 0.0})


def played(scene: Coroutine[Any, Any, None]) -> None:
    """Run a scene on a real loop."""
    asyncio.run(scene)


def test_without_a_model_it_says_so_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The daemon runs on; samples go by."""
    caplog.set_level(logging.INFO)
    stage = Stage(tmp_path)

    async def scene() -> None:
        for _ in range(5):
            await stage.look()
        stage.windows([9.0, 9.0])

    played(scene())

    assert [record.__dict__["EVENT"] for record in caplog.records] == ["prognosis.no_model"]
    assert stage.events == []
    assert stage.outlook.figures()["phase"] == "no_model"


def test_a_failure_is_an_event_with_all_that_a_person_needs(tmp_path: Path) -> None:
    """Probability, threshold, horizon, model, the features that speak for it, and times in UTC."""
    stage = Stage(tmp_path)
    stage.put(threshold_model(LEVEL, at=5.0))

    async def scene() -> None:
        await stage.look()
        stage.windows([1.0, 1.0, 9.0, 9.0, 1.0, 1.0, 1.0])

    played(scene())
    raised, cleared = stage.events

    assert (raised["state"], cleared["state"]) == ("raised", "cleared")
    assert raised["prognosis"] == "motor"
    assert raised["probability"] > 0.99
    assert (raised["threshold"], raised["horizon_s"]) == (0.7, 3600.0)
    assert raised["model"] == stage.outlook.figures()["model"]
    assert raised["features"] == [{"name": "current.mean", "value": 9.0, "healthy": 1.0, "share": pytest.approx(1.0)}]
    assert raised["window_end_us"] * 1000 == EPOCH_NS + 3 * S
    assert cleared["since_us"] == raised["since_us"]
    assert raised["text"] == (
        "motor: a failure within 60 min has probability 1.00 (threshold 0.7); current.mean 9, healthy 1"
    )
    json.dumps(stage.events, allow_nan=False)


def test_the_settings_outrank_the_threshold_of_the_model(tmp_path: Path) -> None:
    """What was 0.7 is 0.999999 here, and nothing reaches it."""
    stage = Stage(tmp_path, {"threshold": 0.999999})
    stage.put(threshold_model(LEVEL, at=5.0, steepness=1.0))

    async def scene() -> None:
        await stage.look()
        stage.windows([9.0, 9.0])

    played(scene())

    assert stage.events == []
    assert stage.outlook.figures()["probability"] == pytest.approx(0.982, abs=1e-3)


def test_a_changed_file_takes_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Loaded beside the one in use, then swapped, without a restart."""
    caplog.set_level(logging.INFO)
    stage = Stage(tmp_path)

    async def scene() -> None:
        stage.put(threshold_model(LEVEL, at=5.0))
        first = await stage.look()
        stage.put(threshold_model(LEVEL, at=50.0))
        second = await stage.look()
        assert first["model"] != second["model"]
        stage.windows([9.0, 9.0])

    played(scene())

    assert stage.events == []
    assert [record.__dict__["EVENT"] for record in caplog.records] == ["prognosis.model", "prognosis.model"]


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", forest_model(1)[:3000], onnx_bytes(constant_graph([[7.0]]), LEVEL), forest_model(2)],
    ids=["empty", "garbage", "cut short", "no probability", "other features"],
)
def test_a_refused_file_leaves_the_one_in_use(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    """Said once, shown in the figures; the old model goes on, and a good one after it takes over."""
    stage = Stage(tmp_path)

    async def scene() -> None:
        stage.put(threshold_model(LEVEL, at=5.0))
        before = await stage.look()
        stage.put(content)
        after = await stage.look(6)
        assert after["model"] == before["model"]
        assert after["refused"]
        stage.windows([9.0, 9.0])
        assert stage.states == ["raised"]
        stage.put(threshold_model(LEVEL, at=6.0))
        assert (await stage.look())["refused"] is None

    played(scene())

    refusals = [record for record in caplog.records if record.levelno == logging.ERROR and "refused" in record.message]
    assert len(refusals) == 1
    assert "the one before goes on" in refusals[0].message


def test_a_model_that_needs_another_source_names_it(tmp_path: Path) -> None:
    """And the table that would give it one."""
    stage = Stage(tmp_path)
    stage.put(threshold_model(card(["vibration.rms", "current.mean"]), at=5.0))

    async def scene() -> None:
        assert "sources.vibration" in (await stage.look())["refused"]

    played(scene())


def test_a_file_that_is_being_copied_is_let_alone(tmp_path: Path) -> None:
    """It grows from look to look; it is read when it has stopped to."""
    stage = Stage(tmp_path)
    content = threshold_model(LEVEL, at=5.0)

    async def scene() -> None:
        await stage.look()
        for part in range(1, 5):
            stage.model.write_bytes(content[: len(content) * part // 4])
            figures = await stage.look(1)
            assert (figures["model"], figures["refused"]) == (None, None)
        assert (await stage.look(1))["model"] is not None

    played(scene())


def test_a_deleted_file_takes_nothing_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The model in memory goes on; said once."""
    caplog.set_level(logging.INFO)
    stage = Stage(tmp_path)

    async def scene() -> None:
        stage.put(threshold_model(LEVEL, at=5.0))
        await stage.look()
        stage.model.unlink()
        await stage.look(6)
        stage.windows([9.0, 9.0])

    played(scene())

    assert stage.states == ["raised"]
    assert [record.__dict__["EVENT"] for record in caplog.records][:2] == ["prognosis.model", "prognosis.no_model"]


def test_a_touched_file_is_not_loaded_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The same content is the same model: its window goes on."""
    caplog.set_level(logging.INFO)
    stage = Stage(tmp_path)

    async def scene() -> None:
        stage.put(threshold_model(LEVEL, at=5.0))
        await stage.look()
        stage.windows([9.0])
        os.utime(stage.model, (1, 1))
        await stage.look(4)

    played(scene())

    assert stage.outlook.figures()["judged"] == 1
    assert len([record for record in caplog.records if record.__dict__["EVENT"] == "prognosis.model"]) == 1


def test_only_the_pinned_model_is_loaded(tmp_path: Path) -> None:
    """Another one is refused, with both hashes."""
    stage = Stage(tmp_path, {"sha256": "0" * 64})
    stage.put(threshold_model(LEVEL, at=5.0))

    async def scene() -> None:
        assert "0" * 64 in (await stage.look())["refused"]

    played(scene())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Path.mkdir, "directory"),
        (os.mkfifo, "not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a file"),
        (lambda path: path.symlink_to(path), "cannot be read"),
    ],
    ids=["directory", "fifo", "device", "loop"],
)
def test_what_is_no_readable_file_is_refused(tmp_path: Path, make: Any, words: str) -> None:
    """It neither hangs nor reads for ever."""
    stage = Stage(tmp_path)
    make(stage.model)

    async def scene() -> None:
        assert words in (await stage.look())["refused"]

    played(scene())


def test_a_file_that_may_not_be_read_names_the_rights_it_needs(tmp_path: Path) -> None:
    """The daemon's user has to be let in."""
    stage = Stage(tmp_path)
    stage.model.touch(mode=0o000)
    user = os.geteuid()
    if user == 0:  # root may read everything: be nobody for a moment
        os.seteuid(65_534)
    try:
        played(_look(stage))
    finally:
        os.seteuid(user)

    assert "chown root:edgetwin, chmod 0640" in str(stage.outlook.figures()["refused"])


def test_a_huge_file_is_not_read_into_memory(tmp_path: Path) -> None:
    """A terabyte of nothing: refused after 64 MiB."""
    stage = Stage(tmp_path)
    with stage.model.open("wb") as file:
        file.truncate(10**12)

    async def scene() -> None:
        assert "larger than 64 MiB" in (await stage.look())["refused"]

    played(scene())


def test_a_large_model_works_beside_the_loop(tmp_path: Path) -> None:
    """Its answers come from another thread, in order, and the newest question wins."""
    stage = Stage(tmp_path, clock=HandClock(step_ns=100_000))  # each look at the clock takes 100 us: so does a run
    stage.put(threshold_model(LEVEL, at=5.0))
    threads: set[str] = set()

    async def scene() -> None:
        figures = await stage.look()
        assert figures["run_us"] >= 50.0
        model = stage.outlook._model
        asker = stage.outlook._asker
        assert model is not None
        assert asker is not None

        def watched(rows: Any) -> Any:
            threads.add(threading.current_thread().name)
            return model.probabilities(rows)

        asker._predict = watched
        stage.windows([1.0, 1.0, 1.0, 1.0, 9.0])
        await _until(lambda: len(stage.events) > 0)

    played(scene())

    assert {name.rpartition("_")[0] for name in threads} == {"prognosis-motor"}
    assert stage.outlook.figures()["skipped"] == 3
    assert stage.outlook.figures()["judged"] == 2


def test_a_model_that_fails_at_work_gives_way_to_the_one_before(tmp_path: Path) -> None:
    """Until it has answered once, its predecessor is still there."""
    stage = Stage(tmp_path)

    async def scene() -> None:
        stage.put(threshold_model(LEVEL, at=5.0))
        first = (await stage.look())["model"]
        stage.windows([1.0])
        stage.put(threshold_model(LEVEL, at=6.0))
        await stage.look()
        assert stage.outlook._asker is not None
        stage.outlook._asker._predict = _broken
        stage.windows([1.0])
        figures = stage.outlook.figures()
        assert figures["model"] == first
        assert "fails at work" in figures["refused"]
        stage.windows([9.0, 9.0])

    played(scene())

    assert stage.states == ["raised"]


def _broken(rows: Any) -> Any:
    msg = "no such tensor"
    raise RuntimeError(msg)


@pytest.mark.parametrize("predict", [_broken, lambda rows: np.full(len(rows), np.nan)])
def test_a_model_that_fails_later_is_put_down(tmp_path: Path, predict: Any) -> None:
    """The daemon lives on without one, and takes the next file."""
    stage = Stage(tmp_path)

    async def scene() -> None:
        stage.put(threshold_model(LEVEL, at=5.0))
        await stage.look()
        stage.windows([9.0])
        assert stage.outlook._asker is not None
        stage.outlook._asker._predict = predict
        stage.windows([9.0, 9.0])
        assert stage.outlook.figures()["phase"] == "no_model"
        stage.put(threshold_model(LEVEL, at=6.0))
        await stage.look()
        stage.windows([9.0, 1.0, 1.0, 1.0])

    played(scene())

    assert stage.states == ["raised", "cleared"]


def ratio_card() -> ModelCard:
    """Return the card of a model that looks at a ratio."""
    return card(["ratio:current.mean"], threshold=0.7, healthy_s=2.0)


def test_what_was_learned_survives_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Healthy current 2, learned before; the second run judges at once, and learns nothing anew."""
    stage = Stage(tmp_path)
    stage.put(threshold_model(ratio_card(), at=3.0))

    async def first() -> None:
        await stage.look()
        stage.windows([2.0, 2.0, 2.0])
        stage.outlook.keeping()()

    async def second() -> None:
        stage.restart()
        caplog.clear()
        await stage.look()
        stage.windows([10.0, 10.0])

    played(first())
    played(second())

    assert stage.states == ["raised"]
    assert stage.events[0]["features"][0]["value"] == pytest.approx(5.0)
    assert not [record for record in caplog.records if record.__dict__["EVENT"] == "prognosis.learning"]


def test_learning_is_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads the journal knows that now is taken for healthy."""
    stage = Stage(tmp_path)
    stage.put(threshold_model(ratio_card(), at=3.0))
    played(_look(stage))

    (record,) = (record for record in caplog.records if record.__dict__["EVENT"] == "prognosis.learning")
    assert "current.mean" in record.message
    assert "healthy" in record.message


async def _look(stage: Stage) -> None:
    await stage.look()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"v": 2}', b"\xff\xfe"])
def test_a_lost_baseline_is_not_learned_anew_by_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """The file stays as it is, nothing is judged, and one line says what a person may do."""
    stage = Stage(tmp_path)
    stage.put(threshold_model(ratio_card(), at=3.0))
    stage.kept.parent.mkdir()
    stage.kept.write_bytes(content)

    async def scene() -> None:
        await stage.look(4)
        stage.windows([2.0] * 5)
        stage.outlook.keeping()()

    played(scene())

    assert stage.kept.read_bytes() == content
    assert stage.events == []
    assert stage.outlook.figures()["phase"] == "baseline_lost"
    (record,) = (record for record in caplog.records if record.__dict__["EVENT"] == "prognosis.baseline_lost")
    assert "remove the file" in record.message


def test_a_person_may_take_the_machine_for_healthy_again(tmp_path: Path) -> None:
    """The file removed, it learns anew, without a restart."""
    stage = Stage(tmp_path)
    stage.put(threshold_model(ratio_card(), at=3.0))
    stage.kept.parent.mkdir()
    stage.kept.write_bytes(b"broken")

    async def scene() -> None:
        await stage.look()
        stage.kept.unlink()
        await stage.look()
        stage.windows([2.0, 2.0, 2.0, 20.0, 20.0])

    played(scene())

    assert stage.states == ["raised"]


def test_another_wheel_is_not_judged_by_the_baseline_of_this_one(tmp_path: Path) -> None:
    """The settings name another topic: what was learned is of something else."""
    stage = Stage(tmp_path)
    stage.put(threshold_model(ratio_card(), at=3.0))

    async def first() -> None:
        await stage.look()
        stage.windows([2.0, 2.0, 2.0])
        stage.outlook.keeping()()

    async def second() -> None:
        stage.origins = {"current": "/other current"}
        stage.restart()
        assert "/other current" in (await stage.look())["problem"]

    played(first())
    played(second())


def test_a_disk_that_takes_nothing_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The prognosis goes on in memory."""
    stage = Stage(tmp_path)
    stage.put(threshold_model(LEVEL, at=5.0))
    stage.kept.parent.write_bytes(b"a file where the folder should be")

    async def scene() -> None:
        stage.outlook._healthy_file.path = stage.folder / "nowhere"  # so that there is a first run to keep
        await stage.look()
        stage.outlook._healthy_file.path = stage.kept
        for _ in range(3):
            stage.outlook.keeping()()
            await asyncio.sleep(0)
        stage.windows([9.0, 9.0])

    played(scene())

    assert len([record for record in caplog.records if record.__dict__["EVENT"] == "prognosis.unkept"]) == 1
    assert stage.states == ["raised"]


def test_a_rehearsal_is_the_same_prognosis_without_a_daemon(tmp_path: Path) -> None:
    """For a back-test: the model is read at once, and asked sample by sample."""
    stage = Stage(tmp_path)
    settings = stage.outlook._settings
    with pytest.raises(ModelRefusedError, match="no model at"):
        rehearse(settings, HandClock())
    stage.put(threshold_model(LEVEL, at=5.0))
    model, prognosis = rehearse(settings, HandClock())
    steps = [prognosis.step("current", 9.0, at * S // 4, model.probabilities) for at in range(9)]

    assert [failure.raised for _, failure in steps if failure] == [True]
    assert len([answer for answer, _ in steps if answer]) == 2


def test_a_cancelled_look_leaves_no_child_behind(tmp_path: Path) -> None:
    """The daemon stops while a model is on trial: the process is gone, too."""
    path = tmp_path / "motor.onnx"
    path.write_bytes(forest_model(2, 100))
    file = ModelFile(path, None, ["s0", "s1"], HandClock())
    stage = Stage(tmp_path)

    async def scene() -> None:
        looking = asyncio.ensure_future(file.look(None, stage.executor))
        await _until(lambda: bool(_children()))
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking

    played(scene())

    assert _children() == []


def _children() -> list[str]:
    text = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children").read_text(encoding="ascii")
    return text.split()


async def _until(true: Callable[[], bool]) -> None:
    for _ in range(20_000):
        if true():
            return
        await asyncio.sleep(0.001)
    pytest.fail("it never came")


def test_a_refusal_is_an_error_of_our_own() -> None:
    """The roof catches one class."""
    assert str(ModelRefusedError("what", "cure")) == "what; cure"
