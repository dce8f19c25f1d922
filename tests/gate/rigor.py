"""What `make gate` judges: are there enough lines of tests, and did every mutant die?

`python -m tests.gate.rigor lines` and `python -m tests.gate.rigor mutants`; exit code 1 with one line per complaint.
"""

from __future__ import annotations

import io
import sys
import token
import tokenize
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = (ROOT / "edgetwin" / "gate", ROOT / "edgetwin" / "command")
TESTS = (ROOT / "tests" / "gate", ROOT / "tests" / "command")
LINES_PER_LINE = 3.0
ALLOWED = Path(__file__).with_name("allowed_survivors.toml")
ALLOWED_MAX = 3
DEAD = {"killed", "caught by type check", "timeout"}

_NOT_CODE = {
    tokenize.COMMENT, token.NL, token.NEWLINE, token.INDENT, token.DEDENT, token.ENCODING, token.ENDMARKER,
}  # fmt: skip


def code_lines(source: str) -> int:
    """Return how many lines carry code: neither blank, nor comment, nor a string that stands alone (a docstring)."""
    lines: set[int] = set()
    statement: list[tokenize.TokenInfo] = []
    for part in tokenize.generate_tokens(io.StringIO(source).readline):
        if part.type == token.NEWLINE:
            if not all(piece.type == token.STRING for piece in statement):
                lines.update(line for piece in statement for line in range(piece.start[0], piece.end[0] + 1))
            statement = []
        elif part.type not in _NOT_CODE:
            statement.append(part)
    return len(lines)


def lines_of(folders: Iterable[Path]) -> int:
    """Return the lines of code of all modules below some folders."""
    modules = (module for folder in folders for module in sorted(folder.rglob("*.py")))
    return sum(code_lines(module.read_text(encoding="utf-8")) for module in modules)


def judge_lines() -> list[str]:
    """Return what is wrong with the amount of tests."""
    core, tests = lines_of(CORE), lines_of(TESTS)
    print(f"{tests} lines of tests for {core} lines of gate and command: {tests / core:.2f} per line")
    if tests < LINES_PER_LINE * core:
        return [f"fewer than {LINES_PER_LINE:g} lines of tests per line of the core"]
    return []


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test killed: its function, and what it changed, `-` and `+` lines without indentation."""

    function: str
    change: str


def judge_survivors(found: Iterable[tuple[str, Survivor]], allowed: Iterable[Survivor]) -> list[str]:
    """Return what is wrong: survivors without a reason, reasons without a survivor, too many reasons.

    Args:
        found: Name of each mutant that lives, and what it is.
        allowed: Those that may.
    """
    left = Counter(allowed)
    total = left.total()
    complaints = [] if total <= ALLOWED_MAX else [f"{total} survivors are allowed; {ALLOWED_MAX} is the most"]
    for name, survivor in found:
        if left[survivor]:
            left[survivor] -= 1
        else:
            complaints.append(f"{name} lives:\n{survivor.change}")
    complaints += [f"allowed, but dead: {one.function}: {one.change}" for one in left.elements()]
    return complaints


def allowed_survivors(text: str) -> list[Survivor]:
    """Return the list of those that may live; every one with a reason."""
    entries = tomllib.loads(text)["survivor"]
    bare = [entry["function"] for entry in entries if not entry["reason"].strip()]
    if bare:
        message = f"no reason is given for {bare}"
        raise ValueError(message)
    return [Survivor(entry["function"], entry["change"].strip()) for entry in entries]


def changed_lines(diff: str) -> str:
    """Return the `-` and `+` lines of a diff, without its header and without indentation."""
    lines = [line for line in diff.splitlines()[2:] if line[:1] in {"-", "+"}]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines)


def judge_mutants() -> list[str]:
    """Return what is wrong with the result of `mutmut run`."""
    from mutmut.__main__ import collect_source_file_mutation_data  # noqa: PLC0415  # it needs the folder mutants/
    from mutmut.mutation.diff_apply import get_diff_for_mutant  # noqa: PLC0415
    from mutmut.stats import status_by_exit_code  # noqa: PLC0415

    mutants, _ = collect_source_file_mutation_data(mutant_names=())
    statuses = {name: (module.path, status_by_exit_code[code]) for module, name, code in mutants}
    counts = Counter(status for _, status in statuses.values())
    print(f"{len(statuses)} mutants: " + ", ".join(f"{count} {status}" for status, count in counts.most_common()))
    found = [
        (
            f"{name} ({status})",
            Survivor(name.partition("__mutmut_")[0], changed_lines(get_diff_for_mutant(name, path=path))),
        )
        for name, (path, status) in statuses.items()
        if status not in DEAD
    ]
    complaints = judge_survivors(found, allowed_survivors(ALLOWED.read_text(encoding="utf-8")))
    return complaints if statuses else ["there are no mutants: has `mutmut run` been run?"]


JUDGES: dict[str, Callable[[], list[str]]] = {"lines": judge_lines, "mutants": judge_mutants}


def main(arguments: list[str]) -> int:
    """Judge what the arguments name; return the exit code."""
    complaints = [complaint for argument in arguments for complaint in JUDGES[argument]()]
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
