"""Backtest: which detectors judge which columns.

In: names of channels, a method or settings     Out: Panel, one per detector
Without settings a default: twins (curL and curR, left_effort and right_effort) by their ratio, given the motion
where columns tell it; several columns by `robust_z`, a single one by `residual`. The file's name says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgetwin.analytics.alerts import AlertRule, Alerts
from edgetwin.analytics.detector import Detector
from edgetwin.analytics.methods import Method, Wish, alert_rule, build
from edgetwin.errors import Fault, RefusedError
from edgetwin.judging.watch import wish_of
from edgetwin.settings import AnomalySettings

_MOTION = re.compile(r"vel|speed|rpm|cmd|twist|omega", re.IGNORECASE)
_SIDES = (  # what makes a left name a right one
    (re.compile(r"left"), "right"),
    (re.compile(r"Left"), "Right"),
    (re.compile(r"LEFT"), "RIGHT"),
    (re.compile(r"(?<=[a-z0-9_])L$"), "R"),
    (re.compile(r"(?<=_)l$"), "r"),
    (re.compile(r"^L(?=[A-Z_])"), "R"),
    (re.compile(r"^l(?=_)"), "r"),
)


@dataclass(slots=True)
class Panel:
    """One detector and the columns it judges.

    Attributes:
        name: Of the detector.
        columns: Column numbers, in the order the detector wants them.
        labels: Their names.
        detector: It.
        alerts: Its alerts.
    """

    name: str
    columns: list[int]
    labels: tuple[str, ...]
    detector: Detector
    alerts: Alerts


def default_panels(channels: Sequence[str], method: Method | None) -> list[Panel]:
    """Return the detectors for a recording that comes without settings.

    Args:
        channels: Names of the columns.
        method: The only one to use; None: chosen by the columns.

    Raises:
        RefusedError: The method does not fit these columns.
    """
    everything = list(range(len(channels)))
    motion = [column for column in everything if _MOTION.search(channels[column])]
    pairs = [pair for pair in _twins(channels) if pair[0] not in motion]
    speeds = [pair for pair in _twins(channels) if pair[0] in motion]
    if method is Method.TWIN_RATIO or (method is None and pairs):
        if not pairs:
            raise _unfit(method, "needs columns that are left and right of the same, such as curL and curR")
        found = [_twin_panel(channels, pairs, speeds)]
        taken = {column for pair in pairs for column in pair}
        rest = [column for column in everything if column not in taken and column not in motion]
        return found if method is not None or not rest else [*found, *_plain(channels, rest, Method.ROBUST_Z)]
    if method is Method.CONDITIONED:
        loads = [column for column in everything if column not in motion]
        if not motion or not loads:
            raise _unfit(method, "needs columns of motion (vel, speed, rpm, cmd) beside others")
        return [_panel("conditioned", [*loads, *motion], channels, Wish(method, motion=len(motion)))]
    if method is Method.LIMITS:
        raise _unfit(method, "needs limits, which only settings can give: use --config")
    if method is None:
        method = Method.ROBUST_Z if len(channels) > 1 else Method.RESIDUAL
    return _plain(channels, everything, method)


def configured_panels(
    channels: Sequence[str], anomalies: Mapping[str, AnomalySettings], method: Method | None
) -> list[Panel]:
    """Return the configured detectors that have a column in a table; others are left out.

    The columns of a detector are called `<channel>`, `<channel>.<field>` or `<channel>.<field>.<element>`.

    Args:
        channels: Names of the columns.
        anomalies: Settings.
        method: Used by all of them instead of their own; None: their own.

    Raises:
        RefusedError: A method does not fit.
    """
    panels: list[Panel] = []
    for name, anomaly in anomalies.items():
        loads = columns_of(channels, anomaly.channel, anomaly.field)
        if not loads:
            continue
        elements = {element: place for place, element in enumerate(loads)}
        moved = [columns_of(channels, anomaly.motion_channel or anomaly.channel, path) for path in anomaly.motion]
        wish = wish_of(anomaly) if method is None else replace(wish_of(anomaly), method=method)
        columns = [*loads.values(), *(column for one in moved for column in one.values())]
        if wish.method is Method.TWIN_RATIO:
            wish, columns = _configured_twins(name, anomaly, wish, loads, moved, elements)
        wish = replace(wish, motion=len(columns) - len(loads))
        if wish.method not in {Method.TWIN_RATIO, Method.CONDITIONED}:
            columns = list(loads.values())
        rule = AlertRule(anomaly.clear_after_s, anomaly.cooldown_s, per_hour_max=anomaly.per_hour_max)
        panels.append(_panel(name, columns, channels, wish, rule))
    return panels


def nothing_fits(channels: Sequence[str]) -> RefusedError:
    """Return the refusal of settings that have nothing to do with these columns."""
    known = ", ".join(channels[:12])
    cure = f"the columns are {known}; those that are judged are called channel, channel.field or channel.field.element"
    return RefusedError([Fault("--config", "no column is for any of its [anomaly.*] or [prognosis.*]", cure)])


def _configured_twins(
    name: str,
    anomaly: AnomalySettings,
    wish: Wish,
    loads: Mapping[str, int],
    moved: Sequence[Mapping[str, int]],
    elements: Mapping[str, int],
) -> tuple[Wish, list[int]]:
    missing = [side for pair in anomaly.twins for side in pair if side not in elements]
    if missing:
        cure = f"the elements are {', '.join(elements)}"
        raise RefusedError([Fault(f"anomaly.{name}.pairs", f"there is no column for {missing[0]}", cure)])
    pairs = tuple((elements[left], elements[right]) for left, right in anomaly.twins)
    speeds: tuple[tuple[int, int], ...] = ()
    columns = list(loads.values())
    if moved and all(side in moved[0] for pair in anomaly.twins for side in pair):
        order = {side: len(columns) + place for place, side in enumerate(moved[0])}
        columns += moved[0].values()
        speeds = tuple((order[left], order[right]) for left, right in anomaly.twins)
    return replace(wish, pairs=pairs, speeds=speeds), columns


def columns_of(channels: Sequence[str], channel: str, field: str) -> dict[str, int]:
    """Return element -> column: those called `<channel>`, `<channel>.<field>` or `<channel>.<field>.<element>`."""
    found: dict[str, int] = {}
    for column, name in enumerate(channels):
        if name in {channel, f"{channel}.{field}"}:
            found[name] = column
        elif name.startswith(f"{channel}.{field}."):
            found[name.removeprefix(f"{channel}.{field}.")] = column
    return found


def _twins(channels: Sequence[str]) -> list[tuple[int, int]]:
    places = {name: column for column, name in enumerate(channels)}
    found = []
    for name, column in places.items():
        for side, other in _SIDES:
            twin = side.sub(other, name)
            if twin != name and twin in places:
                found.append((column, places[twin]))
                break
    return found


def _twin_panel(channels: Sequence[str], pairs: list[tuple[int, int]], speeds: list[tuple[int, int]]) -> Panel:
    columns = sorted({column for pair in [*pairs, *speeds[:1]] for column in pair})
    place = {column: index for index, column in enumerate(columns)}
    wish = Wish(
        Method.TWIN_RATIO,
        pairs=tuple((place[left], place[right]) for left, right in pairs),
        speeds=tuple((place[left], place[right]) for left, right in speeds[:1]),
    )
    return _panel("twin_ratio", columns, channels, wish)


def _plain(channels: Sequence[str], columns: list[int], method: Method) -> list[Panel]:
    return [_panel(str(method), columns, channels, Wish(method))]


def _panel(name: str, columns: list[int], channels: Sequence[str], wish: Wish, rule: AlertRule | None = None) -> Panel:
    try:
        detector = build(wish, len(columns))
    except ValueError as error:
        raise _unfit(wish.method, str(error)) from error
    labels = tuple(channels[column] for column in columns)
    return Panel(name, columns, labels, detector, Alerts(alert_rule(wish, rule or AlertRule()), detector.usual))


def _unfit(method: Method | None, what: str) -> RefusedError:
    return RefusedError([Fault(f"--method {method}", what, f"choose another of {', '.join(Method)}")])
