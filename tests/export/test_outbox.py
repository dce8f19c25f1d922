"""Records out of an outbox: all of them, beside the daemon that writes, and out of what damage has left."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import orjson
import pytest

from edgetwin import wire
from edgetwin.errors import RefusedError
from edgetwin.export.entry import Entry, ExportError
from edgetwin.export.outbox import StoredRecords
from edgetwin.export.pages import ReplacedError
from edgetwin.records import Gap, GapCause
from edgetwin.settings import Channel
from edgetwin.store.opening import set_aside
from edgetwin.store.schema import PAGE_BYTES, SCHEMA_VERSION
from tests.export.outboxes import CDR, GAP, JOINTS, ODOM, SCAN, START_US, Robot, joints, pose

REPOSITORY = Path(__file__).parents[2]
ODOM_CHANNEL = Channel.model_validate({"topic": "/base/odom", "type": "nav_msgs/msg/Odometry", "class": "critical"})


def everything(_: str) -> bool:
    """Whether a channel is wanted: yes."""
    return True


def entries(path: Path) -> list[Entry]:
    """Return all that can be read, and that nothing could not."""
    with closing(StoredRecords(path, {}, everything)) as source:
        found = list(source.entries())
        assert source.damage() == []
        return found


@contextmanager
def writer(path: Path, max_bytes: int) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the outbox and writes."""
    command = [sys.executable, "-m", "tests.export.busy_writer", str(path), str(max_bytes)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_every_record_comes_with_its_numbers_its_times_and_every_bit(tmp_path: Path) -> None:
    """While its robot holds the file; a channel of the settings with its topic, another by its name; CDR as bytes."""
    robot = Robot(tmp_path / "outbox.db")
    robot.store(ODOM, map(pose, range(1000)), rows=40)
    robot.store(CDR, [b"\x00\x01\x00\x00" + bytes([number]) for number in range(10)])
    with closing(StoredRecords(tmp_path / "outbox.db", {"odom": ODOM_CHANNEL}, everything)) as source:
        found = list(source.entries())
    robot.close()
    odom, raw = found[:1000], found[1000:]

    assert [one.content for one in odom] == [orjson.loads(wire.encode(pose(number))) for number in range(1000)]
    assert [(one.boot, one.seq) for one in odom] == [("b0a1", number) for number in range(1000)]
    assert odom[7].stamp_ns == (START_US + 7 * 20_000) * 1000
    assert odom[7].recv_ns == odom[7].stamp_ns + 137_000
    assert (odom[0].stream.topic, odom[0].stream.type_name) == ("/base/odom", "nav_msgs/msg/Odometry")
    assert raw[0].stream.topic == "/raw"
    assert [one.content for one in raw] == [b"\x00\x01\x00\x00" + bytes([number]) for number in range(10)]


@pytest.mark.parametrize("max_bytes", [1_000_000_000, 16_000_000])
def test_beside_a_busy_writer_each_look_is_whole(tmp_path: Path, max_bytes: int) -> None:
    """What was on disk before is there once, in order and unchanged; the writer goes on, and its file stays sound."""
    path = tmp_path / "outbox.db"
    with writer(path, max_bytes) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        for _ in range(8):
            before = int(process.stdout.readline())
            found = [one for one in entries(path) if one.stream.name == "odom"]
            log_bytes = Path(f"{path}-wal").stat().st_size

            assert len(found) >= before
            assert [one.seq for one in found] == list(range(len(found)))
            assert all(
                one.content == orjson.loads(wire.encode(pose(one.seq))) for one in found[:: len(found) // 50 or 1]
            )
            assert log_bytes < 4_000_000  # nothing that was open here has kept a checkpoint from its end
            for _ in range(20):
                process.stdout.readline()
        process.stdin.close()
        told = process.stdout.read().split()
        process.wait()

    assert told[-1] == "done"
    robot = Robot(path)
    robot.close()
    assert len([one for one in entries(path) if one.stream.name == "odom"]) == int(told[-2])


def test_nothing_beside_the_outbox_is_made_changed_or_locked(tmp_path: Path) -> None:
    """Not even a -shm: the folder may be another user's. And another daemon may start meanwhile."""
    path = tmp_path / "outbox.db"
    robot = Robot(path)
    robot.store(ODOM, map(pose, range(50)))
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.iterdir()}
    with closing(StoredRecords(path, {}, everything)) as source:
        stream = source.entries()
        next(stream)
        after = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.iterdir()}
        robot.close()
        Robot(path).close()

    assert after == before


def test_what_a_killed_daemon_left_in_its_log_is_read(tmp_path: Path) -> None:
    """Copies of file and log, as after a power cut; without a log only what was folded in."""
    robot = Robot(tmp_path / "outbox.db")
    robot.store(ODOM, map(pose, range(300)), rows=30)
    (tmp_path / "copy").mkdir()
    for name in ("outbox.db", "outbox.db-wal"):
        shutil.copyfile(tmp_path / name, tmp_path / "copy" / name)
    robot.close()

    assert len(entries(tmp_path / "copy" / "outbox.db")) == 300


def test_an_outbox_that_is_set_aside_meanwhile_ends_the_export(tmp_path: Path) -> None:
    """Else the rows of a new file would seem to be those of the old one."""
    path = tmp_path / "outbox.db"
    robot = Robot(path)
    for number in range(60):
        robot.store(SCAN, [Random(number).randbytes(60_000).hex()])
    robot.close()
    with closing(StoredRecords(path, {}, everything)) as source:
        stream = source.entries()
        next(stream)
        moved = set_aside(path)
        with pytest.raises(ReplacedError, match="export again"):
            list(stream)

    assert len(entries(moved)) == 60


def test_gaps_and_what_is_numbered_late_are_told(tmp_path: Path) -> None:
    """A gap that the cloud has not been told of stands in the file; others are events, and records like any other."""
    robot = Robot(tmp_path / "outbox.db")
    robot.store(ODOM, map(pose, range(10)))
    robot.store(
        GAP, [{"channel": "odom", "boot": "old", "from_seq": 1, "to_seq": None, "count": None, "cause": "crash"}]
    )
    robot.database.remember_gaps(
        [Gap("odom", "old", 5, None, None, GapCause.CRASH), Gap("scan", "b", 1, 9, 4, GapCause.SHED)]
    )
    with closing(StoredRecords(tmp_path / "outbox.db", {}, {"odom", "gap"}.__contains__)) as source:
        names = {one.stream.name for one in source.entries()}
        lost = [(one.channel, one.boot, one.from_seq, one.to_seq, one.count, one.cause) for one in source.lost()]
    robot.close()

    assert names == {"odom", "gap"}
    assert lost == [("odom", "old", 5, None, None, "crash")]


def test_a_file_of_an_older_edgetwin_is_read_as_it_lies_there(tmp_path: Path) -> None:
    """Version 1: its gaps have no checksum. A gap that damage has touched is of no channel."""
    path = tmp_path / "outbox.db"
    robot = Robot(path)
    robot.store(ODOM, map(pose, range(10)))
    robot.database.remember_gaps(
        [Gap("odom", "old", 5, 7, 2, GapCause.CRASH), Gap("scan", "b", 1, 9, 4, GapCause.SHED)]
    )
    robot.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as older:
        older.execute("UPDATE gap SET lane = 'imu' WHERE lane = 'scan'")  # as a flipped bit would
        with closing(StoredRecords(path, {}, everything)) as source:
            found = [(one.channel, one.count, one.cause) for one in source.lost()]
        older.execute("ALTER TABLE gap DROP COLUMN crc")
        older.execute("PRAGMA user_version = 1")
    with closing(StoredRecords(path, {}, everything)) as source:
        of_version_1 = [(one.channel, one.count, one.cause) for one in source.lost()]

        assert len(list(source.entries())) == 10
    assert found == [("odom", 2, "crash"), ("", None, "damaged")]
    assert of_version_1 == [("odom", 2, "crash"), ("imu", 4, "shed")]


def test_dead_letters_can_be_had(tmp_path: Path) -> None:
    """Nothing else reads them."""
    robot = Robot(tmp_path / "outbox.db")
    (row,) = robot.store(ODOM, map(pose, range(3)))
    robot.store(JOINTS, map(joints, range(3)))
    robot.database.bury([row], 0x99, GapCause.DEAD_LETTER)
    with closing(StoredRecords(tmp_path / "outbox.db", {}, everything, dead_letters=True)) as source:
        found = [(one.stream.name, one.seq) for one in source.entries()]
    robot.close()

    assert found == [("odom", 0), ("odom", 1), ("odom", 2)]
    assert {one.stream.name for one in entries(tmp_path / "outbox.db")} == {"joints"}


@pytest.mark.parametrize("seed", range(60))
def test_damage_is_told_and_never_exported(tmp_path: Path, seed: int) -> None:
    """Bytes flipped, zeroed or cut off anywhere: what comes is what was written, and what does not is said."""
    path = tmp_path / "outbox.db"
    robot = Robot(path)
    for number in range(40):
        robot.store(ODOM, map(pose, range(number * 20, number * 20 + 20)), rows=2)
    robot.close()
    random = Random(seed)
    content = bytearray(path.read_bytes())
    at = random.randrange(len(content))
    if seed % 3 == 0:
        content[at] ^= 1 << random.randrange(8)
    elif seed % 3 == 1:
        content[at : at + 3000] = bytes(len(content[at : at + 3000]))
    else:
        del content[max(at, PAGE_BYTES) :]
    path.write_bytes(content)
    written = {number: orjson.loads(wire.encode(pose(number))) for number in range(800)}
    try:
        with closing(StoredRecords(path, {}, everything)) as source:
            found = list(source.entries())
            told = [*source.damage(), *source.lost()]
    except (RefusedError, ExportError):
        return  # a first page that names another program, or none
    seqs = [one.seq for one in found]

    assert all(written[one.seq] == one.content for one in found)
    assert len(seqs) == len(set(seqs))
    assert len(seqs) == 800 or told


def test_a_broken_first_page_costs_the_gaps_and_nothing_else(tmp_path: Path) -> None:
    """As a file that was set aside for it."""
    path = tmp_path / "outbox.db"
    robot = Robot(path)
    robot.store(ODOM, map(pose, range(100)), rows=50)
    robot.close()
    content = path.read_bytes()
    path.write_bytes(bytes(PAGE_BYTES) + content[PAGE_BYTES:])
    with closing(StoredRecords(path, {}, everything)) as source:
        found = list(source.entries())
        told = source.damage()

    assert [one.seq for one in found] == list(range(100))
    assert any("first page" in words for words in told)


def test_what_is_no_outbox_is_refused_in_one_line(tmp_path: Path) -> None:
    """A database of something else, a newer one, nothing at all, an empty file."""
    robot = Robot(tmp_path / "newer.db")
    robot.close()
    content = bytearray((tmp_path / "newer.db").read_bytes())
    content[60:64] = (SCHEMA_VERSION + 1).to_bytes(4, "big")
    (tmp_path / "newer.db").write_bytes(content)
    content[60:72] = bytes(12)
    (tmp_path / "other.db").write_bytes(content.replace(b"CREATE TABLE block", b"CREATE TABLE blocs"))
    (tmp_path / "empty.db").touch()
    said = {}
    for name in ("newer", "other", "empty", "absent"):
        with pytest.raises((RefusedError, ExportError)) as caught:
            StoredRecords(tmp_path / f"{name}.db", {}, everything)
        said[name] = str(caught.value)

    assert f"version {SCHEMA_VERSION + 1}" in said["newer"]
    assert "something else" in said["other"]
    assert "nothing in it can be read" in said["empty"]
    assert "no such file" in said["absent"]
