"""Floor: the settings of how the daemon tells how it goes, `[status]`.

In: plain values     Out: StatusSettings, or pydantic's ValidationError.
"""

from __future__ import annotations

from pydantic import Field

from edgetwin.settings.values import Section

_UNPRIVILEGED_PORT_MIN = 1024


class StatusSettings(Section):
    """How the daemon tells how it goes, beside status.json and MQTT."""

    diagnostics: bool = Field(
        default=True,
        description="Publishes /diagnostics once a second; false, ROS tools do not see how edgetwin is.",
    )
    prometheus_port: int | None = Field(
        default=None,
        ge=_UNPRIVILEGED_PORT_MIN,
        le=65_535,
        description="TCP port on 127.0.0.1 for Prometheus; any user of this machine may read it; absent, none is open.",
        examples=[9464],
    )
