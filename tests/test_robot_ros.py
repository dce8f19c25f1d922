"""The robot's own ROS under /opt/ros, chosen, sourced, checked and used; refused in words where it does not fit.

The trees are stand-ins: folders with the names that ROS gives them; for the last test, with this environment's rclpy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from edgetwin import robot_ros
from edgetwin.errors import RefusedError
from edgetwin.robot_ros import RobotPython

ROOT = Path(__file__).parents[1]
PYTHON = f"python3.{sys.version_info.minor}"
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))
SITE = Path(sysconfig.get_path("purelib"))


def _ros(root: Path, distro: str = "jazzy", python: str = PYTHON, suffix: str = SUFFIX) -> Path:
    """A tree as ROS lays it out, with an rclpy that cannot do anything."""
    packages = root / distro / "lib" / python / "site-packages"
    (packages / "rclpy").mkdir(parents=True)
    (packages / "rclpy" / "__init__.py").touch()
    (packages / "rclpy" / f"_rclpy_pybind11{suffix}").touch()
    ours = root / distro / "lib" / PYTHON / "site-packages"
    (root / distro / "setup.bash").write_text(
        f"export ROS_DISTRO={distro} PYTHONPATH={ours} LD_LIBRARY_PATH={root / distro}/lib\necho sourced\n"
    )
    return packages


def _numpy(folder: Path, version: str, suffix: str = SUFFIX) -> None:
    (folder / "numpy" / "core").mkdir(parents=True)
    (folder / "numpy" / "__init__.py").touch()
    (folder / "numpy" / "core" / f"_multiarray_umath{suffix}").touch()
    (folder / f"numpy-{version}.dist-info").mkdir()
    (folder / f"numpy-{version}.dist-info" / "METADATA").write_text(f"Name: numpy\nVersion: {version}\n")


def _needing_numpy(site: Path, needs: str) -> Path:
    (site / "scipy-1.17.1.dist-info").mkdir(parents=True)
    (site / "scipy-1.17.1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: scipy\nVersion: 1.17.1\n"
        f'Requires-Dist: numpy{needs}\nRequires-Dist: numpy<1; extra == "test"\n'
    )
    return site


def _refusal(*folders: Path, site: Path) -> str:
    with pytest.raises(RefusedError) as refused:
        RobotPython(folders, site).check()
    return str(refused.value)


def test_the_setting_decides_then_what_the_package_has_then_what_stands_alone(tmp_path: Path) -> None:
    """ROS_SETUP wins on every machine; a workspace's install folder is as good as a distribution."""
    site, root = tmp_path / "site", tmp_path / "opt"
    _ros(root)
    alone = robot_ros.choose({}, root, site)
    (site / "rclpy").mkdir(parents=True)

    assert alone == root / "jazzy" / "setup.bash"
    assert robot_ros.choose({}, root, site) is None
    assert robot_ros.choose({"ROS_SETUP": str(root / "jazzy")}, root, site) == root / "jazzy" / "setup.bash"
    assert robot_ros.choose({"ROS_SETUP": str(root / "jazzy" / "setup.bash")}, root, site) == alone


@pytest.mark.parametrize(
    ("distros", "environ", "words"),
    [
        ((), {}, "no ROS 2 under"),
        (("humble", "jazzy"), {}, "choose one: ROS_SETUP="),
        (("jazzy",), {"ROS_SETUP": "/nowhere"}, "there is no /nowhere/setup.bash"),
    ],
)
def test_nothing_to_choose_or_too_much_is_refused(
    tmp_path: Path, distros: tuple[str, ...], environ: dict[str, str], words: str
) -> None:
    """Never a guess."""
    for distro in distros:
        _ros(tmp_path / "opt", distro)

    with pytest.raises(RefusedError, match=words):
        robot_ros.choose(environ, tmp_path / "opt", tmp_path / "site")


def test_sourcing_starts_clean_and_keeps_what_ros_says(tmp_path: Path) -> None:
    """What the caller's shell had sourced does not mix with it; what the script prints is no variable."""
    _ros(tmp_path)
    found = robot_ros.sourced(
        tmp_path / "jazzy" / "setup.bash", {"PATH": os.environ["PATH"], "PYTHONPATH": "/old", "LINES": "a\nb"}
    )

    assert found["ROS_DISTRO"] == "jazzy"
    assert found["PYTHONPATH"] == str(tmp_path / "jazzy" / "lib" / PYTHON / "site-packages")
    assert found["LINES"] == "a\nb"
    assert found["ROS_SETUP_SOURCED"] == str(tmp_path / "jazzy" / "setup.bash")


def test_a_script_that_fails_is_told_with_its_own_last_words(tmp_path: Path) -> None:
    """A workspace whose underlay is gone, say."""
    script = tmp_path / "setup.bash"
    script.write_text("echo 'underlay /opt/ros/iron is missing' >&2\nreturn 3\n")

    with pytest.raises(RefusedError, match="underlay /opt/ros/iron is missing"):
        robot_ros.sourced(script, {"PATH": os.environ["PATH"]})


def test_a_ros_for_another_python_is_refused(tmp_path: Path) -> None:
    """Humble on its Python 3.10, with an edgetwin for this one."""
    _ros(tmp_path, "humble", python="python3.10")
    ours = tmp_path / "humble" / "lib" / PYTHON / "site-packages"

    words = _refusal(ours, site=tmp_path / "site")
    assert words.startswith("ros: this ROS 2 is made for Python 3.10")
    assert f"this edgetwin runs on Python 3.{sys.version_info.minor}" in words


def test_an_rclpy_for_another_machine_or_python_is_refused(tmp_path: Path) -> None:
    """The folder's name fits and the compiled part does not: a copied tree."""
    packages = _ros(tmp_path, suffix=".cpython-310-aarch64-linux-gnu.so")

    assert "is compiled for cpython-310-aarch64-linux-gnu.so" in _refusal(packages, site=tmp_path / "site")


@pytest.mark.parametrize(
    ("version", "suffix", "words"),
    [
        (None, SUFFIX, "numpy is missing"),
        ("1.24.2", SUFFIX, "numpy 1.24.2 in .* does not fit scipy 1.17.1, which needs"),
        ("2.9.0", SUFFIX, "numpy 2.9.0 in .* does not fit scipy 1.17.1"),
        ("1.26.4", ".cpython-310-x86_64-linux-gnu.so", "numpy in .* is compiled for cpython-310"),
    ],
)
def test_a_numpy_that_does_not_fit_is_refused(tmp_path: Path, version: str | None, suffix: str, words: str) -> None:
    """The messages need the robot's, and our own parts must be able to work with it: there is one in a process."""
    packages = _ros(tmp_path / "opt")
    system = tmp_path / "system"
    if version is not None:
        _numpy(system, version, suffix)
    site = _needing_numpy(tmp_path / "site", ">=1.26.4,<2.7")

    with pytest.raises(RefusedError, match=words):
        RobotPython((packages, system), site).check()


def test_a_numpy_that_fits_is_accepted(tmp_path: Path) -> None:
    """From the system, and from ROS itself, which comes first."""
    packages, system = _ros(tmp_path / "opt"), tmp_path / "system"
    _numpy(system, "1.26.4")
    site = _needing_numpy(tmp_path / "site", ">=1.26.4,<2.7")

    RobotPython((packages, system), site).check()


def test_variables_are_read_as_systemd_reads_them(tmp_path: Path) -> None:
    """Comments, quotes, no shell."""
    path = tmp_path / "default"
    path.write_text("# ROS_SETUP=/no\n\nROS_SETUP=/opt/ros/jazzy\n ROS_DOMAIN_ID='7'\n;X=1\nnonsense\nHOME_DIR=$HOME\n")

    assert robot_ros.defaults(path) == {"ROS_SETUP": "/opt/ros/jazzy", "ROS_DOMAIN_ID": "7", "HOME_DIR": "$HOME"}
    assert robot_ros.defaults(tmp_path / "none") == {}


def test_the_command_runs_on_a_robots_ros(tmp_path: Path) -> None:
    """A package without ROS of its own, as on arm64: rclpy, messages and numpy come from the stand-in, all else not."""
    home, ros = tmp_path / "home", tmp_path / "opt" / "standin"
    site, packages = home / "lib" / PYTHON / "site-packages", ros / "lib" / PYTHON / "site-packages"
    site.mkdir(parents=True)
    packages.mkdir(parents=True)
    theirs = robot_ros._ros_names(SITE) | {"numpy", "numpy.libs", "yaml", "_yaml"}
    for entry in SITE.iterdir():
        is_theirs = entry.name in theirs or entry.name.startswith(("ros_", "numpy-", "PyYAML", "pyyaml"))
        (packages if is_theirs else site).joinpath(entry.name).symlink_to(entry)
    (site / "edgetwin").symlink_to(ROOT / "edgetwin")
    shutil.copy(ROOT / "debian" / "start.py", home / "start.py")
    libraries = [SITE.parents[1], *SITE.glob("ros_*.libs")]
    (ros / "setup.bash").write_text(
        f"export PYTHONPATH={packages} AMENT_PREFIX_PATH={SITE.parents[2]}\n"
        f"export LD_LIBRARY_PATH={':'.join(map(str, libraries))}\n"
    )
    settings = tmp_path / "robot.toml"
    settings.write_text(
        f'[robot]\nid = "r"\n[store]\npath = "{tmp_path}/o.db"\n[channels.odom]\ntopic = "/odom"\n'
        'type = "nav_msgs/msg/Odometry"\nclass = "critical"\n'
    )
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("_ROS", "LD_", "PYTHON"))}
    command = [sys.executable, "-IS", str(home / "start.py"), "check", "--json", "--config", str(settings)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=clean | {"ROS_SETUP": str(ros)}, cwd=tmp_path
    )
    without = subprocess.run(
        command, capture_output=True, text=True, check=False, env=clean | {"ROS_SETUP": "/nowhere"}, cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["channels"]["odom"]["type"] == "nav_msgs/msg/Odometry"
    assert (without.returncode, without.stdout) == (2, "")
    assert without.stderr.startswith("ros: there is no /nowhere/setup.bash; ")
