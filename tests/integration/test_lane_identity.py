"""Whether the broker takes the lane for its robot: mutual TLS, the shipped access rules, a real mosquitto.

mosquitto grants every subscription and delivers what the rules allow: without a proof the lane would believe it hears.
"""

from __future__ import annotations

import signal
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import trustme

from edgetwin.lane.link import LaneBroker
from edgetwin.sim.broker import find_mosquitto
from edgetwin.sim.ports import HeldPort, answers
from edgetwin.uplink.dial import dial
from tests.integration.lab import ROBOT_ID, Robot, Witness, until
from tests.integration.lane_lab import Base, Operator, Rig, rejoin

SHIPPED = (Path(__file__).parents[2] / "config" / "mosquitto.acl").read_text(encoding="utf-8")
OTHER_ID = "robot_002"
DEAF_MUTE = SHIPPED.replace("robot/%u/", "elsewhere/%u/")
MUTE = DEAF_MUTE + f"\nuser {ROBOT_ID}\ntopic read robot/{ROBOT_ID}/commands/+\n"
NO_RESPONSES = SHIPPED.replace("pattern write robot/%u/responses/#", "")
PROOF = f"robot/{ROBOT_ID}/backlog/link"


@dataclass(frozen=True, slots=True)
class Walled:
    """A broker with access rules; its plain port, where there are none, is the operator's."""

    process: subprocess.Popen[bytes]
    port: int
    plain_port: int
    folder: Path

    def rules(self, text: str) -> None:
        """Replace the rules, as somebody does with an editor and SIGHUP."""
        (self.folder / "acl").write_text(text, encoding="utf-8")
        self.process.send_signal(signal.SIGHUP)

    def rig(self, folder: Path, certificate: str) -> Rig:
        """Return a lane of ROBOT_ID with a certificate of that name."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.load_cert_chain(self.folder / f"{certificate}.pem", self.folder / f"{certificate}.key")
        where = LaneBroker(partial(dial, "localhost", self.port, context), rejoin, keepalive_s=5)
        return Rig(self.plain_port, folder, broker=where)


@pytest.fixture
def walled(tmp_path: Path) -> Iterator[Walled]:
    """A certificate for each of two robots, the rules as they are shipped."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for name in ("server", ROBOT_ID, OTHER_ID):
        certificate = authority.issue_cert("localhost", common_name=name)
        certificate.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        (tmp_path / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (tmp_path / "acl").write_text(SHIPPED, encoding="utf-8")
    with HeldPort() as tls, HeldPort() as plain:
        conf = tmp_path / "conf"
        conf.write_text(
            f"per_listener_settings true\nuser root\n"
            f"listener {tls.number} 127.0.0.1\ncafile {tmp_path}/ca.pem\ncertfile {tmp_path}/server.pem\n"
            f"keyfile {tmp_path}/server.key\nrequire_certificate true\nuse_identity_as_username true\n"
            f"allow_anonymous false\nacl_file {tmp_path}/acl\n"
            f"listener {plain.number} 127.0.0.1\nallow_anonymous true\n",
            encoding="utf-8",
        )
        with subprocess.Popen([find_mosquitto() or "mosquitto", "-c", str(conf)], stderr=subprocess.DEVNULL) as process:
            try:
                until(lambda: answers(plain.number) and answers(tls.number), "the broker")
                yield Walled(process, tls.number, plain.number, tmp_path)
            finally:
                process.terminate()


@pytest.fixture
def operator(walled: Walled) -> Iterator[Operator]:
    """A client at the broker's plain port."""
    made = Operator(walled.plain_port)
    yield made
    made.close()


def trouble(rig: Rig) -> str:
    """Why a link of the lane is down; empty while both are up."""
    figures = rig.lane.figures()
    return str(figures.get("link_problem") or "") if figures.get("link") == "down" else ""


def test_the_shipped_rules_prove_the_robot_of_that_certificate(
    walled: Walled, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Up, driven, stopped; the proof is a batch without a record, once for each connection."""
    with Witness(walled.plain_port) as witness, walled.rig(tmp_path, ROBOT_ID) as rig:
        Base(robot, rig.topic)
        rig.becomes("IDLE")
        moved = operator.move()
        stopped = operator.stop()
        proofs = [arrival for arrival in witness.arrivals if arrival.topic == PROOF]

    assert (moved["verdict"], stopped["verdict"]) == ("ACCEPTED", "STOPPED")
    assert [proof.records for proof in proofs] == [[], []]
    assert not any(proof.retain for proof in proofs)


def test_with_another_robots_certificate_no_link_is_up(
    walled: Walled, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """The subscriptions are granted and nothing is delivered: down, said once for each, with the cure; and kept."""
    rig = walled.rig(tmp_path, OTHER_ID)
    rig.lane.start()
    try:
        Base(robot, rig.topic)
        until(lambda: len(rig.notices("gate.link_down")) == 2, "a word about each connection")
        rig.becomes("IDLE")
        operator.send("move", {"id": "unheard", "linear": 0.3, "angular": 0.0})
        operator.send("stop", {"id": "unheard"})
        figures = rig.lane.figures()
        ups, downs = rig.notices("gate.link_up"), rig.notices("gate.link_down")
        alarms = [entry for entry in rig.entries() if entry.command == "alarm"]
    finally:
        rig.lane.stop()
        ended = rig.ended.wait(5)
        until(lambda: not rig.lane.running, "the end of the thread")
        rig.lane.close()

    assert ended
    assert (figures["link"], figures["received"]) == ("down", 0)
    assert figures["link_problem"].startswith(
        f"the broker lets us listen, but not speak as this robot, on {PROOF} (0x87); check this robot's user name"
    )
    assert ups == []
    assert {notice.fields["CONNECTION"] for notice in downs} == {"command", "stop"}
    assert [entry.code for entry in alarms] == ["NOT_READY", "NOT_READY"]
    assert not operator.acks_of("unheard")


def test_a_link_without_proof_still_stops(walled: Walled, robot: Robot, operator: Operator, tmp_path: Path) -> None:
    """Rules that let it listen but not speak: no move is accepted, and a stop that comes all the same is obeyed."""
    walled.rules(MUTE)
    rig = walled.rig(tmp_path, ROBOT_ID)
    rig.lane.start()
    try:
        base = Base(robot, rig.topic)
        until(lambda: len(rig.notices("gate.link_down")) == 2, "a word about each connection")
        rig.becomes("IDLE")
        operator.send("move", {"id": "unwanted", "linear": 0.3, "angular": 0.0})
        until(lambda: any(entry.id == "unwanted" for entry in rig.entries()), "the judgement of the move")
        refused = next(entry for entry in rig.entries() if entry.id == "unwanted")
        operator.send("stop")
        rig.becomes("HELD")
        until(lambda: base.heard, "a zero")
    finally:
        rig.lane.stop()
        rig.ended.wait(5)
        until(lambda: not rig.lane.running, "the end of the thread")
        rig.lane.close()

    assert (refused.verdict, refused.code) == ("REJECTED", "NOT_READY")
    assert "the stop connection to the broker is down" in refused.detail
    assert all(twist.zero for twist in base.heard)


def test_rules_that_change_under_a_running_lane_take_its_link_down_and_bring_it_back(
    walled: Walled, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """The first answer that the broker refuses is a doubt, which a proof settles; with the old rules it is up again."""
    with walled.rig(tmp_path, ROBOT_ID) as rig:
        Base(robot, rig.topic)
        rig.becomes("IDLE")
        walled.rules(MUTE)

        def found_out() -> bool:
            operator.send("ping", {"id": "anybody", "t_ms": 1})
            return "0x87" in trouble(rig)

        until(found_out, "the doubt, and its proof")
        walled.rules(SHIPPED)
        until(lambda: rig.lane.figures()["link"] == "up", "both links")
        again = operator.stop()

    assert again["verdict"] == "STOPPED"


def test_a_forbidden_response_topic_is_no_doubt_about_the_robot(
    walled: Walled, robot: Robot, operator: Operator, tmp_path: Path
) -> None:
    """Rules of one's own without response topics: the response is dropped and counted, the link stays up."""
    walled.rules(NO_RESPONSES)
    with walled.rig(tmp_path, ROBOT_ID) as rig, Witness(walled.plain_port) as witness:
        Base(robot, rig.topic)
        rig.becomes("IDLE")
        operator.ask("ping", {"t_ms": 1}, response_topic=f"robot/{ROBOT_ID}/responses/me")
        until(lambda: witness.on(PROOF), "another proof")
        operator.ask("ping", {"t_ms": 2})
        figures = rig.lane.figures()
        downs = rig.notices("gate.link_down")

    assert (figures["link"], figures["acks_dropped"], downs) == ("up", 1, [])
    assert operator.responses == []
