"""A keyboard that tells when a key goes down and never when it comes up, as timelines of (time, key)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.drive.keys import FIRST_NS, REPEAT_NS, Act, Keys, split
from edgetwin.motion import ZERO, Twist

MS = 1_000_000
AHEAD, LEFT = Twist(0.2, 0.0), Twist(0.0, 0.5)


def keys() -> Keys:
    """Return a keyboard of 0.2 m/s and 0.5 rad/s."""
    return Keys(0.2, 0.5)


@pytest.mark.parametrize(
    ("names", "twist"),
    [
        ((b"w", b"\x1b[A", b"\x1bOA"), Twist(0.2, 0.0)),
        ((b"s", b"\x1b[B", b"\x1bOB"), Twist(-0.2, 0.0)),
        ((b"a", b"\x1b[D", b"\x1bOD"), Twist(0.0, 0.5)),
        ((b"d", b"\x1b[C", b"\x1bOC"), Twist(0.0, -0.5)),
    ],
)
def test_each_key_drives_its_way(names: tuple[bytes, ...], twist: Twist) -> None:
    """Letters and arrows, in both modes of a terminal."""
    for name in names:
        held = keys()
        assert held.press(name, 0) is None
        assert held.wanted(0) == twist


def test_a_tap_drives_until_a_keyboard_would_have_repeated_it() -> None:
    """0.6 s, then three zeros, then silence."""
    held = keys()
    held.press(b"w", 0)

    assert held.wanted(FIRST_NS - 1) == AHEAD
    assert [held.wanted(FIRST_NS + step) for step in range(5)] == [ZERO, ZERO, ZERO, None, None]


@pytest.mark.parametrize("delay_ms", [200, 500, 599])
def test_a_held_key_drives_without_a_gap_and_is_let_go_soon(delay_ms: int) -> None:
    """It repeats after the keyboard's delay, then 30 times a second for 2 s; 0.15 s after the last one it is up."""
    held = keys()
    times = [0, *(delay_ms * MS + step * 33 * MS for step in range(60))]
    for before, after in zip(times, [*times[1:], times[-1]], strict=True):
        held.press(b"w", before)
        assert held.wanted(after - 1 if after > before else before) == AHEAD

    assert held.wanted(times[-1] + REPEAT_NS - 1) == AHEAD
    assert held.wanted(times[-1] + REPEAT_NS) == ZERO


def test_another_key_takes_over_at_once() -> None:
    """With its own first delay; the old one does not come back."""
    held = keys()
    for step in range(10):
        held.press(b"w", step * 30 * MS)
    held.press(b"a", 300 * MS)

    assert held.wanted(300 * MS) == LEFT
    assert held.wanted(300 * MS + FIRST_NS - 1) == LEFT
    assert held.wanted(300 * MS + FIRST_NS) == ZERO


def test_the_same_key_after_it_was_let_go_is_a_first_press() -> None:
    """It gets the whole 0.6 s again."""
    held = keys()
    held.press(b"w", 0)
    assert held.wanted(FIRST_NS) == ZERO

    held.press(b"w", FIRST_NS + 1)
    assert held.wanted(FIRST_NS + 1 + REPEAT_NS) == AHEAD
    assert held.wanted(2 * FIRST_NS + 1) == ZERO


@pytest.mark.parametrize(
    ("key", "act"),
    [(b" ", Act.STOP), (b"r", Act.RESET), (b"q", Act.QUIT), (b"\x03", Act.QUIT), (b"\x04", Act.QUIT), (b"x", None)],
)
def test_a_key_that_does_not_drive_lets_go(key: bytes, act: Act | None) -> None:
    """Stop, reset, quit; and any other: whoever hits the wrong key wants no more of this."""
    held = keys()
    held.press(b"w", 0)

    assert held.press(key, 1) is act
    assert held.wanted(2) == ZERO


def test_without_a_key_nothing_is_sent() -> None:
    """Not even zeros: the local stack may drive."""
    held = keys()

    assert held.wanted(0) is None
    held.press(b"q", 0)
    held.let_go()
    assert held.wanted(1) is None


@pytest.mark.parametrize(
    ("received", "found"),
    [
        (b"", []),
        (b"www", [b"w", b"w", b"w"]),
        (b"WaQ", [b"w", b"a", b"q"]),
        (b"\x1b[A\x1b[Bw", [b"\x1b[A", b"\x1b[B", b"w"]),
        (b"\x1bOA ", [b"\x1bOA", b" "]),
        (b"\x1b", [b"\x1b"]),
        (b"\x1bq", [b"\x1b", b"q"]),
        (b"\x1b[", [b"\x1b["]),
        (b"\x1b[Z ", [b"\x1b[Z", b" "]),
    ],
)
def test_bytes_are_split_into_keys(received: bytes, found: list[bytes]) -> None:
    """Capitals count as small letters; an escape sequence is one key, whole or not."""
    assert split(received) == found


@given(st.binary(max_size=50))
def test_no_byte_is_lost_and_none_raises(received: bytes) -> None:
    """Whatever somebody pastes into the terminal: a space in it is a stop, unless an escape ate it."""
    assert b"".join(split(received)).lower() == received.lower()


@given(st.lists(st.tuples(st.integers(0, 2_000 * MS), st.sampled_from([b"w", b"s", b"a", b"d", b" ", b"x"]))))
def test_nothing_is_held_longer_than_the_first_delay(presses: list[tuple[int, bytes]]) -> None:
    """Whatever was pressed: 0.6 s after the last key there is only zero, and then nothing."""
    held, now_ns = keys(), 0
    for wait_ns, key in presses:
        now_ns += wait_ns
        held.press(key, now_ns)
        wanted = held.wanted(now_ns)
        assert wanted is None or max(abs(wanted.linear_mps) / 0.2, abs(wanted.angular_radps) / 0.5) <= 1.0

    last = [held.wanted(now_ns + FIRST_NS) for _ in range(4)]
    assert set(last) <= {ZERO, None}
    assert last[-1] is None
