"""Bench: edgetwin beside the ways a robot's telemetry is usually sent, measured in one run, as ratios.

In: nothing but this machine     Out: a table per section, and JSON. Run it with `python -m bench`.

Every peer gets the same load, broker and disk, in turn (A B C A B C ...); a figure is the median of its
rounds and a ratio the median of the rounds' ratios, since absolute times change with the machine's mood.
Nothing passes or fails here.
"""
