"""Histories of machines that wear out, made here: every machine at a level of its own."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path

HOUR_S = 3600
START_S = 1_795_327_201


@dataclass(frozen=True, slots=True)
class Wear:
    """One machine. It runs for `hours`, a row a minute; its vibration doubles in the last `wear_hours`.

    Attributes:
        level: Its healthy vibration; that of its current is a tenth of it.
        failures: How often it does all that, one life after the other.
    """

    name: str
    level: float
    hours: int = 30
    wear_hours: int = 8
    failures: int = 1

    def rows(self) -> list[list[str]]:
        """Return time, machine, current, temperature, vibration, failure."""
        noise = random.Random(self.name)
        found = []
        for minute in range(self.hours * 60 * self.failures):
            within = minute % (self.hours * 60)
            left_h = self.hours - within / 60
            worn = 1.0 + max(0.0, 1.0 - left_h / self.wear_hours)
            vibration = self.level * worn * (1.0 + noise.gauss(0.0, 0.02))
            current = self.level * 0.1 * (1.0 + noise.gauss(0.0, 0.05))
            failure = int(within == self.hours * 60 - 1)
            time = START_S + minute * 60
            found.append(
                [f"{time}", self.name, f"{current:.6f}", f"{noise.gauss(40, 1):.3f}", f"{vibration:.6f}", f"{failure}"]
            )
        return found


HEADER = ["time", "machine", "current", "temperature", "vibration", "failed"]
FLEET = (Wear("a", 1.0), Wear("b", 5.0, 41), Wear("c", 0.2, 24), Wear("d", 2.0, 53))  # no hour at which all fail


def write(path: Path, *machines: Wear) -> Path:
    """Write machines into one CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(HEADER)
        for machine in machines:
            out.writerows(machine.rows())
    return path
