"""Floor: the settings of the command gate, `[gate]`: who may ask, and everything that bounds motion.

In: plain values     Out: GateSettings, or pydantic's ValidationError.
Pure. What concerns other sections too (the broker, the channels) is judged by `judged_beside`, for the tree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer

from edgetwin.settings.gate_inputs import GateInputs
from edgetwin.settings.gate_limits import MotionLimits
from edgetwin.settings.operators import Operator
from edgetwin.settings.values import OperatorName, is_loopback, refusal

Check = Literal[  # those that `open` does without; the others cannot be switched off
    "NO_EXPIRY",
    "CLOCK_UNCERTAIN",
    "EXPIRED",
    "FROM_FUTURE",
    "TTL_TOO_LONG",
    "REPLAY",
    "ID_REUSED",
    "DUPLICATE",
    "RATE_LIMIT",
]


class GateSettings(GateInputs, MotionLimits):
    """Everything between a command and the wheels."""

    admission: Literal["lease", "stamped", "open"] = Field(
        default="lease",
        description="What a move must prove: lease, one sender at a time; stamped, wall clock stamps; open, nothing.",
    )
    lease_s: float = Field(
        default=3.0,
        ge=0.5,
        le=60.0,
        description="A lease that is not renewed for this long is lost; longer forgives a worse link.",
    )
    ttl_max_s: float = Field(
        default=2.0,
        ge=0.1,
        le=2.0,
        description="Longest ttl_ms that a move may ask for; moves that ask for more are refused.",
    )
    rate_hz_max: float = Field(
        default=20.0,
        ge=1.0,
        le=1000.0,
        description="Most commands per second of a client; who sends more for 3 s loses the lease.",
    )
    rate_burst: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Commands of a client that may come at once; 1 refuses whatever the network bunches.",
    )
    payload_max_bytes: int = Field(
        default=4096,
        ge=512,
        le=4096,
        description="Largest command; larger ones are refused unread.",
    )
    trust_clock: bool = Field(
        default=False,
        description="With stamped admission: takes the wall clock as right even when nothing synchronises it.",
    )
    checks_off: Annotated[tuple[Check, ...], Field(strict=False, max_length=9)] = Field(
        default=(),
        description="Codes of checks that are not made; each lets through what its code says.",
        examples=[["NO_EXPIRY"]],
    )
    operators: Annotated[
        Mapping[OperatorName, Operator],
        AfterValidator(MappingProxyType),  # frozen, as all else is
        PlainSerializer(dict, return_type=dict[str, Operator]),
    ] = Field(
        default_factory=lambda: MappingProxyType({}),
        description="Who may sign commands, each by name; with any, unsigned moves, leases and resets are refused.",
    )


def judged_beside(gate: GateSettings, *, host: str | None, channels: Collection[str] | None) -> GateSettings:
    """Return the gate's settings with the channels that there are; None for what has faults of its own.

    Raises:
        PydanticCustomError: They do not fit the broker or the channels; it says which key.
    """
    if host is not None and gate.admission == "open" and not is_loopback(host):
        what = f"is for brokers on this machine, and mqtt.host is {host}"
        raise refusal(what, 'set it to "lease" or "stamped"', key="admission", value=gate.admission)
    if channels is None:
        return gate
    absent: dict[str, None] = {}
    for key in ("battery_channel", "pose_channel"):
        name = getattr(gate, key)
        if name is None or name in channels:
            continue
        if key in gate.model_fields_set:
            what = "is no channel"
            raise refusal(what, f"add [channels.{name}], or name one that there is", key=key, value=name)
        absent[key] = None
    judged = gate.model_copy(update=absent)
    if (judged.fence is not None or judged.fence_exclude) and judged.pose_channel is None:
        what = "needs to know where the robot is, and there is no channel odom"
        raise refusal(what, "name the channel of its pose with gate.pose_channel", key="fence")
    return judged
