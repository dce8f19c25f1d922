"""Judge room: which column is which element, whatever order a message names them in.

In: the labels of one message     Out: the place of each value in rows that stay the same
Elements that are new get the next columns; those a message leaves out are missing in its row. Bounded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgetwin.analytics.frozen import Array

ELEMENTS_MAX = 1024


class Roster:
    """Labels of one channel, in the order they were first seen.

    Attributes:
        labels: One per column.
        refused: Values left out, because more than 1024 labels were seen or a message names one twice.
    """

    def __init__(self, labels: Sequence[str] = ()) -> None:
        self.labels: list[str] = list(labels)
        self.refused = 0
        self._places: dict[str, int] = {label: place for place, label in enumerate(self.labels)}
        self._last: list[str] = []
        self._columns: npt.NDArray[np.intp] = np.zeros(0, np.intp)
        self._kept: npt.NDArray[np.intp] = np.zeros(0, np.intp)
        self._straight = False

    def rows(self, labels: Sequence[str], values: Array) -> Array:
        """Return the values in `len(self.labels)` columns, NaN where these messages have none.

        Args:
            labels: One per value; where there are fewer, the other values have no name and are left out.
            values: (rows, elements), of messages that name their elements alike; not changed.
        """
        if labels != self._last:
            self._learn(list(labels))
        if self._straight and values.shape[1] == len(self.labels):
            return values
        rows = np.full((len(values), len(self.labels)), np.nan)
        kept = self._kept[self._kept < values.shape[1]]
        rows[:, self._columns[: len(kept)]] = values[:, kept]
        return rows

    def _learn(self, labels: list[str]) -> None:
        self._last = labels
        columns: list[int] = []
        kept: list[int] = []
        for place, label in enumerate(labels):
            column = self._places.get(label)
            if column is None and len(self.labels) < ELEMENTS_MAX:
                column = self._places[label] = len(self.labels)
                self.labels.append(label)
            if column is None or column in columns:
                self.refused += 1
                continue
            columns.append(column)
            kept.append(place)
        self._columns, self._kept = np.array(columns, np.intp), np.array(kept, np.intp)
        self._straight = columns == list(range(len(self.labels))) and kept == columns
