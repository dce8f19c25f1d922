"""Command room: who may ask what, and when. The tables are in `checks`; here facts are gathered and remembered.

In: Incoming, Moment     Out: Refused | Repeated | Answered | Admitted | ResetAsked
Pure: no I/O, no clock, no logging. Total: `judge` raises nothing, whatever it is given. What it remembers is bounded.

What is remembered of a refused message: its number, as soon as its sender is proven, so that it cannot pass later
under better conditions. Nothing else; refused traffic extends neither lease nor rate.

Row 14 is looked at before row 13: the same bytes under the same id are told again what they were told (a redelivery
is no attack, and has no effect either way); under a fresh id an old number is a REPLAY. Answers to what had an effect
and to what was refused are kept apart, so that refusals cannot flush the others out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgetwin.command import checks
from edgetwin.command.body import Action, Body, read
from edgetwin.command.checks import Age
from edgetwin.command.high_water import HighWater
from edgetwin.command.incoming import Incoming, Moment
from edgetwin.command.lease import Lease
from edgetwin.command.outcome import Admitted, Answered, Outcome, Refused, Repeated, ResetAsked
from edgetwin.command.rates import Rates
from edgetwin.command.repeats import Decided, Repeats, digest_of
from edgetwin.command.rules import MS, AdmissionRules, Level, Role
from edgetwin.command.senders import Sender, identify, permits
from edgetwin.command.signature import Signatures
from edgetwin.command.words import WORDS
from edgetwin.motion import Answer, Move, Reason, Twist, Verb, Verdict
from edgetwin.wire import command_topic

_US = 1_000  # ns


class Admission:
    """The admission of one robot: one object per lane, used by one thread."""

    def __init__(
        self, rules: AdmissionRules, epoch_seed: str, moment: Moment, memory: Mapping[str, Any] | None = None
    ) -> None:
        """Nobody holds the lease.

        Args:
            rules: Of this robot.
            epoch_seed: Random, of this process alone, so that no lease and no move outlives it.
            moment: Now; what is stamped earlier is refused.
            memory: The newest `snapshot` that reached the disk.

        Raises:
            ValueError: A key of an operator is not 32 bytes.
        """
        self._rules = rules
        self._topics = {command_topic(rules.root, verb): verb for verb in Verb if verb is not Verb.STOP}
        self._signatures = Signatures(rules.keys)
        self._lease = Lease(epoch_seed, rules.lease_ns)
        self._high_water = HighWater(rules.clients_max, memory)
        self._rates = Rates(rules.rate_hz, rules.rate_burst, rules.clients_max)
        self._repeats = Repeats(rules.ring)
        self._begin_ns = moment.now_ns
        self._moving_epoch = ""

    def judge(self, message: Incoming, moment: Moment) -> Outcome:
        """Return what becomes of one message that was received at `moment`.

        Raises:
            Nothing.
        """
        verb = self._topics.get(message.topic)
        if verb is None:
            return Refused("", None, "", (Reason.UNKNOWN_TOPIC,), WORDS[Reason.UNKNOWN_TOPIC])
        body = read(message.payload, verb, self._rules)
        table = checks.of_envelope(message, verb, self._rules) + checks.of_body(body)
        if not body.is_sound:
            return self._turned_away(verb, body, "", checks.tripped(table, self._rules))
        sender = identify(message, verb, self._claimed(verb, body), self._signatures)
        permitted = permits(sender, verb, body.values, self._rules)
        table += checks.of_sender(proven=sender.proven, permitted=permitted)
        if not sender.proven:
            return self._turned_away(verb, body, "", checks.tripped(table, self._rules))
        digest = digest_of(message.topic, message.payload)
        known = self._repeats.find(sender.client, body.id)
        same = next((one for one in known if one.digest == digest), None)
        if same is not None and Reason.DUPLICATE in self._rules.checks:
            return self._again(verb, body, sender.client, same)
        if verb is Verb.MOVE:
            table += self._of_move(body, sender.client, moment)
        lease = self._lease_refusal(verb, body, sender.client, moment.now_ns)
        table += checks.of_command(reused=any(one.digest != digest for one in known), lease=lease)
        reasons = checks.tripped(table, self._rules) or self._of_rate(verb, sender.client, moment.now_ns)
        self._repeats.add(sender.client, body.id, digest, had_effect=not reasons)
        if reasons:
            return self._refused(verb, body, sender.client, reasons)
        return self._done(verb, body, sender, moment)

    def settle(self, id: str, ack: bytes) -> None:  # noqa: A002  # the word of the wire
        """Keep the final ack of the newest command of this id, for its repetitions.

        Raises:
            ValueError: `ack` is none of ours.
        """
        self._repeats.settle(id, ack)

    def drop_lease(self, reason: Reason) -> None:
        """End the lease, whoever holds it: a stop, a local override."""
        self._lease.end(reason)

    def lease_trouble(self, now_ns: int) -> Reason | None:
        """Return why nothing may move for want of a lease; None where one is held and fresh, or none is needed.

        After the lease changed hands it is NO_LEASE until the new holder's first move: what the gate still follows
        was asked under the old one.
        """
        if self._rules.level is not Level.LEASE:
            return None
        if self._moving_epoch not in {"", self._lease.epoch}:
            return Reason.NO_LEASE
        return self._lease.trouble(now_ns)

    def snapshot(self) -> dict[str, Any]:
        """Return what must survive a restart, as JSON values."""
        return self._high_water.snapshot()

    def _claimed(self, verb: Verb, body: Body) -> str:
        """Return the client that a command says it is from: a move under `lease` says it by its epoch."""
        if verb is Verb.MOVE and self._rules.level is Level.LEASE:
            return self._lease.holder_of(body.values["epoch"])
        client: str = body.values.get("client", "")
        return client

    def _of_move(self, body: Body, client: str, moment: Moment) -> checks.Table:
        """Rows 10 to 13 of a move; its number counts as used from here on, whatever becomes of it."""
        rules, values = self._rules, body.values
        if rules.level is Level.OPEN:
            return ()
        ttl_ns = _ns(values["ttl_ms"]) if "ttl_ms" in values else rules.ttl_default_ns
        if rules.level is Level.STAMPED:
            stamp_ns = _ns(values["stamp_ms"])
            error_ns = 0 if rules.trust_clock else moment.clock_error_ns
            age = Age(moment.stamp_us * _US - stamp_ns, error_ns, ttl_ns)
            before_start = age.age_ns + (error_ns or 0) > moment.now_ns - self._begin_ns
            seen = self._high_water.is_replay(client, values["seq"], stamp_ns // _US)
            self._high_water.rise(client, values["seq"], stamp_ns // _US)
            return checks.of_age(age, rules) + checks.of_sequence(seen=seen, before_start=before_start)
        error_ns = _ns(values["eps_ms"]) if "eps_ms" in values else rules.clock_error_default_ns
        age = Age(moment.now_ns - _ns(values["t_ms"]), error_ns, ttl_ns)
        seen = self._lease.is_replay(client, values["epoch"], values["seq"])
        self._lease.rise(client, values["epoch"], values["seq"])
        return checks.of_age(age, rules) + checks.of_sequence(seen=seen, before_start=False)

    def _lease_refusal(self, verb: Verb, body: Body, client: str, now_ns: int) -> Reason | None:
        if verb is Verb.MOVE and self._rules.level is Level.LEASE:
            return self._lease.trouble_of(client, body.values["epoch"], now_ns)
        if verb is Verb.LEASE:
            return self._lease.refusal_of(Action(body.values["action"]), client, body.values.get("epoch"), now_ns)
        return None

    def _of_rate(self, verb: Verb, client: str, now_ns: int) -> tuple[Reason, ...]:
        """Row 15. Per verb, so that a flood of one leaves the others, above all the reset, alone."""
        if Reason.RATE_LIMIT not in self._rules.checks:
            return ()
        overrun_ns = self._rates.take((verb, client), now_ns)
        if overrun_ns is None:
            return ()
        if overrun_ns >= self._rules.rate_revoke_ns and client == self._lease.holder:
            self._lease.end(Reason.RATE_LIMIT)
        return (Reason.RATE_LIMIT,)

    def _done(self, verb: Verb, body: Body, sender: Sender, moment: Moment) -> Outcome:
        """Do what has passed every check."""
        values, client = body.values, sender.client
        if verb is Verb.MOVE:
            self._moving_epoch = self._lease.epoch
            duration_ns = _ns(values["duration_ms"]) if "duration_ms" in values else None
            return Admitted(
                Move(body.id, client, Twist(_plain(values["linear"]), _plain(values["angular"])), duration_ns)
            )
        if verb is Verb.RESET:
            may_reset = sender.role is Role.OPERATOR
            return ResetAsked(body.id, client, values["stop_id"], values.get("nonce"), may_reset)
        if verb is Verb.LEASE:
            extra = self._lease.do(Action(values["action"]), client, moment.now_ns)
            return Answered(body.id, verb, client, Answer(Verdict.OK, Reason.LEASE_OK), extra)
        extra = {"t_ms": values["t_ms"], "robot_ms": moment.now_ns // MS, "robot_us": moment.stamp_us}
        return Answered(body.id, verb, client, Answer(Verdict.OK, Reason.PONG), extra)

    def _again(self, verb: Verb, body: Body, client: str, decided: Decided) -> Outcome:
        if decided.ack is None:
            return self._turned_away(verb, body, client, (Reason.DUPLICATE,))
        return Repeated(body.id, verb, client, decided.ack)

    def _turned_away(self, verb: Verb, body: Body, client: str, reasons: tuple[Reason, ...]) -> Refused:
        """Refuse what is not kept: a message of nobody, or one that is being decided."""
        self._repeats.pass_over(body.id)
        return self._refused(verb, body, client, reasons)

    def _refused(self, verb: Verb, body: Body, client: str, reasons: tuple[Reason, ...]) -> Refused:
        worst = reasons[0]
        detail = body.flaws.get(worst) or WORDS[worst]
        if worst is Reason.NO_LEASE and self._lease.ended is not None:
            detail += f" (the last one was ended: {self._lease.ended})"
        return Refused(body.id, verb, client, reasons, detail)


def _ns(milliseconds: float) -> int:
    return round(milliseconds * MS)


def _plain(number: float) -> float:
    return float(number) + 0.0  # -0.0 becomes 0.0
