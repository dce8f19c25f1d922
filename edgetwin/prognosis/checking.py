"""Roof: the models that the settings name, looked at before the robot moves: for `edgetwin check`.

In: settings     Out: a fault for each model file that would be refused. One that is not there is no fault.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from edgetwin.clock import SystemClock
from edgetwin.errors import Fault, ModelRefusedError
from edgetwin.prognosis.model_file import ModelFile
from edgetwin.settings import Settings


def model_faults(settings: Settings) -> list[Fault]:
    """Return why each model that is there would be refused, if it would."""
    return asyncio.run(_model_faults(settings)) if settings.prognosis else []


async def _model_faults(settings: Settings) -> list[Fault]:
    found: list[Fault] = []
    with ThreadPoolExecutor(1) as executor:
        for name, prognosis in settings.prognosis.items():
            file = ModelFile(prognosis.model, prognosis.sha256, prognosis.sources, SystemClock())
            try:
                await file.look(None, executor)
            except FileNotFoundError:
                continue
            except ModelRefusedError as refused:
                what = f"{prognosis.model} is refused: {refused.what}"
                found.append(Fault(f"prognosis.{name}.model", what, refused.cure))
    return found
