"""Train: the command: history -> table -> candidates -> choice -> ONNX -> report."""

from __future__ import annotations

import argparse
import sys

from edgetwin import wire
from edgetwin.train import history, table
from edgetwin.train.needs import require
from edgetwin.train.wish import Wish, from_arguments


def main(arguments: argparse.Namespace) -> int:
    """Train as the arguments say; return the exit code.

    Raises:
        RefusedError: Arguments or history cannot be used.
        EdgeTwinError: No estimator survives the export.
    """
    wish = from_arguments(arguments)
    require(plot=wish.plot is not None)
    return run(wish)


def run(wish: Wish) -> int:
    """Train as wished, and print the report."""
    past = history.read(wish)
    rows = table.build(past, wish)

    from edgetwin.train import fit, folds, report  # noqa: PLC0415  # seconds of imports, after what may be refused
    from edgetwin.train.export import export  # noqa: PLC0415

    parts = folds.split(rows, random=wish.random_split)
    outcome = fit.train(rows, parts, wish.estimators, given=bool(wish.features))
    exported = export(outcome, rows, parts, past, wish)
    if wish.plot is not None:
        report.plot(outcome, rows, wish.plot)
    if wish.as_json:
        sys.stdout.write(wire.encode(report.as_values(outcome, rows, parts, exported, wish)).decode() + "\n")
    else:
        sys.stdout.write(report.as_text(outcome, rows, parts, exported, wish))
    return 0
