"""Versions with known faults: the numbers around each fix, and a distribution's own word."""

from __future__ import annotations

import pytest

from edgetwin.doctor.findings import Level
from edgetwin.doctor.versions import MOSQUITTO, fastdds, mosquitto, parsed, sqlite

_BUG = "WAL-reset bug"


@pytest.mark.parametrize(
    ("text", "has_bug"),
    [
        ("3.6.23", False),
        ("3.7.0", True),
        ("3.40.1", True),
        ("3.44.5", True),
        ("3.44.6", False),
        ("3.50.6", True),
        ("3.50.7", False),
        ("3.51.2", True),
        ("3.51.3", False),
        ("3.53.0", False),
        ("4.0", False),
    ],
)
def test_sqlite_with_the_wal_reset_bug_is_named(text: str, has_bug: bool) -> None:
    """It takes two connections, so that the outbox, which has one, is not at risk: no warning."""
    finding = sqlite(text)

    assert finding.level is Level.OK
    assert (_BUG in finding.what) is has_bug


@pytest.mark.parametrize(
    ("text", "level"),
    [("2.0.11", Level.WARN), ("2.0.18", Level.WARN), ("2.0.19", Level.OK), ("2.0.22", Level.OK), ("2.1.0", Level.OK)],
)
def test_mosquitto_is_judged_by_its_number(text: str, level: Level) -> None:
    """The advisories are named, with the version that ends them."""
    finding = mosquitto(text, None)

    assert finding.level is level
    assert (level is Level.OK) or ("CVE-2024-8376" in finding.what and "2.0.19" in finding.cure)


def test_debian_s_changelog_is_believed_over_the_number() -> None:
    """All advisories of a fault must be in it; what has no advisory stays told."""
    every = " ".join(one for fault in MOSQUITTO for one in fault.ids)
    mended = mosquitto("2.0.11", every)
    half = mosquitto("2.0.11", every.replace("CVE-2024-3935", ""))

    assert mended.level is Level.OK
    assert "max_queued_messages 0" in mended.what
    assert half.level is Level.WARN
    assert "CVE-2024-8376" in half.what
    assert "CVE-2023-0809" not in half.what


@pytest.mark.parametrize(
    ("text", "known"),
    [("2.6.10", True), ("2.6.11", False), ("3.2.3", True), ("3.3.1", False), ("3.4.0", True), ("3.4.1", False)],
)
def test_fast_dds_is_judged_by_its_number(text: str, known: bool) -> None:
    """A network that is only this machine takes the warning away, not the words."""
    finding = fastdds(text, "SUBNET")
    alone = fastdds(text, "LOCALHOST")

    assert (finding.level is Level.WARN) is known
    assert alone.level is Level.OK
    assert ("CVE-2025-64438" in alone.what) is known


@pytest.mark.parametrize(
    ("text", "version"),
    [("mosquitto version 2.0.11", (2, 0, 11)), ("3.40.1", (3, 40, 1)), ("", (0,)), ("none", (0,)), ("v7", (0,))],
)
def test_the_number_is_found_in_a_text(text: str, version: tuple[int, ...]) -> None:
    """The first with a dot in it."""
    assert parsed(text) == version
