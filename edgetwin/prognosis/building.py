"""Roof: a prognosis out of its settings and its model: for the daemon, and for a rehearsal on a recording.

In: [prognosis.NAME], a model     Out: Prognosis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetwin.analytics.healthy import Healthy
from edgetwin.analytics.prognosis import Prognosis, Rule
from edgetwin.clock import Clock
from edgetwin.prognosis.model_file import read_model
from edgetwin.settings import PrognosisSettings

if TYPE_CHECKING:
    from edgetwin.analytics.model import Model


def prognosis_of(model: Model, settings: PrognosisSettings, healthy: Healthy) -> Prognosis:
    """Return the prognosis of a model, on what is known of a machine."""
    threshold = settings.threshold if settings.threshold is not None else model.card.threshold
    return Prognosis(
        model.card,
        Rule(threshold, settings.raises_per_hour_max),
        healthy,
        settings.every_s,
        healthy_s=settings.healthy_s,
        rates_hz={name: one.rate_hz for name, one in settings.sources.items() if one.rate_hz is not None},
    )


def rehearse(settings: PrognosisSettings, clock: Clock) -> tuple[Model, Prognosis]:
    """Return model and prognosis for a recording of a machine of which nothing is known yet.

    Feed it with `prognosis.step(source, value, at_ns, model.probabilities)`, sample by sample.

    Raises:
        ModelRefusedError: The file is not there, or would be refused on the robot, too.
    """
    model = read_model(settings.model, settings.sha256, settings.sources, clock)
    return model, prognosis_of(model, settings, Healthy())
