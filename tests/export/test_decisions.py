"""The audit, written for others, and whether its chain is whole."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from pathlib import Path
from typing import Any

import orjson
import pytest

from edgetwin.errors import RefusedError
from edgetwin.store.audit import ZERO_HASH, entries, segments
from edgetwin.store.audit_file import AuditFile
from tests.export.outboxes import START_US
from tests.export.running import export, ran


@pytest.fixture(name="outbox")
def _outbox(tmp_path: Path) -> Path:
    """Where an outbox would be, and beside it an audit of a dozen decisions, its file still open."""
    path = tmp_path / "outbox.db"
    chain = AuditFile(path, 1_000_000, "b", lambda: None, lambda _: None)
    decisions = [
        json.dumps({"stamp_us": START_US + number * 1_000_000, "verdict": "REJECTED", "linear": number / 3}).encode()
        for number in range(12)
    ]
    chain.append(deque(decisions), START_US)
    chain.close()
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the entries in a file of JSON lines."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_every_entry_is_a_line_that_can_be_verified_by_itself(outbox: Path, tmp_path: Path) -> None:
    """By SHA-256 over the hash before and the bytes of the line, without what was added to it."""
    code, out, err = ran("export", outbox, "--audit", "--out", tmp_path / "audit.jsonl")
    found = lines(tmp_path / "audit.jsonl")
    previous = ZERO_HASH
    for line in (tmp_path / "audit.jsonl").read_bytes().splitlines():
        raw, _, stated = line.rpartition(b',"hash":')
        previous = hashlib.sha256(previous.encode() + raw + b"}").hexdigest()

        assert stated == b'"%b"}' % previous.encode()
    assert (code, err) == (0, "")
    assert "the chain verifies" in out
    assert found == list(entries(outbox))
    assert [one["entry"]["linear"] for one in found if one["kind"] == "decision"] == [n / 3 for n in range(12)]


def test_as_a_table_each_field_is_a_column(outbox: Path, tmp_path: Path) -> None:
    """Of a time as asked for; what says no time is kept."""
    until = f"{(START_US + 5_000_000) / 1e6:.6f}"

    assert export(outbox, "--audit", "--out", tmp_path / "audit.csv", "--to", until) == 0
    rows = [line.split(",") for line in (tmp_path / "audit.csv").read_text(encoding="utf-8").splitlines()]
    assert rows[0][:4] == ["time", "n", "kind", "hash"]
    assert [row[rows[0].index("entry.linear")] for row in rows if row[2] == "decision"] == [
        str(number / 3) for number in range(5)
    ]


def test_a_chain_that_was_altered_is_written_and_said(
    outbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1: whoever looks at the file must not take it for evidence."""
    (segment,) = segments(outbox).values()
    segment.write_bytes(segment.read_bytes().replace(b"REJECTED", b"ACCEPTED", 1))

    assert export(outbox, "--audit", "--out", tmp_path / "audit.jsonl", "--json") == 1
    told = orjson.loads(capsys.readouterr().out)
    assert told["verified"] is False
    assert "it was changed" in told["broken"]["what"]
    assert len(lines(tmp_path / "audit.jsonl")) == told["entries"] == 13


def test_where_there_is_none_it_is_refused(tmp_path: Path) -> None:
    """Before a first command there is no audit."""
    with pytest.raises(RefusedError, match="there is no audit"):
        export(tmp_path / "outbox.db", "--audit", "--out", tmp_path / "audit.jsonl")
