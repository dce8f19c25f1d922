"""Command lane: where commands come in and answers go out.

In: messages of the two connections     Out: exactly one final ack for each, on the connection it came by
The stop connection: a stop is acted on when its topic is read; its message, when it is whole, is only answered.
The command connection: an inbox, a few messages a turn. It is never the way of a stop. When more moves come than can
be judged, the oldest are refused unjudged: the newest are what counts.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgetwin import wire
from edgetwin.command.admission import Admission
from edgetwin.command.body import client_of, parse_id
from edgetwin.command.incoming import Incoming, Moment
from edgetwin.command.outcome import Admitted, Answered, Refused, Repeated, ResetAsked
from edgetwin.command.rules import AdmissionRules
from edgetwin.gate.events import ResetConfirm, ResetRequest
from edgetwin.lane.gatehouse import Asker, Gatehouse
from edgetwin.lane.ledger import DecisionEntry, Ledger
from edgetwin.lane.moment import Moments
from edgetwin.lane.stream import Arrival
from edgetwin.motion import Answer, Move, Reason, Verb, Verdict

_MOVES_MAX = 64
_OTHERS_MAX = 64
_PER_TURN = 8
_STARTING_MAX = 16
_START_TIMEOUT_S = 0.5
_NONCE_BYTES = 8
_SNAPSHOT_S = 1.0
_STOPPER = Asker(str(Verb.STOP))

Publish = Callable[[str, bytes, bytes], None]  # topic, payload, correlation data


@dataclass(frozen=True, slots=True)
class Reply:
    """Where an answer goes besides the ack topic."""

    command: Verb | None
    response_topic: str
    correlation: bytes


@dataclass(frozen=True, slots=True)
class Post:
    """How answers leave: one publisher for each connection, and whether the stop connection is up."""

    by_command: Publish
    by_stop: Publish
    can_stop: Callable[[], bool]


class Desk:
    """One robot's desk, on the lane's loop.

    Attributes:
        received: Commands that came, stops included.
        overrun: Commands refused unjudged, because newer ones waited.
        snapshot: What admission wants to find again after a restart; a new one each time, at most a second behind.
    """

    def __init__(
        self, rules: AdmissionRules, topics: wire.Topics, admission: Admission, gatehouse: Gatehouse, post: Post,
        moments: Moments, ledger: Ledger,
    ) -> None:  # fmt: skip
        self.received = 0
        self.overrun = 0
        self.snapshot = admission.snapshot()
        self._snapshot_timer: asyncio.TimerHandle | None = None
        self._rules = rules
        self._topics = topics
        self._stop_topic = topics.command(Verb.STOP).encode()
        self._verbs = {topics.command(verb): verb for verb in Verb}
        self._admission = admission
        self._gatehouse = gatehouse
        self._post = post
        self._moments = moments
        self._ledger = ledger
        self._loop = asyncio.get_running_loop()
        self._moves: deque[Arrival] = deque()
        self._others: deque[Arrival] = deque()
        self._draining = False
        self._stopped: deque[Answer] = deque()
        self._starting: deque[tuple[Move, Reply]] = deque()  # moves that would begin a drive, before the disk says yes
        self._start_timer: asyncio.TimerHandle | None = None

    def topic_seen(self, topic: bytes) -> None:
        """Stop, if this is the stop topic: nothing else of the message is known, and nothing else is needed."""
        if topic == self._stop_topic:
            self._stopped.append(self._gatehouse.stop(_STOPPER))
            self._judge_starting()

    def stop_arrived(self, arrival: Arrival) -> None:
        """Answer a stop that was acted on before."""
        self.received += 1
        reply = _reply(Verb.STOP, arrival)
        name = parse_id(arrival.payload, self._rules) if not arrival.cut else ""
        answer = self._stopped.popleft() if self._stopped else self._gatehouse.stop(_STOPPER)
        self._send(reply, self._ack(name, reply, answer), self._post.by_stop)
        client = client_of(arrival.payload, self._rules) if not arrival.cut else ""
        if name or client:  # the audit has had the stop itself since its topic was read; this is who says it was theirs
            self._ledger.keep(self._entry(reply, name, client, answer, self._moments.now()))

    def stop_link_lost(self) -> None:
        """A stop that was acted on, but whose message did not come whole, is not answered."""
        self._stopped.clear()

    def arrived(self, arrival: Arrival) -> None:
        """Take any other command; it is judged within this turn of the loop or the next ones."""
        self.received += 1
        inbox, most = (
            (self._moves, _MOVES_MAX)
            if self._verbs.get(arrival.topic) is Verb.MOVE
            else (self._others, _OTHERS_MAX)
        )  # fmt: skip
        if len(inbox) >= most:
            self._refuse_unjudged(inbox.popleft())
        inbox.append(arrival)
        if not self._draining:
            self._draining = True
            self._loop.call_soon(self._drain)

    def latch_written(self) -> None:
        """The disk has spoken: begin the drive that waited for it, or not."""
        keeper = self._gatehouse.keeper
        if keeper.problem is not None:
            self._refuse_starting(keeper.problem)
        elif keeper.may_drive:
            self._judge_starting()

    def close(self) -> None:
        """Answer what still waits."""
        if self._snapshot_timer is not None:
            self._snapshot_timer.cancel()
        self._snap()
        self._judge_starting()

    def _snap(self) -> None:
        self._snapshot_timer = None
        self.snapshot = self._admission.snapshot()

    def _drain(self) -> None:
        for _ in range(_PER_TURN):
            inbox = self._others or self._moves
            if not inbox:
                self._draining = False
                return
            self._judge(inbox.popleft())
        self._loop.call_soon(self._drain)

    def _judge(self, arrival: Arrival) -> None:
        moment = self._moments.now()
        properties = arrival.properties
        message = Incoming(arrival.topic, arrival.payload, arrival.retain, properties.expiry_s, properties.user)
        outcome = self._admission.judge(message, moment)
        if self._snapshot_timer is None:
            self._snapshot_timer = self._loop.call_later(_SNAPSHOT_S, self._snap)
        if not isinstance(outcome, Admitted):  # it may have ended a lease, or given it to somebody else
            self._gatehouse.lease_changed()
        reply = _reply(self._verbs.get(arrival.topic), arrival)
        match outcome:
            case Admitted():
                self._move(outcome.move, reply)
            case Refused():
                answer = Answer(Verdict.REJECTED, outcome.reasons[0], outcome.detail, outcome.reasons)
                self._record(reply, outcome.id, outcome.client, answer, moment)
                self._settle(reply, outcome.id, answer)
            case Repeated():
                answer = Answer(Verdict.DUPLICATE, Reason.DUPLICATE, reasons=(Reason.DUPLICATE,))
                self._record(reply, outcome.id, outcome.client, answer, moment)
                self._send(reply, outcome.ack, self._post.by_command)
            case Answered():
                if outcome.verb is not Verb.PING:
                    self._record(reply, outcome.id, outcome.client, outcome.answer, moment)
                self._settle(reply, outcome.id, outcome.answer, outcome.extra)
            case ResetAsked():
                self._reset(outcome, reply)

    def _move(self, move: Move, reply: Reply) -> None:
        if not self._post.can_stop():
            detail = "the stop connection to the broker is down; nothing moves that cannot be stopped"
            self._refuse_move(move, reply, detail)
            return
        answer = self._gatehouse.ask(move, Asker(str(reply.command or ""), move.id, move.client))
        if answer is not None:
            self._settle(reply, move.id, answer)
            return
        if len(self._starting) >= _STARTING_MAX:
            self._refuse_move(*self._starting.popleft(), "newer moves wait for the same drive")
        self._starting.append((move, reply))
        if self._start_timer is None:
            self._start_timer = self._loop.call_later(_START_TIMEOUT_S, self._start_timed_out)

    def _reset(self, asked: ResetAsked, reply: Reply) -> None:
        asker = Asker(str(reply.command or ""), asked.id, asked.client)
        if asked.nonce is None:
            nonce = secrets.token_hex(_NONCE_BYTES)
            decision = self._gatehouse.step(
                ResetRequest(asked.client, asked.stop_id, nonce, asked.may_reset), asker
            )  # fmt: skip
        else:
            decision = self._gatehouse.step(ResetConfirm(asked.client, asked.stop_id, asked.nonce), asker)
        if decision.answer is not None:
            self._settle(reply, asked.id, decision.answer)

    def _judge_starting(self) -> None:
        """Have the gate judge the moves that waited, on the facts of now; after a stop that is a refusal of each."""
        waited, self._starting = self._starting, deque()
        self._end_of_start()
        for move, reply in waited:
            self._move(move, reply)
        if waited and not self._starting:  # driving by now, or refused: nobody waits for the marker any more
            self._gatehouse.keeper.give_up(self._gatehouse.memory)

    def _refuse_starting(self, why: str) -> None:
        waited, self._starting = self._starting, deque()
        self._end_of_start()
        for move, reply in waited:
            self._refuse_move(move, reply, f"the start of a drive must be on disk first: {why}")
        self._gatehouse.keeper.give_up(self._gatehouse.memory)

    def _start_timed_out(self) -> None:
        self._refuse_starting("the disk did not take it in time")

    def _end_of_start(self) -> None:
        if self._start_timer is not None:
            self._start_timer.cancel()
            self._start_timer = None

    def _refuse_move(self, move: Move, reply: Reply, detail: str) -> None:
        answer = Answer(Verdict.REJECTED, Reason.NOT_READY, detail, (Reason.NOT_READY,))
        self._record(reply, move.id, move.client, answer, self._moments.now())
        self._settle(reply, move.id, answer)

    def _refuse_unjudged(self, arrival: Arrival) -> None:
        self.overrun += 1
        reply = _reply(self._verbs.get(arrival.topic), arrival)
        answer = Answer(Verdict.REJECTED, Reason.RATE_LIMIT, "newer commands wait", (Reason.RATE_LIMIT,))
        name = parse_id(arrival.payload, self._rules)
        self._record(reply, name, client_of(arrival.payload, self._rules), answer, self._moments.now())
        self._send(reply, self._ack(name, reply, answer), self._post.by_command)

    def _record(self, reply: Reply, name: str, client: str, answer: Answer, moment: Moment) -> None:
        self._ledger.enter(self._entry(reply, name, client, answer, moment))

    def _entry(self, reply: Reply, name: str, client: str, answer: Answer, moment: Moment) -> DecisionEntry:
        memory = self._gatehouse.memory
        return DecisionEntry(
            moment.stamp_us, moment.now_ns, str(reply.command or ""), name, client,
            answer.verdict, answer.code, answer.reasons, memory.state, memory.state,
            stop_id=memory.stop_id, detail=answer.detail,
        )  # fmt: skip

    def _settle(self, reply: Reply, name: str, answer: Answer, extra: Mapping[str, object] | None = None) -> None:
        ack = self._ack(name, reply, answer, extra)
        self._admission.settle(name, ack)
        self._send(reply, ack, self._post.by_command)

    def _ack(self, name: str, reply: Reply, answer: Answer, extra: Mapping[str, object] | None = None) -> bytes:
        stamp_us = self._moments.now().stamp_us
        state = self._gatehouse.memory.state
        return wire.ack(self._rules.robot_id, name, reply.command, answer, state, stamp_us, extra)

    def _send(self, reply: Reply, ack: bytes, publish: Publish) -> None:
        publish(self._topics.acks, ack, reply.correlation)
        if self._topics.may_respond_to(reply.response_topic):
            publish(reply.response_topic, ack, reply.correlation)


def _reply(command: Verb | None, arrival: Arrival) -> Reply:
    return Reply(command, arrival.properties.response_topic, arrival.properties.correlation)
