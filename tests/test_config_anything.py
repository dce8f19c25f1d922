"""Whatever the file and the environment hold: settings, or a refusal; never another exception."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetwin import config
from edgetwin.errors import RefusedError
from edgetwin.settings import Settings
from edgetwin.settings.keys import keys, section_in
from edgetwin.settings.values import Section

BASE: dict[str, Any] = {
    "robot": {"id": "robot_001"},
    "channels": {"odom": {"topic": "/odom", "type": "nav_msgs/msg/Odometry", "class": "critical"}},
}


def words(section: type[Section]) -> list[str]:
    """Return every key at and below a section."""
    inner = [found for field in keys(section).values() if (found := section_in(field)[0])]
    return [*keys(section), *(word for found in inner for word in words(found))]


WORDS = sorted({"odom", *words(Settings)})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.times() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(WORDS) | st.text()
TREES = st.recursive(VALUES, lambda inner: st.dictionaries(KEYS, inner, max_size=5), max_leaves=20)
calm = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def is_judged(path: Path, environ: dict[str, str]) -> bool:
    """Whether the settings load, or are refused with printable faults."""
    try:
        config.load(path, environ)
    except RefusedError as refused:
        return bool(refused.faults) and all(str(fault).isprintable() for fault in refused.faults)
    return True


def _tomlable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tomlable(inner) for key, inner in value.items() if inner is not None}
    return [_tomlable(inner) for inner in value if inner is not None] if isinstance(value, list) else value


@calm
@given(tree=st.dictionaries(KEYS, TREES, max_size=5))
def test_any_toml_is_settings_or_a_refusal(tmp_path: Path, tree: dict[str, Any]) -> None:
    """Whatever TOML can say."""
    path = tmp_path / "robot.toml"
    path.write_text(tomli_w.dumps(_tomlable(BASE | tree)), encoding="utf-8", errors="replace")

    assert is_judged(path, {})


@calm
@given(content=st.binary() | st.text().map(str.encode) | st.text(alphabet="[]{}=\"'.,#\n ab1-").map(str.encode))
def test_any_bytes_are_settings_or_a_refusal(tmp_path: Path, content: bytes) -> None:
    """Whatever stands in a file."""
    path = tmp_path / "robot.toml"
    path.write_bytes(content)

    assert is_judged(path, {})


STEPS = st.sampled_from([word.upper() for word in WORDS]) | st.text(max_size=5)
NAMES = st.lists(STEPS, max_size=5).map(lambda steps: "EDGETWIN_" + "__".join(steps))
TEXT = st.text() | st.sampled_from(["{}", "[]", "null", "5", "true", '{"a": {"b": 1}}', '{"deadband": {"value": -1}}'])


@calm
@given(environ=st.dictionaries(NAMES, TEXT, max_size=6), directory=st.none() | st.text())
def test_any_environment_is_settings_or_a_refusal(
    tmp_path: Path, environ: dict[str, str], directory: str | None
) -> None:
    """Whatever variables there are, and wherever credentials are said to be."""
    path = tmp_path / "robot.toml"
    path.write_text(tomli_w.dumps(BASE), encoding="utf-8")

    assert is_judged(path, environ | ({"CREDENTIALS_DIRECTORY": directory} if directory is not None else {}))
