"""Roof: the daemon's figures as ROS diagnostics: one status for each part, with what is wrong first.

In: figures, as in status.json     Out: statuses for /diagnostics. Pure.

Levels are those of ROS: OK; WARN, nothing is lost and somebody should look; ERROR, something is lost or does not work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from edgetwin.ros.diagnostics import Level, Status

_HELD = frozenset({"HELD", "ESTOP", "LOCAL", "BRAKE"})
_BROKEN = frozenset({"FAULT", "DOWN"})


def statuses(figures: Mapping[str, Any]) -> list[Status]:
    """Return what figures say, part by part."""
    found = [_link(figures["link"]), _outbox(figures["outbox"]), _clock(figures.get("clock") or {})]
    if gate := figures.get("gate"):
        found.append(_gate(gate))
    found += [_channel(name, channel) for name, channel in figures["channels"].items()]
    for part in ("anomaly", "prognosis"):
        found += [
            _judge(part, name, one) for name, one in (figures.get(part) or {}).items() if isinstance(one, Mapping)
        ]
    return found


def _link(link: Mapping[str, Any]) -> Status:
    if link["state"] == "up":
        return _status("link", Level.OK, "connected to the broker", link)
    return _status("link", Level.WARN, link["last_error"] or "not connected yet", link)


def _outbox(outbox: Mapping[str, Any]) -> Status:
    given_up = {cause: count for cause, count in outbox["given_up"].items() if count}
    if problem := outbox.get("problem"):
        return _status("outbox", Level.ERROR, problem, outbox)
    if given_up:
        words = ", ".join(f"{count:,} records lost ({cause})" for cause, count in given_up.items())
        return _status("outbox", Level.WARN, f"{words} since the start", outbox)
    waiting = outbox["backlog"]
    return _status("outbox", Level.OK, f"{waiting:,} records wait on disk" if waiting else "nothing waits", outbox)


def _clock(clock: Mapping[str, Any]) -> Status:
    synchronised = clock.get("synchronised")
    if synchronised:
        return _status("clock", Level.OK, "synchronised", clock)
    words = "not synchronised" if synchronised is False else "the kernel may not be asked"
    return _status("clock", Level.WARN, words, clock)


def _gate(gate: Mapping[str, Any]) -> Status:
    state, reason = str(gate.get("state")), gate.get("reason")
    words = state if not reason or reason == state else f"{state} ({reason})"
    if problem := gate.get("latch_problem"):
        return _status("gate", Level.ERROR, f"{words}; {problem}", gate)
    if problem := gate.get("link_problem"):
        return _status("gate", Level.WARN, f"{words}; {problem}", gate)
    if foreign := gate.get("foreign_publishers"):
        return _status("gate", Level.WARN, f"{words}; others publish motion: {', '.join(foreign)}", gate)
    level = Level.ERROR if state in _BROKEN else Level.WARN if state in _HELD else Level.OK
    return _status("gate", level, words, gate)


def _channel(name: str, channel: Mapping[str, Any]) -> Status:
    part = f"channel {name}"
    if problem := channel["problem"]:
        return _status(part, Level.ERROR, problem, channel)
    if not channel["publishers"]:
        return _status(part, Level.WARN, f"no publisher on {channel['topic']}", channel)
    return _status(part, Level.OK, "messages come" if channel["received"] else "no message yet", channel)


def _judge(part: str, name: str, one: Mapping[str, Any]) -> Status:
    trouble = one.get("refused") or one.get("problem")
    if isinstance(trouble, str) and trouble:
        return _status(f"{part} {name}", Level.WARN, trouble, one)
    if raised := one.get("raised"):
        words = f"raised: {', '.join(map(str, raised))}" if isinstance(raised, list) else "raised"
        return _status(f"{part} {name}", Level.WARN, words, one)
    return _status(f"{part} {name}", Level.OK, str(one.get("phase") or "watching"), one)


def _status(part: str, level: Level, message: str, figures: Mapping[str, Any]) -> Status:
    return Status(f"edgetwin: {part}", level, message, tuple(_pairs(figures)))


def _pairs(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in figures.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{inner}", _text(one)) for inner, one in value.items())
        else:
            yield key, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
