"""Floor: the values that settings are made of, and what makes one refused.

In: one plain value     Out: the same value, typed, or an error that carries `what` and `cure`.
Pure: no file, no environment, no network; that a name is well formed does not mean that it exists.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from edgetwin.records import EventKind

REFUSED = "refused"  # type of the errors made here; their context has `what`, a predicate of the value, and `cure`
_NAME = r"[A-Za-z0-9_-]{1,64}"
_NAME_CURE = "use 1 to 64 letters, digits, _ and -"
_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?")
_ROS_NAME_MAX = 247  # rmw's limit


class Section(BaseModel):
    """One table of the settings: frozen, closed, strict about types; its errors never repeat a value."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True, hide_input_in_errors=True)


def refusal(what: str, cure: str, *, key: str = "", value: object = None) -> PydanticCustomError:
    """Return the error of a check; `what` continues a sentence that starts with the value.

    A check of a whole table names the `key` in it that is at fault, and its `value`.
    """
    within = {"key": key, "value": value} if key else {}
    return PydanticCustomError(REFUSED, "{what}; {cure}", {"what": what, "cure": cure, **within})


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine: localhost, 127.0.0.0/8 or ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


def _like(pattern: str, what: str, cure: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise refusal(what, cure)
        return text

    return AfterValidator(check)


def _check_channel_name(name: str) -> str:
    if name in set(EventKind):
        what = "is the name of edgetwin's own events"
        raise refusal(what, f"choose another name, such as {name}_1")
    return name


def _check_host(host: str) -> str:
    if _HOST.fullmatch(host) is None and not (":" in host and host.isprintable() and _is_address(host)):
        what = "is neither a host name nor an IP address"
        raise refusal(what, "write the bare name or address, without scheme, user and port (the port is mqtt.port)")
    return host


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _check_prefix(prefix: str) -> str:
    if not prefix or prefix.startswith("$") or set(prefix) & set("+#/") or not prefix.isprintable():
        what = "is not one level of an MQTT topic"
        raise refusal(what, "use 1 to 64 printable characters without + # /, and no $ at the start")
    return prefix


def _check_path(path: Path) -> Path:
    if path == Path() or not str(path).isprintable():
        what = "is not the path of a file"
        raise refusal(what, "write the whole path, from /")
    if str(path).startswith("~"):
        what = "starts with ~, which only a shell understands"
        raise refusal(what, "write the whole path, from /")
    return path


RobotId = Annotated[str, _like(_NAME, "is not a robot id", _NAME_CURE)]
ChannelName = Annotated[str, _like(_NAME, "is not a channel name", _NAME_CURE), AfterValidator(_check_channel_name)]
OperatorName = Annotated[str, _like(_NAME, "is not the name of an operator", _NAME_CURE)]
TopicPrefix = Annotated[str, Field(max_length=64), AfterValidator(_check_prefix)]
FilePath = Annotated[Path, Field(strict=False), AfterValidator(_check_path)]  # not strict: TOML has texts, no paths
HostName = Annotated[str, Field(max_length=253), AfterValidator(_check_host)]
NodeName = Annotated[
    str,
    Field(max_length=255),
    _like(_IDENTIFIER, "is not the name of a ROS node", "use letters, digits and _, and no digit at the start"),
]
TopicName = Annotated[
    str,
    Field(max_length=_ROS_NAME_MAX),
    _like(f"(/{_IDENTIFIER})+", "is not an absolute ROS topic name", "write it from the root, such as /robot1/odom"),
]
TypeName = Annotated[
    str,
    Field(max_length=_ROS_NAME_MAX),
    _like(
        r"[a-z][a-z0-9_]*/msg/[A-Z][A-Za-z0-9]*",
        "is not the name of a message type",
        "write it as package/msg/Name, such as nav_msgs/msg/Odometry",
    ),
]
FieldPath = Annotated[
    str,
    Field(max_length=_ROS_NAME_MAX),
    _like(rf"{_IDENTIFIER}(\.{_IDENTIFIER})*", "is not a field path", "join field names with dots, as in pose.pose"),
]
