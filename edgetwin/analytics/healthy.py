"""Judge room: what was normal for this machine when it was healthy, and how long it has run.

In: rows of a running machine; what was kept from earlier runs     Out: the healthy value of each base feature.
Pure. Learned once, over the first running time of the machine, and then never again: only a person may take a
later state for healthy. The hours only go up.

Source: ratios to a machine's own first day carry over from one machine to the next, levels do not (docs/model.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edgetwin.errors import BaselineLostError

VERSION = 1
HOURS_MAX = 10_000_000.0  # more than a thousand years: not an hour count
_TINY = 1e-12
_S_PER_HOUR = 3600.0
_KEPT_MAX = 10_000


@dataclass(slots=True)
class Normal:
    """The healthy mean of one base feature over windows of one length.

    Attributes:
        seconds: Running time that it was learned over [s].
        full_s: Running time that it takes [s], as it was when learning began.
    """

    full_s: float
    mean: float = 0.0
    count: int = 0
    seconds: float = 0.0

    @property
    def learned(self) -> bool:
        """Whether it will not change any more."""
        return self.count > 0 and self.seconds >= self.full_s


class Normals:
    """What one model needs to know of its machine; part of `Healthy`.

    Attributes:
        begun: Base features whose learning began with this model.
    """

    def __init__(self, healthy: Healthy, normals: Mapping[str, Normal], begun: tuple[str, ...]) -> None:
        self.begun = begun
        self._healthy = healthy
        self._normals = normals

    @property
    def learned(self) -> bool:
        """Whether all of it is known."""
        return all(normal.learned for normal in self._normals.values())

    @property
    def progress(self) -> float:
        """How much of the healthy time is over, 0 to 1."""
        return min((min(1.0, one.seconds / one.full_s) for one in self._normals.values()), default=1.0)

    @property
    def runtime_hours(self) -> float:
        """Running time of the machine [h]."""
        return self._healthy.runtime_hours

    def run(self, values: Mapping[str, float], active_s: float) -> None:
        """Take a row of a machine that runs: count its time, and learn what is not learned yet.

        Args:
            values: Base feature -> number; NaN is not learned.
            active_s: Running time since the row before [s].
        """
        self._healthy.runtime_hours = min(HOURS_MAX, self._healthy.runtime_hours + active_s / _S_PER_HOUR)
        for base, normal in self._normals.items():
            value = values.get(base, math.nan)
            if not normal.learned and math.isfinite(value):
                normal.count += 1
                normal.mean += (value - normal.mean) / normal.count
                normal.seconds += active_s

    def normal(self, base: str) -> float:
        """Return the healthy value of a base feature; NaN until it is learned."""
        found = self._normals.get(base)
        return found.mean if found is not None and found.learned else math.nan

    def ratio(self, base: str, value: float) -> float:
        """Return value / healthy value; NaN until that is learned, and where it is 0."""
        normal = self.normal(base)
        return value / normal if abs(normal) > _TINY else math.nan


class Healthy:
    """What is known of one machine, by whatever model.

    Attributes:
        runtime_hours: Running time of the machine [h].
    """

    def __init__(self, origins: Mapping[str, str] | None = None, kept: object = None) -> None:
        """Begin anew, or where the last run ended.

        Args:
            origins: Source -> where it comes from, in a form that changes when that does.
            kept: What `keep` returned; None where nothing was kept.

        Raises:
            BaselineLostError: It is not what `keep` returned, or is about other sources.
        """
        self.runtime_hours = 0.0
        self._origins = dict(origins or {})
        self._normals: dict[str, Normal] = {}
        if kept is not None:
            self._restore(kept)

    def normals(self, bases: Iterable[str], window_s: float, healthy_s: float) -> Normals:
        """Return the part that a model needs; what is not known of it is learned from now on.

        Args:
            bases: Base features.
            window_s: Length of the windows they are measured over [s].
            healthy_s: Running time to learn over [s]; what has begun goes on as it began.
        """
        keys = {base: f"{base}@{window_s:g}" for base in bases}
        begun = tuple(base for base, key in keys.items() if key not in self._normals)
        wanted = {base: self._normals.setdefault(key, Normal(healthy_s)) for base, key in keys.items()}
        return Normals(self, wanted, begun)

    def keep(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        normals = {key: asdict(normal) for key, normal in self._normals.items()}
        return {"v": VERSION, "sources": self._origins, "runtime_hours": self.runtime_hours, "healthy": normals}

    def _restore(self, kept: object) -> None:
        try:
            if not isinstance(kept, dict) or kept["v"] != VERSION or len(kept["healthy"]) > _KEPT_MAX:
                msg = "not of this version"
                raise ValueError(msg)  # noqa: TRY301  # one place words them all
            hours = _number(kept["runtime_hours"], HOURS_MAX)
            normals = {str(key): _normal(value) for key, value in kept["healthy"].items()}
            before = dict(kept["sources"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"is not what was kept: {error}"
            raise BaselineLostError(msg) from error
        for source, origin in self._origins.items():
            if before.get(source, origin) != origin:
                msg = f"was learned while {source} came from {before[source]}, and now comes from {origin}"
                raise BaselineLostError(msg)
        self.runtime_hours, self._normals = hours, normals
        self._origins = before | self._origins


def _normal(value: Mapping[str, Any]) -> Normal:
    count = value["count"]
    if not isinstance(count, int) or count < 0:
        msg = f"count {count!r}"
        raise ValueError(msg)
    mean = _number(value["mean"], math.inf, -math.inf)
    return Normal(_number(value["full_s"], math.inf), mean, count, _number(value["seconds"], math.inf))


def _number(value: Any, high: float, low: float = 0.0) -> float:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if not fits or not math.isfinite(value):
        msg = f"{value!r} where a number is expected"
        raise ValueError(msg)
    return float(value)
