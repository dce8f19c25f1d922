"""A wing: a robot and a broker to talk to when there are none. Its processes are not the daemon's."""
