"""Roof: the daemon's figures as a page for a person.

In: figures, as in status.json, of this version or another     Out: lines. Pure.

What others chose (names of clients, details of refusals, words of brokers) is printed without what a terminal obeys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_US_PER_S = 1_000_000
_NS_PER_US = 1000
_TEXT_MAX = 200
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def table(figures: Mapping[str, Any], stamp_ns: int) -> str:
    """Return all that is known, at wall time `stamp_ns`."""
    lines = [
        _clean(f"{figures['robot_id']} {figures['state']}, edgetwin {figures['version']}, boot {figures['boot']}"),
        _link(figures["link"]),
        _outbox(figures["outbox"]),
        *_gate(figures.get("gate"), stamp_ns),
        *_clock(figures.get("clock")),
        *_channels(figures["channels"]),
        *_judges("detector", figures.get("anomaly")),
        *_judges("model", figures.get("prognosis")),
    ]
    return "\n".join(lines) + "\n"


def _link(link: Mapping[str, Any]) -> str:
    words = f"link   {link['state']} for {link['since_s']:.0f} s, {link['reconnects']} reconnects"
    return _clean(words + (f" ({link['last_error']})" if link["last_error"] else ""))


def _outbox(outbox: Mapping[str, Any]) -> str:
    parts = [f"{outbox['records']} records on disk, {outbox['waiting']} waiting, {outbox['in_flight']} in flight"]
    if outbox.get("oldest_age_s") is not None:
        parts.append(f"the oldest is {_age(outbox['oldest_age_s'])} old")
    if outbox.get("max_bytes"):
        parts.append(f"{_size(outbox['used_bytes'])} of {_size(outbox['max_bytes'])}")
    given_up = {cause: count for cause, count in (outbox.get("given_up") or {}).items() if count}
    if given_up:
        parts.append("lost: " + ", ".join(f"{count} {cause}" for cause, count in given_up.items()))
    if outbox.get("refused"):
        parts.append(f"{outbox['refused']} refused by the broker")
    if outbox.get("problem"):
        parts.append(str(outbox["problem"]))
    return _clean("outbox " + "; ".join(parts))


def _gate(gate: Mapping[str, Any] | None, stamp_ns: int) -> list[str]:
    if gate is None:
        return []
    motion = "" if gate.get("remote_motion") else ", remote motion is off"
    latch = f", latched as {gate['stop_id']}" if gate.get("stop_id") else ""
    parts = [f"gate   {gate['state']} ({gate.get('reason') or '-'}){latch}{motion}"]
    if gate.get("link"):
        parts.append(f"commands {gate['link']}")
    if gate.get("received"):
        parts.append(f"{gate['received']} commands, {gate.get('stops', 0)} stops, {gate.get('twists', 0)} twists")
    if gate.get("foreign_publishers"):
        parts.append(f"foreign publishers: {', '.join(gate['foreign_publishers'])}")
    parts += [gate[problem] for problem in ("latch_problem", "link_problem") if gate.get(problem)]
    return [_clean("; ".join(parts)), *(_refusal(one, stamp_ns) for one in reversed(gate.get("refused") or []))]


def _refusal(one: Mapping[str, Any], stamp_ns: int) -> str:
    ago = _age(max(0.0, (stamp_ns / _NS_PER_US - one["stamp_us"]) / _US_PER_S))
    by = f" by {one['client']}" if one.get("client") else ""
    times = f", {one['repeat']} more times" if one.get("repeat", 1) > 1 else ""
    detail = f" ({one['detail']})" if one.get("detail") else ""
    return _clean(f"       refused {ago} ago: {one['command'] or '?'}{by}: {one['code']}{detail}{times}")


def _clock(clock: Mapping[str, Any] | None) -> list[str]:
    if not clock:
        return []
    if clock.get("synchronised"):
        return [f"clock  synchronised, off by at most {clock['error_max_s'] * 1000:.1f} ms"]
    words = "not synchronised" if clock.get("synchronised") is False else "nobody may ask the kernel about it"
    return [f"clock  {words}"]


def _channels(channels: Mapping[str, Mapping[str, Any]]) -> list[str]:
    titles = ("in/s", "held/s", "out/s", "received", "published", "held back", "backlog")
    width = max([7, *map(len, channels)])
    lines = [f"{'channel':<{width}} " + " ".join(f"{title:>{max(8, len(title))}}" for title in titles)]
    for name, channel in channels.items():
        problem = channel["problem"] or ("" if channel["publishers"] else "waiting for a publisher")
        figures = (
            f"{channel['in_hz']:>8.1f} {channel.get('held_hz', 0.0):>8.1f} {channel['out_hz']:>8.1f} "
            f"{channel['received']:>8} {channel['published']:>9} {channel['held_back']:>9} {channel['backlog']:>8}"
        )
        lines.append(_clean(f"{name:<{width}} {figures} {problem}".rstrip()))
    return lines


def _judges(kind: str, judges: Mapping[str, Any] | None) -> list[str]:
    return [_clean(f"{kind} {name}: {_judge(one)}") for name, one in (judges or {}).items() if isinstance(one, Mapping)]


def _judge(one: Mapping[str, Any]) -> str:
    """Return what a detector or a model says: its state, and the figures that it has."""
    parts = [str(one["phase"])] if one.get("phase") else []
    if raised := one.get("raised"):
        parts.append(f"raised: {', '.join(map(str, raised))}" if isinstance(raised, list) else "raised")
    parts += [str(one[key]) for key in ("problem", "refused") if isinstance(one.get(key), str) and one[key]]
    for key in ("probability", "threshold", "learned", "judged", "alerts"):
        if isinstance(one.get(key), (int, float)):
            parts.append(f"{key} {one[key]}" if isinstance(one[key], int) else f"{key} {one[key]:.3g}")
    return ", ".join(parts) or "-"


def _age(seconds: float) -> str:
    for unit_s, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"


def _size(count: int) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:  # noqa: PLR2004
            return f"{count:.0f} {unit}"
        count //= 1000
    return f"{count:.0f} GB"


def _clean(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:_TEXT_MAX]
