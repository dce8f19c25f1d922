"""Roof: anomaly detection in the daemon: from a channel's messages to alerts."""
