"""The manual and the completion say what the command and the settings are, and render without a complaint."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from edgetwin import __version__
from edgetwin.settings import Settings
from edgetwin.settings.keys import keys, section_in
from edgetwin.settings.values import Section

DEBIAN = Path(__file__).parents[1] / "debian"


@pytest.fixture(name="manual", scope="module")
def _manual() -> ModuleType:
    spec = importlib.util.spec_from_file_location("manual", DEBIAN / "manual.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(name="folder", scope="module")
def _folder(manual: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manual")
    manual.main(folder)
    return folder


def _rendered(page: Path) -> str:
    if shutil.which("groff") is None:
        assert not os.environ.get("CI"), "groff is not installed"
        pytest.skip("groff is not installed: apt-get install groff-base")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-P-cbou", "-rLL=200n", page], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout


def _keys(section: type[Section]) -> Iterator[str]:
    for key, field in keys(section).items():
        yield key
        inner, _ = section_in(field)
        if inner is not None:
            yield from _keys(inner)


def test_every_command_and_option_is_in_the_manual_and_in_the_completion(manual: ModuleType, folder: Path) -> None:
    """Also those of commands that fill their parser late."""
    page = (folder / "edgetwin.1").read_text(encoding="utf-8").replace("\\-", "-")
    completion = (folder / "edgetwin").read_text(encoding="utf-8")

    for command in manual.commands():
        assert f".SS edgetwin {command.name}" in page
        assert re.search(rf"(?m)^ +{command.name}\) words=", completion)
        for option in command.options:
            assert option in page
            assert option in completion


def test_every_setting_is_in_the_manual_with_its_own_words(folder: Path) -> None:
    """From the tree: what is not there cannot be set."""
    text = " ".join(_rendered(folder / "edgetwin.toml.5").split())
    page = (folder / "edgetwin.toml.5").read_text(encoding="utf-8")

    for key in _keys(Settings):
        assert f".B {key}\n" in page or f"[{key}" in page or f".{key}" in page
    assert "Name of this robot in every topic and record; two robots of one name disconnect each other." in text
    assert "No default." in text


def test_the_pages_render_without_a_warning_and_name_their_version(folder: Path) -> None:
    """Nothing is lost in roff: dots at the start of a line, quotes, backslashes."""
    for name in ("edgetwin.1", "edgetwin.toml.5"):
        text = _rendered(folder / name)
        assert f"edgetwin {__version__}" in text


def test_text_is_literal_in_roff(manual: ModuleType) -> None:
    """A line of the text never becomes a request."""
    assert manual.escaped(".SH \\fB'x'") == "\\&.SH \\efB\\(aqx\\(aq"


def test_the_completion_offers_commands_then_options_then_files(folder: Path, tmp_path: Path) -> None:
    """In a real bash."""
    (tmp_path / "drive.mcap").touch()

    def offered(*words: str) -> list[str]:
        script = (
            f'source {folder / "edgetwin"}; COMP_WORDS=(edgetwin "$@"); COMP_CWORD=$#; _edgetwin; '
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        return done.stdout.split()

    assert "replay" in offered("rep")
    assert offered("check", "--c") == ["--config"]
    assert offered("replay", "dr") == ["drive.mcap"]


def test_the_package_has_the_version_of_the_code() -> None:
    """debian/changelog and edgetwin/__init__.py are two places."""
    first = (DEBIAN / "changelog").read_text(encoding="utf-8").splitlines()[0]

    assert first.startswith(f"edgetwin ({__version__}-")
