"""The order of the checks, and what happens when one of them never ends."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgetwin.doctor import command
from edgetwin.doctor.findings import Case, Check, Finding, Level, ok
from tests.doctor.stage import case_at


def _of(name: str) -> Check:
    def check(_case: Case) -> Sequence[Finding]:
        return [ok(name, "fine")]

    return check


def test_findings_come_in_the_order_of_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is done first."""
    first_may_end = threading.Event()

    def slow(_case: Case) -> Sequence[Finding]:
        first_may_end.wait()
        return [ok("slow", "fine")]

    def quick(_case: Case) -> Sequence[Finding]:
        first_may_end.set()
        return [ok("quick", "fine")]

    monkeypatch.setattr(command, "CHECKS", (("slow", slow), ("quick", quick)))

    assert [finding.name for finding in command._found(case_at(Path()), None)] == ["slow", "quick"]


def test_a_check_that_hangs_fails_and_the_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that does not answer is found out so; while it is waited for, a terminal is told for what."""
    never = threading.Event()

    def hangs(_case: Case) -> Sequence[Finding]:
        never.wait()
        return []

    monkeypatch.setattr(command, "CHECKS", (("before", _of("before")), ("hangs", hangs), ("after", _of("after"))))
    monkeypatch.setattr(command, "_LIMIT_S", 0.3)
    monkeypatch.setattr(command, "_SLOW_S", 0.05)
    terminal = io.StringIO()
    found = list(command._found(case_at(Path()), terminal))
    never.set()

    assert [(finding.name, finding.level) for finding in found] == [
        ("before", Level.OK),
        ("hangs", Level.FAIL),
        ("after", Level.OK),
    ]
    assert "hangs ..." in terminal.getvalue()


def test_every_check_of_the_issue_is_there() -> None:
    """A check that is not in the table is never made."""
    names = [name for name, _ in command.CHECKS]

    assert names == [
        "settings", "permissions", "daemon", "clock", "disk", "store", "audit", "broker", "ros", "ros log", "model",
        "versions",
    ]  # fmt: skip
