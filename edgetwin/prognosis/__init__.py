"""Roof: failure prognosis in the daemon. `foretelling` is the door."""
