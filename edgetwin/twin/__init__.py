"""A wing: the other end. Mirrors robots into ROS topics, and says how far the mirror can be believed.

Start reading at `state.RobotTwin` (pure), then `mirror.Mirror` (the thin shell around it).
It stands on the floor; of the rooms it uses only what turns names and bytes into ROS messages (`edgetwin.ros`), and the
TLS context of the uplink, as the other wings do. It needs the contract, not the daemon.
"""
