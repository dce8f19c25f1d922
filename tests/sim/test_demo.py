"""The demo: its script, its figures, its views; then the whole of it, as a user would start it."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest
import tomli_w

from edgetwin import cli, config
from edgetwin.motion import Verb
from edgetwin.records import ChannelClass, Encoding, EventKind
from edgetwin.sim.broker import find_broker
from edgetwin.sim.ports import free_domain
from edgetwin.sim.scene import Scene, columns, held_back, one_line, scene
from edgetwin.sim.script import ALL_S, plan
from edgetwin.sim.side_by_side import Apart, Pair
from edgetwin.sim.stage import ROBOT_ID, environment, settings
from edgetwin.sim.subscriber import Ledger
from edgetwin.sim.summary import Summary, summarise
from edgetwin.sim.view import open_view
from edgetwin.twin.age import Age
from edgetwin.wire import Numbering, Topics, batch, encode

_STATUS: dict[str, Any] = {
    "link": {"state": "down"},
    "outbox": {"records": 12, "oldest_s": 1.5},
    "channels": {
        "odom": {"in_hz": 50.0, "out_hz": 9.5, "held_back": 400},
        "imu": {"in_hz": 200.0, "out_hz": 50.0, "held_back": 1500},
    },
    "prognosis": {"left_motor": {"phase": "watching", "probability": 0.62}},
}
_PAIR = Pair((1.0, -2.0), (1.3, -1.6), Age.STALE, 4.2, 0.5)


def _ledger(*, live: int = 3, backlog: int = 2) -> Ledger:
    """A ledger of one channel: the first records by the backlog, the others live, 5 ms old."""
    ledger, topics = Ledger(ROBOT_ID), Topics(ROBOT_ID)
    numbering = Numbering(ROBOT_ID, "boot", topics.channel_lane("odom", ChannelClass.CRITICAL, Encoding.JSON, 1))
    bodies = [numbering.number(b"{}", stamp_us=0, recv_us=0, now_ns=0).body for _ in range(live + backlog)]
    ledger.take(topics.backlog("odom"), batch(ROBOT_ID, bodies[:backlog]), (), arrived_us=9_000_000)
    for body in bodies[backlog:]:
        ledger.take(topics.telemetry("odom"), body, (), arrived_us=5_000)
    return ledger


def _ack(ledger: Ledger, number: int, verb: Verb, verdict: str, code: str = "") -> None:
    """Enter an answer of the robot."""
    words = {"command": verb, "verdict": verdict, "code": code or verdict, "detail": "", "state": "HELD", "stop_id": ""}
    ledger.take(Topics(ROBOT_ID).acks, orjson.dumps({"id": f"x-{number}"} | words), (), arrived_us=0)


def _event(ledger: Ledger, kind: EventKind, *data: dict[str, str]) -> None:
    """Enter events of one kind."""
    topics = Topics(ROBOT_ID)
    numbering = Numbering(ROBOT_ID, "boot", topics.event_lane(kind))
    for one in data:
        body = numbering.number(encode(one), stamp_us=0, recv_us=0, now_ns=0).body
        for _ in range(2):  # at least once permits it
            ledger.take(topics.events(kind), body, (), arrived_us=0)


def _scene(**changes: Any) -> Scene:
    given: dict[str, Any] = {"elapsed_s": 7.0, "seconds": 40.0, "narration": "All is well."}
    return scene(_STATUS, _ledger(), **(given | changes))


def _summary(**changes: Any) -> Summary:
    given: dict[str, Any] = {"seconds": 20.0, "outage_s": 5.0, "live_again_s": 0.4}
    return summarise(_ledger(), _STATUS | {"outbox": {"records": 0}}, Apart(), **(given | changes))


@pytest.mark.parametrize("seconds", [0.5, 3.0, 8.0, 12.0, 20.0, 40.0, 3600.0])
def test_the_outage_lies_in_the_middle(seconds: float) -> None:
    """There is a link before it and after it, and it lasts 3 s at least where there is room for them."""
    script = plan(seconds)

    assert script.pull_s == pytest.approx(0.35 * seconds)
    assert script.pull_s + script.outage_s <= 0.75 * seconds + 1e-9
    assert script.outage_s >= 3.0 or seconds < 7.5


@pytest.mark.parametrize("seconds", [0.5, 10.0, 16.0, 20.0, 27.0, ALL_S, 40.0, 3600.0])
def test_a_scene_is_played_whole_or_left_out_and_named(seconds: float) -> None:
    """The operator has gone before the pull, the wear is seen before the end; what does not fit is told."""
    script = plan(seconds)

    assert script.drive_s is None or script.drive_s + 8.0 < script.pull_s
    assert script.wear_s is None or script.pull_s + script.outage_s < script.wear_s < seconds - 6.0
    assert (script.left_out == "") == (script.drive_s is not None and script.wear_s is not None)
    assert seconds < ALL_S or script.left_out == ""


def test_the_settings_of_the_demo_are_accepted(tmp_path: Path) -> None:
    """The daemon's own loader takes them, without a fault."""
    path = tmp_path / "edgetwin.toml"
    path.write_text(tomli_w.dumps(settings(1883, tmp_path)), encoding="utf-8")
    loaded = config.load(path, {}).settings

    assert set(loaded.channels) == {"odom", "joint_states", "imu", "scan", "battery"}
    assert loaded.mqtt.port == 1883
    assert loaded.gate.remote_motion


def test_the_user_s_own_settings_stay_outside() -> None:
    """The demo's processes see nothing of a robot that is configured on this machine, and reach no other host."""
    user = {"EDGETWIN_MQTT__HOST": "broker.example", "CREDENTIALS_DIRECTORY": "c", "PATH": "p", "ROS_DOMAIN_ID": "7"}
    environ = environment(Path("folder"), user, domain=24)

    assert environ["PATH"] == "p"
    assert not {"EDGETWIN_MQTT__HOST", "CREDENTIALS_DIRECTORY"} & set(environ)
    assert environ["ROS_DOMAIN_ID"] == "24"
    assert environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert environ["FASTDDS_BUILTIN_TRANSPORTS"] == "UDPv4"


def test_a_domain_with_somebody_in_it_is_not_taken() -> None:
    """A participant's port is taken: the next domain it is; and the ids go round from 100 to 1."""
    domain = free_domain(40)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(("127.0.0.1", 7410 + 250 * domain))
        other = free_domain(domain - 1)

    assert 1 <= domain <= 100
    assert other != domain
    assert 1 <= free_domain(4_194_304) <= 100


def test_a_scene_joins_both_ends() -> None:
    """What ROS gives and what is held back come from the daemon, what arrived from the cloud."""
    now = _scene(pair=_PAIR)
    odom, imu = now.rows

    assert (now.link, now.waiting, now.oldest_s, now.missing) == ("down", 12, 1.5, 0)
    assert (odom.in_hz, odom.held_back, odom.live, odom.backlog) == (50.0, 400, 3, 2)
    assert (imu.live, imu.backlog) == (0, 0)
    assert now.latency_p50_ms == pytest.approx(5.0)
    assert (now.alerts, now.prognosis, now.gate, now.pair) == (0, 0.62, "", _PAIR)


def test_a_daemon_that_has_said_nothing_yet_is_starting() -> None:
    """Every key is optional."""
    now = scene({}, Ledger(ROBOT_ID), elapsed_s=0.0, seconds=40.0, narration="")

    assert (now.alerts, now.prognosis, now.gate, now.pair) == (0, None, "", None)
    assert one_line(now).endswith("alerts 0  failure -")
    assert (now.link, now.waiting, now.rows, now.latency_p50_ms) == ("starting", 0, (), None)
    assert "p50 -" in one_line(now)
    assert held_back({"channels": {"odom": {}}}) == 0


def test_columns_line_up() -> None:
    """Names to the left, figures to the right."""
    assert columns([("a", "count"), ("long", "1")]) == ["a     count", "long      1"]


def test_the_summary_has_the_names_of_the_public_interface() -> None:
    """Scripts read these."""
    figures = _summary().as_json()

    assert figures["latency_ms"] == {"p50": 5.0, "p99": 5.0}
    assert {key: figures[key] for key in ("seconds", "published", "held_back", "backlog", "lost", "duplicates")} == {
        "seconds": 20.0, "published": 5, "held_back": 1900, "backlog": 2, "lost": 0, "duplicates": 0,
    }  # fmt: skip
    assert (figures["alerts"], figures["commands"], figures["outage_s"]) == (0, 0, 5.0)
    json.dumps(figures, allow_nan=False)


def test_alerts_and_failures_are_those_that_were_raised_and_arrived() -> None:
    """Each once, whatever comes twice; a cleared one is none; their causes are in the summary."""
    ledger = _ledger()
    raised = {"state": "raised", "cause": "left/right effort 2.0, usual 1.0"}
    _event(ledger, EventKind.ANOMALY, raised, {"state": "cleared", "cause": "left/right"}, raised)
    _event(ledger, EventKind.FAILURE, {"state": "raised", "text": "a failure within 6 s"}, {"state": "cleared"})
    verdict = summarise(ledger, {}, Apart(), seconds=1.0, outage_s=0.0, live_again_s=None, probability=0.9)
    figures, text = verdict.as_json(), "\n".join(verdict.lines())

    assert (figures["alerts"], figures["failures"], figures["probability_max"]) == (2, 1, 0.9)
    assert "Alert: left/right effort 2.0, usual 1.0." in text
    assert "Failure announced: a failure within 6 s." in text
    assert scene({}, ledger, elapsed_s=0.0, seconds=1.0, narration="").alerts == 2


def test_commands_are_counted_by_their_acks() -> None:
    """Clamped is accepted; what is neither is refused, by code; pings ask for nothing; a repeated ack is one."""
    ledger = _ledger()
    verdicts = ["ACCEPTED", "CLAMPED", "REJECTED", "REJECTED"]
    for number, word in enumerate(verdicts):
        _ack(ledger, number, Verb.MOVE, word, "GEOFENCE")
        _ack(ledger, number, Verb.MOVE, word, "GEOFENCE")
    _ack(ledger, 5, Verb.STOP, "STOPPED")
    _ack(ledger, 6, Verb.PING, "OK")
    verdict = summarise(ledger, {}, Apart(), seconds=1.0, outage_s=0.0, live_again_s=None)
    figures = verdict.as_json()

    assert [figures[key] for key in ("commands", "accepted", "refused", "stops")] == [5, 2, 2, 1]
    assert "refused (GEOFENCE 2)" in "\n".join(verdict.lines())
    assert scene({}, ledger, elapsed_s=0.0, seconds=1.0, narration="").gate == "HELD"


def test_the_twin_is_judged_apart_with_and_without_a_link() -> None:
    """Nothing of the outage enters the figure of the link, and the other way round."""
    apart = Apart()
    apart.note(Pair((0.0, 0.0), (0.0, 0.1), Age.LIVE, 0.2, 0.1), cut=False)
    apart.note(_PAIR, cut=True)
    judged = summarise(_ledger(), {}, apart, seconds=1.0, outage_s=0.0, live_again_s=None)

    assert judged.as_json()["twin"] == {"error_p95_m": 0.1, "error_outage_max_m": 0.5, "lag_outage_max_s": 4.2}
    assert _summary().as_json()["twin"]["error_p95_m"] is None
    assert "0.50 m off and 4.2 s old" in "\n".join(judged.lines())


def test_a_summary_names_what_must_not_be() -> None:
    """Losses, leftovers and foreign messages; nothing else is a fault."""
    ledger = _ledger()
    ledger.take(Topics(ROBOT_ID).telemetry("odom"), b"foreign", (), arrived_us=0)
    bad = summarise(ledger, _STATUS, Apart(), seconds=20.0, outage_s=5.0, live_again_s=None)

    assert _summary().faults == []
    assert bad.faults == ["12 records still wait in the outbox", "1 messages could not be read"]


def test_a_gap_at_the_very_end_counts_as_lost() -> None:
    """Seven were numbered, five arrived: no later number would ever show the hole."""
    status = {"boot": "boot", "channels": {"odom": {"published": 7}, "imu": {"published": 1}}}
    cut = summarise(_ledger(), status, Apart(), seconds=20.0, outage_s=5.0, live_again_s=0.4)

    assert cut.lost == 3
    assert cut.faults == ["3 records are missing"]


def test_a_summary_can_be_read_without_json() -> None:
    """The table names every channel, the sentences the verdict."""
    text = "\n".join(_summary().lines())

    assert "odom" in text
    assert "imu" in text
    assert "Lost: 0." in text
    assert "live again after 0.40 s" in text


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_plain_lines() -> None:
    """The story once, the figures every two seconds, no control characters."""
    out = io.StringIO()
    with open_view(out) as show:
        for tenths in range(50):
            show(_scene(elapsed_s=tenths / 10, pair=_PAIR))

    assert "failure 62 %" in out.getvalue()
    assert out.getvalue().count("0.50 m apart; the twin is stale, 4.2 s old") == 3
    assert out.getvalue().count("All is well.") == 1
    assert out.getvalue().count("link down") == 3
    assert "\x1b" not in out.getvalue()


def test_a_terminal_gets_a_live_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Narration, link, outbox, every channel."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    out = _Terminal()
    with open_view(out) as show:
        show(_scene(pair=_PAIR))

    for words in ("All is well.", "down", "12", "oldest 1.5 s", "odom", "imu", "1,500", "62 %", "the twin is stale"):
        assert words in out.getvalue()


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon", ""])
def test_a_length_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the line names the option."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["demo", f"--seconds={text}"])

    assert caught.value.code == 2
    assert "--seconds" in capsys.readouterr().err


def _start(mark: str, seconds: str, **environ: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgetwin", "demo", "--seconds", seconds, "--json"]
    marked = os.environ | {"DEMO_TEST_MARK": mark} | environ
    return subprocess.Popen(command, env=marked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _marked(mark: str) -> list[str]:
    """Return the command lines of all living processes that carry the mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"DEMO_TEST_MARK={mark}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # gone, or not ours
            continue
    return found


def test_the_demo_loses_nothing_through_its_outage() -> None:
    """Exit 0; the last line is the summary: both lanes, none lost; no process is left; short, and says so."""
    mark = uuid.uuid4().hex
    with _start(mark, "10") as process:
        out, said = process.communicate(timeout=90)

    assert process.returncode == 0, said
    figures = json.loads(out.splitlines()[-1])
    assert (figures["lost"], figures["waiting"], figures["alerts"], figures["commands"]) == (0, 0, 0, 0)
    assert "Too short for the operator and the motor that wears out" in said
    assert figures["twin"]["lag_outage_max_s"] > 3.0
    assert figures["published"] > 1000
    assert figures["backlog"] > 100
    assert figures["held_back"] > 500
    assert 3.0 <= figures["outage_s"] < 4.0
    assert figures["live_again_s"] < 3.0
    assert 0.0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p99"]
    assert "pulled now" in said
    assert _marked(mark) == []


def test_a_whole_demo_is_driven_stopped_and_sees_the_motor_wear_out() -> None:
    """Moves are obeyed and one is refused, a stop is reset; the wear is an alert and a failure foretold."""
    with _start(uuid.uuid4().hex, f"{ALL_S}") as process:
        out, said = process.communicate(timeout=110)

    assert process.returncode == 0, said
    figures = json.loads(out.splitlines()[-1])
    assert figures["lost"] == 0
    assert figures["accepted"] >= 10
    assert figures["stops"] == 1
    assert "for 50 m/s: refused: OUT_OF_RANGE" in said
    assert "Reset in two steps" in said
    assert figures["commands"] > figures["accepted"] + figures["refused"] + figures["stops"]  # lease and reset, too
    assert figures["alerts"] == 1
    assert said.index("wears out now") < said.index("Alert: left_wheel_joint/right_wheel_joint effort")
    assert figures["failures"] >= 1
    assert figures["probability_max"] > 0.5
    assert figures["twin"]["error_p95_m"] < figures["twin"]["error_outage_max_m"]


@pytest.mark.parametrize(
    ("signum", "code", "moment"), [(signal.SIGINT, 130, "All is well"), (signal.SIGTERM, 143, "takes the lease")]
)
def test_an_interrupted_demo_takes_its_processes_with_it(signum: signal.Signals, code: int, moment: str) -> None:
    """Broker, robot, daemon and training are gone when it is; no traceback."""
    mark = uuid.uuid4().hex
    with _start(mark, "60") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if moment in line:
                break
        running = _marked(mark)
        process.send_signal(signum)
        _, said = process.communicate(timeout=20)

    for part in ("edgetwin demo", "edgetwin.sim.robot", "edgetwin run", str(find_broker())):
        assert any(part in line for line in running), running
    assert (process.returncode, _marked(mark)) == (code, [])
    assert "Traceback" not in said


def test_a_part_that_ends_early_is_named_with_its_last_words() -> None:
    """Exit 1, one clear message, nothing left behind."""
    mark = uuid.uuid4().hex
    with _start(mark, "60", RMW_IMPLEMENTATION="rmw_nonsense_cpp") as process:
        _, said = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "ended early" in said
    assert "rmw_nonsense_cpp" in said
    assert "Traceback" not in said
    assert _marked(mark) == []
