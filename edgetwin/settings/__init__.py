"""Floor: the settings of one robot. `tree` says what there is; `environment` and `faults` read and judge it."""

from edgetwin.settings.anomaly import AnomalySettings
from edgetwin.settings.channel import Channel, Deadband
from edgetwin.settings.gate import GateSettings
from edgetwin.settings.operators import Operator
from edgetwin.settings.prognosis import Combine, PrognosisSettings, SourceSettings
from edgetwin.settings.status import StatusSettings
from edgetwin.settings.tree import MqttSettings, RobotSettings, RosSettings, Settings, StoreSettings, TlsSettings

__all__ = [
    "AnomalySettings",
    "Channel",
    "Combine",
    "Deadband",
    "GateSettings",
    "MqttSettings",
    "Operator",
    "PrognosisSettings",
    "RobotSettings",
    "RosSettings",
    "Settings",
    "SourceSettings",
    "StatusSettings",
    "StoreSettings",
    "TlsSettings",
]
