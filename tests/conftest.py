"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("edgetwin", deadline=None)  # a busy machine is no failure
settings.load_profile("edgetwin")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of tests/hil; here, since pytest asks only the topmost conftest for them."""
    group = parser.getgroup("hil", "hardware in the loop (tests/hil)")
    group.addoption("--robot", choices=("sim", "real"), default="sim", help="which robot to move (default: sim)")
    group.addoption("--i-am-next-to-it", action="store_true", help="somebody stands at the real robot's emergency stop")
    group.addoption("--hil-settings", type=Path, metavar="FILE", help="where the real robot is; see tests/hil/site.py")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a real robot that nobody watches."""
    if config.getoption("--robot") == "sim":
        return
    rows = (
        (config.getoption("--i-am-next-to-it"), "moves a robot; stand at its emergency stop and add --i-am-next-to-it"),
        (config.getoption("--hil-settings"), "needs --hil-settings FILE; tests/hil/site.py says what is in it"),
        (config.getoption("capture") == "no", "asks you before each test; add -s"),
        (
            all(path.startswith("tests/hil") for path in config.args),
            "is for these tests alone; give the path tests/hil",
        ),
    )
    for given, words in rows:
        if not given:
            msg = f"--robot real {words}"
            raise pytest.UsageError(msg)
