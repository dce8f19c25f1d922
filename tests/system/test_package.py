"""The life of the package on one machine: installed, upgraded, downgraded, removed, purged."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.robot import SETTINGS, UNIT, Robot

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

_EDITED = "# mine\n"
_NEWER = "9.0.0-1"
# What apt, dpkg and systemd keep of every package that ever was; and the user, whose number must not be used again.
_NOT_OURS = re.compile(
    r"/(proc|sys|dev|run|tmp|var/tmp|var/cache|var/log|var/lib/(dpkg|apt|systemd|private|mosquitto)|root|boot)(/|$)"
    r"|/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|/etc/\.pwd\.lock$|/etc/machine-id$|/etc/ld\.so\.cache$"
)


@pytest.fixture(name="newer", scope="module")
def _newer(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same package with a higher number and other settings as its example."""
    folder = tmp_path_factory.mktemp("newer")
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", deb, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub("(?m)^Version: .*$", f"Version: {_NEWER}", control.read_text(encoding="utf-8")))
    with (tree / SETTINGS.removeprefix("/")).open("a", encoding="utf-8") as settings:
        settings.write("# a newer example\n")
    made = folder / "newer.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, made], check=True, capture_output=True)
    return made


@pytest.fixture(name="before", scope="module")
def _before(bare: Robot) -> set[str]:
    return set(_paths(bare.machine.root))


@pytest.fixture(name="installed", scope="module")
def _installed(before: set[str], bare: Robot, deb: Path) -> Robot:
    bare.install(deb)
    bare.ready()
    return bare


def _paths(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        inside = folder.removeprefix(str(root)) or "/"
        folders[:] = [name for name in folders if not _NOT_OURS.match(os.path.join(inside, name))]  # noqa: PTH118
        for name in (*folders, *files):
            path = os.path.join(inside, name)  # noqa: PTH118  # half a million of them
            if not _NOT_OURS.match(path):
                yield path


def _folded(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _version(robot: Robot) -> str:
    return robot.run("dpkg-query", "--show", "--showformat=${Version} ${db:Status-Status}", "edgetwin", check=False)


def test_it_installs_and_starts_offline(installed: Robot) -> None:
    """Nothing is fetched; the settings are given to the group of the daemon."""
    assert installed.shown("ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}
    assert installed.run("stat", "--format=%a %U:%G", SETTINGS).strip() == "640 root:edgetwin"
    assert installed.run("edgetwin", "--version").startswith("edgetwin ")


def test_what_it_brings_can_be_read(installed: Robot) -> None:
    """Completion, list of parts, license; the pages are there (this Debian drops none)."""
    said = installed.run(
        "bash", "-c",
        "source /usr/share/bash-completion/completions/edgetwin; "
        "COMP_WORDS=(edgetwin st); COMP_CWORD=1; _edgetwin; echo ${COMPREPLY[*]}",
    )  # fmt: skip
    listed = installed.run("dpkg", "--listfiles", "edgetwin").splitlines()

    assert said.split() == ["status"]
    assert {
        "/usr/share/man/man1/edgetwin.1.gz",
        "/usr/share/man/man5/edgetwin.toml.5.gz",
        "/usr/share/doc/edgetwin/edgetwin.cdx.json",
        "/usr/share/doc/edgetwin/copyright",
    } <= set(listed)


def test_the_list_of_parts_is_what_is_installed(installed: Robot) -> None:
    """CycloneDX against the files on the disk: nothing hidden, nothing invented."""
    root = installed.machine.root
    parts = json.loads((root / "usr/share/doc/edgetwin/edgetwin.cdx.json").read_text(encoding="utf-8"))
    listed = {(_folded(part["name"]), part["version"]) for part in parts["components"]}
    folders = (root / "usr/lib/edgetwin/lib").glob("python3*/site-packages/*-info")  # .dist-info and ROS's .egg-info
    found = {(_folded(folder.name.split("-")[0]), folder.name.split("-")[1]) for folder in folders}
    found = {(name, version.removesuffix(".dist")) for name, version in found}

    assert listed == found
    assert parts["bomFormat"] == "CycloneDX"
    assert "file://" not in json.dumps(parts)


def test_an_upgrade_keeps_edited_settings_and_restarts(installed: Robot, newer: Path, deb: Path) -> None:
    """The administrator's file stays, the new example is put beside it, the daemon is the new one."""
    pid = installed.ready()
    settings = installed.machine.root / SETTINGS.removeprefix("/")
    settings.write_text(_EDITED + settings.read_text(encoding="utf-8"), encoding="utf-8")
    installed.install(newer, "--option=Dpkg::Options::=--force-confold")
    now = installed.ready()

    assert _version(installed) == f"{_NEWER} installed"
    assert now != pid
    assert settings.read_text(encoding="utf-8").startswith(_EDITED)
    assert "# a newer example" in installed.run("cat", f"{SETTINGS}.dpkg-dist")
    assert installed.run("stat", "--format=%a %U:%G", SETTINGS).strip() == "640 root:edgetwin"


def test_a_downgrade_refuses_the_store_of_a_newer_version_and_leaves_it_alone(installed: Robot, deb: Path) -> None:
    """What the newer one had kept is not set aside: dpkg refuses, in words, and nothing changes."""
    installed.run("systemctl", "stop", UNIT)
    installed.run("systemctl", "mask", "--runtime", UNIT)  # dpkg starts the newer one again, which here is none
    store = "/var/lib/edgetwin/outbox.db"
    change = f"import sqlite3; c = sqlite3.connect('{store}'); c.execute('PRAGMA user_version = 99'); c.close()"
    installed.run("python3", "-c", change)
    before = installed.run("sha256sum", store)
    refused = ""
    try:
        installed.install(deb, "--allow-downgrades", "--option=Dpkg::Options::=--force-confold")
    except AssertionError as error:
        refused = str(error)

    assert "was written by a newer edgetwin" in refused
    assert _version(installed) == f"{_NEWER} installed"
    assert installed.run("sha256sum", store) == before
    assert "broken" not in installed.run("ls", "/var/lib/edgetwin")
    installed.run("rm", store)
    installed.run("systemctl", "unmask", "--runtime", UNIT)
    installed.run("systemctl", "start", UNIT)


def test_removing_keeps_settings_and_store_and_purging_leaves_nothing(installed: Robot, before: set[str]) -> None:
    """After a purge the machine is as before, but for the user."""
    installed.run("apt-get", "remove", "--yes", "edgetwin")
    kept = installed.run("ls", SETTINGS, "/var/lib/edgetwin/outbox.db").split()
    gone = installed.run("systemctl", "is-active", UNIT, check=False).strip()
    installed.run("apt-get", "purge", "--yes", "edgetwin")

    assert kept == [SETTINGS, "/var/lib/edgetwin/outbox.db"]
    assert gone == "inactive"
    assert sorted(set(_paths(installed.machine.root)) - before) == []
    assert installed.run("getent", "passwd", "edgetwin").startswith("edgetwin:")
    assert not list((installed.machine.root / "var/log").glob("edgetwin*"))
