"""Roof: the daemon's figures for Prometheus, on 127.0.0.1 and nowhere else; off unless a setting gives a port.

In: figures, once a second     Out: an HTTP answer to whoever on this machine asks.

The answers are given on a thread of their own, out of the newest figures: to be asked costs the daemon nothing, and
who asks a thousand times a second gets the same figures a thousand times.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import start_http_server
from prometheus_client.registry import Collector

HOST = "127.0.0.1"
_END_S = 0.5
_CHANNEL_COUNTERS = {
    "received": "Messages that came from ROS.",
    "published": "Records that left sync.",
    "held_back": "Messages that sync held back.",
    "malformed": "Messages that could not be read.",
    "lost_in_ros": "Messages that ROS lost on the way.",
}
_CHANNEL_GAUGES = {
    "publishers": "Publishers of the topic.",
    "backlog": "Records on disk.",
    "in_hz": "Messages per second.",
    "out_hz": "Records per second.",
}
_OUTBOX_GAUGES = {
    "records": "Records on disk.",
    "backlog": "Records on disk that wait for the backlog lane.",
    "waiting": "Records that wait in the live lane.",
    "in_flight": "Messages without their PUBACK.",
    "used_bytes": "Disk space of the outbox.",
    "max_bytes": "Disk space that the outbox may take.",
    "oldest_age_s": "Age of the oldest record on disk.",
}
_GATE_COUNTERS = {
    "received": "Commands that came.",
    "overrun": "Commands that a newer one overtook.",
    "stops": "Stops.",
    "twists": "Twists that were published.",
    "guard_trips": "Times that the guard had to say zero.",
    "late_ticks": "Ticks of the gate that came late.",
}


class Prometheus(Collector):
    """The endpoint of one daemon."""

    def __init__(self, port: int) -> None:
        """Listen on 127.0.0.1.

        Raises:
            OSError: The port is taken.
        """
        self._figures: Mapping[str, Any] | None = None
        registry = CollectorRegistry()
        registry.register(self)
        self._server, self._thread = start_http_server(port, addr=HOST, registry=registry)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_port)

    def tell(self, figures: Mapping[str, Any]) -> None:
        """Answer with these from now on; they are not changed any more."""
        self._figures = figures

    def close(self) -> None:
        """Listen no more; within half a second, whoever is still reading."""
        # shutdown() waits for the server's thread, and that for a reader who may never read
        ending = threading.Thread(target=self._server.shutdown, name="edgetwin-prometheus-end", daemon=True)
        ending.start()
        with suppress(OSError):  # closing alone leaves it open for as long as that thread still waits on it
            self._server.socket.shutdown(socket.SHUT_RDWR)
        ending.join(_END_S)
        self._server.server_close()

    def collect(self) -> Iterable[Metric]:
        """Return the newest figures as metrics; on the server's thread."""
        figures = self._figures
        return [] if figures is None else list(_metrics(figures))


def _metrics(figures: Mapping[str, Any]) -> Iterator[Metric]:
    info = {key: str(figures[key]) for key in ("robot_id", "version", "boot", "state")}
    yield InfoMetricFamily("edgetwin", "This daemon.", value=info)
    link, outbox, gate = figures["link"], figures["outbox"], figures.get("gate") or {}
    yield GaugeMetricFamily("edgetwin_link_up", "Whether there is a connection to the broker.", link["state"] == "up")
    yield CounterMetricFamily("edgetwin_link_reconnects", "Connections after the first.", link["reconnects"])
    for key, words in _OUTBOX_GAUGES.items():
        if outbox.get(key) is not None:
            yield GaugeMetricFamily(f"edgetwin_outbox_{_unit(key)}", words, outbox[key])
    yield GaugeMetricFamily("edgetwin_outbox_ok", "Whether the disk takes records.", not outbox.get("problem"))
    lost = CounterMetricFamily("edgetwin_outbox_given_up", "Records that will never arrive.", labels=["cause"])
    for cause, count in outbox["given_up"].items():
        lost.add_metric([cause], count)
    yield lost
    yield from _per_channel(figures["channels"])
    yield from _gate(gate)
    yield from _clock(figures.get("clock") or {})
    yield from _prognosis(figures.get("prognosis") or {})
    yield from _anomaly(figures.get("anomaly") or {})


def _per_channel(channels: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    for key, words in _CHANNEL_COUNTERS.items():
        counter = CounterMetricFamily(f"edgetwin_channel_{key}", words, labels=["channel"])
        for name, channel in channels.items():
            counter.add_metric([name], channel[key])
        yield counter
    for key, words in _CHANNEL_GAUGES.items():
        gauge = GaugeMetricFamily(f"edgetwin_channel_{key}", words, labels=["channel"])
        for name, channel in channels.items():
            gauge.add_metric([name], channel[key])
        yield gauge


def _gate(gate: Mapping[str, Any]) -> Iterator[Metric]:
    if "state" in gate:
        state = GaugeMetricFamily("edgetwin_gate_state", "The state of the gate is the one with 1.", labels=["state"])
        state.add_metric([str(gate["state"])], 1)
        yield state
    for key, words in _GATE_COUNTERS.items():
        if key in gate:
            yield CounterMetricFamily(f"edgetwin_gate_{key}", words, gate[key])


def _clock(clock: Mapping[str, Any]) -> Iterator[Metric]:
    if clock.get("synchronised") is not None:
        words = "Whether the kernel says that the clock is kept right."
        yield GaugeMetricFamily("edgetwin_clock_synchronised", words, clock["synchronised"])


def _prognosis(prognosis: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    gauge = GaugeMetricFamily("edgetwin_prognosis_probability", "Probability of a failure.", labels=["prognosis"])
    for name, one in prognosis.items():
        if one.get("probability") is not None:
            gauge.add_metric([name], one["probability"])
    if gauge.samples:
        yield gauge


def _anomaly(detectors: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
    raised = GaugeMetricFamily("edgetwin_anomaly_raised", "Elements with an open alert.", labels=["detector"])
    alerts = CounterMetricFamily("edgetwin_anomaly_alerts", "Alerts raised.", labels=["detector"])
    for name, one in detectors.items():
        raised.add_metric([name], len(one.get("raised") or ()))
        alerts.add_metric([name], one.get("alerts") or 0)
    if detectors:
        yield from (raised, alerts)


def _unit(key: str) -> str:
    return f"{key[:-2]}_seconds" if key.endswith("_s") else key
