"""The tables of docs/gate.md, rendered from the gate's own tables: `python -m tests.gate.page` writes them.

Between two marks of the page everything is made here; what stands outside of them is written by hand.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from edgetwin.gate.checks import CHECKS
from edgetwin.gate.limits import MS, GateLimits
from edgetwin.gate.machine import TRANSITIONS, Cause, after
from edgetwin.motion import State

ELSEWHERE = {0: "-", 16: "-", 18: "-", 19: "by silence"}
"""Rows about the state itself: where they are tripped nothing runs; and who drives beside the robot has it alone."""

PAGE = Path(__file__).resolve().parents[2] / "docs" / "gate.md"


def transitions() -> str:
    """Return the state machine, one row per transition."""
    alive = tuple(state for state in State if state is not State.DOWN)
    lines = ["| from | when | to | the wheels get |", "|---|---|---|---|"]
    for row in TRANSITIONS:
        sources = "any but DOWN" if set(row.sources) == set(alive) else ", ".join(row.sources)
        lines.append(f"| {sources} | {row.cause} | {row.to} | {row.output} |")
    return "\n".join(lines)


def matrix() -> str:
    """Return every pair of state and cause; a dot is rule 0: it stays where it is."""
    lines = [f"| | {' | '.join(State)} |", "|---" * (len(State) + 1) + "|"]
    for cause in Cause:
        cells = [after(state, cause) for state in State]
        shown = ["." if to is state else to for state, to in zip(State, cells, strict=True)]
        lines.append(f"| {cause.name} | {' | '.join(shown)} |")
    return "\n".join(lines)


def checks() -> str:
    """Return the interlocks, worst first."""
    lines = ["| row | code | holds when | ends a running move |", "|---|---|---|---|"]
    for check in CHECKS:
        ends = "with a ramp" if check.running else "no"
        if check.at_once:
            ends = "at once"
        lines.append(f"| {check.row} | {check.reason} | {check.claim} | {ELSEWHERE.get(check.row, ends)} |")
    return "\n".join(lines)


def limits() -> str:
    """Return the plain numbers that the gate takes, with their defaults."""
    lines = ["| limit | default |", "|---|---|"]
    for field in fields(GateLimits):
        value = getattr(GateLimits(), field.name)
        if not isinstance(value, bool | int | float | None):
            continue
        name = field.name
        if name.endswith("_ns") and value is not None:
            name, value = f"{name} (here in ms)", value // MS
        lines.append(f"| `{name}` | {'off' if value is None else value} |")
    return "\n".join(lines)


TABLES = {"transitions": transitions, "matrix": matrix, "checks": checks, "limits": limits}


def rendered(page: str) -> str:
    """Return the page with every table as the code has it now."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: rendered from the code -->\n", f"<!-- end of {name} -->"
        before, found, rest = page.partition(begin)
        _, ended, after_it = rest.partition(end)
        if not (found and ended):
            message = f"docs/gate.md: the marks of the table {name} are missing"
            raise ValueError(message)
        page = f"{before}{begin}{table()}\n{end}{after_it}"
    return page


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
