"""Floor: the words that every room shares.

A sample is what ROS said. A record is a sample that leaves: it has a number. A parcel is what
is published in one MQTT message: one record, or several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto


class ChannelClass(StrEnum):
    """How a channel is paced, and who is shed last."""

    CRITICAL = "critical"
    SLOW = "slow"
    EVENT = "event"


class Encoding(StrEnum):
    """How a record's data travels."""

    JSON = "json"
    CDR = "cdr"


class EventKind(StrEnum):
    """The closed list of `robot/<id>/events/<kind>`; also names no channel may take."""

    ANOMALY = "anomaly"
    FAILURE = "failure"
    GATE = "gate"
    LINK = "link"
    STORE = "store"
    CLOCK = "clock"
    GAP = "gap"


class LinkState(StrEnum):
    """What the retained status topic says of this robot."""

    ONLINE = "online"
    OFFLINE = "offline"
    STOPPING = "stopping"


class Fate(Enum):
    """Where a record is on its way out."""

    WAITING = auto()  # in the live lane, not sent yet
    IN_FLIGHT = auto()  # sent, no PUBACK yet
    ACKED = auto()  # the broker has it
    RETURNED = auto()  # out of the live lane, not acknowledged: the outbox alone answers for it


@dataclass(frozen=True, slots=True)
class Lane:
    """Where the records of one channel (or kind of event) go, and how they are treated.

    Attributes:
        urgent: It goes before all others and is never coalesced by time: event channels, and events.
        is_event: It is a kind of event: live and late records share its topic, one by one.
    """

    name: str
    live_topic: str
    backlog_topic: str
    channel_class: ChannelClass
    encoding: Encoding = Encoding.JSON
    qos: int = 1
    urgent: bool = field(init=False)
    is_event: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "urgent", self.channel_class is ChannelClass.EVENT)
        object.__setattr__(self, "is_event", self.live_topic == self.backlog_topic)


@dataclass(slots=True, eq=False)
class Record:
    """A numbered sample on its way out. Not frozen: it carries its own fate (see store.outbox).

    Attributes:
        lane: Where it goes.
        seq: 0, 1, 2, ... per (boot, lane), without holes.
        stamp_us: When it was measured [us, UTC].
        recv_us: When the daemon received it [us, UTC].
        body: The finished JSON record, or the untouched CDR of a `cdr` lane.
        size: Bytes of its standalone form, as it is kept and batched.
        born_ns: Monotonic time of numbering [ns].
        fate: How far it has come.
        row: Outbox row that holds it; 0 while it is in memory only.
    """

    lane: Lane
    seq: int
    stamp_us: int
    recv_us: int
    body: bytes
    size: int
    born_ns: int
    fate: Fate = Fate.WAITING
    row: int = 0


@dataclass(slots=True, eq=False)
class Parcel:
    """One MQTT PUBLISH: what goes out together, and what its PUBACK settles.

    Live parcels carry `records`; backlog parcels carry the outbox `rows` they were read from, and the `generation`
    of the reading, so that a late PUBACK of an earlier one is told apart.
    """

    topic: str
    payload: bytes
    count: int
    qos: int = 1
    content_type: str = "application/json"
    user_properties: tuple[tuple[str, str], ...] = ()
    records: Sequence[Record] = ()
    rows: tuple[int, ...] = ()
    generation: int = 0
    sent_ns: int = 0

    @property
    def live(self) -> bool:
        """Whether this is the live lane; otherwise it is backlog."""
        return not self.rows


class GapCause(StrEnum):
    """Why numbers will never arrive."""

    SHED = "shed"  # the outbox, or memory behind a failing disk, was full
    OVERSIZE = "oversize"  # larger than the broker takes
    DEAD_LETTER = "dead_letter"  # refused by the broker again and again
    CRASH = "crash"  # neither acknowledged nor on disk when the last boot ended without a goodbye
    QUARANTINE = "quarantine"  # in an outbox file that cannot be read, set aside whole
    DAMAGED = "damaged"  # in a row of the outbox that cannot be read


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers that will never arrive.

    Attributes:
        lane: Name of the lane.
        boot: Boot they belong to.
        from_seq: First number concerned.
        to_seq: Last one; None: nobody knows how far that boot had counted.
        count: How many of them are gone (thinning leaves some in between); None where nobody knows.
        cause: Why.
        id: Row under which the outbox remembers it until its event is safe; 0 for none.
    """

    lane: str
    boot: str
    from_seq: int
    to_seq: int | None
    count: int | None
    cause: GapCause
    id: int = 0
