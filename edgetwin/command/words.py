"""Command room: each refusal in one line for a person: what it is, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgetwin.motion import Reason

WORDS: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.UNKNOWN_TOPIC: "no command topic of this robot; send to .../commands/ move, lease, reset, ping or stop",
        Reason.TOO_LARGE: "the payload is too large; send the keys of the command and nothing else",
        Reason.RETAINED: "it is retained, and would come back by itself; send it without the retain flag",
        Reason.NO_EXPIRY: "it would never expire; set a Message Expiry Interval of 1 or 2 seconds",
        Reason.BAD_SIG: "no operator of this robot signed it; sign topic, NUL and payload, and name the key",
        Reason.FORBIDDEN: "not permitted: by the role of the key, by its client name, or by this robot's settings",
        Reason.CLOCK_UNCERTAIN: "its age is not known well enough; ping again, or mend the robot's time sync",
        Reason.EXPIRED: "it is older than its ttl_ms allows, counting what the clocks may be wrong; send a new one",
        Reason.FROM_FUTURE: "its stamp lies in the future; ping again for the offset of the clocks",
        Reason.TTL_TOO_LONG: "its ttl_ms is too long; ask for less and send more often",
        Reason.REPLAY: "its seq is not above all before it, or its stamp is older than this process; count on",
        Reason.ID_REUSED: "its id belongs to another command; give each command an id of its own",
        Reason.DUPLICATE: "the same command is being decided; wait for its ack",
        Reason.RATE_LIMIT: "too many commands; send fewer, who goes on like this loses the lease",
        Reason.NO_LEASE: "the sender does not hold the lease; acquire it, and send its epoch",
        Reason.LEASE_STALE: "the lease was not renewed in time; acquire it anew",
    }
)
