"""The thirty traps of the specification, and where each is sprung: none may lose its test without somebody noticing."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Trap:
    """One line of section 5.

    Attributes:
        number: Its number.
        what: In a few words.
        rooms: Folders (or files) under tests/ of which each has a test named `test_trap_NN_...`.
        told: Tests with other names that spring it, as file::test, at the boundary where it lies.
    """

    number: int
    what: str
    rooms: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


TRAPS = (
    Trap(1, "NaN passes `abs(v) > limit`, and becomes full speed in a clamp", ("gate",)),
    Trap(2, "lax JSON: NaN, Infinity, true, numbers in strings, keys twice", ("command",)),
    Trap(3, "a retained move replays at every subscribe", ("command",)),
    Trap(
        4,
        "a persistent session brings old moves after a reconnect",
        ("command",),
        ("lane/test_packets.py::test_connect_asks_for_a_session_that_ends_with_the_connection",),
    ),
    Trap(5, "QoS 1 duplicates do things twice", ("gate", "command")),
    Trap(
        6,
        "an inbox before the stop, unbounded or dropping",
        told=("integration/test_lane_faults.py::test_no_stop_is_lost_in_a_flood",),
    ),
    Trap(
        7,
        "a blocking call in the loop stops the stop",
        told=("integration/test_lane_faults.py::test_a_stop_is_not_late_while_the_main_thread_is_busy",),
    ),
    Trap(8, "whole seconds, local time, wall clock for timeouts", ("gate", "command")),
    Trap(9, "the deadman hears what was refused", ("gate",)),
    Trap(10, "two envelopes, or a missing limit as `unlimited`", ("gate",)),
    Trap(
        11,
        "stop as one more command with schema, rate limit and signature",
        ("gate", "command"),
        ("integration/test_lane.py::test_any_payload_stops",),
    ),
    Trap(12, "reset by a move, for an older stop, with the joystick held", ("gate",)),
    Trap(13, "one zero once, or zeros for ever", ("gate",)),
    Trap(
        14,
        "Twist here, TwistStamped there",
        ("gate",),
        ("integration/test_lane_daemon.py::test_a_base_of_the_other_type_is_named",),
    ),
    Trap(15, "fail-open in trusted parts: no polygon, future scan, zero timeout", ("gate",)),
    Trap(
        16,
        "two owners of SIGTERM; the last zero never leaves; a thread that dies in silence",
        told=(
            "integration/test_lane_daemon.py::test_the_end_while_driving_is_zero_and_exit_0",
            "integration/test_lane_faults.py::test_a_lane_that_breaks_leaves_zeros_and_ends_the_process",
        ),
    ),
    Trap(17, "axes scaled apart, deceleration by the acceleration limit, dt of 0 or 10 s", ("gate",)),
    Trap(
        18,
        "anomaly maths: joints mixed, std of 0, NaN for ever, samples for time",
        told=(
            "analytics/test_every_detector.py::test_what_is_no_number_is_counted_and_never_learned",
            "analytics/test_every_detector.py::test_scores_are_numbers_or_no_judgement",
            "analytics/test_features_window.py::test_a_window_holds_the_samples_of_its_time",
        ),
    ),
    Trap(19, "expiry, response topic and properties of the message trusted", ("command",)),
    Trap(
        20,
        "two processes with one client id; a will that comes late or lies about the time",
        told=("integration/test_session.py::test_goodbye_keeps_the_will_unsaid_and_abort_lets_it_speak",),
    ),
    Trap(
        21,
        "a keepalive of a minute as link watchdog",
        told=("integration/test_session.py::test_a_frozen_broker_is_noticed_by_the_keepalive",),
    ),
    Trap(
        22,
        "durable in name only; the WAL without bound; retention by wall clock",
        told=(
            "proofs/test_clocks.py::test_a_step_of_ten_years_purges_and_reorders_nothing",
            "store/test_outbox.py::test_what_is_not_acknowledged_is_on_disk_after_the_interval",
        ),
    ),
    Trap(
        23,
        "rows deleted before their PUBACK; a refusal taken for a delivery; one bad row in the way",
        told=(
            "store/test_outbox.py::test_a_late_acknowledgement_deletes_the_row",
            "store/test_drain.py::test_what_is_refused_for_now_is_offered_until_it_is_taken",
            "store/test_backlog.py::test_damaged_rows_are_named_and_do_not_stop_the_others",
        ),
    ),
    Trap(
        24,
        "a database without its WAL: two openers, a copy, a quarantine of the main file alone",
        told=("proofs/test_broken_ways.py::test_a_broken_file_is_set_aside_whole",),
    ),
    Trap(
        25,
        "retries without jitter, hammering on a refused password",
        told=(
            "uplink/test_backoff.py::test_a_thousand_robots_do_not_dial_together",
            "uplink/test_backoff.py::test_a_lasting_refusal_is_asked_about_seldom",
        ),
    ),
    Trap(
        26,
        "secrets in the environment, in arguments, in the log",
        told=("test_config.py::test_no_line_shows_a_secret", "test_config.py::test_credentials_carry_the_secrets"),
    ),
    Trap(
        27,
        "systemd gives up restarting; a watchdog that a dead gate outlives",
        told=(
            "system/test_watchdog.py::test_it_comes_back_from_every_kill",
            "system/test_watchdog.py::test_a_blocked_loop_leaves_the_stacks_of_all_threads_and_is_started_anew",
            "integration/test_lane_faults.py::test_a_lane_that_stalls_is_replaced_by_the_guard",
        ),
    ),
    Trap(28, "an e-stop without freshness", ("gate",)),
    Trap(29, "inputs that never spoke taken for good ones", ("gate",)),
    Trap(30, "prefix matches of topics; ids with +, # and /", ("command",)),
)


def names_by_file() -> dict[str, set[str]]:
    """Return the names of all tests, by their file under tests/."""
    found = defaultdict(set)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found[path.relative_to(TESTS).as_posix()].add(node.name)
    return found


FOUND = names_by_file()
NUMBERED = re.compile(r"test_(?:.*_)?trap_0*(\d+)(?!\d)")


def numbers_by_room() -> dict[str, set[int]]:
    """Return the numbers of the traps that each room's tests bear in their names."""
    found: defaultdict[str, set[int]] = defaultdict(set)
    for path, names in FOUND.items():
        room = path.split("/", maxsplit=1)[0]
        found[room] |= {int(match[1]) for name in names if (match := NUMBERED.match(name))}
    return found


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: f"{trap.number:02} {trap.what}")
def test_every_trap_is_sprung_where_it_lies(trap: Trap) -> None:
    """In each of its rooms by a test that bears its number, or by one that was there before."""
    numbers = numbers_by_room()
    missing = [room for room in trap.rooms if trap.number not in numbers[room]]

    assert trap.rooms or trap.told
    assert not missing, f"no test for trap {trap.number} in {missing}"
    for told in trap.told:
        path, name = told.split("::")
        assert name in FOUND.get(path, set()), f"{told} is gone"


def test_the_traps_are_the_thirty_of_the_specification() -> None:
    """Each once, in order; a test for a trap that is not in the list is a slip of the pen."""
    numbers = [trap.number for trap in TRAPS]

    assert numbers == list(range(1, 31))
    assert set().union(*numbers_by_room().values()) <= set(numbers)
