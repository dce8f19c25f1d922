"""The package keeps to Debian's rules. Last of the files: lintian takes a minute, and runs beside the others."""

from __future__ import annotations

import subprocess

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]


def test_lintian_finds_nothing(linting: subprocess.Popen[str], figures: dict[str, str]) -> None:
    """What is overridden is in debian/edgetwin.lintian-overrides, each with its reason."""
    said, errors = linting.communicate()
    found = [line for line in said.splitlines() if line[:2] in {"E:", "W:"}]
    figures["lintian"] = f"{len(found)} errors and warnings"

    assert linting.returncode == 0, said + errors
    assert found == []
