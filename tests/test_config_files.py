"""What is read from disk: the settings file, and the credentials."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgetwin import config
from edgetwin.errors import RefusedError
from edgetwin.settings import credentials, document

GOOD = """
[robot]
id = "robot_001"
[channels.odom]
topic = "/odom"
type = "nav_msgs/msg/Odometry"
class = "critical"
"""


def file_line(path: Path) -> str:
    """Return the one line that a file is refused with."""
    with pytest.raises(RefusedError) as caught:
        document.read(path)
    (fault,) = caught.value.faults
    return str(fault)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """With the whole path, and what to do."""
    line = file_line(tmp_path / "robot.toml")

    assert line.startswith(f"{tmp_path / 'robot.toml'}: there is no such file; create it")


def test_a_directory_is_no_settings_file(tmp_path: Path) -> None:
    """It says so, instead of a traceback."""
    assert "is a directory" in file_line(tmp_path)


def test_an_unreadable_file_names_the_rights_it_needs(tmp_path: Path) -> None:
    """The daemon's user has to be let in."""
    path = tmp_path / "robot.toml"
    path.touch(mode=0o000)
    user = os.geteuid()
    if user == 0:  # root may read everything: be nobody for a moment
        os.seteuid(65_534)
    try:
        line = file_line(path)
    finally:
        os.seteuid(user)

    assert "chown root:edgetwin, chmod 0640" in line


@pytest.mark.parametrize("path", ["/dev/null/robot.toml", "\0", "x" * 5000])
def test_a_path_that_leads_nowhere_is_one_line(path: str) -> None:
    """Whatever the operating system objects to."""
    line = file_line(Path(path))

    assert "cannot be read" in line
    assert line.isprintable()


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """One byte over 1 MiB is too much; 1 MiB is read."""
    path = tmp_path / "robot.toml"
    path.write_bytes(b"#" * 1_048_577)
    assert "is larger than 1 MiB" in file_line(path)
    assert "is not a file but a device" in file_line(Path("/dev/zero"))

    path.write_bytes(b"#" * 1_048_576)
    assert document.read(path) == {}


def test_a_file_in_another_encoding_says_where(tmp_path: Path) -> None:
    """The line of the first byte that is not UTF-8; a byte order mark is no fault."""
    path = tmp_path / "robot.toml"
    path.write_bytes("[robot]\nid = 'é'\n".encode("latin-1"))
    assert file_line(path) == "robot.toml: line 2: is not UTF-8; save the file as UTF-8"

    path.write_bytes(b"\xef\xbb\xbf[robot]\r\nid = 'a'\r\n")
    assert document.read(path) == {"robot": {"id": "a"}}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[mqtt]\nport = = 5\n", "robot.toml: line 2, column 8 (mqtt.port)"),
        ("[mqtt]\nport 1883\n", "robot.toml: line 2, column 6 (mqtt.port)"),
        ("[mqtt]\nport = 1\nport = 2\n", "robot.toml: line 3, column 9 (mqtt.port)"),
        ("[mqtt]\nhost = broker\n", "robot.toml: line 2, column 8 (mqtt.host)"),
        ("[mqtt]\nhost = 'a\nport = 1\n", "robot.toml: line 2, column 6 (mqtt.host)"),
        ('[mqtt]\nhost = "a\nport = 1\n', "robot.toml: line 2, column 10 (mqtt.host)"),
        ("[channels.odom]\nfields = ['a',\nqos = 1", "robot.toml: line 2, column 8 (channels.odom.fields)"),
        ("[mqtt\nport = 1\n", "robot.toml: line 1, column 6 (mqtt)"),
        ("[channels.odom]\nfields = ['a',\n'b'", "robot.toml: line 2, column 8 (channels.odom.fields)"),
        ("x = '''\ny = 1", "robot.toml: line 1, column 3 (x)"),
        ("[store]\nmax_bytes = 1" + "0" * 5000, "robot.toml: line 2 (store.max_bytes)"),
        ("[robot]\nid = " + "[" * 50_000, "robot.toml: line 2 (robot.id)"),
        ("\x00", "robot.toml: line 1, column 1"),
    ],
)
def test_broken_toml_says_where(tmp_path: Path, text: str, where: str) -> None:
    """Line and column as the parser tells them, and the key they belong to."""
    path = tmp_path / "robot.toml"
    path.write_text(text, encoding="utf-8")
    line = file_line(path)

    assert line.startswith(f"{where}: ")
    assert line.isprintable()


def credential_lines(folder: Path, directory: str) -> list[str]:
    """Return the lines that a good file is refused with, for its credentials."""
    path = folder / "robot.toml"
    path.write_text(GOOD, encoding="utf-8")
    with pytest.raises(RefusedError) as caught:
        config.load(path, {"CREDENTIALS_DIRECTORY": directory})
    return [str(fault) for fault in caught.value.faults]


def test_credentials_that_are_not_there_are_not_set(tmp_path: Path) -> None:
    """No directory, an empty one, one that does not exist: no secret, no fault."""
    for environ in ({}, {"CREDENTIALS_DIRECTORY": ""}, {"CREDENTIALS_DIRECTORY": str(tmp_path / "none")}):
        assert credentials.read(environ) == ([], [])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        (b"two\nlines\n", "is not one line of text"),
        (b"nul\x00", "is not one line of text"),
        (b"", "its value is empty"),
        (b"\n", "its value is empty"),
        (b"x" * 65_536, "its value is too long"),
    ],
)
def test_a_credential_is_one_line_of_text(tmp_path: Path, content: bytes, what: str) -> None:
    """Anything else is a mistake with the file, and its content is not shown."""
    (tmp_path / "mqtt_password").write_bytes(content)
    (line,) = credential_lines(tmp_path, str(tmp_path))

    assert line.startswith("credentials: mqtt_password: ")
    assert what in line


def test_a_credential_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    """A directory in its place, or a path that is none."""
    (tmp_path / "mqtt_password").mkdir()
    (line,) = credential_lines(tmp_path, str(tmp_path))

    assert line.startswith("credentials: mqtt_password: cannot be read (Is a directory)")
    assert len(credential_lines(tmp_path, "\0")) == 2
