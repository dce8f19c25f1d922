"""Roof: which ROS 2 the installed package runs on, and the robot's own ROS 2 into this process.

In: ROS_SETUP, what stands under /opt/ros     Out: an environment; and a Python that finds rclpy, the messages and
their numpy where the robot has them. Or a refusal in words: another Python, another numpy, nothing there.

ROS's shared libraries must be on the loader's path before a process begins, so that `start` runs twice: first it
sources the robot's setup.bash and begins anew with that environment, then it runs the command. Everything else of
ours stays in the package's own site-packages; the robot's Python packages are seen last, numpy and ROS first.
Imports the standard library and `packaging` alone: numpy must not be here before it is chosen.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from edgetwin.errors import Fault, RefusedError

SETUP = "ROS_SETUP"
SOURCED = "ROS_SETUP_SOURCED"  # set for the second beginning: what was sourced
DEFAULTS_FILE = Path("/etc/default/edgetwin")
ROS_ROOT = Path("/opt/ros")
SYSTEM_PACKAGES = Path("/usr/lib/python3/dist-packages")
_SOURCE_MAX_S = 30.0
_ASSIGNMENT = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_PYTHON_FOLDER = re.compile(r"python(3\.\d+)")
_OF_A_SOURCED_SHELL = ("LD_LIBRARY_PATH", "AMENT_PREFIX_PATH", "PYTHONPATH")  # ROS of the caller's, not ours


def defaults(path: Path) -> dict[str, str]:
    """Return the variables of an environment file as systemd reads it; none where there is no file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    found = (_ASSIGNMENT.fullmatch(line) for line in lines if not line.lstrip().startswith(("#", ";")))
    return {match[1]: "".join(shlex.split(match[2])) for match in found if match}


def choose(environ: Mapping[str, str], root: Path, site: Path) -> Path | None:
    """Return the setup.bash to source, or None for the ROS inside the package.

    Args:
        environ: ROS_SETUP in it decides, where it is set.
        root: Where robots have their ROS.
        site: The package's own site-packages.

    Raises:
        RefusedError: There is none, or there are several and nothing says which.
    """
    if wanted := environ.get(SETUP):
        folder = Path(wanted)
        script = folder if folder.name.endswith(".bash") else folder / "setup.bash"
        if not script.is_file():
            _refuse(f"there is no {script}", "name a folder under /opt/ros, or a workspace's install folder")
        return script
    if (site / "rclpy").is_dir():
        return None
    scripts = sorted(root.glob("*/setup.bash"))
    if not scripts:
        _refuse(f"no ROS 2 under {root}, and none in this package", "install ROS 2 on this robot (ros-base)")
    if len(scripts) > 1:
        names = " and ".join(str(script.parent) for script in scripts)
        _refuse(f"there are {names}", f"choose one: {SETUP}={scripts[-1].parent} in {DEFAULTS_FILE}")
    return scripts[0]


def sourced(script: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment as it is after sourcing a setup.bash.

    Raises:
        RefusedError: The script fails or does not end.
    """
    clean = {name: value for name, value in environ.items() if name not in _OF_A_SOURCED_SHELL}
    command = ["bash", "--norc", "-c", 'source "$1" >&2 && exec env -0', "bash", str(script)]
    try:
        done = subprocess.run(command, env=clean, capture_output=True, timeout=_SOURCE_MAX_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip().splitlines()
        _refuse(f"{script} cannot be sourced ({said[-1] if said else error})", "mend it, or choose another")
    pairs = (entry.partition("=") for entry in done.stdout.decode(errors="surrogateescape").split("\0") if entry)
    return {name: value for name, _, value in pairs} | {SOURCED: str(script)}


def without_ros(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what a sourced shell would mix into the ROS inside the package."""
    return {name: value for name, value in environ.items() if name not in _OF_A_SOURCED_SHELL}


@dataclass(frozen=True, slots=True)
class RobotPython:
    """Where the robot's Python packages are.

    Attributes:
        folders: ROS's, in the order of the sourced PYTHONPATH, then the system's.
        site: The package's own site-packages.
    """

    folders: tuple[Path, ...]
    site: Path

    def check(self) -> None:
        """Refuse what would break in the middle of an import, or worse, not break.

        Raises:
            RefusedError: Another Python, no numpy, another numpy; in words.
        """
        self._check_python()
        folder = self._folder_of("numpy")
        if folder is None:
            _refuse("numpy is missing, which ROS messages need", "apt-get install python3-numpy")
        _check_abi(folder / "numpy", "**/_multiarray_umath*.so", "numpy")
        self._check_numpy_version(folder)

    def join(self) -> None:
        """Make this process find ROS and numpy with the robot, ours in the package, and the rest with the robot."""
        mine = _ros_names(self.site) | {"numpy"}
        sys.meta_path.insert(0, RobotFinder(mine, [str(folder) for folder in self.folders]))
        sys.path[:] = [*(entry for entry in sys.path if Path(entry) not in self.folders), *map(str, self.folders)]

    def _check_python(self) -> None:
        folder = self._folder_of("rclpy")
        ours = f"3.{sys.version_info.minor}"
        if folder is not None:
            _check_abi(folder / "rclpy", "**/_rclpy_pybind11*.so", "rclpy")
            return
        for near in self.folders:
            for other in near.parent.parent.glob("python3.*/*-packages/rclpy"):
                match = _PYTHON_FOLDER.search(str(other))
                if match and match[1] != ours:
                    what = (
                        f"this ROS 2 is made for Python {match[1]} ({other}), and this edgetwin runs on Python {ours}"
                    )
                    _refuse(what, "build the package on this robot's own system (make deb), or choose another ROS 2")
        _refuse(f"no rclpy in {', '.join(map(str, self.folders))}", "install it: ros-<distro>-rclpy")

    def _folder_of(self, name: str) -> Path | None:
        return next((folder for folder in self.folders if (folder / name / "__init__.py").is_file()), None)

    def _check_numpy_version(self, folder: Path) -> None:
        from packaging.requirements import Requirement  # noqa: PLC0415  # only where a robot's ROS was chosen

        found = next((d.version for d in metadata.distributions(name="numpy", path=[str(folder)])), None)
        if found is None:
            _refuse(f"the numpy in {folder} does not say its version", "reinstall python3-numpy")
        for distribution in metadata.distributions(path=[str(self.site)]):
            for requirement in map(Requirement, distribution.requires or ()):
                is_needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
                if requirement.name == "numpy" and is_needed and not requirement.specifier.contains(found):
                    what = f"numpy {found} in {folder} does not fit {distribution.name} {distribution.version}"
                    _refuse(f"{what}, which needs {requirement.specifier}", "use a ROS 2 on a newer system")


class RobotFinder(MetaPathFinder):
    """Finds some packages with the robot only, though the package has them too: one process, one numpy, one ROS."""

    def __init__(self, names: frozenset[str] | set[str], folders: list[str]) -> None:
        self._names = names
        self._folders = folders

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the robot's module; raise ModuleNotFoundError where it has none."""
        if path is not None or name not in self._names:
            return None
        spec = PathFinder.find_spec(name, self._folders, target)
        if spec is None:
            msg = f"{name} is not installed in the robot's ROS 2"
            raise ModuleNotFoundError(msg, name=name)
        return spec


def _ros_names(site: Path) -> set[str]:
    """Return the import names of the ROS packages inside this package."""
    return {name for record in site.glob("ros_*.dist-info/RECORD") for name in _top_levels(record)}


def _top_levels(record: Path) -> Iterator[str]:
    for line in record.read_text(encoding="utf-8").splitlines():
        top, slash, _ = line.partition(",")[0].partition("/")
        if slash and top.isidentifier():
            yield top


def _check_abi(package: Path, pattern: str, name: str) -> None:
    """Refuse extension modules for another Python or another machine."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    found = sorted(package.glob(pattern))
    if not any(module.name.endswith(suffix) for module in found):
        what = f"is compiled for {found[0].name.partition('.')[2]}" if found else "has no compiled part"
        _refuse(f"{name} in {package} {what}, and this edgetwin needs {suffix[1:]}", "use a ROS 2 for this system")


def _refuse(what: str, cure: str) -> NoReturn:
    raise RefusedError([Fault("ros", what, cure)])
