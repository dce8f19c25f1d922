"""Command room: who sent a command, and what they may ask (row 9).

In: a message, its sound body     Out: Sender; whether the command is permitted.
Pure. Without operators' keys every client is believed and is an operator; with them, nobody is believed but a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgetwin.command.body import Action
from edgetwin.command.incoming import Incoming
from edgetwin.command.rules import AdmissionRules, Level, Role
from edgetwin.command.signature import Signatures
from edgetwin.motion import Verb


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a command.

    Attributes:
        client: Proven, or believed where there are no keys; empty where neither.
        role: What it may do.
        proven: It may be listened to: signed where that is asked.
    """

    client: str
    role: Role
    proven: bool


def identify(message: Incoming, verb: Verb, claimed: str, signatures: Signatures) -> Sender:
    """Return the sender of a message whose body, or lease, names the client `claimed`."""
    if not signatures:
        return Sender(claimed, Role.OPERATOR, proven=True)
    key = signatures.signer(message)
    if key is not None:
        return Sender(key.client, key.role, proven=True)
    # A ping changes nothing, and who is to sign must first learn the time.
    return Sender("", Role.DRIVER, proven=verb is Verb.PING)


def permits(sender: Sender, verb: Verb, values: Mapping[str, Any], rules: AdmissionRules) -> bool:
    """Whether this sender may ask this: speak in that name, and do that, on a robot set up like this."""
    rows = {
        Verb.MOVE: rules.remote_motion,
        Verb.LEASE: rules.level is Level.LEASE
        and (sender.role is Role.OPERATOR or values.get("action") != Action.TAKE),
        Verb.RESET: True,  # the gate refuses those who may not, and burns what they tried
    }
    return verb is Verb.PING or (rows[verb] and values.get("client", sender.client) == sender.client)
