"""Drive wing: the operator's side of the command lane. Start reading at `client.DriveClient`.

In: what a person or a script wants     Out: commands for one robot, and its answers
A controlled stop by software is all that it can ask for; an emergency stop is hardware.
"""
