"""Nobody moves a real robot by accident."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.hil.site import real

REPOSITORY = Path(__file__).parents[2]
WATCHED = ("--i-am-next-to-it",)
COMPLETE = """
drive = "--robot robot_007 --broker broker.example:8883 --tls"
stop_distance_max_m = 0.5
stop_latency_max_s = 0.2
cut = "true"
restore = "false"
"""


@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        ("tests/hil", (), "stand at its emergency stop and add --i-am-next-to-it"),
        ("tests/hil", WATCHED, "needs --hil-settings FILE"),
        ("tests/hil", (*WATCHED, "--hil-settings", "robot.toml"), "asks you before each test; add -s"),
        ("tests", (*WATCHED, "--hil-settings", "robot.toml", "-s"), "give the path tests/hil"),
    ],
)
def test_a_real_robot_is_refused_until_everything_is_said(path: str, options: tuple[str, ...], words: str) -> None:
    """Before a test is even collected."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", path, "--robot", "real", "--collect-only", *options],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert words in done.stderr


def test_a_settings_file_names_a_robot(tmp_path: Path) -> None:
    """Where it is, what is asked of it, how its link is cut; somebody watches."""
    path = tmp_path / "robot.toml"
    path.write_text(COMPLETE, encoding="utf-8")
    site = real(path)
    site.cut()

    assert site.watched
    assert site.limits.stop_distance_max_m == 0.5
    assert site.wish().address.host == "broker.example"
    assert site.wish().address.topics.root == "robot/robot_007"
    with pytest.raises(subprocess.CalledProcessError):
        site.restore()


def test_a_settings_file_with_a_slip_is_refused(tmp_path: Path) -> None:
    """A key that nobody knows would be a limit that nobody keeps."""
    path = tmp_path / "robot.toml"
    path.write_text(COMPLETE + "stop_distance_m = 0.1\n", encoding="utf-8")
    with pytest.raises(TypeError) as slip:
        real(path)

    assert "stop_distance_m" in str(slip.value)
