"""The judge of the mutants is judged: it lets nobody live without a reason, and no reason outlive its mutant."""

from __future__ import annotations

import pytest

from tests.gate.rigor import ALLOWED, Survivor, allowed_survivors, changed_lines, code_lines, judge_survivors

ONE = Survivor("edgetwin.gate.envelope.x_clamp", "- a < b\n+ a <= b")
OTHER = Survivor("edgetwin.gate.envelope.x_clamp", "- a < b\n+ a > b")


def test_a_survivor_without_a_reason_is_a_complaint_with_its_change() -> None:
    """So that one knows at once what to write a test for."""
    complaints = judge_survivors([("x_clamp__mutmut_3", ONE)], [])

    assert len(complaints) == 1
    assert "x_clamp__mutmut_3" in complaints[0]
    assert ONE.change in complaints[0]


def test_a_survivor_with_a_reason_may_live_and_only_that_one() -> None:
    """Function and change must fit."""
    assert judge_survivors([("a", ONE)], [ONE]) == []
    assert len(judge_survivors([("a", OTHER)], [ONE])) == 2
    assert len(judge_survivors([("a", ONE), ("b", ONE)], [ONE])) == 1


def test_a_reason_whose_mutant_died_is_a_complaint() -> None:
    """The list must not rot."""
    assert judge_survivors([], [ONE]) == [f"allowed, but dead: {ONE.function}: {ONE.change}"]


def test_three_reasons_are_the_most() -> None:
    """The fourth is one too many, even if all of them live."""
    four = [Survivor(f"f{number}", "") for number in range(4)]

    assert judge_survivors([(one.function, one) for one in four[:3]], four[:3]) == []
    assert len(judge_survivors([(one.function, one) for one in four], four)) == 1


def test_a_reason_must_be_given() -> None:
    """An empty one is none."""
    entry = '[[survivor]]\nfunction = "f"\nchange = "- a\\n+ b"\nreason = "{}"\n'

    assert allowed_survivors(entry.format("they are the same number")) == [Survivor("f", "- a\n+ b")]
    with pytest.raises(ValueError, match="reason"):
        allowed_survivors(entry.format(" "))


def test_the_list_of_today_is_sound() -> None:
    """It can be read, and is short enough."""
    assert len(allowed_survivors(ALLOWED.read_text(encoding="utf-8"))) <= 3


def test_a_change_is_told_without_header_and_indentation() -> None:
    """Line numbers and depth may change without a survivor becoming another."""
    diff = "--- gate.py\n+++ gate.py\n@@ -1,3 +1,3 @@\n def f():\n-    if a < b:\n+    if a <= b:\n         pass"

    assert changed_lines(diff) == "- if a < b:\n+ if a <= b:"


def test_lines_are_counted_alike_on_both_sides() -> None:
    """Blank lines, comments and docstrings are not code; a string that is used is."""
    head = '"""Doc\nstring."""\n\n# comment\nX = (  # why\n    1,\n\n    2,\n)\n\n\n'
    source = head + 'def f() -> str:\n    """Doc."""\n    return """a\nb"""\n'

    assert code_lines(source) == 7
