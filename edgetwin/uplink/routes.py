"""Uplink room: topics and properties in the bytes of the wire, made once.

In: lanes, parcels     Out: what `Session.publish_nowait` takes.
"""

from __future__ import annotations

from edgetwin.records import Encoding, Lane, Parcel
from edgetwin.uplink import packets
from edgetwin.wire import JSON_CONTENT_TYPE

NO_ROUTE = (b"", b"")


class Routes:
    """What was made so far: as many entries as there are topics, and kinds of properties."""

    def __init__(self) -> None:
        self._lanes: dict[str, tuple[bytes, bytes]] = {}
        self._topics: dict[str, bytes] = {}
        self._properties: dict[tuple[str, tuple[tuple[str, str], ...]], bytes] = {}

    def of_lane(self, lane: Lane) -> tuple[bytes, bytes]:
        """Return topic and properties of a lane whose records can leave as they are; NO_ROUTE for the others."""
        route = self._lanes.get(lane.name)
        if route is None:
            route = NO_ROUTE
            if lane.encoding is Encoding.JSON and lane.qos == 1:
                route = (packets.utf8_string(lane.live_topic), packets.publish_properties(JSON_CONTENT_TYPE))
            self._lanes[lane.name] = route
        return route

    def topic(self, topic: str) -> bytes:
        """Return a topic as an MQTT string."""
        encoded = self._topics.get(topic)
        if encoded is None:
            encoded = self._topics[topic] = packets.utf8_string(topic)
        return encoded

    def properties(self, parcel: Parcel) -> bytes:
        """Return the property block of a parcel."""
        key = (parcel.content_type, parcel.user_properties)
        if len(parcel.user_properties) > 1:  # the envelope of a cdr record: new each time
            return packets.publish_properties(*key)
        block = self._properties.get(key)
        if block is None:
            block = self._properties[key] = packets.publish_properties(*key)
        return block
