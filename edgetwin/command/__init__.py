"""Command room: who may ask what, and when. Start reading at `command.admission`."""
