"""Which checks are in force at which level, and what the rules are when nobody sets them."""

from __future__ import annotations

import dataclasses

import pytest

from edgetwin.command.rules import CHECKS, MAY_BE_OFF, AdmissionRules, Level, Role
from edgetwin.command.words import WORDS
from edgetwin.motion import Reason
from tests.command.stage import MS, ROOT

ALWAYS = {
    Reason.UNKNOWN_TOPIC,
    Reason.TOO_LARGE,
    Reason.RETAINED,
    Reason.BAD_JSON,
    Reason.BAD_VERSION,
    Reason.BAD_SCHEMA,
    Reason.NOT_FINITE,
    Reason.WRONG_ROBOT,
    Reason.BAD_SIG,
    Reason.FORBIDDEN,
}
STAMPED_ADDS = {
    Reason.NO_EXPIRY,
    Reason.CLOCK_UNCERTAIN,
    Reason.EXPIRED,
    Reason.FROM_FUTURE,
    Reason.TTL_TOO_LONG,
    Reason.REPLAY,
    Reason.ID_REUSED,
    Reason.DUPLICATE,
    Reason.RATE_LIMIT,
}


def rules(level: Level, *off: Reason) -> AdmissionRules:
    """Return the rules of a level with some checks switched off."""
    return AdmissionRules(level, "r1", ROOT, checks_off=frozenset(off))


def test_the_levels_make_the_checks_of_the_contract() -> None:
    """`open` rows 0-3, 5-9; `stamped` adds 4, 10-15; `lease` all."""
    assert rules(Level.OPEN).checks == ALWAYS
    assert rules(Level.STAMPED).checks == ALWAYS | STAMPED_ADDS
    assert rules(Level.LEASE).checks == ALWAYS | STAMPED_ADDS | {Reason.NO_LEASE, Reason.LEASE_STALE}


def test_every_check_of_admission_is_made_somewhere() -> None:
    """All reasons up to RATE_LIMIT, shutting down excepted, and the two of the lease."""
    declared = list(Reason)
    admission = set(declared[declared.index(Reason.UNKNOWN_TOPIC) : declared.index(Reason.RATE_LIMIT) + 1])

    assert CHECKS[Level.LEASE] == admission | {Reason.NO_LEASE, Reason.LEASE_STALE}


@pytest.mark.parametrize("level", list(Level))
def test_only_what_open_does_without_can_be_switched_off(level: Level) -> None:
    """Trying it with everything leaves what must always hold."""
    assert rules(level, *Reason).checks == CHECKS[level] - STAMPED_ADDS
    assert MAY_BE_OFF == STAMPED_ADDS


@pytest.mark.parametrize("off", sorted(STAMPED_ADDS))
def test_a_check_is_switched_off_alone(off: Reason) -> None:
    """The others stay."""
    assert rules(Level.LEASE, off).checks == CHECKS[Level.LEASE] - {off}


def test_rules_without_settings_are_those_of_the_specification() -> None:
    """Nothing moves unless somebody says so, and nothing is off."""
    made = dataclasses.asdict(AdmissionRules(Level.LEASE, "r1", ROOT))

    assert made == {
        "level": Level.LEASE,
        "robot_id": "r1",
        "root": ROOT,
        "payload_max_bytes": 4096,
        "expiry_max_s": 2,
        "depth_max": 8,
        "clock_error_max_ns": 250 * MS,
        "clock_error_default_ns": 50 * MS,
        "ttl_default_ns": 500 * MS,
        "ttl_max_ns": 2000 * MS,
        "ring": 1024,
        "clients_max": 256,
        "rate_hz": 20.0,
        "rate_burst": 10,
        "rate_revoke_ns": 3000 * MS,
        "lease_ns": 3000 * MS,
        "keys": {},
        "checks_off": frozenset(),
        "trust_clock": False,
        "remote_motion": False,
    }


def test_levels_and_roles_are_spelt_as_in_the_settings() -> None:
    """Closed vocabularies."""
    assert list(Level) == ["lease", "stamped", "open"]
    assert list(Role) == ["operator", "driver"]


def test_every_refusal_has_words() -> None:
    """But those of the body, which say more themselves; one printable line that says what to do."""
    with_words_of_their_own = {
        Reason.BAD_JSON,
        Reason.BAD_VERSION,
        Reason.BAD_SCHEMA,
        Reason.NOT_FINITE,
        Reason.WRONG_ROBOT,
    }

    assert set(WORDS) == CHECKS[Level.LEASE] - with_words_of_their_own
    assert all(words.isprintable() and len(words) < 120 for words in WORDS.values())
