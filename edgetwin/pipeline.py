"""Roof: the way of a sample through one channel: raw CDR -> stamp -> pace -> number -> encode.

In: raw messages of one topic     Out: records, to one sink.

The order is the economy: the stamp costs 0.1 us and decides most; a deadband reads only its own fields;
the whole message is decoded only when it leaves as JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from edgetwin import wire
from edgetwin.clock import NS_PER_US, Clock, seconds_to_ns
from edgetwin.errors import Fault, FieldPathError, MalformedMessageError, RosTypeError
from edgetwin.records import ChannelClass, Encoding, Lane, Record
from edgetwin.ros import cdr
from edgetwin.ros.types import message_class
from edgetwin.settings import Channel, Deadband
from edgetwin.sync import deadband as bands
from edgetwin.sync.deadband import Reading
from edgetwin.sync.pacer import Pacer, PaceRule

Sample: TypeAlias = tuple[bytes, int, int]  # raw CDR, stamp [ns, UTC; 0: none], reception [ns, UTC]
Leave: TypeAlias = Callable[[Record], None]


class Pipeline:
    """One channel.

    Attributes:
        malformed: Messages dropped because their bytes are not of the declared type.
    """

    def __init__(self, channel: Channel, numbering: wire.Numbering, leave: Leave, clock: Clock) -> None:
        """Compile what the channel needs.

        Args:
            channel: Its settings.
            numbering: Gives its records their numbers.
            leave: Takes every record that leaves.
            clock: For messages without reception time.

        Raises:
            RosTypeError: The type is not installed.
            FieldPathError: `fields` or the deadband name what the type does not have.
        """
        self.channel = channel
        self.message_class = message_class(channel.type)
        self.malformed = 0
        self._numbering = numbering
        self._leave = leave
        self._clock = clock
        self._stamp_of = cdr.stamp_reader(self.message_class)
        self._encode: Callable[[bytes], bytes] = bytes
        if channel.encoding is Encoding.JSON:
            decode = cdr.dict_decoder(self.message_class, channel.fields)
            self._encode = lambda raw: wire.encode(decode(raw))
        self.pacer: Pacer[Sample] = Pacer(*_pace(self.message_class, channel))

    def repace(self, channel: Channel) -> None:
        """Pace by the settings of `channel` from now on; numbers, counters and what is held stay.

        Args:
            channel: Differs from what this one was made with in its pacing alone, or not at all.

        Raises:
            FieldPathError: The deadband names what the type does not have; nothing has changed then.
        """
        if channel != self.channel:
            self.pacer.repace(*_pace(self.message_class, channel))
            self.channel = channel

    @property
    def lane(self) -> Lane:
        """Where its records go."""
        return self._numbering.lane

    def take(self, raw: bytes, received_ns: int, now_ns: int) -> None:
        """Take a message from ROS.

        Args:
            raw: Serialised message.
            received_ns: When the middleware received it [ns, UTC]; 0 if it does not say.
            now_ns: Monotonic time [ns].
        """
        received_ns = received_ns or self._clock.stamp_ns()
        try:
            stamp_ns = self._stamp_of(raw) if self._stamp_of is not None else 0
            if self.pacer.offer((raw, stamp_ns, received_ns), stamp_ns, received_ns, now_ns):
                self._send(raw, stamp_ns, received_ns, now_ns)
        except MalformedMessageError:
            self.malformed += 1

    def release(self, now_ns: int) -> None:
        """Send the held sample if its time has come."""
        sample = self.pacer.release(now_ns)
        if sample is not None:
            self._send_held(sample, now_ns)

    def flush(self) -> None:
        """Send what is held, at the end."""
        sample = self.pacer.flush()
        if sample is not None:
            self._send_held(sample, self._clock.now_ns())

    def _send_held(self, sample: Sample, now_ns: int) -> None:
        try:
            self._send(*sample, now_ns)
        except MalformedMessageError:
            self.malformed += 1

    def _send(self, raw: bytes, stamp_ns: int, received_ns: int, now_ns: int) -> None:
        data = self._encode(raw)
        self._leave(
            self._numbering.number(
                data, stamp_us=(stamp_ns or received_ns) // NS_PER_US, recv_us=received_ns // NS_PER_US, now_ns=now_ns
            )
        )


def faults(name: str, channel: Channel) -> list[Fault]:
    """Return what is wrong with a channel that only its message type can tell: for `check`, and before `run`."""
    where = f"channels.{name}"
    try:
        cls = message_class(channel.type)
    except RosTypeError as error:
        return [Fault(f"{where}.type", f"{error.type_name}: {error.what}", error.cure)]
    found: list[Fault] = []
    try:
        cdr.dict_decoder(cls, channel.fields)
    except FieldPathError as error:
        found.append(Fault(f"{where}.fields", f"{error.path} {error.what}", error.cure))
    try:
        _deadband(cls, channel)
    except FieldPathError as error:
        found.append(Fault(f"{where}.deadband", f"{error.path} {error.what}", error.cure))
    return found


def _pace(cls: Any, channel: Channel) -> tuple[PaceRule, Callable[[Sample], Reading] | None]:
    """Return how the channel is paced, and the reader of what its deadband looks at."""
    band, read = _deadband(cls, channel)
    rule = PaceRule(
        rate_hz_max=None if channel.channel_class is ChannelClass.EVENT else channel.rate_hz_max,
        heartbeat_ns=seconds_to_ns(channel.heartbeat_s),
        settle_ns=seconds_to_ns(channel.settle_s),
        deadband=band,
    )
    return rule, None if read is None else lambda sample: read(sample[0])


def _deadband(cls: Any, channel: Channel) -> tuple[bands.Deadband | None, cdr.NumberReader | None]:
    """Return the channel's deadband and the reader of what it looks at."""
    setting = channel.deadband
    if setting is None or channel.channel_class is ChannelClass.EVENT:
        return None, None
    values = bands.ValueDeadband(setting.value) if setting.value is not None else None
    value_paths = _value_paths(cls, channel, setting) if values is not None else []
    if setting.position_m is None and setting.angle_rad is None:
        return values, cdr.number_reader(cls, value_paths)
    pose = cdr.pose_paths(cls)
    if pose is None or (pose.position is None and setting.position_m is not None):
        what = "is set, but the type has no position and attitude"
        cure = "use value, with field where it is one field that counts"
        path = "position_m" if setting.position_m is not None else "angle_rad"
        raise FieldPathError(path, what, cure)
    band = bands.PoseDeadband(setting.position_m, setting.angle_rad)
    # A type with an attitude alone (Imu) fills both places with it; position_m is None then.
    reader = cdr.number_reader(cls, [pose.position or pose.orientation, pose.orientation, *value_paths])
    return (band if values is None else bands.EitherDeadband(band, values)), reader


def _value_paths(cls: Any, channel: Channel, setting: Deadband) -> list[str]:
    if setting.field is not None:
        return [setting.field]
    paths = cdr.numeric_paths(cls, channel.fields)
    if not paths:
        path, what = "value", "is set, but no number is selected"
        raise FieldPathError(path, what, "name the field it looks at")
    return paths
