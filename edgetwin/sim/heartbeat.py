"""Replay: ask for acknowledgements every 20 ms instead of every 3 s.

In: this process's environment     Out: the same, with a Fast DDS profile while a node is opened.
DDS writers ask rarely, and ROS 2 has no QoS policy for it; a replay that waits for its
subscribers would stand still most of the time. Other middlewares ignore the variable.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLE = "FASTDDS_DEFAULT_PROFILES_FILE"
_PROFILE = """<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com"><profiles>
  <data_writer profile_name="edgetwin_replay" is_default_profile="true">
    <times><heartbeat_period><sec>0</sec><nanosec>20000000</nanosec></heartbeat_period></times>
  </data_writer>
</profiles></dds>
"""


@contextmanager
def frequent_heartbeats() -> Iterator[None]:
    """Open the node inside; a profile of the user's own is left alone."""
    if _VARIABLE in os.environ:
        yield
        return
    with tempfile.NamedTemporaryFile("w", suffix=".xml", encoding="utf-8") as file:
        file.write(_PROFILE)
        file.flush()
        os.environ[_VARIABLE] = file.name
        try:
            yield
        finally:
            del os.environ[_VARIABLE]
