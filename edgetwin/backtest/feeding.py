"""Backtest: columns of a table into the sources of the models.

In: names of columns, [prognosis.*]; then blocks of rows     Out: samples, row by row, into Rehearsal
A column is called `<channel>`, `<channel>.<field>` or `<channel>.<field>.<element>`, or as the source itself, as in a
history that `edgetwin train` reads. A cell that is no number is a sample that no window takes, as there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgetwin.backtest.plan import columns_of
from edgetwin.backtest.rehearsal import Rehearsal, rehearsals
from edgetwin.backtest.table import Block
from edgetwin.prognosis.sources import combined
from edgetwin.settings import Combine, PrognosisSettings, Settings, SourceSettings

_NO_WORD = re.compile(r"[^a-z0-9]+")
_US_PER_S, _NS_PER_US = 1e6, 1000


@dataclass(frozen=True, slots=True)
class Feed:
    """One model and the columns it is fed with.

    Attributes:
        rehearsal: The model.
        columns: (source, column numbers, how several become one).
    """

    rehearsal: Rehearsal
    columns: tuple[tuple[str, list[int], Combine], ...]

    def take(self, block: Block) -> None:
        """Feed all rows of a block, in order; one without a time has no moment to belong to."""
        rehearsal = self.rehearsal
        take = rehearsal.take
        samples = [(source, _samples(block, places, how)) for source, places, how in self.columns]
        for row, time_s in enumerate(block.times_s.tolist()):
            if math.isfinite(time_s):
                at_ns = round(time_s * _US_PER_S) * _NS_PER_US  # seconds since 1970 as a float know no finer
                for source, values in samples:
                    take(source, values[row], at_ns)
            rehearsal.row += 1


def feeds(channels: Sequence[str], settings: Settings) -> list[Feed]:
    """Return the models that the columns have something for, loaded, with their columns.

    Raises:
        RefusedError: A model is not there or refused, or a source that it needs has no column.
    """
    columns = {name: source_columns(channels, one) for name, one in settings.prognosis.items()}
    return [
        Feed(
            one,
            tuple(
                (source, places, settings.prognosis[one.name].sources[source].combine)
                for source, places in columns[one.name].items()
            ),
        )
        for one in rehearsals(settings, columns)
    ]


def source_columns(channels: Sequence[str], prognosis: PrognosisSettings) -> Mapping[str, list[int]]:
    """Return source -> its columns, for those that have any."""
    found = {name: _columns(channels, name, one) for name, one in prognosis.sources.items()}
    return {name: places for name, places in found.items() if places}


def _columns(channels: Sequence[str], name: str, source: SourceSettings) -> list[int]:
    elements = columns_of(channels, source.channel, source.field)
    if source.element in elements:
        return [elements[source.element]]
    whole = {source.channel, f"{source.channel}.{source.field}"}
    places = [place for element, place in elements.items() if source.element is None or element in whole]
    if places:
        return places
    return [place for place, channel in enumerate(channels) if _NO_WORD.sub("_", channel.lower()).strip("_") == name]


def _samples(block: Block, places: list[int], how: Combine) -> list[float]:
    if len(places) == 1:
        alone: list[float] = block.values[:, places[0]].tolist()
        return alone
    return [combined(row, how) for row in block.values[:, places].tolist()]
