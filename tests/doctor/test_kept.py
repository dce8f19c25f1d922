"""What the daemon keeps: the chain of the gate's decisions, and the models that the settings name."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path

from edgetwin.doctor import kept
from edgetwin.doctor.findings import Case, Level
from edgetwin.settings import PrognosisSettings
from edgetwin.store import audit
from edgetwin.store.audit_file import AuditFile
from tests.doctor.stage import case_at


def _audited(folder: Path) -> Case:
    """Return a case whose audit has two decisions."""
    case = case_at(folder)
    file = AuditFile(case.settings.store.path, 1_000_000, "boot", lambda: None, lambda _what: None)
    file.append(deque([b'{"move":1}', b'{"move":2}']), 1)
    file.end(2)
    return case


def test_an_audit_that_is_as_it_was_written_is_ok(tmp_path: Path) -> None:
    """And one that was never begun."""
    (none,) = kept.audit(case_at(tmp_path))
    (whole,) = kept.audit(_audited(tmp_path))

    assert (none.level, whole.level) == (Level.OK, Level.OK)
    assert "nothing was decided yet" in none.what
    assert "every entry" in whole.what


def test_an_audit_that_was_changed_names_the_entry(tmp_path: Path) -> None:
    """One digit of one decision: found, with file, place and number."""
    case = _audited(tmp_path)
    (segment,) = audit.segments(case.settings.store.path).values()
    segment.write_bytes(segment.read_bytes().replace(b'"move":1', b'"move":7'))
    (finding,) = kept.audit(case)

    assert finding.level is Level.FAIL
    assert segment.name in finding.what
    assert "entry 1" in finding.what


def test_a_model_that_is_not_there_yet_warns(tmp_path: Path) -> None:
    """The daemon runs without; no model asked for is no finding."""
    case = case_at(tmp_path)
    wish = PrognosisSettings.model_validate({"model": str(tmp_path / "none.onnx"), "sources": {}})
    wanted = replace(case, settings=case.settings.model_copy(update={"prognosis": {"motor": wish}}))
    (finding,) = kept.models(wanted)

    assert kept.models(case) == []
    assert finding.level is Level.WARN
    assert "none.onnx" in finding.what
