"""Strict JSON: whatever two readers could read differently is refused, and nothing raises anything else."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetwin.command.strict_json import is_finite, loads

DEPTH = 8
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def refusal(payload: bytes, depth_max: int = DEPTH) -> str:
    """Return the line that a payload is refused with."""
    with pytest.raises(ValueError, match=r"^it ") as caught:
        loads(payload, depth_max)
    return str(caught.value)


def nested(depth: int, *, of: str = "[]") -> bytes:
    """Return so many arrays or objects within each other."""
    opening, closing = ("[", "]") if of == "[]" else ('{"a":', "}")
    return (opening * (depth - 1) + of + closing * (depth - 1)).encode()


@given(VALUES)
def test_what_json_writes_comes_back(value: Any) -> None:
    """Every value of any depth that is allowed, to the last bit."""
    found = loads(json.dumps(value).encode(), 100)

    assert found == value


def is_read_or_refused(payload: bytes) -> bool:
    """Whether a payload is a value, or a ValueError in one printable line."""
    try:
        is_finite(loads(payload, DEPTH))
    except ValueError as error:
        return str(error).startswith("it ") and str(error).isprintable()
    return True


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_value_error(payload: bytes) -> None:
    """Nothing else comes out."""
    assert is_read_or_refused(payload)


@given(st.text(alphabet='[]{}",:\\0123456789.eE+-truefalsnINty \n', max_size=120))
def test_anything_that_looks_like_json_is_a_value_or_a_value_error(text: str) -> None:
    """The letters that JSON is made of, in any order."""
    assert is_read_or_refused(text.encode())


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"", "it is not JSON (character 0)"),
        (b" ", "it is not JSON (character 1)"),
        (b"{", "it is not JSON (character 1)"),
        (b"{'a':1}", "it is not JSON (character 1)"),
        (b'{"a":1}x', "it is not JSON (character 7)"),
        (b'{"a":01}', "it is not JSON (character 6)"),
        (b'{"a":+1}', "it is not JSON (character 5)"),
        (b'{"a":.5}', "it is not JSON (character 5)"),
        (b'{"a":0x10}', "it is not JSON (character 6)"),
        (b'{"a":1_0}', "it is not JSON (character 6)"),
        (b'{"a":"\n"}', "it is not JSON (character 6)"),
        (b"\xef\xbb\xbf{}", "it is not JSON (character 0)"),
        (b"nan", "it is not JSON (character 0)"),
        (b"{}\x00", "it is not JSON (character 2)"),
        (b"\xff", "it is not UTF-8 (byte 0)"),
        (b'{"a":"\xc3\x28"}', "it is not UTF-8 (byte 6)"),
        (b'"\xed\xa0\x80"', "it is not UTF-8 (byte 1)"),
        (b'"\xc0\xaf"', "it is not UTF-8 (byte 1)"),
        ('"a"'.encode("utf-16"), "it is not UTF-8 (byte 0)"),
    ],
)
def test_what_is_not_json_says_where(payload: bytes, words: str) -> None:
    """Overlong forms and encoded surrogates are not UTF-8; a byte order mark is not JSON."""
    assert refusal(payload) == words


def test_a_trailing_comma_is_not_json() -> None:
    """Python 3.13 points at the comma, the ones before behind it."""
    assert refusal(b'{"a":1,}') in {"it is not JSON (character 6)", "it is not JSON (character 7)"}


@pytest.mark.parametrize(
    "payload",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"b":{"c":1,"d":2,"c":3}}',
        b'[[[{"":0,"":0}]]]',
        b'{"linear":0,"linea\\u0072":9}',
        b'{"a":1,"a":NaN}',
    ],
)
def test_a_key_twice_is_refused_at_any_depth(payload: bytes) -> None:
    """Also when one of them is spelt with an escape, and when both say the same."""
    assert refusal(payload) == "it has a key twice"


@pytest.mark.parametrize("of", ["[]", "{}"])
@pytest.mark.parametrize("depth_max", [1, 8])
def test_depth_is_counted_exactly(of: str, depth_max: int) -> None:
    """As deep as allowed is read; one more is not."""
    assert loads(nested(depth_max, of=of), depth_max) is not None
    assert refusal(nested(depth_max + 1, of=of), depth_max) == f"it is nested deeper than {depth_max} levels"


def test_a_plain_value_has_no_depth() -> None:
    """Only arrays and objects count, and the deepest branch decides, wherever it stands."""
    assert loads(b"5", 0) == 5
    assert loads(b'{"a":1}', 1) == {"a": 1}
    assert "deeper than 0" in refusal(b"{}", 0)
    assert "deeper than 2" in refusal(b'{"a":1,"b":[1,{"c":[]}],"d":2}', 2)
    assert loads(b'{"a":1,"b":[1,2],"d":2}', 2) == {"a": 1, "b": [1, 2], "d": 2}


@pytest.mark.parametrize("payload", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 5000 + b"]" * 5000, nested(4000)])
def test_nesting_without_end_is_refused_like_any_other(payload: bytes) -> None:
    """No RecursionError: what the parser gives up on was too deep long before."""
    assert refusal(payload) == "it is nested deeper than 8 levels"


@pytest.mark.parametrize(
    ("payload", "finite"),
    [
        (b"0", True),
        (b"-0.0", True),
        (b"1e308", True),
        (b"-1e308", True),
        (b"1.7976931348623157e308", True),
        (b"-1.7976931348623157e308", True),
        (b"1e-400", True),
        (b"true", True),
        (b"null", True),
        (b'"NaN"', True),
        (b'"1e400"', True),
        (b"[]", True),
        (b"{}", True),
        (b'{"a":[1,{"b":2.5}]}', True),
        (b"9" * 308, True),
        (b"NaN", False),
        (b"Infinity", False),
        (b"-Infinity", False),
        (b"1e400", False),
        (b"-1e400", False),
        (b"9" * 400, False),
        (b"-" + b"9" * 400, False),
        (b"9" * 4000, False),
        (b'{"a":[1,{"b":NaN}]}', False),
        (b'{"a":[1,{"b":2}],"c":1e999}', False),
        (b"[[[[[[[-Infinity]]]]]]]", False),
    ],
)
def test_finite_is_every_number_that_a_float_holds(payload: bytes, finite: bool) -> None:
    """The literals that Python reads and JSON has not, and numbers that only overflow."""
    assert is_finite(loads(payload, DEPTH)) is finite


def test_a_number_of_ten_thousand_digits_is_a_value_error() -> None:
    """Python refuses to read it; so do we, and nothing is hurt."""
    with pytest.raises(ValueError):  # noqa: PT011  # Python's own words
        loads(b"9" * 10_000, DEPTH)


def test_finite_looks_at_numbers_alone() -> None:
    """A bool is none, and NaN hides nowhere."""
    assert is_finite([True, False, None, "NaN", {}])
    assert not is_finite({"a": {"b": [math.nan]}})
    assert not is_finite(math.inf)
    assert not is_finite(-(10**309))
