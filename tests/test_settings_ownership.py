"""Who else may change a file that is believed: by its mode, and by who is in its group."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

import pytest

from edgetwin.errors import RefusedError
from edgetwin.settings import Settings, TlsSettings, document
from edgetwin.settings.operators import Operator, public_keys
from edgetwin.settings.ownership import ALL, others_may_replace, others_may_write

ANNA, BEN, STRANGER = 1000, 1001, 4_000_000
ANNAS, BOTHS, ROBOTS, EMPTY = 1000, 1100, 1200, 1300
KEY = "GX5WvXXZDO1XRBdt3MflmWHbsqmPF4kQ9dzZEeHxlTQ="


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anna has a group of her own; Ben's first group has Anna in it; the robots' group has Ben."""
    people = [
        pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/sh"))
        for name, uid, gid in (("anna", ANNA, ANNAS), ("ben", BEN, BOTHS))
    ]
    groups = [
        grp.struct_group((name, "x", gid, members))
        for name, gid, members in (
            ("anna", ANNAS, []),
            ("both", BOTHS, ["anna"]),
            ("robots", ROBOTS, ["ben"]),
            ("empty", EMPTY, []),
        )
    ]
    monkeypatch.setattr(pwd, "getpwall", lambda: people)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {one.pw_uid: one for one in people}[uid])
    monkeypatch.setattr(grp, "getgrgid", lambda gid: {one.gr_gid: one for one in groups}[gid])


def seen(mode: int, uid: int = ANNA, gid: int = ANNAS) -> os.stat_result:
    """What the system says of a file."""
    return os.stat_result((stat.S_IFREG | mode, 1, 1, 1, uid, gid, 1, 0, 0, 0))


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("mode", range(0o1000))
def test_everybody_may_write_exactly_where_the_last_digit_says_so(mode: int) -> None:
    """All modes of a file of a person and the private group."""
    assert (others_may_write(seen(mode)) == ALL) is bool(mode & 0o002)
    assert others_may_write(seen(mode)) in {"", ALL}


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize(
    ("uid", "gid", "words"),
    [
        (ANNA, ANNAS, ""),
        (BEN, ANNAS, "the group anna"),
        (BEN, BOTHS, "the group both"),
        (ANNA, ROBOTS, "the group robots"),
        (ANNA, EMPTY, "the group empty"),
        (ANNA, STRANGER, f"the group {STRANGER}"),
        (STRANGER, ANNAS, "the group anna"),
    ],
)
def test_a_group_may_write_if_it_is_the_owners_alone(uid: int, gid: int, words: str) -> None:
    """The one of a umask of 0002; not one with another member, without any, or that nobody knows."""
    assert others_may_write(seen(0o664, uid, gid)) == words
    assert others_may_write(seen(0o644, uid, gid)) == ""


def test_a_folder_for_everybody_is_named_unless_it_is_like_tmp(tmp_path: Path) -> None:
    """Who may rename may replace; a link is as open as its own folder and that of the file."""
    (tmp_path / "open").mkdir()
    (tmp_path / "closed").mkdir()
    file, link = tmp_path / "open" / "file", tmp_path / "closed" / "link"
    file.touch(0o644)
    link.symlink_to(file)
    found = {}
    for mode in (0o777, 0o1777, 0o755):
        (tmp_path / "open").chmod(mode)
        found[mode] = [others_may_replace(path) for path in (file, link)]

    assert [folder for folder, _ in found[0o777]] == [tmp_path / "open"] * 2
    assert [who for _, who in found[0o777]] == [ALL] * 2
    assert [who for mode in (0o1777, 0o755) for _, who in found[mode]] == [""] * 4


@pytest.mark.parametrize("mode", [0o666, 0o646, 0o602])
def test_settings_that_everybody_may_change_are_not_read(tmp_path: Path, mode: int) -> None:
    """One line: what, and the cure; not a word of what is in the file, and a reader that looks itself may have it."""
    path = tmp_path / "robot.toml"
    path.write_text("nonsense", encoding="utf-8")
    path.chmod(mode)
    with pytest.raises(RefusedError) as refused:
        document.read(path)
    path.write_text("", encoding="utf-8")

    assert str(refused.value) == (
        f"{path}: may be changed by {ALL} (mode {mode:04o}), and with it every limit of this robot; chmod go-w {path}"
    )
    assert document.read(path, guarded=False) == {}
    path.chmod(0o644)
    assert document.read(path) == {}


def test_settings_in_a_folder_for_everybody_are_not_read(tmp_path: Path) -> None:
    """The cure is for the folder."""
    path = tmp_path / "robot.toml"
    path.touch(0o600)
    tmp_path.chmod(0o777)
    with pytest.raises(RefusedError, match=f"who may write to the folder {tmp_path}; chmod go-w {tmp_path}"):
        document.read(path)
    tmp_path.chmod(0o700)

    assert document.read(path) == {}


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    """Nobody writes to it: it would never open."""
    path = tmp_path / "robot.toml"
    os.mkfifo(path)
    with pytest.raises(RefusedError, match="is not a file but a device, a pipe or a socket"):
        document.read(path)


def test_an_operators_key_that_everybody_may_change_is_a_fault(tmp_path: Path) -> None:
    """Whoever changes it drives the robot."""
    path = tmp_path / "anna.pub"
    path.write_text(KEY, encoding="ascii")
    path.chmod(0o666)
    _, (fault,) = public_keys({"anna": Operator(public_key_file=path)})
    path.chmod(0o644)

    assert fault.where == "gate.operators.anna.public_key_file"
    assert fault.what == f"{path} may be changed by {ALL}, and with it who drives this robot"
    assert public_keys({"anna": Operator(public_key_file=path)})[1] == []


def test_tls_files_that_everybody_may_change_are_faults(tmp_path: Path) -> None:
    """They choose whom this robot takes for its broker, and who it is itself."""
    from edgetwin import check  # noqa: PLC0415  # it loads ROS

    files = {name: tmp_path / name for name in ("ca_file", "cert_file", "key_file")}
    for path in files.values():
        path.touch(0o600)
    tls = TlsSettings.model_validate(files)
    sound = check.tls_faults(tls)
    for path in files.values():
        path.chmod(0o622)
    changed = check.tls_faults(tls)

    assert sound == check.tls_faults(None) == []
    assert [fault.where for fault in changed] == [f"mqtt.tls.{name}" for name in files]


@pytest.mark.parametrize(("mode", "noted"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_private_key_that_everybody_may_read_is_noted(tmp_path: Path, mode: int, noted: bool) -> None:
    """It works, so `run` takes it; `check` says it, and `doctor` fails."""
    from edgetwin import check  # noqa: PLC0415  # it loads ROS

    key = tmp_path / "robot.key"
    key.touch()
    key.chmod(mode)
    settings = Settings.model_validate(
        {"robot": {"id": "r"}, "mqtt": {"tls": {"cert_file": tmp_path / "robot.pem", "key_file": key}}}
    )

    assert any(f"{ALL} may read {key}" in note for note in check.notes(settings)) is noted
