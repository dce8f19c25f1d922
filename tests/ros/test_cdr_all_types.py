"""Every installed message type, and random made-up ones, against rclpy and against a plain CDR writer."""

from __future__ import annotations

import importlib
import math
import pkgutil
import random
import re
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS is not installed")

from rclpy.serialization import deserialize_message, serialize_message

from edgetwin import wire
from edgetwin.ros.cdr import dict_decoder, layout, number_reader, numeric_paths, stamp_reader
from edgetwin.ros.cdr_paths import walk
from edgetwin.ros.types import message_class

# ROS's generated code loads its generator, which loads a lark that still imports sre_parse and sre_constants.
pytestmark = pytest.mark.filterwarnings("ignore:module 'sre_:DeprecationWarning")

_LETTERS = {"boolean": "?", "octet": "B", "char": "B", "uint8": "B", "int8": "b", "uint16": "H", "int16": "h"} | {
    "uint32": "I", "int32": "i", "uint64": "Q", "int64": "q", "float": "f", "double": "d",
}  # fmt: skip
_TEXTS = ("", "base_link", "größe \N{SNOWMAN}", "\N{ROBOT FACE}" * 3, "x" * 70)


def installed_messages() -> list[Any]:
    """Return every message class of every package of this interpreter."""
    packages = [
        info.name
        for info in pkgutil.iter_modules()
        if info.ispkg and Path(getattr(info.module_finder, "path", ""), info.name, "msg", "__init__.py").is_file()
    ]
    modules = [importlib.import_module(f"{package}.msg") for package in sorted(packages)]
    return [found for module in modules for found in vars(module).values() if hasattr(found, "_TYPE_SUPPORT")]


MESSAGES = installed_messages()
NAMES = [f"{cls.__module__.partition('.')[0]}/{cls.__name__}" for cls in MESSAGES]


def parts(text: str) -> tuple[str, str, int | None]:
    """Return (element, kind, bound or count) of a type as the classes spell it."""
    if found := re.fullmatch(r"sequence<(.+?)(?:, (\d+))?>", text):
        return found[1], "sequence", int(found[2]) if found[2] else None
    if found := re.fullmatch(r"(.+)\[(\d+)\]", text):
        return found[1], "array", int(found[2])
    return text, "single", None


def nested(text: str) -> Any:
    """Return the class of a message type that is the type of a field."""
    package, name = text.split("/")
    return message_class(f"{package}/msg/{name}")


def random_value(rng: random.Random, text: str) -> Any:
    """Return a plain value for a field: extremes, non-finite numbers, empty and long sequences among them."""
    element, kind, bound = parts(text)
    if kind == "array":
        return [random_value(rng, element) for _ in range(bound or 0)]
    if kind == "sequence":
        count = rng.choice((0, 1, 2, 3, 7, 33, 40) if element in _LETTERS else (0, 1, 2, 3))
        return [random_value(rng, element) for _ in range(count if bound is None else min(bound, count))]
    if "string" in element:
        size = re.search(r"<(\d+)>", element)
        return rng.choice(_TEXTS)[: int(size[1]) if size else None]
    return random_number(rng, _LETTERS[element]) if element in _LETTERS else random_message(rng, nested(element))


def random_number(rng: random.Random, letter: str) -> bool | int | float:
    """Return a value of one struct letter."""
    if letter == "?":
        return rng.random() < 0.5
    if letter in "fd":
        odd = (0.1, -0.0, 5e-324, math.nan, math.inf, -math.inf)
        number = rng.choice((rng.gauss(0, 1), rng.uniform(-3e38, 3e38), rng.uniform(-1e300, 1e300), *odd))
        return float(np.float32(number if abs(number) < 3e38 else math.inf)) if letter == "f" else number
    signed, width = letter.islower(), 8 * struct.calcsize(f"<{letter}")
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    return rng.choice((low, high, rng.randint(low, high)))


def random_message(rng: random.Random, cls: Any) -> dict[str, Any]:
    """Return plain values for every field of a message class."""
    return {name: random_value(rng, text) for name, text in cls.get_fields_and_field_types().items()}


def build(cls: Any, values: dict[str, Any]) -> Any:
    """Return a message object with these values, as a ROS program would fill it."""
    message = cls()
    for name, text in cls.get_fields_and_field_types().items():
        element, kind, _ = parts(text)
        value = values[name]
        if "/" in element:
            value = build(nested(element), value) if kind == "single" else [build(nested(element), v) for v in value]
        elif element == "octet":
            value = bytes([value]) if kind == "single" else [bytes([item]) for item in value]
        setattr(message, name, value)
    return message


def plain(value: Any) -> Any:
    """Return a message object as nested dicts and lists of plain Python values."""
    if hasattr(value, "get_fields_and_field_types"):
        return {name: plain(getattr(value, name)) for name in value.get_fields_and_field_types()}
    if isinstance(value, bytes):
        return value[0]
    if hasattr(value, "tolist"):
        return value.tolist()
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def bits(value: Any) -> Any:
    """Return a value in which equal means: the same type and the same bits."""
    if isinstance(value, np.ndarray):
        assert value.flags.c_contiguous
        assert value.flags.aligned
        assert value.dtype.isnative
        value = value.tolist()
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, dict):
        return {name: bits(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [bits(item) for item in value]
    return type(value), value


def prune(values: Any, paths: list[str]) -> Any:
    """Return only what these paths lead to."""
    if isinstance(values, list):
        return [prune(item, paths) for item in values]
    kept = {}
    for name, value in values.items():
        below = [path.partition(".")[2] for path in paths if path.partition(".")[0] == name]
        if below:
            kept[name] = value if "" in below else prune(value, below)
    return kept


def at(values: dict[str, Any], path: str) -> Any:
    """Return the value at a dotted path."""
    value: Any = values
    for name in path.split("."):
        value = value[name]
    return value


def floats(value: Any) -> Any:
    """Return numbers as floats."""
    return [float(item) for item in value] if isinstance(value, list) else float(value)


def write(cls: Any, values: dict[str, Any], order: str = "<") -> bytes:
    """Return XCDR1, written the simplest way: field by field, padding before each."""
    body = bytearray()

    def put(letter: str, value: Any) -> None:
        body.extend(bytes(-len(body) % struct.calcsize(f"<{letter}")))
        body.extend(struct.pack(order + letter, value))

    def put_field(text: str, value: Any) -> None:
        element, kind, _ = parts(text)
        if kind == "sequence":
            put("I", len(value))
        for item in [value] if kind == "single" else value:
            if "string" in element:
                put("I", len(item.encode()) + 1)
                body.extend(item.encode() + b"\0")
            elif element in _LETTERS:
                put(_LETTERS[element], item)
            else:
                put_message(nested(element), item)

    def put_message(kind: Any, fields: dict[str, Any]) -> None:
        types = kind.get_fields_and_field_types()
        for name, text in types.items():
            put_field(text, fields[name])
        if not types:
            put("B", 0)

    put_message(cls, values)
    return (b"\0\1\0\0" if order == "<" else b"\0\0\0\0") + bytes(body)


@pytest.mark.parametrize("cls", MESSAGES, ids=NAMES)
def test_every_installed_type_decodes_to_what_rclpy_says(cls: Any) -> None:
    """Six random messages per type: same names, same types, same bits; and the JSON is the same to the last digit."""
    rng = random.Random(cls.__name__)
    for _ in range(6):
        values = random_message(rng, cls)
        raw = serialize_message(build(cls, values))
        wanted = plain(deserialize_message(raw, cls))

        decoded = dict_decoder(cls)(raw)

        assert bits(decoded) == bits(wanted)
        assert wire.encode(decoded) == wire.encode(wanted)
        assert bits(decoded) == bits(values) or "string" in str(cls.get_fields_and_field_types())


@pytest.mark.parametrize("cls", MESSAGES, ids=NAMES)
def test_every_selection_of_fields_is_the_same_cut_of_the_message(cls: Any) -> None:
    """Random paths, also through sequences of messages; number_reader agrees on what is numeric."""
    rng = random.Random(cls.__name__)
    known = [path for path, _ in walk(layout(cls))]
    for _ in range(4):
        values = random_message(rng, cls)
        raw = serialize_message(build(cls, values)) + bytes(rng.randint(0, 5))
        wanted = plain(deserialize_message(raw, cls))
        paths = rng.sample(known, min(len(known), rng.randint(0, 4)))
        numbers = rng.sample(every := numeric_paths(cls), rng.randint(0, len(every)))

        assert bits(dict_decoder(cls, paths)(raw)) == bits(prune(wanted, paths))
        assert bits(number_reader(cls, numbers)(raw)) == bits([floats(at(wanted, path)) for path in numbers])


@pytest.mark.parametrize("cls", MESSAGES, ids=NAMES)
def test_stamps_are_those_of_the_header(cls: Any) -> None:
    """Whatever else is in the message; a type without header has no reader."""
    rng = random.Random(cls.__name__)
    values = random_message(rng, cls)
    raw = serialize_message(build(cls, values))
    stamp = values.get("stamp") or values.get("header", {}).get("stamp") or values.get("clock")
    stamp = values if cls.__name__ == "Time" else stamp
    read = stamp_reader(cls)

    if isinstance(stamp, dict) and set(stamp) == {"sec", "nanosec"}:
        assert read is not None
        assert read(raw) == stamp["sec"] * 10**9 + stamp["nanosec"]
    else:
        assert read is None or "Time" in str(cls.get_fields_and_field_types())


@pytest.mark.parametrize("cls", MESSAGES, ids=NAMES)
def test_big_endian_messages_decode_to_the_same(cls: Any) -> None:
    """They go through rclpy, and nobody can tell."""
    values = random_message(random.Random(cls.__name__), cls)
    if "wstring" in str(cls.get_fields_and_field_types()):
        pytest.skip("the wire form of wstring is each vendor's own")
    little, big = write(cls, values), write(cls, values, ">")
    numbers = numeric_paths(cls)

    assert bits(plain(deserialize_message(little, cls))) == bits(values)
    assert bits(dict_decoder(cls)(big)) == bits(dict_decoder(cls)(little)) == bits(values)
    assert bits(number_reader(cls, numbers)(big)) == bits(number_reader(cls, numbers)(little))


def made_up_types(rng: random.Random, module: ModuleType, count: int) -> list[Any]:
    """Put `count` message classes with random fields into `module`; later ones nest earlier ones."""
    simple = [*_LETTERS, "string", "string<9>", "std_msgs/Empty", "geometry_msgs/Pose", "std_msgs/Header"]
    made: list[Any] = []
    for number in range(count):
        types = simple + [f"made_msgs/{cls.__name__}" for cls in made[-3:]]
        forms = ("{}", "{}", "{}", "{}[2]", "{}[37]", "sequence<{}>", "sequence<{}, 5>")
        fields = {}
        for index in range(rng.randint(1, 6)):
            element, form = rng.choice(types), rng.choice(forms)
            short = "/" in element or "string" in element
            fields[f"f{index}"] = ("{}[3]" if short and "37" in form else form).format(element)
        body = {"__module__": "made_msgs.msg", "_TYPE_SUPPORT": None}
        cls = type(f"Made{number}", (), body | {"get_fields_and_field_types": classmethod(lambda _, f=fields: f)})
        setattr(module, cls.__name__, cls)
        made.append(cls)
    return made


def test_made_up_types_decode_whatever_stands_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alignments, nestings and array forms that no installed package has, whole and in part."""
    rng = random.Random(7)
    module = ModuleType("made_msgs.msg")
    monkeypatch.setitem(sys.modules, "made_msgs", ModuleType("made_msgs"))
    monkeypatch.setitem(sys.modules, "made_msgs.msg", module)

    for cls in made_up_types(rng, module, 100):
        known = [path for path, _ in walk(layout(cls))]
        for _ in range(3):
            values = random_message(rng, cls)
            raw = write(cls, values)
            paths = rng.sample(known, min(len(known), 3))
            numbers = numeric_paths(cls)

            assert bits(dict_decoder(cls)(raw)) == bits(values), cls.get_fields_and_field_types()
            assert bits(dict_decoder(cls, paths)(raw)) == bits(prune(values, paths)), paths
            assert bits(number_reader(cls, numbers)(raw)) == bits([floats(at(values, path)) for path in numbers])
