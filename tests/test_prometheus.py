"""The endpoint for Prometheus: on loopback alone, the newest figures, gone with the daemon."""

from __future__ import annotations

import socket
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from edgetwin.prometheus import HOST, Prometheus
from edgetwin.sim.ports import HeldPort, answers

_CHANNEL: dict[str, Any] = {
    "received": 50, "published": 40, "held_back": 10, "malformed": 0, "lost_in_ros": 0, "publishers": 1, "backlog": 3,
    "in_hz": 5.0, "out_hz": 4.0,
}  # fmt: skip
_FIGURES: dict[str, Any] = {
    "robot_id": "robot_001", "version": "1", "boot": "b", "state": "running",
    "link": {"state": "up", "reconnects": 2},
    "outbox": {"records": 3, "backlog": 3, "waiting": 0, "in_flight": 1, "used_bytes": 1000, "max_bytes": 9000,
               "oldest_age_s": 1.5, "problem": None, "given_up": {"shed": 7}},
    "gate": {"state": "IDLE", "received": 4, "stops": 1},
    "clock": {"synchronised": False},
    "channels": {"odom": _CHANNEL},
    "anomaly": {"effort": {"raised": ["left", "right"], "alerts": 3}},
    "prognosis": {"motor": {"probability": 0.25}, "pump": {"probability": None}},
}  # fmt: skip


@pytest.fixture(name="endpoint")
def _endpoint() -> Iterator[Prometheus]:
    with HeldPort() as held:
        port = held.number
    made = Prometheus(port)
    yield made
    made.close()


def _lines(endpoint: Prometheus) -> list[str]:
    with urllib.request.urlopen(f"http://{HOST}:{endpoint.port}/metrics", timeout=5) as answer:
        text: str = answer.read().decode()
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_the_newest_figures_are_told(endpoint: Prometheus) -> None:
    """Counters as counters, seconds as seconds, one series per channel and cause."""
    endpoint.tell(_FIGURES)
    first = _lines(endpoint)
    endpoint.tell(_FIGURES | {"link": {"state": "down", "reconnects": 2}})
    second = _lines(endpoint)

    assert {
        'edgetwin_info{boot="b",robot_id="robot_001",state="running",version="1"} 1.0',
        "edgetwin_link_up 1.0",
        "edgetwin_link_reconnects_total 2.0",
        "edgetwin_outbox_oldest_age_seconds 1.5",
        "edgetwin_outbox_ok 1.0",
        'edgetwin_outbox_given_up_total{cause="shed"} 7.0',
        'edgetwin_channel_held_back_total{channel="odom"} 10.0',
        'edgetwin_channel_in_hz{channel="odom"} 5.0',
        'edgetwin_gate_state{state="IDLE"} 1.0',
        "edgetwin_gate_stops_total 1.0",
        "edgetwin_clock_synchronised 0.0",
        'edgetwin_anomaly_raised{detector="effort"} 2.0',
        'edgetwin_anomaly_alerts_total{detector="effort"} 3.0',
        'edgetwin_prognosis_probability{prognosis="motor"} 0.25',
    } <= set(first)
    assert not any("pump" in line for line in first)
    assert "edgetwin_link_up 0.0" in second


def test_before_the_first_figures_there_are_none(endpoint: Prometheus) -> None:
    """Prometheus may come before the daemon runs."""
    assert _lines(endpoint) == []


def test_it_listens_on_loopback_alone(endpoint: Prometheus) -> None:
    """By the kernel's own table: the address of its socket is 127.0.0.1."""
    bound = endpoint._server.socket.getsockname()

    assert bound == (HOST, endpoint.port)
    assert HOST == "127.0.0.1"


def test_a_port_that_is_taken_is_an_os_error() -> None:
    """The daemon then goes on without."""
    with socket.create_server((HOST, 0)) as taken, pytest.raises(OSError, match="in use"):
        Prometheus(taken.getsockname()[1])


def test_closed_it_listens_no_more_even_with_a_reader_that_never_reads() -> None:
    """Somebody connects and says nothing; the end does not wait for them."""
    with HeldPort() as held:
        port = held.number
    endpoint = Prometheus(port)
    with socket.create_connection((HOST, port)):
        endpoint.close()

        assert not answers(port)


def test_closed_it_listens_no_more_even_while_its_thread_still_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that is closed lives on in the thread that waits on it, and once took a connection after the end."""
    monkeypatch.setattr("edgetwin.prometheus._END_S", 0.01)
    with HeldPort() as held:
        port = held.number
    endpoint = Prometheus(port)
    with urllib.request.urlopen(f"http://{HOST}:{port}/metrics", timeout=5) as answer:  # our own
        answer.read()
    time.sleep(0.05)  # its thread waits again; should it not yet, the test is easier to pass, and no less true
    endpoint.close()

    assert not answers(port)
