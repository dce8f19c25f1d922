"""Floor: one class per recovery; each carries its facts, and its text says what to do.

Only the roof catches these. A room raises and never logs-and-continues.
"""

from __future__ import annotations

from dataclasses import dataclass


class EdgeTwinError(Exception):
    """Base of every error that edgetwin raises on purpose."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with what the user gave us: where it stands, what it is, what to do."""

    where: str
    what: str
    cure: str

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}; {self.cure}"
        return " ".join(line.split())  # a fault is one line, whatever the value contained


class RefusedError(EdgeTwinError):
    """Configuration or arguments cannot be used. Recovery: the user mends every fault (exit 2)."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))


class RosUnavailableError(EdgeTwinError):
    """rclpy cannot be used in this process. Recovery: install or source ROS, or mend the environment."""


class RosTypeError(EdgeTwinError):
    """A message type cannot be had. Recovery: install the package, or correct the name."""

    def __init__(self, type_name: str, what: str, cure: str) -> None:
        self.type_name = type_name
        self.what = what
        self.cure = cure
        super().__init__(f"{type_name}: {what}; {cure}")


class FieldPathError(EdgeTwinError):
    """A field path does not exist in a message type, or has not the kind that a rule needs."""

    def __init__(self, path: str, what: str, cure: str) -> None:
        self.path = path
        self.what = what
        self.cure = cure
        super().__init__(f"{path}: {what}; {cure}")


class MalformedMessageError(EdgeTwinError):
    """Bytes from DDS that are not a message of the declared type. Recovery: drop it, count it."""


class LinkError(EdgeTwinError):
    """The broker cannot be reached or left us. Recovery: back off, dial again.

    `reason_code` is the MQTT 5 reason where the broker gave one, else None.
    """

    def __init__(self, what: str, *, reason_code: int | None = None) -> None:
        self.reason_code = reason_code
        super().__init__(what)


class StoreError(EdgeTwinError):
    """The disk does not do what was asked. Recovery: close the file, try again later; live forwarding goes on."""


class StoreDamagedError(StoreError):
    """The outbox file is broken, half-made, or of another version. Recovery: set it aside whole, begin a new one."""


class StoreFullError(StoreError):
    """The outbox is full and nothing is left to shed. Recovery: what was to be written is shed."""

    def __init__(self, *, used_bytes: int, budget_bytes: int) -> None:
        self.used_bytes = used_bytes
        self.budget_bytes = budget_bytes
        super().__init__(f"the outbox holds {used_bytes} of {budget_bytes} bytes; raise [store] max_bytes")


class ModelRefusedError(EdgeTwinError):
    """A failure model cannot be used. Recovery: go on with the one before, or without; the user mends the file."""

    def __init__(self, what: str, cure: str) -> None:
        self.what = what
        self.cure = cure
        super().__init__(f"{what}; {cure}")


class BaselineLostError(EdgeTwinError):
    """What was learned of a healthy machine cannot be read, or is of other sources. Recovery: only a person's.

    To learn anew by itself would take a worn machine for a healthy one.
    """
