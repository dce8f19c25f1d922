"""edgetwin: the on-robot half of a digital twin."""

__version__ = "0.1.0"
