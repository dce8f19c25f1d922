"""Floor: the settings of one robot. `tree` says what there is; `environment` and `faults` read and judge it."""

from edgetwin.settings.channel import Channel, Deadband
from edgetwin.settings.tree import MqttSettings, RobotSettings, RosSettings, Settings, StoreSettings, TlsSettings

__all__ = [
    "Channel",
    "Deadband",
    "MqttSettings",
    "RobotSettings",
    "RosSettings",
    "Settings",
    "StoreSettings",
    "TlsSettings",
]
