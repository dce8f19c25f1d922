"""Commands as bytes: held against the robot's own admission, which is the one that must take them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from edgetwin import wire
from edgetwin.command.admission import Admission as Judge
from edgetwin.command.incoming import Incoming, Moment
from edgetwin.command.outcome import Admitted, Answered, Refused, ResetAsked
from edgetwin.command.rules import AdmissionRules, Level, OperatorKey, Role
from edgetwin.drive.requests import Admission, Request, Requests
from edgetwin.drive.robot_clock import RobotClock
from edgetwin.drive.signing import Signer, signer_from
from edgetwin.errors import RefusedError
from edgetwin.motion import Reason, Twist

TOPICS = wire.Topics("robot_001")
TWIST = Twist(0.25, -0.5)
MS = 1_000_000
ROBOT_AHEAD_NS = 7_000_000 * MS


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now, self.stamp = 10_000 * MS, 1_790_000_000_000 * MS

    def now_ns(self) -> int:
        """Monotonic."""
        return self.now

    def stamp_ns(self) -> int:
        """Wall."""
        return self.stamp


def moment(hands: Hands) -> Moment:
    """Return that moment at the robot: another monotonic clock, the same wall clock."""
    return Moment(hands.now + ROBOT_AHEAD_NS, hands.stamp // 1_000, 1 * MS)


def judge_of(hands: Hands, level: Level, keys: dict[str, OperatorKey] | None = None) -> Judge:
    """Return the admission of a robot that began a minute ago."""
    rules = AdmissionRules(level, "robot_001", TOPICS.root, keys=keys or {}, remote_motion=True)
    began = replace(moment(hands), now_ns=moment(hands).now_ns - 60_000 * MS)
    return Judge(rules, "seed", began)


def incoming(request: Request | None) -> Incoming:
    """Return a request as the robot receives it."""
    assert request is not None
    return Incoming(request.topic, request.payload, False, request.expiry_s, request.properties)  # noqa: FBT003


def synchronised(hands: Hands) -> RobotClock:
    """Return the robot's clock after a ping of 4 ms."""
    clock = RobotClock()
    clock.note(hands.now - 4 * MS, hands.now, (hands.now - 2 * MS + ROBOT_AHEAD_NS) // MS)
    return clock


@pytest.fixture
def hands() -> Hands:
    """A clock."""
    return Hands()


def requests_of(hands: Hands, admission: Admission, signer: Signer | None = None, name: str = "anna") -> Requests:
    """Return a client's requests."""
    return Requests(TOPICS, name, admission, hands, signer)


def test_a_leased_move_is_admitted(hands: Hands) -> None:
    """Acquire, take over the epoch, move twice: on the robot's clock, with rising numbers."""
    judge, requests = judge_of(hands, Level.LEASE), requests_of(hands, Admission.LEASE)
    granted = judge.judge(incoming(requests.lease("acquire")), moment(hands))
    assert isinstance(granted, Answered)
    requests.epoch = str(granted.extra["epoch"])

    for _ in range(2):
        hands.now += 50 * MS
        admitted = judge.judge(incoming(requests.move(TWIST, synchronised(hands))), moment(hands))
        assert isinstance(admitted, Admitted), admitted
        assert admitted.move.twist == TWIST
    assert isinstance(judge.judge(incoming(requests.lease("renew")), moment(hands)), Answered)
    assert isinstance(judge.judge(incoming(requests.lease("release")), moment(hands)), Answered)


def test_without_lease_or_time_there_is_no_leased_move(hands: Hands) -> None:
    """Nothing leaves that would be refused anyway."""
    requests = requests_of(hands, Admission.LEASE)

    assert requests.move(TWIST, synchronised(hands)) is None
    requests.epoch = "1-x"
    assert requests.move(TWIST, RobotClock()) is None
    assert requests.move(TWIST, synchronised(hands)) is not None


def test_a_move_that_waited_too_long_is_refused_by_the_robot(hands: Hands) -> None:
    """Its stamp is the moment of sending: half a second later it is old."""
    judge, requests = judge_of(hands, Level.LEASE), requests_of(hands, Admission.LEASE)
    granted = judge.judge(incoming(requests.lease("acquire")), moment(hands))
    assert isinstance(granted, Answered)
    requests.epoch = str(granted.extra["epoch"])
    move = incoming(requests.move(TWIST, synchronised(hands)))
    hands.now += 501 * MS

    refused = judge.judge(move, moment(hands))
    assert isinstance(refused, Refused)
    assert refused.reasons == (Reason.EXPIRED,)


def test_stamped_moves_are_admitted_also_by_the_next_process(hands: Hands) -> None:
    """Numbers rise over a restart of the client: they begin at the wall clock."""
    judge = judge_of(hands, Level.STAMPED)
    for _ in range(3):
        requests = requests_of(hands, Admission.STAMPED)
        for _ in range(10):
            hands.stamp += 50 * MS
            hands.now += 50 * MS
            admitted = judge.judge(incoming(requests.move(TWIST, RobotClock())), moment(hands))
            assert isinstance(admitted, Admitted), admitted


def test_open_moves_carry_nothing_but_what_is_wanted(hands: Hands) -> None:
    """And are admitted."""
    request = requests_of(hands, Admission.OPEN).move(TWIST, RobotClock())
    assert request is not None
    body = json.loads(request.payload)

    assert body == {"id": request.id, "linear": 0.25, "angular": -0.5}
    assert isinstance(judge_of(hands, Level.OPEN).judge(incoming(request), moment(hands)), Admitted)


@pytest.mark.parametrize("level", list(Admission))
def test_ping_and_reset_are_understood_at_every_level(hands: Hands, level: Admission) -> None:
    """A ping is answered; a reset reaches the gate, with and without nonce, under the same client."""
    judge, requests = judge_of(hands, Level(level)), requests_of(hands, level)
    first = judge.judge(incoming(requests.reset("stop-1")), moment(hands))
    second = judge.judge(incoming(requests.reset("stop-1", "n0")), moment(hands))

    assert isinstance(judge.judge(incoming(requests.ping()), moment(hands)), Answered)
    assert isinstance(first, ResetAsked)
    assert isinstance(second, ResetAsked)
    assert (first.client, first.stop_id, first.nonce) == ("anna", "stop-1", None)
    assert (second.client, second.stop_id, second.nonce) == ("anna", "stop-1", "n0")


def test_qos_and_expiry_are_those_of_the_verb(hands: Hands) -> None:
    """Moves and pings are not repeated and grow old; a stop is repeated and never does."""
    requests = requests_of(hands, Admission.OPEN)
    move = requests.move(TWIST, RobotClock())
    assert move is not None

    assert [(one.qos, one.expiry_s) for one in (move, requests.ping())] == [(0, 1), (0, 1)]
    assert [(one.qos, one.expiry_s) for one in (requests.lease("acquire"), requests.reset("x"))] == [(1, 1), (1, 1)]
    assert (requests.stop().qos, requests.stop().expiry_s) == (1, None)
    assert requests.stop().topic == "robot/robot_001/commands/stop"


def test_ids_are_never_used_twice_not_even_by_two_clients(hands: Hands) -> None:
    """A hundred of each."""
    both = [requests_of(hands, Admission.OPEN) for _ in range(2)]
    ids = [requests.ping().id for requests in both for _ in range(100)]

    assert len(set(ids)) == 200


def test_signed_commands_are_admitted_and_unsigned_ones_are_not(hands: Hands) -> None:
    """Under an operator's key: lease, move, reset; the ping needs none."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    judge = judge_of(hands, Level.LEASE, {"anna": OperatorKey(public, "anna", Role.OPERATOR)})
    signed = requests_of(hands, Admission.LEASE, Signer("anna", private))
    unsigned = requests_of(hands, Admission.LEASE)
    forged = requests_of(hands, Admission.LEASE, Signer("anna", Ed25519PrivateKey.generate()))

    for requests in (unsigned, forged):
        refused = judge.judge(incoming(requests.lease("acquire")), moment(hands))
        assert isinstance(refused, Refused)
        assert refused.reasons[0] is Reason.BAD_SIG
    granted = judge.judge(incoming(signed.lease("acquire")), moment(hands))
    assert isinstance(granted, Answered)
    signed.epoch = str(granted.extra["epoch"])
    assert isinstance(judge.judge(incoming(signed.move(TWIST, synchronised(hands))), moment(hands)), Admitted)
    asked = judge.judge(incoming(signed.reset("x")), moment(hands))
    assert isinstance(asked, ResetAsked)
    assert asked.may_reset
    assert isinstance(judge.judge(incoming(unsigned.ping()), moment(hands)), Answered)


def test_a_key_file_is_read(tmp_path: Path) -> None:
    """PEM, as openssl makes it."""
    private = Ed25519PrivateKey.generate()
    file = tmp_path / "anna.pem"
    file.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    assert signer_from(file, "anna").properties("t", b"p") == Signer("anna", private).properties("t", b"p")


def _encrypted() -> bytes:
    form = PrivateFormat.PKCS8
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"x"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "holds no private key that can be read"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds no private key that can be read"),
        (_encrypted(), "holds no private key that can be read"),
        (
            X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "is not an Ed25519 key",
        ),
    ],
)
def test_a_file_that_is_no_such_key_is_a_fault(tmp_path: Path, content: bytes | None, says: str) -> None:
    """Each says what to do."""
    file = tmp_path / "anna.pem"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(RefusedError) as refused:
        signer_from(file, "anna")
    (fault,) = refused.value.faults
    assert fault.where == "--key"
    assert says in fault.what
    assert "openssl genpkey -algorithm ed25519" in fault.cure
