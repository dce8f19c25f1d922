"""Roof: the command lane: from MQTT to /cmd_vel, on a thread of its own. Start reading at `lane.Lane`.

    broker -> connection -> inbox -> command.admission -> gate.step -> ros.cmd_vel -> wheels
    broker -> connection (stop alone) -----------------> gate.step -> ros.cmd_vel

It may import the floor, command, gate, ros.cmd_vel, ros.robot_inputs: nothing of store, uplink, sync or analytics,
so that nothing there can delay a stop. What it needs of them (a connected socket, how long to wait before the next
try) the daemon hands in. Nothing on this thread touches disk, takes a lock that another thread holds, logs, or
waits for the main loop: what it has to say goes through bounded queues that drop the oldest and count it.
"""
