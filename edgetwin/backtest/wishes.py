"""Backtest: settings for a recording: the user's with another method, or none but what the topics say.

In: settings or a recording, a method     Out: Settings
"""

from __future__ import annotations

from edgetwin.analytics.methods import Method
from edgetwin.errors import Fault, FieldPathError, RefusedError, RosTypeError
from edgetwin.records import ChannelClass
from edgetwin.ros import cdr
from edgetwin.ros.types import message_class
from edgetwin.settings import AnomalySettings, Channel, Settings
from edgetwin.sim.recorded import Recording

_TOPICS_MAX = 64


def configured(settings: Settings, method: Method | None) -> Settings:
    """Return the settings, with all their detectors of one method if there is one."""
    if method is None:
        return settings
    anomalies = {
        name: AnomalySettings.model_validate(
            {"channel": one.channel, "field": one.field, "label": one.label, "method": method.value}
        )
        for name, one in settings.anomaly.items()
    }
    return settings.model_copy(update={"anomaly": anomalies})


def defaults(recording: Recording, method: Method | None) -> Settings:
    """Return settings that judge every number of every topic, whose type is installed.

    Raises:
        RefusedError: The method needs to be told more.
    """
    if method not in {None, Method.ROBUST_Z, Method.RESIDUAL, Method.T_SQUARED, Method.SPECTRAL}:
        cure = "give --config with an [anomaly.NAME] that has them"
        raise RefusedError([Fault(f"--method {method}", "needs to know which elements, motion or limits", cure)])
    channels: dict[str, Channel] = {}
    anomalies: dict[str, AnomalySettings] = {}
    for topic in recording.topics[:_TOPICS_MAX]:
        if topic.obstacle:
            continue
        try:
            paths = cdr.numeric_paths(message_class(topic.type_name))
        except (RosTypeError, FieldPathError):
            continue
        name = topic.name.strip("/").replace("/", "_")[:64]
        values = {"topic": topic.name, "type": topic.type_name, "class": ChannelClass.CRITICAL.value}
        channels[name] = Channel.model_validate(values)
        for path in paths:
            label = "name" if topic.type_name == "sensor_msgs/msg/JointState" else None
            choice = {"channel": name, "field": path, "label": label, "method": (method or Method.ROBUST_Z).value}
            anomalies[f"{name}.{path}"] = AnomalySettings.model_validate(choice)
    return Settings.model_construct(channels=channels, anomaly=anomalies, prognosis={})
