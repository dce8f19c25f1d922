"""The service on a machine that was just switched on: ready, forwarding, talking to the journal, shut in."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from tests.system.robot import SETTINGS, UNIT, Robot, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

_OFFLINE_SCORE_MAX = 15  # tenths
_US_PER_S = 1_000_000
_CLOCK_READER = """
import ctypes
timex = (ctypes.c_long * 64)()
state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
print("state", state, "errno", ctypes.get_errno())
"""


def _start_s(robot: Robot) -> float:
    """From the first exec to READY, by systemd's own clock."""
    shown = robot.shown("InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    begin, end = (int(shown[name]) for name in ("InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic"))
    return (end - begin) / _US_PER_S


def test_it_comes_up_with_the_machine_and_says_how_it_goes(robot: Robot, figures: dict[str, str]) -> None:
    """Enabled by the package; READY by its own word; one line that a person understands."""
    shown = robot.shown("Type", "UnitFileState", "NRestarts", "ActiveState", "WatchdogUSec")
    line = until(lambda: "connected" in (line := robot.shown("StatusText")["StatusText"]) and line, "a status line")
    figures["READY at boot"] = f"{_start_s(robot):.2f} s"

    assert shown["Type"] == "notify"
    assert shown["UnitFileState"] == "enabled"
    assert shown["NRestarts"] == "0"
    assert shown["WatchdogUSec"] == "5s"
    assert line.startswith("robot_001 running: connected to the broker; 2 channels, no publisher for odom, battery")


def test_ready_time_is_measured(robot: Robot, figures: dict[str, str]) -> None:
    """With its files in memory, and without."""
    robot.restart()
    figures["READY warm"] = f"{_start_s(robot):.2f} s"
    robot.run("systemctl", "stop", UNIT)
    Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")
    robot.run("systemctl", "start", UNIT)

    figures["READY cold (page cache dropped)"] = f"{_start_s(robot):.2f} s"
    assert robot.shown("ActiveState")["ActiveState"] == "active"


def test_it_is_ready_without_a_broker_too(robot: Robot) -> None:
    """A refused connection is a first attempt like any other."""
    robot.run("systemctl", "stop", "mosquitto")
    robot.restart()

    line = until(lambda: "no broker" in (line := robot.shown("StatusText")["StatusText"]) and line, "a line about it")
    assert "127.0.0.1:1883" in line
    robot.run("systemctl", "start", "mosquitto")
    until(lambda: "connected" in robot.shown("StatusText")["StatusText"], "the link")


def test_telemetry_of_another_users_node_arrives_at_the_broker(robot: Robot, figures: dict[str, str]) -> None:
    """Shared memory between two users would be discovered and deliver nothing: it has to be UDP."""
    with robot.simulated():
        said = robot.run(
            "mosquitto_sub",
            "-h",
            "127.0.0.1",
            "-V",
            "mqttv5",
            "-t",
            "robot/robot_001/telemetry/#",
            "-F",
            "%t %p",
            "-C",
            "40",
            "-W",
            "30",
        )
        time.sleep(2.0)
        began_s, before_s = time.monotonic(), robot.cpu_s()
        time.sleep(10.0)
        share = (robot.cpu_s() - before_s) / (time.monotonic() - began_s)
        figures["CPU, 50 odom/s + 1 battery/s in"] = f"{100 * share:.1f} % of a core"
        figures["RSS, the same"] = f"{robot.rss_bytes() / 1e6:.0f} MB"

    lines = [line.split(" ", 1) for line in said.splitlines()]
    assert {topic for topic, _ in lines} >= {"robot/robot_001/telemetry/odom"}
    assert {json.loads(payload)["robot_id"] for _, payload in lines} == {"robot_001"}


def test_idle_cost_is_measured(robot: Robot, figures: dict[str, str]) -> None:
    """Two channels without a publisher, a broker, nothing to do."""
    robot.restart()
    time.sleep(2.0)
    began_s, before_s = time.monotonic(), robot.cpu_s()
    time.sleep(10.0)
    share = (robot.cpu_s() - before_s) / (time.monotonic() - began_s)
    figures["CPU idle"] = f"{100 * share:.2f} % of a core"
    figures["RSS idle"] = f"{robot.rss_bytes() / 1e6:.0f} MB"

    assert robot.shown("NRestarts")["NRestarts"] == "0"


def test_journal_entries_carry_their_fields(robot: Robot) -> None:
    """EVENT and the other fields are fields, not text; the priority is the level."""
    entry = robot.events("started")[-1]
    up = robot.events("link.up")[-1]

    assert entry["SYSLOG_IDENTIFIER"] == "edgetwin"
    assert entry["PRIORITY"] == "6"
    assert re.fullmatch("[0-9a-f]{16}", entry["BOOT"])
    assert float(up["OUTAGE_S"]) >= 0.0
    assert int(up["BACKLOG"]) >= 0
    assert up["_PID"] == entry["_PID"] == str(robot.pid)


def test_every_line_of_start_and_stop_is_ours(robot: Robot) -> None:
    """No word of DDS, Python or onnxruntime that nobody can do anything about; no line twice."""
    pid = robot.restart()
    until(lambda: "connected" in robot.shown("StatusText")["StatusText"], "the link")
    robot.run("systemctl", "stop", UNIT)
    entries = robot.machine.journal("--unit", UNIT, f"_PID={pid}")
    robot.run("systemctl", "start", UNIT)
    events = [entry.get("EVENT") for entry in entries]

    assert [entry["MESSAGE"] for entry in entries if "EVENT" not in entry] == []
    assert [entry["MESSAGE"] for entry in entries if entry["PRIORITY"] < "6"] == []
    assert events.count("started") == events.count("link.up") == events.count("link.closed") == 1
    assert events[-1] == "stopped"
    assert len({entry["MESSAGE"] for entry in entries}) == len(entries)


def test_a_reload_is_answered_and_a_bad_file_changes_nothing(robot: Robot) -> None:
    """SIGHUP through systemctl; the daemon goes on with what it has."""
    pid = robot.ready()
    robot.run("systemctl", "reload", UNIT)
    until(lambda: robot.events("reload.same"), "an answer")
    with robot.file(SETTINGS, "[robot]\nid = 'robot 1'\n"):
        robot.run("systemctl", "reload", UNIT)
        refused = until(lambda: robot.events("reload.refused"), "a refusal")

    assert {entry["PRIORITY"] for entry in refused} == {"3"}
    assert any("robot.id" in entry["WHERE"] for entry in refused)
    assert robot.pid == pid
    assert robot.shown("ActiveState")["ActiveState"] == "active"


def test_refused_settings_are_told_once_and_not_tried_again(robot: Robot) -> None:
    """Exit 2: a human must mend them; then it starts."""
    with robot.file(SETTINGS, "[robot]\nid = 'robot 1'\n"):
        robot.run("systemctl", "restart", UNIT, check=False)
        until(lambda: robot.shown("ActiveState")["ActiveState"] == "failed", "a failed service")
        time.sleep(2.5)
        shown = robot.shown("ActiveState", "ExecMainStatus", "NRestarts")
    robot.run("systemctl", "start", UNIT)

    assert shown == {"ActiveState": "failed", "ExecMainStatus": "2", "NRestarts": "0"}
    told = [entry["WHERE"] for entry in robot.events("settings.refused")]
    assert sorted(told) == ["edgetwin.toml: channels", "edgetwin.toml: robot.id"]


def test_every_user_may_see_the_status_and_nobody_else_the_settings(robot: Robot) -> None:
    """/run is for all; /etc is for root and the group, state and log for the daemon."""
    robot.ready()
    until(lambda: "running" in robot.run("runuser", "-u", "games", "--", "edgetwin", "status", check=False), "status")
    denied = robot.run("runuser", "-u", "games", "--", "edgetwin", "check", check=False)
    modes = robot.run(
        "stat", "--format=%n %a %U:%G", SETTINGS, "/var/lib/edgetwin", "/var/lib/edgetwin/outbox.db",
        "/var/log/edgetwin", "/etc/edgetwin/credentials", "/etc/edgetwin/credentials/mqtt",
    )  # fmt: skip

    assert "may not be read" in denied
    assert modes.splitlines() == [
        f"{SETTINGS} 640 root:edgetwin",
        "/var/lib/edgetwin 700 edgetwin:edgetwin",
        "/var/lib/edgetwin/outbox.db 600 edgetwin:edgetwin",
        "/var/log/edgetwin 700 edgetwin:edgetwin",
        "/etc/edgetwin/credentials 700 root:root",
        "/etc/edgetwin/credentials/mqtt 700 root:root",
    ]


def test_it_listens_on_no_port_but_those_of_dds(robot: Robot) -> None:
    """No TCP at all; UDP is DDS's: 7400 and up, and the ports it sends from."""
    robot.ready()
    sockets = [line for line in robot.run("ss", "-Hlntup").splitlines() if f"pid={robot.pid}," in line]
    ports = [int(line.split()[4].rpartition(":")[2]) for line in sockets]

    assert not [line for line in sockets if line.startswith("tcp")]
    assert [port for port in ports if port == 7400]


def test_the_score_is_low_and_the_clock_can_still_be_read(robot: Robot, figures: dict[str, str]) -> None:
    """Systemd's own judgement of the unit as installed; and adjtimex inside the very same sandbox."""
    judged = robot.run("systemd-analyze", "security", "--no-pager", UNIT)
    match = re.search(r"exposure level for edgetwin.service: ([0-9.]+)", judged)
    assert match
    figures["systemd-analyze security"] = match[1]
    unit = (robot.machine.root / "lib/systemd/system" / UNIT).read_text(encoding="utf-8")
    reader = unit.replace("Type=notify", "Type=oneshot").replace(
        "ExecStart=/usr/bin/edgetwin run", "ExecStart=/usr/bin/python3 /usr/local/bin/clock-reader"
    )
    with (
        robot.file("/usr/local/bin/clock-reader", _CLOCK_READER),
        robot.file("/run/systemd/system/clock-reader.service", re.sub("(?m)^(Restart|.*Directory).*$", "", reader)),
    ):
        robot.run("systemctl", "daemon-reload")
        robot.run("systemctl", "start", "clock-reader")
    said = [entry["MESSAGE"] for entry in robot.machine.journal("--unit", "clock-reader", "_COMM=python3")]

    assert round(10 * float(match[1])) <= _OFFLINE_SCORE_MAX
    assert re.fullmatch(r"state [05] errno 0", said[-1])  # 5: not synchronised, and it says so
    assert robot.run("systemd-analyze", "verify", "--man=no", UNIT, check=False) == ""
