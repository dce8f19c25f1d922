"""The command, in this process and as a user has it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from edgetwin.export.command import main
from edgetwin.export.options import add_arguments

REPOSITORY = Path(__file__).parents[2]


def export(*arguments: str | Path) -> int:
    """Export in this process; return the exit code."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return main(parser.parse_args(list(map(str, arguments))))


def started(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start a command as a user would."""
    command = [sys.executable, "-m", "edgetwin", *map(str, arguments)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EDGETWIN_")}
    return subprocess.Popen(
        command, cwd=REPOSITORY, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ran(*arguments: str | Path) -> tuple[int, str, str]:
    """Run a command to its end; return exit code, stdout, stderr."""
    process = started(*arguments)
    out, err = process.communicate()
    return process.returncode, out, err
