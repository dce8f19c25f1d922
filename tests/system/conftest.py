"""Fixtures of the system tier: the package built from this tree, and machines to install it on.

Needs root, mmdebstrap, systemd-nspawn and the tools that build the package (`make system` installs them). The
package and the bare Debian are kept in build/ and made again when what they are made of has changed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.machine import Machine
from tests.system.robot import Robot

ROOT = Path(__file__).parents[2]
FIGURES: dict[str, str] = {}
_TOOLS = ("lintian", "mmdebstrap", "systemd-nspawn", "dh", "dpkg-checkbuilddeps", "unshare", "nsenter")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, and keep it in build/system.json."""
    if FIGURES:
        terminalreporter.section("system figures")
        for name, value in FIGURES.items():
            terminalreporter.write_line(f"{name:<44} {value}")
        (ROOT / "build" / "system.json").write_text(json.dumps(FIGURES, indent=1), encoding="utf-8")


def _needs() -> None:
    missing = [tool for tool in _TOOLS if shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None]
    if os.geteuid() != 0:
        missing.insert(0, "root")
    if missing:
        message = f"the system tests need {', '.join(missing)}: run `make system` as root"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


@pytest.fixture(scope="session")
def figures() -> dict[str, str]:
    """What is measured on the way; printed at the end."""
    return FIGURES


@pytest.fixture(scope="session")
def built() -> tuple[Path, Path]:
    """The package, and a bare Debian to install it on; both made at the same time, or found."""
    _needs()
    making = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command in ([".ci/deb", ".venv"], [".ci/rootfs"])
    ]
    said = [process.communicate() for process in making]
    for process, (_, errors) in zip(making, said, strict=True):
        assert process.returncode == 0, errors
    deb, rootfs = (ROOT / out.strip() for out, _ in said)
    return deb, rootfs


@pytest.fixture(scope="session", autouse=True)
def linting(deb: Path) -> Iterator[subprocess.Popen[str]]:
    """Lintian at work on the package, from the beginning."""
    command = ["nice", "lintian", "--fail-on", "error", str(deb)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture(scope="session")
def deb(built: tuple[Path, Path]) -> Path:
    """The package."""
    return built[0]


@pytest.fixture(scope="session")
def layers(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """What a machine is booted from on which the package has been installed."""
    deb, rootfs = built
    with Machine([rootfs], tmp_path_factory.mktemp("installed") / "m", _name("first"), keep=True) as machine:
        began_s = time.monotonic()
        Robot(machine).install(deb)
        FIGURES["package"] = f"{deb.stat().st_size / 1e6:.0f} MB"
        FIGURES["installed"] = f"{int(_field(machine, 'Installed-Size')) * 1024 / 1e6:.0f} MB"
        FIGURES["apt-get install, offline"] = f"{time.monotonic() - began_s:.1f} s"
    yield [machine.upper, rootfs]
    shutil.rmtree(machine.upper)


@pytest.fixture(scope="module")
def robot(layers: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    """A machine that has just been switched on, with edgetwin on the settings that the package brings."""
    with Machine(layers, tmp_path_factory.mktemp("robot") / "m", _name("robot")) as machine:
        robot = Robot(machine)
        robot.ready()
        yield robot


@pytest.fixture(scope="module")
def bare(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    """A machine with a broker, on which edgetwin has never been."""
    with Machine([built[1]], tmp_path_factory.mktemp("bare") / "m", _name("bare")) as machine:
        yield Robot(machine)


def _name(what: str) -> str:
    return f"et-{what}-{os.getpid()}"


def _field(machine: Machine, name: str) -> str:
    return machine.run("dpkg-query", "--show", f"--showformat=${{{name}}}", "edgetwin")
