"""Gate room: what reaches the wheels. Start reading at `gate.step`."""
