"""Records as tables: names of columns, cells, and files that are there whole or not at all."""

from __future__ import annotations

import csv
import math
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from rclpy.serialization import serialize_message

from edgetwin.errors import RefusedError
from edgetwin.export.columns import Flattener
from edgetwin.export.csv_file import COLUMNS_MAX, CsvFile
from edgetwin.export.csv_files import CsvFiles, names
from edgetwin.export.entry import Entry, Stream
from edgetwin.export.times import iso, parsed

ODOM = Stream("odom", "/odom", "nav_msgs/msg/Odometry")
US = 1_795_327_201_360_952


def entry(content: Any, seq: int = 0, stream: Stream = ODOM, stamp_ns: int = US * 1000) -> Entry:
    """Return a record."""
    return Entry(stream, "b", seq, stamp_ns, stamp_ns, content)


def row(content: Any, array_max: int = 64) -> dict[str, Any]:
    """Return the cells of a record of the channel `odom`."""
    cells = Flattener(ODOM, array_max).row(entry(content))
    assert cells is not None
    return dict(cells)


def table(path: Path) -> list[list[str]]:
    """Return the cells of a file."""
    with path.open(newline="", encoding="utf-8") as text:
        return list(csv.reader(text))


def written(folder: Path, *rows: dict[str, Any]) -> list[list[str]]:
    """Return the file that some rows make."""
    with closing(CsvFile(folder, ["n"], folder)) as file:
        for number, cells in enumerate(rows):
            file.add([number], cells)
        file.publish(folder / "out.csv", force=False)
    return table(folder / "out.csv")


def test_a_leaf_is_called_by_its_path_and_an_element_by_its_name_or_place() -> None:
    """As `edgetwin backtest --config` looks for them: channel.field.element."""
    found = row({"a": {"b": 1.5}, "name": ["left", "right"], "effort": [1, 2], "position": [], "k": [7, 8, 9]})

    assert found == {
        "odom.a.b": 1.5, "odom.effort.left": 1, "odom.effort.right": 2, "odom.k.0": 7, "odom.k.1": 8, "odom.k.2": 9,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "cells"),
    [
        ({"x": None}, {"odom.x": None}),
        ({"x": True}, {"odom.x": 1}),
        ({"x": "a,b\n"}, {"odom.x": "a,b\n"}),
        ({"name": ["a", "a"], "x": [1, 2]}, {"odom.x.0": 1, "odom.x.1": 2, "odom.name.0": "a", "odom.name.1": "a"}),
        ({"name": ["a\nb"], "x": [1]}, {"odom.x.a_b": 1}),
        ({"name": "arm", "x": [1]}, {"odom.name": "arm", "odom.x.0": 1}),
        ({"name": 5, "x": [1]}, {"odom.name": 5, "odom.x.0": 1}),
        ({"name": ["alone"]}, {"odom.name.0": "alone"}),
        ({"poses": [{"x": 1}, {"x": 2}]}, {"odom.poses.0.x": 1, "odom.poses.1.x": 2}),
        ({"header": {"stamp": {"sec": 1, "nanosec": 5}}}, {"odom.header.stamp": "1970-01-01T00:00:01.000000005Z"}),
        ({"stamp": {"sec": None, "nanosec": 5}}, {"odom.stamp.sec": None, "odom.stamp.nanosec": 5}),
        ({"left": {"sec": 1, "nanosec": 5}}, {"odom.left.sec": 1, "odom.left.nanosec": 5}),
        ({}, {}),
        (3.5, {"odom": 3.5}),
    ],
)
def test_what_is_no_plain_number_has_a_cell_that_can_be_read(content: Any, cells: dict[str, Any]) -> None:
    """Null is empty, true is 1; a stamp is text, for no detector to judge; names that repeat name nothing."""
    found = row(content)

    assert found == cells


def test_a_long_array_leaves_its_length_and_is_told(tmp_path: Path) -> None:
    """360 ranges are no table; who wants them says so."""
    files = CsvFiles(tmp_path / "out.csv", 64)
    with closing(files):
        files.add(entry({"ranges": [1.0] * 360, "angle": 2.0}))
        files.publish([], force=False)

        assert table(tmp_path / "out.csv")[0][3:] == ["odom.ranges.length", "odom.angle"]
        assert any("360 elements" in words and "--array-max 360" in words for words in files.remarks())
    assert len(row({"ranges": [1.0] * 360}, array_max=360)) == 360


def test_a_column_that_comes_late_is_a_column_from_the_first_row_on(tmp_path: Path) -> None:
    """Two publishers of one topic, or a message of variable length: the table stays rectangular."""
    rows: list[dict[str, Any]] = [{"a": number, "text": "x\n,y"} for number in range(700)]
    rows += [{"b": 0.1, "a": 1}, {"c": 2}]
    found = written(tmp_path, *rows)

    assert found[0] == ["n", "a", "text", "b", "c"]
    assert {len(cells) for cells in found} == {5}
    assert found[700] == ["699", "699", "x\n,y", "", ""]
    assert found[-2:] == [["700", "1", "", "0.1", ""], ["701", "", "", "", "2"]]
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]


def test_columns_are_bounded(tmp_path: Path) -> None:
    """A message that calls its fields anew each time fills no memory."""
    with closing(CsvFile(tmp_path, ["n"], tmp_path)) as file:
        for number in range(COLUMNS_MAX + 500):
            file.add([number], {f"c{number}": number})
        file.publish(tmp_path / "out.csv", force=False)

        assert file.left_out == 500
    assert len(table(tmp_path / "out.csv")[0]) == 1 + COLUMNS_MAX


@given(st.floats(), st.integers(-(2**63), 2**64))
def test_numbers_come_back_to_the_last_bit(real: float, whole: int) -> None:
    """Shortest digits that tell a double; whole numbers of any size."""
    cells = list(map(str, row({"real": real, "whole": whole}).values()))

    assert float(cells[0]) == real or math.isnan(real)
    assert math.copysign(1, float(cells[0])) == math.copysign(1, real) or math.isnan(real)
    assert int(cells[1]) == whole


def test_a_cdr_channel_has_the_columns_of_its_type(tmp_path: Path) -> None:
    """Where the type is known and installed; bytes that are no such message are counted, not written."""
    message = Odometry()
    message.pose.pose.position.x = 0.1
    message.header.stamp.sec = 5
    files = CsvFiles(tmp_path / "out.csv", 64)
    with closing(files):
        kept = [files.add(entry(content)) for content in (serialize_message(message), b"\x00\x01\x00\x00broken")]
        files.publish([], force=False)

        assert kept == [True, False]
        assert files.damage() == ["odom: 1 records are no messages of their type."]
    found = dict(zip(*table(tmp_path / "out.csv"), strict=True))
    assert found["odom.pose.pose.position.x"] == "0.1"
    assert found["odom.header.stamp"] == "1970-01-01T00:00:05.000000Z"


def test_a_cdr_channel_of_an_unknown_type_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """MCAP takes it as it is."""
    files = CsvFiles(tmp_path / "out.csv", 64)
    with closing(files):
        files.add(entry(b"\x00\x01\x00\x00", stream=Stream("raw", "/raw")))
        with pytest.raises(RefusedError, match=r"no settings say.*mcap"):
            files.publish([], force=False)

    assert list(tmp_path.iterdir()) == []


def test_names_of_files_lead_nowhere_else(tmp_path: Path) -> None:
    """A channel's name comes out of a file that anything may have been done to."""
    out = tmp_path / "out.csv"

    assert names(out, ["odom"]) == {"odom": out}
    assert list(names(out, ["../../x", "a/b", "a_b", ".."]).values()) == [
        tmp_path / f"out-{name}.csv" for name in ("_.._x", "a_b", "a_b_", "_")
    ]
    assert names(tmp_path, ["odom"]) == {"odom": tmp_path / "odom.csv"}


@pytest.mark.parametrize(
    ("stamp_ns", "text"),
    [
        (US * 1000, "2026-11-22T06:00:01.360952Z"),
        (US * 1000 + 7, "2026-11-22T06:00:01.360952007Z"),
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (2**62 * 100, ""),
    ],
)
def test_times_are_written_without_a_float(stamp_ns: int, text: str) -> None:
    """A double holds Unix time to 0.2 us only."""
    assert iso(stamp_ns) == text
    assert not text or parsed(text) == stamp_ns // 1000 * 1000


@pytest.mark.parametrize(
    ("text", "stamp_ns"),
    [
        ("1795327201.360952007", US * 1000 + 7),
        ("2026-11-22T07:00:01.360952+01:00", US * 1000),
        ("2026-11-22", 1_795_305_600 * 10**9),
    ],
)
def test_times_are_read_as_people_write_them(text: str, stamp_ns: int) -> None:
    """Seconds, a zone, a day; UTC where no zone is named."""
    assert parsed(text) == stamp_ns
