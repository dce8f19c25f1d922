"""Floor: who else may change a file that is believed: settings, keys, certificates.

In: what the system says of an open file, or a path     Out: in words who may, or nothing
Looks, changes nothing. The owner is believed: whoever may become root, or is the user that owns a file, is not held up
by a check of modes.

A group that may write is refused, but for the owner's private one, which has no other member: with a umask of 0002,
usual on Ubuntu, every file and folder of a person is written so, and nobody else can change it. /etc/edgetwin is
root:edgetwin, so there a group that may write is always another one, the daemon's own: a daemon that could change its
limits is what the mode is to prevent.

Source: OpenSSH as Debian ships it (user-group-modes.patch) judges ~/.ssh so.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

ALL = "everybody on this machine"


def others_may_write(seen: os.stat_result) -> str:
    """Return who may write to a file beside its owner, in words; empty: nobody."""
    if seen.st_mode & stat.S_IWOTH:
        return ALL
    if seen.st_mode & stat.S_IWGRP and not _private(seen.st_gid, seen.st_uid):
        return f"the group {_group_name(seen.st_gid)}"
    return ""


def others_may_replace(path: Path) -> tuple[Path, str]:
    """Return a folder in which others may put another file in the place of this one, and who; empty words: none.

    Whoever may write to a folder may rename in it, unless it is like /tmp (sticky). Where the path is a link, the
    folder of the link and that of the file are both looked at; not the folders above.
    """
    for folder in dict.fromkeys((path.absolute().parent, path.resolve().parent)):
        with suppress(OSError):  # whoever may not look at it could not have opened the file
            seen = folder.stat()
            if not seen.st_mode & stat.S_ISVTX and (who := others_may_write(seen)):
                return folder, who
    return path.parent, ""


def _private(group: int, owner: int) -> bool:
    """Whether a group has one member, the owner; asked only of files that a group may write."""
    try:
        name = pwd.getpwuid(owner).pw_name
        also = set(grp.getgrgid(group).gr_mem)
        firsts = {person.pw_name for person in pwd.getpwall() if person.pw_gid == group}
    except (KeyError, OSError):
        return False  # nobody knows them
    return bool(firsts | also) and firsts | also == {name}


def _group_name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except (KeyError, OSError):
        return str(group)
