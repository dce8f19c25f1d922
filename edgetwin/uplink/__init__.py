"""FORWARD: the MQTT session of the telemetry. Birth, will, live lane, backlog lane, backoff."""
