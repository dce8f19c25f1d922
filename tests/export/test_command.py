"""`edgetwin export` as a user has it: files that are whole or not there, refusals in a line, what others make of it."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from time import sleep
from typing import Any

import orjson
import pytest

from edgetwin.errors import RefusedError
from edgetwin.export.csv_files import CsvFiles
from edgetwin.export.entry import Entry, Stream
from edgetwin.export.place import Draft
from tests.export.outboxes import GAP, JOINTS, ODOM, SCAN, START_US, TOPICS, Robot, joints, pose
from tests.export.running import export, ran, started
from tests.train.histories import Wear

SETTINGS = """
[robot]
id = "r"
[store]
path = "{store}"
[channels.odom]
topic = "/base/odom"
type = "nav_msgs/msg/Odometry"
class = "critical"
"""


@pytest.fixture(name="outbox")
def _outbox(tmp_path: Path) -> Path:
    """An outbox of two channels and an event."""
    robot = Robot(tmp_path / "outbox.db")
    robot.store(ODOM, map(pose, range(100)), rows=4)
    robot.store(JOINTS, map(joints, range(50)), rows=2)
    robot.store(GAP, [{"channel": "odom", "boot": "x", "from_seq": 0, "to_seq": 1, "count": 2, "cause": "shed"}])
    robot.close()
    return tmp_path / "outbox.db"


def summary(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the one line of JSON."""
    (line,) = capsys.readouterr().out.splitlines()
    found: dict[str, Any] = orjson.loads(line)
    return found


def refusal(*arguments: str | Path) -> str:
    """Return the lines of a refusal."""
    with pytest.raises(RefusedError) as caught:
        export(*arguments)
    return str(caught.value)


def lines(path: Path) -> list[str]:
    """Return the lines of a file."""
    return path.read_text(encoding="utf-8").splitlines()


def test_the_outbox_of_the_settings_is_exported_while_a_robot_holds_it(tmp_path: Path) -> None:
    """No source: `[store] path`. From the command line, to its end, with the daemon's lock on the file."""
    robot = Robot(tmp_path / "outbox.db")
    robot.store(ODOM, map(pose, range(1000)), rows=10)
    (tmp_path / "robot.toml").write_text(SETTINGS.format(store=tmp_path / "outbox.db"), encoding="utf-8")
    code, out, err = ran("export", "--config", tmp_path / "robot.toml", "--out", tmp_path / "out.csv", "--json")
    robot.close()
    told = orjson.loads(out)

    assert (code, err) == (0, "")
    assert told["records"] == told["channels"]["odom"]["records"] == 1000
    assert told["channels"]["odom"]["topic"] == "/base/odom"
    assert told["files"] == [str(tmp_path / "out.csv")]
    assert len(lines(tmp_path / "out.csv")) == 1001


def test_several_channels_are_several_files_and_one_is_one(outbox: Path, tmp_path: Path) -> None:
    """FILE-<channel>.csv, or <channel>.csv in a folder."""
    (tmp_path / "folder").mkdir()

    assert export(outbox, "--out", tmp_path / "out.csv") == 0
    assert export(outbox, "--out", tmp_path / "odom.csv", "--channel", "odom") == 0
    assert export(outbox, "--out", tmp_path / "folder") == 0
    assert sorted(path.name for path in tmp_path.rglob("*.csv")) == sorted(
        ["out-odom.csv", "out-joints.csv", "out-gap.csv", "odom.csv", "odom.csv", "joints.csv", "gap.csv"]
    )


def test_a_time_is_the_first_one_in_and_the_second_one_out(
    outbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By when it was measured; and what is not there is counted."""
    since, until = f"{(START_US + 200_000) / 1e6:.6f}", "2026-11-22T06:00:01.960952Z"
    export(outbox, "--out", tmp_path / "o.csv", "--channel", "odom", "--from", since, "--to", until, "--json")
    told = summary(capsys)

    assert [line.split(",")[2] for line in lines(tmp_path / "o.csv")[1:]] == list(map(str, range(10, 30)))
    assert told["channels"]["odom"]["absent"] == 0
    assert (told["channels"]["odom"]["from"], told["channels"]["odom"]["to"]) == (
        "2026-11-22T06:00:01.560952Z", "2026-11-22T06:00:01.940952Z",
    )  # fmt: skip


def test_an_outbox_that_is_empty_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All was delivered: nothing is written, and that is said."""
    Robot(tmp_path / "outbox.db").close()

    assert export(tmp_path / "outbox.db", "--out", tmp_path / "out.csv") == 0
    assert "0 records" in capsys.readouterr().out
    assert not (tmp_path / "out.csv").exists()


def test_what_is_there_is_replaced_only_by_force(outbox: Path, tmp_path: Path) -> None:
    """Refused before anything is read; and at the end, should it have come meanwhile."""
    out = tmp_path / "out.csv"
    out.write_text("precious", encoding="utf-8")
    asked = refusal(outbox, "--out", out, "--channel", "odom")
    files = CsvFiles(tmp_path / "late.csv", 64)
    with closing(files):
        files.add(Entry(Stream("odom", "/odom"), "b", 0, 0, 0, {"x": 1}))
        (tmp_path / "late.csv").write_text("precious", encoding="utf-8")
        with pytest.raises(RefusedError, match="is there already"):
            files.publish([], force=False)

    assert "--force" in asked
    assert lines(out) == lines(tmp_path / "late.csv") == ["precious"]
    assert export(outbox, "--out", out, "--channel", "odom", "--force") == 0
    assert len(lines(out)) == 101


def test_a_name_that_is_taken_at_the_last_moment_is_not_overwritten(tmp_path: Path) -> None:
    """Between the look and the writing there is no gap: the name is given in one step, or refused."""
    draft = Draft(tmp_path)
    with closing(draft):
        draft.file.write(b"new")
        (tmp_path / "out").write_bytes(b"precious")
        with pytest.raises(RefusedError, match="is there already"):
            draft.publish(tmp_path / "out", force=False)

    assert (tmp_path / "out").read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def writes_in(pid: int, folder: Path) -> bool:
    """Whether a process has a file in a folder, with a name or without."""
    with suppress(OSError):  # it has ended just now, or closed what was looked at
        return any(str(link.readlink()).startswith(f"{folder}/") for link in Path(f"/proc/{pid}/fd").iterdir())
    return False


@pytest.mark.parametrize("force", [False, True])
def test_where_files_must_have_names_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, force: bool
) -> None:
    """Such a file system answers O_TMPFILE as it would answer O_DIRECTORY: EISDIR."""
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)
    for number in range(2):
        with closing(Draft(tmp_path)) as draft:
            draft.file.write(b"new")
            if number and not force:
                with pytest.raises(RefusedError, match="is there already"):
                    draft.publish(tmp_path / "out", force=force)
            else:
                draft.publish(tmp_path / "out", force=force)
    with closing(Draft(tmp_path)) as draft:
        draft.file.write(b"half")

    assert (tmp_path / "out").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_export_that_is_killed_half_way_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """No half file, no file of another name: what has no name yet goes with the process."""
    robot = Robot(tmp_path / "outbox.db")
    for _ in range(40):
        robot.store(ODOM, map(pose, range(2000)), rows=4)
    robot.close()
    (tmp_path / "folder").mkdir()
    process = started("export", tmp_path / "outbox.db", "--out", tmp_path / "folder" / "out.csv")
    while process.poll() is None and not writes_in(process.pid, tmp_path / "folder"):
        sleep(0.01)
    process.send_signal(number)
    process.communicate()

    assert process.returncode in {-number, 130}
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A line, exit 1, and no file: here the limit of a file's size stands for the disk's."""
    robot = Robot(tmp_path / "outbox.db")
    robot.store(ODOM, map(pose, range(9000)), rows=50)
    robot.close()
    (tmp_path / "folder").mkdir()
    process = started("export", tmp_path / "outbox.db", "--out", tmp_path / "folder" / "out.csv")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
    _, err = process.communicate()

    assert process.returncode == 1
    assert "cannot be written" in err
    assert list((tmp_path / "folder").iterdir()) == []


def test_what_cannot_be_read_is_said_and_the_rest_is_written(outbox: Path, tmp_path: Path) -> None:
    """A file that was set aside: exit 1, a line on stderr, and all that was sound."""
    content = bytearray(outbox.read_bytes())
    content[content.index(b"jointsb0a1critical") + 100] ^= 0xFF  # inside the records of a row
    broken = tmp_path / "outbox.db.broken-1"
    broken.write_bytes(content)
    code, out, err = ran("export", broken, "--out", tmp_path / "out.csv")

    assert code == 1
    assert "cannot be read" in err
    assert "lost: " in out
    assert len(lines(tmp_path / "out-odom.csv")) == 101


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "{}/out.txt"], "end it in .csv or .mcap"),
        (["--out", "{}/none/out.csv"], "there is no folder"),
        (["--out", "{}/outbox.db"], "says no format"),
        (["--out", "{}/out.csv", "--channel", "odm"], "there is no channel odm; there are gap, joints, odom"),
        (["--out", "{}/out.csv", "--from", "5", "--to", "5"], "is not after --from"),
        (["--out", "{}/out.csv", "--audit", "--channel", "odom"], "--audit: is of an outbox as a whole"),
        (["--out", "{}/out.mcap", "--audit"], "end it in .csv or .jsonl"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line(
    outbox: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """Where, what, what to do; and no file."""
    before = sorted(tmp_path.iterdir())
    said = refusal(outbox, *(argument.format(tmp_path) for argument in arguments))

    assert words in said
    assert "\n" not in said
    assert sorted(tmp_path.iterdir()) == before


def test_the_source_is_never_the_target(tmp_path: Path) -> None:
    """Not even by force."""
    source = tmp_path / "drive.mcap"
    source.write_bytes(b"x")

    assert "is what is exported" in refusal(source, "--out", source, "--force")


def test_a_recording_that_is_none_is_refused(tmp_path: Path) -> None:
    """By the readers of `replay`."""
    (tmp_path / "drive.mcap").write_bytes(b"no recording")

    assert "rosbags cannot read it" in refusal(tmp_path / "drive.mcap", "--out", tmp_path / "out.csv")


def test_train_reads_it_as_it_is(tmp_path: Path) -> None:
    """Machines that wear out, through the daemon's own records: fitted on the fields, never on the numbers."""
    lane = TOPICS.channel_lane("motor", ODOM.channel_class, ODOM.encoding, 1)
    for machine in (Wear("a", 1.0, 24), Wear("b", 3.0, 31), Wear("c", 0.3, 27)):
        robot = Robot(tmp_path / f"{machine.name}.db", boot="12345678")
        contents = [
            {"header": {"stamp": {"sec": int(time), "nanosec": 0}, "frame_id": "m"}, "current": float(current),
             "vibration": float(vibration)}
            for time, _, current, _, vibration, _ in machine.rows()
        ]  # fmt: skip
        robot.store(lane, contents, rows=10, step_us=60_000_000)
        robot.close()
        assert export(tmp_path / f"{machine.name}.db", "--out", tmp_path / f"{machine.name}.csv") == 0
    tables = [tmp_path / f"{name}.csv" for name in "abc"]
    code, out, err = ran(
        "train", *tables, "--out", tmp_path / "model.onnx", "--run-to-failure", "--horizon-h", "4", "--window-s", "600",
        "--healthy-h", "5", "--estimator", "logistic", "--json",
    )  # fmt: skip
    told = orjson.loads(out)

    assert (code, err) == (0, "")
    assert any("vibration" in name for name in told["features"])
    assert not any("seq" in name or "boot" in name or "header" in name for name in told["features"])


def test_backtest_reads_it_as_it_is(tmp_path: Path) -> None:
    """By the columns alone, and by settings that name channel, field and element; the counter is judged by nobody."""
    random = Random(1)
    contents = [
        {"name": ["left", "right"], "effort": [random.gauss(1, 0.01) + (9.0 if 3000 <= number < 3100 else 0.0), 1.0]}
        for number in range(6000)
    ]
    robot = Robot(tmp_path / "outbox.db")
    robot.store(JOINTS, contents, rows=20)
    robot.close()
    assert export(tmp_path / "outbox.db", "--out", tmp_path / "out.csv") == 0
    settings = tmp_path / "robot.toml"
    settings.write_text(
        SETTINGS.format(store=tmp_path / "outbox.db")
        + '[channels.joints]\ntopic = "/joints"\ntype = "sensor_msgs/msg/JointState"\nclass = "critical"\n'
        '[anomaly.effort]\nchannel = "joints"\nfield = "effort"\nlabel = "name"\n',
        encoding="utf-8",
    )
    plain = ran("backtest", tmp_path / "out.csv", "--method", "robust_z", "--json")
    configured = ran("backtest", tmp_path / "out.csv", "--config", settings, "--json")

    for code, out, err in (plain, configured):
        told = orjson.loads(out)
        assert (code, err) == (0, "")
        assert told["rows"] == 6000
        assert {alert["channel"] for alert in told["alerts"]} == {"joints.effort.left"}


def test_a_copy_without_its_log_is_what_was_folded_in(outbox: Path, tmp_path: Path) -> None:
    """A file moved elsewhere by hand."""
    shutil.copyfile(outbox, tmp_path / "copy.db")

    assert export(tmp_path / "copy.db", "--out", tmp_path / "scan.csv", "--channel", "joints") == 0
    assert len(lines(tmp_path / "scan.csv")) == 51


def test_many_records_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    """Measured by the kernel: the peak of the process at 2,000 and at 200,000 records."""
    peaks = []
    for count in (2_000, 200_000):
        path = tmp_path / f"{count}.db"
        robot = Robot(path, max_bytes=400_000_000)
        for number in range(0, count, 2_000):
            robot.store(SCAN, ({"x": value / 3} for value in range(number, number + 2_000)), rows=4)
        robot.close()
        process = started("export", path, "--out", tmp_path / f"{count}.csv", "--json")
        with process:
            assert process.stdout is not None
            told = orjson.loads(process.stdout.read())
            _, process.returncode, usage = os.wait4(process.pid, 0)
        peaks.append(usage.ru_maxrss)
        assert told["records"] == count

    assert peaks[1] < 1.3 * peaks[0]
